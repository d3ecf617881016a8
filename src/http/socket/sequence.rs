//! Joins what the process broadcasts with what the table holds: one job's events in order, each once.
//!
//! A reader subscribes first, reads the table second and feeds both in here. Numbers are not dense, so a missing event does not
//! show in `seq`; it shows in the byte offset of the answer's next part. A part that comes too early waits until the table
//! has been read again. Pure: it does no reading itself.

use std::{mem, sync::Arc};

use quire_store::{Event, EventRecord};

/// Low bits of a sequence number, as `quire_store::EventRecord` defines it: above them is the epoch, and all parts of one
/// answer are written in one epoch.
const POSITION_BITS: u32 = 20;

/// Live events that may wait for the table; beyond, they are read from it like the rest.
const MOST_WAITING: usize = 4096;

/// The place before a job's first event.
pub(crate) const START: i64 = -1;

/// The place of one reader in one job's history.
#[derive(Debug)]
pub(crate) struct Sequencer {
    /// The last event that was let through.
    seq: i64,
    /// The epoch whose answer is being read.
    epoch: i64,
    /// Where its next part begins; `None` right after a resume, when only `seq` is known.
    next: Option<u64>,
    /// The table must be read before anything live may pass.
    behind: bool,
    /// What came live meanwhile.
    waiting: Vec<Arc<EventRecord>>,
}

impl Sequencer {
    /// A reader that has everything up to `seq`, or nothing at [`START`].
    pub(crate) fn after(seq: i64) -> Self {
        Self {
            seq,
            epoch: seq >> POSITION_BITS,
            next: None,
            behind: false,
            waiting: Vec::new(),
        }
    }

    /// The last event that was let through: where the table is to be read from.
    pub(crate) fn seq(&self) -> i64 {
        self.seq
    }

    /// The table must be read: call [`Self::stored`] with what it holds after [`Self::seq`], then [`Self::settle`].
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Broadcasts were missed.
    pub(crate) fn fall_behind(&mut self) {
        self.behind = true;
    }

    /// Takes a broadcast event; what may be delivered is appended to `out`.
    pub(crate) fn live(&mut self, record: Arc<EventRecord>, out: &mut Vec<Arc<EventRecord>>) {
        if record.seq <= self.seq {
            return;
        }
        if !self.behind && self.fits(&record) {
            self.pass(record, out);
            return;
        }
        self.behind = true;
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.clear();
        }
        self.waiting.push(record);
    }

    /// Takes events that were read from the table. What the table lacks is gone, so these are never too early.
    pub(crate) fn stored(&mut self, records: Vec<EventRecord>, out: &mut Vec<Arc<EventRecord>>) {
        for record in records {
            if record.seq > self.seq {
                self.pass(Arc::new(record), out);
            }
        }
    }

    /// Ends a reading of the table: what waited goes on, unless the table has not caught up with it yet.
    pub(crate) fn settle(&mut self, out: &mut Vec<Arc<EventRecord>>) {
        self.behind = false;
        for record in mem::take(&mut self.waiting) {
            self.live(record, out);
        }
    }

    /// No part of the answer is missing in front of it.
    fn fits(&self, record: &EventRecord) -> bool {
        if matches!(record.event, Event::Queued | Event::Restarted { .. }) {
            return true;
        }
        // Who hears of a job in the middle of its life cannot tell what came before.
        if self.seq == START {
            return false;
        }
        let Event::Chunk { offset, .. } = record.event else {
            return true;
        };
        let next = if epoch_of(record) == self.epoch {
            self.next
        } else {
            Some(0)
        };
        offset == 0 || next == Some(offset)
    }

    fn pass(&mut self, record: Arc<EventRecord>, out: &mut Vec<Arc<EventRecord>>) {
        self.seq = record.seq;
        if let Event::Chunk { offset, text } = &record.event {
            self.epoch = epoch_of(&record);
            self.next = Some(offset + text.len() as u64);
        }
        out.push(record);
    }
}

fn epoch_of(record: &EventRecord) -> i64 {
    record.seq >> POSITION_BITS
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::http::socket::sample::{History, chunk, histories, record, seq};

    /// A reader who comes back with `last` when `from` events were broadcast; broadcasts in `missed` do not reach it. Whether it
    /// looks at the table before it listens is up to `looks`: a hole must show by itself.
    fn read(
        history: &History,
        last: i64,
        from: usize,
        looks: bool,
        missed: Range<usize>,
    ) -> Vec<Arc<EventRecord>> {
        let (mut reader, mut out) = (Sequencer::after(last), Vec::new());
        let look = |reader: &mut Sequencer, until: usize, out: &mut Vec<Arc<EventRecord>>| {
            reader.stored(history.stored(until), out);
            reader.settle(out);
        };
        if looks {
            look(&mut reader, from, &mut out);
        }
        for (index, record) in history.records.iter().enumerate().skip(from) {
            if missed.contains(&index) {
                reader.fall_behind();
                continue;
            }
            reader.live(Arc::clone(record), &mut out);
            if reader.is_behind() {
                look(&mut reader, index + 1, &mut out);
            }
        }
        reader.fall_behind();
        look(&mut reader, history.records.len(), &mut out);
        out
    }

    fn numbers(records: &[Arc<EventRecord>]) -> Vec<i64> {
        records.iter().map(|record| record.seq).collect()
    }

    proptest! {
        #[test]
        fn every_event_arrives_once_and_in_order(
            history in histories(),
            from in 0_usize..40,
            (lost, count) in (0_usize..40, 0_usize..8),
        ) {
            let read = read(&history, START, from.min(history.records.len()), true, lost..lost + count);
            prop_assert!(read.windows(2).all(|pair| pair[0].seq < pair[1].seq));
            prop_assert_eq!(numbers(&read), numbers(&history.records));
        }

        #[test]
        fn a_resume_gives_exactly_the_rest(
            history in histories(),
            (had, missed) in (1_usize..40, 0_usize..10),
        ) {
            let had = had.min(history.records.len());
            let from = (had + missed).min(history.records.len());
            let rest = read(&history, history.records[had - 1].seq, from, true, 0..0);
            prop_assert_eq!(numbers(&rest), numbers(&history.records[had..]));
        }
    }

    proptest! {
        #[test]
        fn who_only_listens_gets_everything_from_the_beginning_of_a_run(history in histories(), from in 0_usize..40) {
            let records = &history.records;
            let read = read(&history, START, from.min(records.len()), false, 0..0);
            let before = records.len() - read.len();
            prop_assert_eq!(numbers(&read), numbers(&records[before..]));
            let begins = |event: &Event| matches!(event, Event::Queued | Event::Restarted { .. });
            prop_assert!(before == 0 || begins(&records[before].event));
        }
    }

    #[test]
    fn what_the_table_lost_for_good_holds_nobody_up() {
        let (mut reader, mut out) = (Sequencer::after(START), Vec::new());
        reader.live(record(seq(1, 9), chunk(5, "later")), &mut out);
        assert!(out.is_empty() && reader.is_behind());
        reader.stored(
            vec![EventRecord::clone(&record(seq(1, 9), chunk(5, "later")))],
            &mut out,
        );
        reader.settle(&mut out);
        assert!(out.len() == 1 && !reader.is_behind());
    }
}
