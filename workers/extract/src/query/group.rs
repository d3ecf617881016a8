//! Groups of rows: an open hash table whose keys lie one behind the other.

use super::aggregate::{Measure, Room, State};
use super::filter::RowView;
use super::{Cell, MAX_GROUPS};
use crate::error::ParseError;
use crate::formats::csv::column::to_text;

/// Smallest index.
const FIRST_SLOTS: usize = 64;

/// Stands for the length of a null in a key.
const NULL: u32 = u32::MAX;

/// Bytes that a group costs beside its key and states.
const GROUP_BYTES: usize = 48;

/// The groups so far, in the order of their first rows.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Number of a group, plus one, at the place that its hash says or behind it; 0 is free.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    keys: Vec<u8>,
    /// The states of the first group, then those of the second, and so on.
    states: Vec<State>,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    start: u32,
    length: u32,
}

impl Groups {
    /// The one group of a query without `group_by`, which is there without a row.
    pub(super) fn of_all(measures: &[Measure]) -> Self {
        Self {
            entries: vec![Entry {
                hash: 0,
                start: 0,
                length: 0,
            }],
            states: measures.iter().map(|measure| measure.start()).collect(),
            ..Self::default()
        }
    }

    /// Adds `row` to its group by the columns `by`; by none, to the only one.
    pub(super) fn add(
        &mut self,
        row: &RowView<'_>,
        by: &[usize],
        measures: &[Measure],
        scratch: &mut Vec<u8>,
        room: &mut Room,
    ) -> Result<(), ParseError> {
        let group = if by.is_empty() {
            0
        } else {
            self.read_key(row, by, scratch);
            self.find_or_insert(measures, room)?
        };
        let states = &mut self.states[group * measures.len()..][..measures.len()];
        for (measure, state) in measures.iter().zip(states) {
            measure.observe(state, row, scratch, room)?;
        }
        Ok(())
    }

    fn read_key(&mut self, row: &RowView<'_>, by: &[usize], scratch: &mut Vec<u8>) {
        self.key.clear();
        for &index in by {
            match row.cell(index, scratch) {
                Some(cell) => {
                    self.key.extend((cell.len() as u32).to_le_bytes());
                    self.key.extend(cell);
                }
                None => self.key.extend(NULL.to_le_bytes()),
            }
        }
    }

    fn find_or_insert(
        &mut self,
        measures: &[Measure],
        room: &mut Room,
    ) -> Result<usize, ParseError> {
        if self.slots.is_empty() {
            self.slots = vec![0; FIRST_SLOTS];
        }
        let hash = room.hasher.hash(&self.key);
        let slot = match self.find(hash, &self.key) {
            Ok(group) => return Ok(group),
            Err(slot) => slot,
        };
        if self.entries.len() == MAX_GROUPS {
            return Err(ParseError::LimitExceeded(format!(
                "the query makes more than {MAX_GROUPS} groups"
            )));
        }
        let states = measures.len() * size_of::<State>();
        room.take(GROUP_BYTES + self.key.len() + states, "groups")?;
        self.entries.push(Entry {
            hash,
            start: self.keys.len() as u32,
            length: self.key.len() as u32,
        });
        self.keys.extend_from_slice(&self.key);
        self.states
            .extend(measures.iter().map(|measure| measure.start()));
        self.slots[slot] = self.entries.len() as u32;
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
        Ok(self.entries.len() - 1)
    }

    /// The group of `key`, or the free slot where it belongs.
    fn find(&self, hash: u64, key: &[u8]) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let Some(group) = (self.slots[slot] as usize).checked_sub(1) else {
                return Err(slot);
            };
            if self.entries[group].hash == hash && self.key_of(group) == key {
                return Ok(group);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn key_of(&self, group: usize) -> &[u8] {
        let entry = self.entries[group];
        &self.keys[entry.start as usize..][..entry.length as usize]
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for (group, entry) in self.entries.iter().enumerate() {
            let mask = self.slots.len() - 1;
            let mut slot = entry.hash as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = group as u32 + 1;
        }
    }

    /// The groups' values followed by what was computed, group by group.
    pub(super) fn finish(mut self, measures: &[Measure]) -> Vec<Vec<Cell>> {
        let mut states = std::mem::take(&mut self.states).into_iter();
        (0..self.entries.len())
            .map(|group| {
                let mut cells = values(self.key_of(group));
                let own = measures.iter().zip(states.by_ref());
                cells.extend(own.map(|(measure, state)| measure.finish(state)));
                cells
            })
            .collect()
    }
}

/// The values of a key.
fn values(mut key: &[u8]) -> Vec<Cell> {
    let mut cells = Vec::new();
    while let Some((length, rest)) = key.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        if length == NULL {
            cells.push(Cell::Null);
            key = rest;
        } else {
            let (value, rest) = rest.split_at(length as usize);
            cells.push(Cell::Text(to_text(value)));
            key = rest;
        }
    }
    cells
}
