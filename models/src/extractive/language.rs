//! The language of a text among those that stemming and stopwords are here for.
//!
//! Counting function words is enough to tell four languages apart; a text in any other one is treated as English,
//! which only means that its words are compared without a useful stem.

use std::collections::HashSet;

use rust_stemmers::Algorithm;
use unicode_segmentation::UnicodeSegmentation;

use super::fold::fold;
use super::stopwords;

/// Function words are everywhere, so the beginning of a document tells its language.
const SAMPLE_WORDS: usize = 2_000;

/// A language with a stemmer and a list of stopwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
    French,
    Spanish,
}

impl Language {
    const ALL: [Self; 4] = [Self::English, Self::German, Self::French, Self::Spanish];

    /// The language whose function words are most frequent; English when none is.
    pub(super) fn detect<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let words: Vec<String> = texts
            .flat_map(UnicodeSegmentation::unicode_words)
            .take(SAMPLE_WORDS)
            .map(fold)
            .collect();
        let mut best = (Self::English, 0);
        for language in Self::ALL {
            let common = language.stopwords();
            let count = words
                .iter()
                .filter(|word| common.contains(word.as_str()))
                .count();
            if count > best.1 {
                best = (language, count);
            }
        }
        best.0
    }

    pub(super) fn stopwords(self) -> HashSet<&'static str> {
        let list = match self {
            Self::English => stopwords::ENGLISH,
            Self::German => stopwords::GERMAN,
            Self::French => stopwords::FRENCH,
            Self::Spanish => stopwords::SPANISH,
        };
        list.split_ascii_whitespace().collect()
    }

    pub(super) fn stemmer(self) -> Algorithm {
        match self {
            Self::English => Algorithm::English,
            Self::German => Algorithm::German,
            Self::French => Algorithm::French,
            Self::Spanish => Algorithm::Spanish,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn function_words_tell_the_language() {
        let of = |text| Language::detect(std::iter::once(text));
        assert_eq!(
            of("The bridge was opened in 1932 and it is still in use."),
            Language::English
        );
        assert_eq!(
            of("Die Brücke wurde 1932 eröffnet und ist noch in Betrieb."),
            Language::German
        );
        assert_eq!(
            of("Le pont a été ouvert en 1932 et il est encore en service."),
            Language::French
        );
        assert_eq!(
            of("El puente fue abierto en 1932 y todavía está en uso."),
            Language::Spanish
        );
        assert_eq!(of("12 34 ###"), Language::English);
    }
}
