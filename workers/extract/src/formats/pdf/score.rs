//! How plausible the text of a page is.
//!
//! The engines succeed and are wrong without knowing it, so they are compared by what they say: words of ordinary length count for
//! a text, tokens that no writer meant and torn-off single letters count against it, and right-to-left words that are spelled
//! backwards count as junk. The measure knows no language and no dictionary; it ranks two readings of one page and finds pages whose
//! text layer is worthless, nothing finer.

use unicode_normalization::char::is_combining_mark;

use super::words::is_written_without_spaces;

/// The plausibility of a text: its tokens, by what they look like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Score {
    /// Words of ordinary length.
    words: f32,
    /// Words with characters in them that stand for nothing, or with more signs than letters.
    broken: f32,
    /// Tokens that are nothing but such characters.
    junk: f32,
    /// Words that are lost in tokens too long for a word.
    glued: f32,
    /// Single letters.
    singles: f32,
    /// Single digits: neither good nor bad.
    digits: f32,
}

/// What a token of junk costs, in words. Little: an engine that leaves out what it cannot read is no better for it.
const JUNK_COST: f32 = 0.5;
/// What a single letter costs, in words.
const SINGLE_COST: f32 = 0.5;

impl Score {
    /// The score of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut score = Self::default();
        let mut order = LetterOrder::default();
        for token in text.split_whitespace() {
            let core = token.trim_matches(|c: char| !c.is_alphanumeric() && !is_junk(c));
            order.take(core);
            score.count(core);
        }
        if order.is_backwards() {
            let backwards = (order.words as f32).min(score.words);
            score.words -= backwards;
            score.junk += backwards;
        }
        score
    }

    fn count(&mut self, core: &str) {
        /// Ordinary words have 2 to 24 characters.
        const LONGEST: usize = 24;
        /// Letters of an average word and the space after it.
        const ORDINARY: f32 = 6.0;
        let dense: f32 = core.chars().map(words_in).sum();
        let junk = core.chars().filter(|&c| is_junk(c)).count();
        let letters = core.chars().count() - junk;
        match (letters, junk) {
            (0, 0) => {}
            (0, _) => self.junk += 1.0,
            _ if dense > 0.0 => self.words += dense.max(1.0),
            (_, 1..) => self.broken += 1.0,
            (1, _) if core.chars().all(char::is_numeric) => self.digits += 1.0,
            (1, _) => self.singles += 1.0,
            (2..=LONGEST, _) if is_mostly_alphanumeric(core) => self.words += 1.0,
            (2..=LONGEST, _) => self.broken += 1.0,
            _ => self.glued += letters as f32 / ORDINARY,
        }
    }

    fn tokens(self) -> f32 {
        self.words + self.broken + self.junk + self.glued + self.singles + self.digits
    }

    /// Plausible words, less what counts against them.
    pub(super) fn value(self) -> f32 {
        self.words - JUNK_COST * self.junk - SINGLE_COST * self.singles
    }

    /// How much of the text is as text should be, 0 to 1.
    pub(super) fn share(self) -> f32 {
        /// Languages have words of one letter: one word in five of plain Russian.
        const ORDINARY_SINGLES: f32 = 0.25;
        let tokens = self.tokens();
        let ordinary = self.singles.min(ORDINARY_SINGLES * tokens);
        let torn = self.singles - ordinary;
        let good = self.words + self.digits + ordinary - JUNK_COST * self.junk - SINGLE_COST * torn;
        (good / tokens.max(1.0)).clamp(0.0, 1.0)
    }

    /// Whether there is more text than junk, and words in it.
    pub(super) fn is_readable(self) -> bool {
        /// Garbage gets by chance what looks like a word in ten.
        const LEAST_SHARE: f32 = 0.15;
        let text = self.words + self.glued + self.singles + self.digits;
        text > self.junk + self.broken && self.share() >= LEAST_SHARE
    }

    /// Whether the words can be what `glyphs` glyphs on a page say. A text that is much shorter leaves most of the page out.
    pub(super) fn accounts_for(self, glyphs: usize) -> bool {
        /// Letters of an average word.
        const WORD: f32 = 5.0;
        /// Least share of the glyphs; the others may be numbers, signs and spaces.
        const LEAST: f32 = 0.4;
        self.words * WORD >= LEAST * glyphs as f32
    }
}

/// Words that a character of text without spaces stands for: half a word of Chinese or Japanese, less of the alphabets of the languages
/// between India and China.
fn words_in(c: char) -> f32 {
    match c {
        // Thai, Lao, Tibetan, Burmese, Khmer.
        '\u{E00}'..='\u{FFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => 0.2,
        _ if is_written_without_spaces(c) => 0.5,
        _ => 0.0,
    }
}

fn is_mostly_alphanumeric(word: &str) -> bool {
    let signs = word
        .chars()
        .filter(|c| !c.is_alphanumeric() && !is_combining_mark(*c))
        .count();
    signs * 2 <= word.chars().count()
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
    fn words_with_a_letter_missing_are_better_than_words_glued_together() {
        // The ligatures of old TeX fonts have no names; pdf-extract knows them and loses every space instead.
        let broken =
            "the modi\u{FFFD}ed weighting functions have had small bene\u{FFFD}cial e\u{FFFD}ects";
        let glued = "themodifiedweightingfunctionshavehadsmallbeneficialeffects";
        assert!(Score::of(broken).value() > Score::of(glued).value());
        assert!(Score::of(broken).is_readable());
        assert!(!Score::of("\u{FFFD}a\u{FFFD} \u{FFFD}\u{FFFD} \u{FFFD}").is_readable());
    }

    #[test]
    fn text_without_spaces_is_plausible() {
        assert!(Score::of("人人生而自由,在尊严和权利上一律平等。").share() > 0.9);
        assert!(Score::of("มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์").share() > 0.9);
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
