//! Numbers for words: every stem of a document gets an id, so that ranking compares integers.
//!
//! A word is folded and stemmed once and then remembered; a 500-page book has about 10 000 different words among
//! its 250 000, so stemming costs nothing after the first pages.

use std::collections::{HashMap, HashSet};

use rust_stemmers::Stemmer;
use unicode_segmentation::UnicodeSegmentation;

use super::fold::fold;
use super::language::Language;

/// Id of a stem in one [`Lexicon`].
pub(super) type TermId = u32;

/// A stem may differ from a query's by one edit only when it is at least this long; shorter words collide.
const FUZZY_CHARS: usize = 5;
/// Shorter endings close too many words that have nothing to do with them.
const TAIL_CHARS: usize = 5;

/// The stems of one document.
pub(super) struct Lexicon {
    language: Language,
    stemmer: Stemmer,
    stopwords: HashSet<&'static str>,
    /// Folded word to its stem; none for a stopword.
    words: HashMap<String, Option<TermId>>,
    stems: Vec<String>,
    by_stem: HashMap<String, TermId>,
}

impl Lexicon {
    pub(super) fn new(language: Language) -> Self {
        Self {
            language,
            stemmer: Stemmer::create(language.stemmer()),
            stopwords: language.stopwords(),
            words: HashMap::new(),
            stems: Vec::new(),
            by_stem: HashMap::new(),
        }
    }

    /// The stems of a text in order, stopwords left out; unknown ones are added.
    pub(super) fn add(&mut self, text: &str) -> Vec<TermId> {
        text.unicode_words()
            .filter_map(|word| self.add_word(word))
            .collect()
    }

    /// The id of a word of a prompt; none when the document never uses its stem.
    pub(super) fn find(&self, word: &str) -> Option<TermId> {
        let folded = fold_word(word);
        self.by_stem
            .get(self.stemmer.stem(&folded).as_ref())
            .copied()
    }

    /// The stem of a word, whether the document uses it or not.
    pub(super) fn stem(&self, word: &str) -> String {
        self.stemmer.stem(&fold_word(word)).into_owned()
    }

    pub(super) fn is_stopword(&self, word: &str) -> bool {
        self.stopwords.contains(fold_word(word).as_str())
    }

    /// Stems one edit away from a word: what a prompt with a typing error may have meant.
    pub(super) fn similar(&self, word: &str) -> Vec<TermId> {
        let stem: Vec<char> = self.stem(word).chars().collect();
        if stem.len() < FUZZY_CHARS || stem.iter().any(char::is_ascii_digit) {
            return Vec::new();
        }
        let near = |other: &String| is_one_edit_away(&stem, &other.chars().collect::<Vec<_>>());
        (0..)
            .zip(&self.stems)
            .filter(|(_, other)| near(other))
            .map(|(id, _)| id)
            .collect()
    }

    /// The longest stem that closes a compound: the `frist` of `Kundigungsfrist`. Only German builds such words.
    pub(super) fn tail(&self, word: &str) -> Option<TermId> {
        let stem = self.stem(word);
        let closes = |other: &&String| {
            self.language == Language::German
                && other.chars().count() >= TAIL_CHARS
                && other.len() < stem.len()
                && stem.ends_with(other.as_str())
        };
        let longest = self
            .stems
            .iter()
            .filter(closes)
            .max_by_key(|other| other.len())?;
        self.by_stem.get(longest).copied()
    }

    /// Whether the language writes its nouns with a capital.
    pub(super) fn has_noun_capitals(&self) -> bool {
        self.language == Language::German
    }

    /// Whether the document uses exactly this word.
    pub(super) fn is_known(&self, word: &str) -> bool {
        self.words.contains_key(&fold_word(word))
    }

    /// Number of different stems.
    pub(super) fn len(&self) -> usize {
        self.stems.len()
    }

    fn add_word(&mut self, word: &str) -> Option<TermId> {
        let folded = fold_word(word);
        if let Some(known) = self.words.get(&folded) {
            return *known;
        }
        let id = if self.stopwords.contains(folded.as_str()) {
            None
        } else {
            Some(self.add_stem(&folded))
        };
        self.words.insert(folded, id);
        id
    }

    fn add_stem(&mut self, folded: &str) -> TermId {
        let stem = self.stemmer.stem(folded).into_owned();
        if let Some(id) = self.by_stem.get(&stem) {
            return *id;
        }
        let id = self.stems.len() as TermId;
        self.stems.push(stem.clone());
        self.by_stem.insert(stem, id);
        id
    }
}

/// Folds a word and drops an English genitive or a French elision (`l'accord`).
fn fold_word(word: &str) -> String {
    let mut folded = fold(word);
    if let Some(base) = folded.strip_suffix("'s") {
        folded.truncate(base.len());
    }
    match folded.split_once('\'') {
        Some(("l" | "d" | "qu" | "n" | "s" | "j" | "c", rest)) if !rest.is_empty() => {
            rest.to_owned()
        }
        _ => folded,
    }
}

/// Equal but for one letter changed, left out, added, or two neighbours swapped.
fn is_one_edit_away(left: &[char], right: &[char]) -> bool {
    if left.len().abs_diff(right.len()) > 1 {
        return false;
    }
    let head = left.iter().zip(right).take_while(|(x, y)| x == y).count();
    let (left, right) = (&left[head..], &right[head..]);
    let tail = left
        .iter()
        .rev()
        .zip(right.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    match (&left[..left.len() - tail], &right[..right.len() - tail]) {
        ([] | [_], [] | [_]) => true,
        ([first, second], [third, fourth]) => first == fourth && second == third,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon(text: &str) -> Lexicon {
        let mut lexicon = Lexicon::new(Language::English);
        lexicon.add(text);
        lexicon
    }

    #[test]
    fn inflections_share_an_id() {
        let mut lexicon = lexicon("The bridges were opening");
        assert_eq!(lexicon.add("bridge opened"), lexicon.add("bridge's opens"));
        assert_eq!(lexicon.find("Bridges"), lexicon.find("bridge"));
        assert_eq!(lexicon.find("tunnel"), None);
        assert_eq!(lexicon.len(), 2);
    }

    #[test]
    fn typing_errors_find_their_word() {
        let lexicon = lexicon("warranty insurance");
        let warranty = lexicon.find("warranty").unwrap();
        for typed in ["waranty", "warrantty", "wararnty", "warrenty"] {
            assert_eq!(lexicon.similar(typed), [warranty], "{typed}");
        }
        assert!(lexicon.similar("wart").is_empty());
    }
}
