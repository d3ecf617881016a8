//! The passages that a model was shown, by the markers under which it may cite them.

use std::{collections::HashMap, ops::Range};

use crate::{engine::Citation, passage::Passage};

use super::{marker::key_of, quote::Searchable};

/// Passages that may be cited. Several may share a marker: a page has many.
pub struct Sources<'a> {
    passages: Vec<&'a Passage>,
    texts: Vec<Searchable>,
    by_key: HashMap<String, Vec<usize>>,
}

impl<'a> Sources<'a> {
    /// The passages exactly as they were shown; what was left out of the prompt must not be here.
    pub fn new(shown: impl IntoIterator<Item = &'a Passage>) -> Self {
        let passages: Vec<&Passage> = shown.into_iter().collect();
        let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, passage) in passages.iter().enumerate() {
            let key = key_of(&passage.locator.marker());
            by_key.entry(key).or_default().push(at);
        }
        Self {
            texts: passages.iter().map(|p| Searchable::new(&p.text)).collect(),
            passages,
            by_key,
        }
    }

    /// Whether the bytes of `quote` stand in some passage, layout aside.
    pub fn hold(&self, quote: &str) -> bool {
        self.find(quote, None).is_some()
    }

    /// A citation of the first place that says `quote`.
    pub(crate) fn cite(&self, quote: &str) -> Option<Citation> {
        let (at, range) = self.find(quote, None)?;
        Some(self.passages[at].cite(range, 1.0))
    }

    pub(super) fn passage(&self, at: usize) -> &'a Passage {
        self.passages[at]
    }

    pub(super) fn is_known(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The passages behind a key, in the order they were shown.
    pub(super) fn of_key(&self, key: &str) -> &[usize] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Where a quote stands: in one of these passages, or in any of all.
    pub(super) fn find(
        &self,
        quote: &str,
        among: Option<&[usize]>,
    ) -> Option<(usize, Range<usize>)> {
        let look = |at: usize| self.texts[at].find(quote).map(|range| (at, range));
        match among {
            Some(places) => places.iter().copied().find_map(look),
            None => (0..self.texts.len()).find_map(look),
        }
    }
}
