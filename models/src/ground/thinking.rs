//! Takes a model's thinking out of its text: what stands between `<think>` and `</think>` is no part of the answer.
//!
//! The tags may come cut into pieces; what may be the beginning of one is held back.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Passes on all but the thinking.
#[derive(Default)]
pub(super) struct Thinking {
    held: String,
    inside: bool,
}

impl Thinking {
    /// A whole text without its thinking.
    pub(super) fn taken_out(text: &str) -> String {
        let mut thinking = Self::default();
        let mut answer = thinking.push(text);
        answer.push_str(&thinking.finish());
        answer
    }

    /// Takes a piece and returns what of the text so far is answer.
    pub(super) fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut out = String::new();
        loop {
            let tag = if self.inside { CLOSE } else { OPEN };
            let found = self.held.find(tag);
            let end = found.unwrap_or_else(|| self.held.len() - begun(&self.held, tag));
            if !self.inside {
                out.push_str(&self.held[..end]);
            }
            self.held.drain(..end);
            if found.is_none() {
                return out;
            }
            self.held.drain(..tag.len());
            self.inside = !self.inside;
        }
    }

    /// The rest. Thinking that never ended is dropped.
    pub(super) fn finish(self) -> String {
        if self.inside {
            String::new()
        } else {
            self.held
        }
    }
}

/// Bytes at the end of a text that may be the beginning of a tag.
fn begun(text: &str, tag: &str) -> usize {
    (1..tag.len())
        .rev()
        .find(|length| text.ends_with(&tag[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pieces: &[&str]) -> String {
        let mut thinking = Thinking::default();
        let mut out: String = pieces.iter().map(|piece| thinking.push(piece)).collect();
        out.push_str(&thinking.finish());
        out
    }

    #[test]
    fn thinking_is_taken_out_however_it_is_cut() {
        let text = "<think>\nhm <b>\n</think>\n\n2 < 3 <thin air><think>x";
        let whole = run(&[text]);
        assert_eq!(whole, "\n\n2 < 3 <thin air>");
        for cut in 0..text.len() {
            assert_eq!(run(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(run(&["a <th"]), "a <th");
    }
}
