//! The pictures that were asked for last, up to a number of bytes.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::Wanted;

/// Pictures by what was wanted; the one that nobody asked for longest goes first.
#[derive(Debug)]
pub(super) struct Kept {
    most_bytes: usize,
    bytes: usize,
    /// Counts the uses.
    clock: u64,
    pictures: HashMap<Wanted, (u64, Bytes)>,
    /// What was wanted by the clock of its last use.
    by_use: BTreeMap<u64, Wanted>,
}

impl Kept {
    /// Nothing yet, and never more than `most_bytes`.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            bytes: 0,
            clock: 0,
            pictures: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// The picture, if it is kept.
    pub(super) fn get(&mut self, wanted: &Wanted) -> Option<Bytes> {
        let (used, png) = self.pictures.get_mut(wanted)?;
        self.clock += 1;
        self.by_use.remove(used);
        self.by_use.insert(self.clock, *wanted);
        *used = self.clock;
        Some(png.clone())
    }

    /// Keeps a picture. One that would take a quarter of the room alone is not worth the others.
    pub(super) fn put(&mut self, wanted: Wanted, png: Bytes) {
        if png.len() > self.most_bytes / 4 {
            return;
        }
        self.remove(&wanted);
        self.clock += 1;
        self.bytes += png.len();
        self.by_use.insert(self.clock, wanted);
        self.pictures.insert(wanted, (self.clock, png));
        while self.bytes > self.most_bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                return;
            };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, wanted: &Wanted) {
        if let Some((used, png)) = self.pictures.remove(wanted) {
            self.by_use.remove(&used);
            self.bytes -= png.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use quire_extract::MediaType;

    use super::*;

    fn wanted(page: u32) -> Wanted {
        Wanted {
            sha256: [0; 32],
            media: MediaType::Pdf,
            page,
            width: 100,
        }
    }

    fn png(bytes: usize) -> Bytes {
        vec![0; bytes].into()
    }

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let mut kept = Kept::new(100);
        for page in 1..=4 {
            kept.put(wanted(page), png(25));
        }
        assert!(kept.get(&wanted(1)).is_some());
        kept.put(wanted(5), png(20));
        assert!(kept.get(&wanted(2)).is_none());
        for page in [1, 3, 4, 5] {
            assert!(kept.get(&wanted(page)).is_some(), "{page}");
        }
        assert_eq!(kept.bytes, 95);
    }

    #[test]
    fn a_picture_put_twice_counts_once_and_a_huge_one_not_at_all() {
        let mut kept = Kept::new(100);
        kept.put(wanted(1), png(20));
        kept.put(wanted(1), png(10));
        kept.put(wanted(2), png(26));
        assert_eq!(
            (kept.bytes, kept.pictures.len(), kept.by_use.len()),
            (10, 1, 1)
        );
    }
}
