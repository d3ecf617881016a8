//! A prompt as a line of folded words, which makes looking for words and phrases in it simple.

use unicode_segmentation::UnicodeSegmentation;

use super::fold::fold;
use super::wordlist::{holds, starts_like};

/// The words of a prompt, folded.
pub(super) struct Prompt {
    words: Vec<String>,
    /// The words between single spaces, with a space at both ends.
    line: String,
}

impl Prompt {
    pub(super) fn new(text: &str) -> Self {
        let folded = fold(text);
        let words: Vec<String> = folded
            .unicode_words()
            .map(|word| word.trim_end_matches("'s").to_owned())
            .collect();
        let line = format!(" {} ", words.join(" "));
        Self { words, line }
    }

    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    pub(super) fn first(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Whether any of the phrases, parted by bars, stands in the prompt.
    pub(super) fn has(&self, phrases: &str) -> bool {
        self.find_any(phrases).is_some()
    }

    /// Index of the first word of the first phrase of a list that stands in the prompt.
    pub(super) fn find_any(&self, phrases: &str) -> Option<usize> {
        phrases.split('|').find_map(|phrase| self.find(phrase))
    }

    /// Index of the first word of a phrase.
    pub(super) fn find(&self, phrase: &str) -> Option<usize> {
        let at = self.line.find(&format!(" {phrase} "))?;
        Some(self.line[..at].split_ascii_whitespace().count())
    }

    /// Whether any word starts with one of the beginnings, parted by spaces.
    pub(super) fn has_word_like(&self, beginnings: &str) -> bool {
        self.words.iter().any(|word| starts_like(beginnings, word))
    }

    /// Whether any word is one of the list.
    pub(super) fn has_word(&self, list: &str) -> bool {
        self.words.iter().any(|word| holds(list, word))
    }

    /// The number directly before, or one word before, any word with one of these beginnings.
    pub(super) fn count_of(&self, beginnings: &str) -> Option<usize> {
        let at = self
            .words
            .iter()
            .position(|word| starts_like(beginnings, word))?;
        self.words[at.saturating_sub(2)..at]
            .iter()
            .rev()
            .find_map(|word| number(word))
    }
}

/// A small number in digits or as a word of one of the four languages.
pub(super) fn number(word: &str) -> Option<usize> {
    const NAMES: [&str; 11] = [
        "",
        "one a single ein eine einem einen une un una",
        "two zwei deux dos",
        "three drei trois tres",
        "four vier quatre cuatro",
        "five funf cinq cinco",
        "six sechs seis",
        "seven sieben sept siete",
        "eight acht huit ocho",
        "nine neun neuf nueve",
        "ten zehn dix diez",
    ];
    let in_digits = word.parse().ok();
    in_digits.or_else(|| NAMES.iter().position(|names| holds(names, word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_match_whole_words() {
        let prompt = Prompt::new("What's the MAIN  point, in three short sentences?");
        assert!(prompt.has("main point"));
        assert!(!prompt.has("main points|ain"));
        assert_eq!(prompt.find("the main"), Some(1));
        assert_eq!(prompt.count_of("sentence"), Some(3));
        assert_eq!(prompt.first(), "what");
        assert_eq!(Prompt::new("?!").first(), "");
    }
}
