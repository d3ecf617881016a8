//! What is taken out of generated text while it streams: everything from a stop string on, and the parts in which a model thinks.
//!
//! Both may be cut anywhere between two pieces, so the end of a text that could be the beginning of such a mark is held back until
//! the next piece tells.

/// Marks between which a model thinks.
const THINK: &str = "<think>";
const THOUGHT: &str = "</think>";

/// Ends the text at the first of some strings.
#[derive(Debug, Default)]
pub(in crate::generate) struct Stops {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl Stops {
    /// Empty strings are ignored: they would end every text before it begins.
    pub(in crate::generate) fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty());
        Self {
            stops: stops.collect(),
            ..Self::default()
        }
    }

    /// The text that may be shown after this piece.
    pub(in crate::generate) fn push(&mut self, piece: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(piece);
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min();
        if let Some(end) = first {
            self.stopped = true;
            self.held.truncate(end);
            return std::mem::take(&mut self.held);
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| begun(&self.held, stop))
            .max()
            .unwrap_or(0);
        let held = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, held)
    }

    /// Whether a stop string has come.
    pub(in crate::generate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What was held back and turned out to be text.
    pub(in crate::generate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Takes out thoughts and the space behind them.
#[derive(Debug, Default)]
pub(in crate::generate) struct Thoughts {
    held: String,
    inside: bool,
    /// Space is dropped until text comes: at the beginning, and behind a thought.
    trims: bool,
}

impl Thoughts {
    /// A filter for a text that has not begun.
    pub(in crate::generate) fn new() -> Self {
        Self {
            trims: true,
            ..Self::default()
        }
    }

    /// The text that may be shown after this piece.
    pub(in crate::generate) fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut shown = String::new();
        loop {
            let mark = if self.inside { THOUGHT } else { THINK };
            if let Some(at) = self.held.find(mark) {
                let rest = self.held.split_off(at);
                let before = std::mem::replace(&mut self.held, rest[mark.len()..].to_owned());
                if !self.inside {
                    self.show(&before, &mut shown);
                }
                self.trims |= self.inside;
                self.inside = !self.inside;
                continue;
            }
            let keep = begun(&self.held, mark);
            let rest = self.held.split_off(self.held.len() - keep);
            let before = std::mem::replace(&mut self.held, rest);
            if !self.inside {
                self.show(&before, &mut shown);
            }
            return shown;
        }
    }

    /// What was held back and turned out to be text. An unfinished thought is dropped.
    pub(in crate::generate) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let mut shown = String::new();
        if !self.inside {
            self.show(&held, &mut shown);
        }
        shown
    }

    fn show(&mut self, text: &str, shown: &mut String) {
        let text = if self.trims { text.trim_start() } else { text };
        self.trims &= text.is_empty();
        shown.push_str(text);
    }
}

/// Bytes at the end of `text` with which `mark` may begin.
fn begun(text: &str, mark: &str) -> usize {
    let longest = mark.len().saturating_sub(1).min(text.len());
    (1..=longest)
        .rev()
        .find(|&length| mark.is_char_boundary(length) && text.ends_with(&mark[..length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(text: &str, size: usize, mut push: impl FnMut(&str) -> String) -> String {
        let chars: Vec<char> = text.chars().collect();
        let pieces = chars
            .chunks(size)
            .map(|piece| piece.iter().collect::<String>());
        pieces.map(|piece| push(&piece)).collect()
    }

    #[test]
    fn a_stop_is_found_over_pieces_and_never_shown() {
        for size in 1..8 {
            let mut stops = Stops::new(vec!["END".into(), "\n\nQ".into(), String::new()]);
            let shown = in_pieces("one E EN \n\n two\n\nQ three END", size, |p| stops.push(p));
            assert_eq!(
                (shown.as_str(), stops.is_stopped()),
                ("one E EN \n\n two", true)
            );
            assert_eq!(stops.finish(), "");
        }
    }

    #[test]
    fn what_only_looked_like_a_stop_is_shown_at_the_end() {
        let mut stops = Stops::new(vec!["ÄÖÜ".into()]);
        assert_eq!(stops.push("aÄÖ"), "a");
        assert!(!stops.is_stopped());
        assert_eq!(stops.finish(), "ÄÖ");
    }

    #[test]
    fn thoughts_are_taken_out_in_any_pieces() {
        let text = "\n<think>\nno <thi </think>\n\nThe answer <b>is</b><think>x</think>  42 <think>never ends";
        for size in 1..12 {
            let mut thoughts = Thoughts::new();
            let mut shown = in_pieces(text, size, |p| thoughts.push(p));
            shown.push_str(&thoughts.finish());
            assert_eq!(shown, "The answer <b>is</b>42 ");
        }
    }

    proptest! {
        #[test]
        fn text_without_marks_comes_out_whole(text in "[a-z<>/ ]{0,40}", size in 1usize..6) {
            prop_assume!(!text.contains(THINK) && !text.contains("zq"));
            let (mut stops, mut thoughts) = (Stops::new(vec!["zq".into()]), Thoughts::new());
            let mut shown = in_pieces(&text, size, |p| thoughts.push(&stops.push(p)));
            shown.push_str(&thoughts.push(&stops.finish()));
            shown.push_str(&thoughts.finish());
            prop_assert_eq!(shown, text.trim_start());
        }
    }
}
