//! How plausible the text of a page is.
//!
//! The engines succeed and are wrong without knowing it, so they are compared by what they say: words of ordinary length count for
//! a text, characters that no writer meant and torn-off single letters count against it, and right-to-left words that are spelled
//! backwards count as junk. The measure knows no language and no dictionary; it ranks two readings of one page and finds pages whose
//! text layer is worthless, nothing finer.

use super::words::is_written_without_spaces;

/// The plausibility of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Score {
    /// Words of ordinary length.
    words: f32,
    /// Characters that stand for nothing.
    junk: f32,
    /// Tokens of one letter.
    singles: f32,
    /// Single digits: neither good nor bad.
    digits: f32,
    /// Tokens in all.
    tokens: f32,
}

/// What one junk character costs, in words.
const JUNK_COST: f32 = 3.0;
/// What one single letter costs, in words.
const SINGLE_COST: f32 = 0.5;

impl Score {
    /// The score of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut score = Self {
            junk: text.chars().filter(|&c| is_junk(c)).count() as f32,
            ..Self::default()
        };
        let mut order = LetterOrder::default();
        for token in text.split_whitespace() {
            let core = token.trim_matches(|c: char| !c.is_alphanumeric());
            order.take(core);
            score.count(core);
        }
        if order.is_backwards() {
            score.junk += order.words as f32;
        }
        score
    }

    fn count(&mut self, core: &str) {
        /// Ordinary words have 2 to 24 characters.
        const LONGEST: usize = 24;
        let dense = core
            .chars()
            .filter(|&c| is_written_without_spaces(c))
            .count();
        if dense > 0 {
            // Text without spaces has about two characters a word.
            let words = (dense as f32 / 2.0).max(1.0);
            self.words += words;
            self.tokens += words;
            return;
        }
        match core.chars().count() {
            0 => {}
            1 if core.chars().all(char::is_numeric) => {
                self.tokens += 1.0;
                self.digits += 1.0;
            }
            1 => {
                self.tokens += 1.0;
                self.singles += 1.0;
            }
            2..=LONGEST => {
                self.tokens += 1.0;
                self.words += 1.0;
            }
            _ => self.tokens += 1.0,
        }
    }

    /// Plausible words, less what counts against them.
    pub(super) fn value(self) -> f32 {
        self.words - JUNK_COST * self.junk - SINGLE_COST * self.singles
    }

    /// How much of the text is as text should be, 0 to 1.
    pub(super) fn share(self) -> f32 {
        /// Languages have words of one letter: one word in five of plain Russian.
        const ORDINARY_SINGLES: f32 = 0.25;
        let ordinary = self.singles.min(ORDINARY_SINGLES * self.tokens);
        let torn = self.singles - ordinary;
        let good = self.words + self.digits + ordinary - JUNK_COST * self.junk - SINGLE_COST * torn;
        (good / self.tokens.max(1.0)).clamp(0.0, 1.0)
    }
}

/// Whether `c` stands for nothing: unknown, private use, control.
pub(super) fn is_junk(c: char) -> bool {
    matches!(c, '\u{FFFD}' | '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}')
        || (c.is_control() && !c.is_whitespace())
}

/// Evidence on whether right-to-left words are spelled forwards or backwards: letters that only stand at the end of a word, and the
/// Arabic article, which only stands at the beginning.
#[derive(Default)]
struct LetterOrder {
    words: u32,
    forwards: u32,
    backwards: u32,
}

impl LetterOrder {
    fn take(&mut self, word: &str) {
        let mut chars = word.chars();
        let (Some(first), Some(last)) = (chars.next(), chars.next_back()) else {
            return;
        };
        if !super::bidi::is_right_to_left(first) && !super::bidi::is_right_to_left(last) {
            return;
        }
        self.words += 1;
        self.forwards +=
            u32::from(ends_words(last)) + u32::from(word.starts_with("\u{627}\u{644}"));
        self.backwards +=
            u32::from(ends_words(first)) + u32::from(word.ends_with("\u{644}\u{627}"));
    }

    fn is_backwards(&self) -> bool {
        self.backwards > self.forwards
    }
}

/// Final forms of Hebrew letters, Arabic teh marbuta and alef maksura.
fn ends_words(c: char) -> bool {
    matches!(c, 'ך' | 'ם' | 'ן' | 'ף' | 'ץ' | '\u{629}' | '\u{649}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "The bridge was opened on 14 May 1932.";

    #[test]
    fn plain_text_is_plausible_and_junk_is_not() {
        assert!(Score::of(PLAIN).share() > 0.95);
        assert!(Score::of("\u{FFFD}\u{FFFD}\u{FFFD} \u{E010}\u{E011}").share() < 0.01);
        assert!(Score::of("").share() < 0.01);
    }

    #[test]
    fn torn_words_are_worse_than_whole_ones() {
        let torn = "T h e b r i d g e w a s o p e n e d";
        assert!(Score::of(torn).value() < Score::of(PLAIN).value());
        assert!(Score::of(torn).share() < 0.1, "{}", Score::of(torn).share());
    }

    #[test]
    fn glued_words_are_worse_than_separate_ones() {
        assert!(
            Score::of("ThebridgewasopenedonthefourteenthofMay").value() < Score::of(PLAIN).value()
        );
    }

    #[test]
    fn text_without_spaces_is_plausible() {
        assert!(Score::of("人人生而自由,在尊严和权利上一律平等。").share() > 0.9);
    }

    #[test]
    fn hebrew_spelled_backwards_is_junk() {
        let forwards = "כל בני האדם נולדו בני חורין ושווים בערכם";
        let backwards: String = forwards.chars().rev().collect();
        assert!(Score::of(forwards).share() > 0.9);
        assert!(Score::of(&backwards).share() < 0.1);
    }

    proptest::proptest! {
        #[test]
        fn the_share_is_a_share(text in "\\PC{0,80}") {
            let share = Score::of(&text).share();
            proptest::prop_assert!((0.0..=1.0).contains(&share));
        }
    }
}
