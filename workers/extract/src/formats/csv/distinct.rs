//! The different values of a column, counted exactly up to a limit, and the most frequent of them.
//!
//! A hash table over 64-bit hashes; the hash is keyed at random per file, so that a file cannot be written to collide, and two of ten
//! thousand values collide by chance once in 10^11 columns, so values are not compared. Past the limit a sketch takes over, and only
//! the values that were frequent by then are counted on: they were all seen from their first cell, so their counts stay exact.

use super::sketch::Sketch;

/// Different values that are counted exactly.
pub(super) const EXACT: usize = 10_000;

/// Frequent values that are counted on past the limit.
const KEPT: usize = 64;

/// Bytes of a value that are kept to show it.
pub(super) const SHOWN: usize = 256;

/// Bytes that a value costs beside itself: its entry and its part of the index.
const ENTRY_COST: usize = 64;

/// Smallest index.
const FIRST_SLOTS: usize = 16;

/// There is no room for a further value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Counts different values.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// Number of an entry, plus one, at the place that its hash says or behind it; 0 is free.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    /// The beginnings of the values.
    bytes: Vec<u8>,
    sketch: Option<Sketch>,
    /// Different values that were counted before the sketch took over.
    counted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    count: u64,
    start: u32,
    length: u32,
    /// Characters of the whole value.
    characters: u32,
}

/// A value and how many cells have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'d> {
    /// The value, or the first [`SHOWN`] bytes of it.
    pub(super) text: &'d [u8],
    /// Cells that have it.
    pub(super) times: u64,
    /// Characters of the whole value.
    pub(super) characters: u32,
}

impl Distinct {
    /// Counts a cell with `value`, whose hash is `hash`. `budget` are the bytes that all columns together may still take.
    /// [`Full`] when there is no room for a further value: the cell is not counted, and [`Distinct::estimate_from_here`] is next.
    #[inline]
    pub(super) fn count_cell(
        &mut self,
        hash: u64,
        value: &[u8],
        budget: &mut usize,
    ) -> Result<(), Full> {
        if self.slots.is_empty() {
            self.slots = vec![0; FIRST_SLOTS];
        }
        match self.find(hash) {
            Ok(entry) => {
                self.entries[entry].count += 1;
                Ok(())
            }
            Err(slot) => self.insert(slot, hash, value, budget),
        }
    }

    /// Counts a cell whose value has `hash` once there are too many values.
    #[inline]
    pub(super) fn estimate(&mut self, hash: u64) {
        if let Some(sketch) = &mut self.sketch {
            sketch.add(hash);
        }
        if !self.slots.is_empty()
            && let Ok(entry) = self.find(hash)
        {
            self.entries[entry].count += 1;
        }
    }

    /// The entry of `hash`, or the free slot where it belongs.
    fn find(&self, hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                entry if self.entries[entry as usize - 1].hash == hash => {
                    return Ok(entry as usize - 1);
                }
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn insert(
        &mut self,
        slot: usize,
        hash: u64,
        value: &[u8],
        budget: &mut usize,
    ) -> Result<(), Full> {
        let shown = &value[..value.len().min(SHOWN)];
        let cost = ENTRY_COST + shown.len();
        if self.entries.len() == EXACT || *budget < cost {
            return Err(Full);
        }
        *budget -= cost;
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(shown);
        self.entries.push(Entry {
            hash,
            count: 1,
            start,
            length: shown.len() as u32,
            characters: characters(value),
        });
        self.slots[slot] = self.entries.len() as u32;
        if self.entries.len() * spread(self.slots.len()) > self.slots.len() {
            self.rebuild_slots(self.slots.len() * 2);
        }
        Ok(())
    }

    fn rebuild_slots(&mut self, count: usize) {
        self.slots = vec![0; count];
        for index in 0..self.entries.len() {
            if let Err(slot) = self.find(self.entries[index].hash) {
                self.slots[slot] = index as u32 + 1;
            }
        }
    }

    /// Hands over to a sketch and keeps the most frequent values only; those that are not `counted` are forgotten.
    pub(super) fn estimate_from_here(&mut self, counted: impl Fn(&[u8]) -> bool) {
        self.retain(counted);
        let mut sketch = Sketch::new();
        self.entries.iter().for_each(|entry| sketch.add(entry.hash));
        self.sketch = Some(sketch);
        self.counted = self.entries.len() as u64;
        self.entries
            .sort_by_key(|entry| std::cmp::Reverse(entry.count));
        self.entries.truncate(KEPT);
        self.entries.retain(|entry| entry.count > 1);
        let kept: Vec<u8> = self
            .entries
            .iter()
            .flat_map(|entry| shown(&self.bytes, entry))
            .copied()
            .collect();
        let mut start = 0;
        for entry in &mut self.entries {
            entry.start = start;
            start += entry.length;
        }
        self.bytes = kept;
        if self.entries.is_empty() {
            self.slots = Vec::new();
        } else {
            self.rebuild_slots(KEPT * spread(KEPT));
        }
    }

    /// Forgets the values that are not `kept`; nothing can be counted afterwards but by an estimate.
    pub(super) fn retain(&mut self, kept: impl Fn(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.entries.retain(|entry| kept(shown(bytes, entry)));
    }

    /// The values and how many cells have each; the frequent ones only once there are too many.
    pub(super) fn values(&self) -> impl Iterator<Item = Counted<'_>> {
        self.entries.iter().map(|entry| Counted {
            text: shown(&self.bytes, entry),
            times: entry.count,
            characters: entry.characters,
        })
    }

    /// How many different values there are.
    pub(super) fn count(&self) -> u64 {
        match &self.sketch {
            None => self.entries.len() as u64,
            // An estimate never contradicts what was counted before it.
            Some(sketch) => sketch.estimate().max(self.counted + 1),
        }
    }

    /// Whether [`Distinct::count`] is no estimate.
    pub(super) fn is_exact(&self) -> bool {
        self.sketch.is_none()
    }

    /// The `count` most frequent values, the most frequent first, ties in order; none when no value occurs twice.
    pub(super) fn top(&self, count: usize) -> Vec<(&[u8], u64)> {
        let mut values: Vec<(&[u8], u64)> = self
            .values()
            .map(|value| (value.text, value.times))
            .collect();
        values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        values.truncate(count);
        if values.first().is_none_or(|&(_, most)| most < 2) {
            Vec::new()
        } else {
            values
        }
    }
}

/// Slots for each entry of an index with `slots` of them. Values that meet in one place cost a mispredicted branch for every cell, so
/// small indexes, which fit into the first-level cache anyway, are mostly empty.
fn spread(slots: usize) -> usize {
    const SMALL: usize = 4096;
    if slots < SMALL { 16 } else { 2 }
}

/// Characters of a value: all bytes but those that continue one.
#[inline]
pub(super) fn characters(value: &[u8]) -> u32 {
    if value.is_ascii() {
        return value.len() as u32;
    }
    value.iter().filter(|&&byte| byte & 0xC0 != 0x80).count() as u32
}

fn shown<'b>(bytes: &'b [u8], entry: &Entry) -> &'b [u8] {
    &bytes[entry.start as usize..(entry.start + entry.length) as usize]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::hash::Hasher;
    use super::*;

    fn count(values: impl IntoIterator<Item = String>, budget: &mut usize) -> Distinct {
        let (mut distinct, hasher) = (Distinct::default(), Hasher::new());
        for value in values {
            let hash = hasher.hash(value.as_bytes());
            if !distinct.is_exact() {
                distinct.estimate(hash);
            } else if distinct.count_cell(hash, value.as_bytes(), budget) == Err(Full) {
                distinct.estimate_from_here(|_| true);
                distinct.estimate(hash);
            }
        }
        distinct
    }

    fn unlimited() -> usize {
        usize::MAX
    }

    proptest! {
        #[test]
        fn counts_agree_with_a_map(values in prop::collection::vec("[a-c]{0,3}", 0..300)) {
            let mut expected: HashMap<&str, u64> = HashMap::new();
            for value in &values {
                *expected.entry(value).or_default() += 1;
            }
            let distinct = count(values.clone(), &mut unlimited());
            prop_assert_eq!((distinct.count(), distinct.is_exact()), (expected.len() as u64, true));
            for (value, times) in distinct.top(5) {
                prop_assert_eq!(expected[std::str::from_utf8(value).unwrap()], times);
            }
        }
    }

    #[test]
    fn ten_thousand_are_exact_and_one_more_is_an_estimate() {
        let number = |number: usize| number.to_string();
        let counted = count((0..EXACT).map(number), &mut unlimited());
        assert_eq!((counted.count(), counted.is_exact()), (10_000, true));
        let estimated = count((0..=EXACT).map(number), &mut unlimited());
        let estimate = estimated.count();
        assert!(
            !estimated.is_exact() && (10_001..10_500).contains(&estimate),
            "{estimate}"
        );
        let estimate = count((0..200_000).map(number), &mut unlimited()).count();
        assert!((190_000..210_000).contains(&estimate), "{estimate}");
    }

    #[test]
    fn frequent_values_are_counted_on_past_the_limit() {
        let values =
            (0..50_000).flat_map(|number| [format!("v{number}"), format!("often {}", number % 2)]);
        let distinct = count(values, &mut unlimited());
        assert_eq!(
            distinct.top(2),
            [
                (b"often 0".as_slice(), 25_000),
                (b"often 1".as_slice(), 25_000)
            ]
        );
    }

    #[test]
    fn values_that_are_all_different_have_no_top() {
        assert!(
            count(
                (0..20_000).map(|number| number.to_string()),
                &mut unlimited()
            )
            .top(5)
            .is_empty()
        );
        assert!(
            count(["a".to_owned(), "b".to_owned()], &mut unlimited())
                .top(5)
                .is_empty()
        );
    }

    #[test]
    fn memory_stays_within_the_budget() {
        let mut budget = 10_000;
        let distinct = count(
            (0..5_000).map(|number| "x".repeat(1_000) + &number.to_string()),
            &mut budget,
        );
        let estimate = distinct.count();
        assert!(
            !distinct.is_exact() && (4_700..5_300).contains(&estimate),
            "{estimate}"
        );
        assert!(distinct.bytes.len() <= 10_000);
    }
}
