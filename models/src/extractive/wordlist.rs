//! Lists of words as text: one constant string reads better than a hundred quoted literals.
//!
//! Words are parted by spaces, phrases (which hold spaces) by bars. The lists are short, so looking through one is
//! cheaper than building a set of it.

/// Whether a list of words holds a word.
pub(super) fn holds(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|other| other == word)
}

/// Whether a word starts with one of a list of beginnings.
pub(super) fn starts_like(beginnings: &str, word: &str) -> bool {
    beginnings
        .split_ascii_whitespace()
        .any(|beginning| word.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_held() {
        assert!(holds("one two", "two"));
        assert!(!holds("one two", "tw") && !holds("one two", "one two") && !holds("one two", ""));
        assert!(starts_like("summar key", "summarise") && !starts_like("summar key", "sum"));
    }
}
