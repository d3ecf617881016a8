//! Ends generated text at the first stop string while it streams.
//!
//! A stop may be cut anywhere between two pieces, so the end of a text that could be the beginning of one is held back until the next
//! piece tells. Taking out what a model thinks is the business of `ground`.

/// Ends the text at the first of some strings.
#[derive(Debug, Default)]
pub(in crate::generate) struct Stops {
    marks: Vec<String>,
    held: String,
    stopped: bool,
}

impl Stops {
    /// Empty strings are ignored: they would end every text before it begins.
    pub(in crate::generate) fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty());
        Self {
            marks: stops.collect(),
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
            .marks
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min();
        if let Some(end) = first {
            self.stopped = true;
            self.held.truncate(end);
            return std::mem::take(&mut self.held);
        }
        let keep = self
            .marks
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

    proptest! {
        #[test]
        fn text_comes_out_whole_up_to_a_stop(text in "[a-z<>/ ]{0,40}", size in 1usize..6) {
            prop_assume!(!text.contains("zq"));
            let mut stops = Stops::new(vec!["zq".into(), "<think>x".into()]);
            let mut shown = in_pieces(&text, size, |p| stops.push(p));
            shown.push_str(&stops.finish());
            let end = text.find("<think>x").unwrap_or(text.len());
            prop_assert_eq!(shown, &text[..end]);
        }
    }
}
