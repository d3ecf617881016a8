//! One attempt's side of the outbox: numbers its events and decides which go out at once and which are held back.
//!
//! The first few events of a flush window go out at once; whatever follows in the same window waits and merges: chunks into one
//! chunk, progress into the latest. Merging happens before a number is given, so a subscriber hears exactly the events that the
//! table will hold. Pure: no clock, no lock, no database.

use crate::{
    events::event::{Event, LAST_POSITION, sequence},
    job::Stage,
};

/// Events of one attempt that go out at once per flush window (50 ms): a fast model's tokens still appear one by one.
const PROMPT_EVENTS: u32 = 4;

/// The emitting side of one attempt.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Position of the last numbered event; 0 belongs to the transaction that granted the attempt.
    position: u32,
    /// Bytes of the answer numbered so far.
    offset: u64,
    /// Never reported lower again.
    floor: u8,
    /// Events numbered in this window.
    prompt: u32,
    held_text: String,
    held_progress: Option<Event>,
    /// The outbox's count at the last call, numbered or held.
    pub(crate) emitted: u64,
}

impl Lane {
    pub(crate) fn new(floor: u8) -> Self {
        Self {
            position: 0,
            offset: 0,
            floor,
            prompt: 0,
            held_text: String::new(),
            held_progress: None,
            emitted: 0,
        }
    }

    /// Adds to the answer. `None`: it is held back.
    pub(crate) fn chunk(&mut self, text: &str, crowded: bool) -> Option<Event> {
        if crowded || self.must_hold() {
            self.held_text.push_str(text);
            return None;
        }
        Some(self.cut_chunk(text.to_owned()))
    }

    /// Reports progress. `None`: it is held back.
    pub(crate) fn progress(
        &mut self,
        progress: u8,
        (stage, done, total): (Stage, u32, Option<u32>),
        crowded: bool,
    ) -> Option<Event> {
        self.floor = self.floor.max(progress.min(100));
        let event = Event::Progress {
            progress: self.floor,
            stage,
            done,
            total,
        };
        if crowded || self.must_hold() {
            self.held_progress = Some(event);
            return None;
        }
        Some(event)
    }

    /// The next number in `epoch`, or `None` when the epoch is used up: the answer then arrives whole, at the end.
    pub(crate) fn number(&mut self, epoch: i32) -> Option<i64> {
        if self.position == LAST_POSITION {
            return None;
        }
        self.position += 1;
        self.prompt += 1;
        Some(sequence(epoch, self.position))
    }

    /// Ends the window: what was held back, in order.
    pub(crate) fn release(&mut self) -> Vec<Event> {
        let mut released: Vec<Event> = self.held_progress.take().into_iter().collect();
        if !self.held_text.is_empty() {
            let text = std::mem::take(&mut self.held_text);
            released.push(self.cut_chunk(text));
        }
        released
    }

    /// A new window begins.
    pub(crate) fn reopen(&mut self) {
        self.prompt = 0;
    }

    /// Held events must stay in front of later ones of their kind.
    fn must_hold(&self) -> bool {
        self.prompt >= PROMPT_EVENTS || self.held_progress.is_some() || !self.held_text.is_empty()
    }

    fn cut_chunk(&mut self, text: String) -> Event {
        let offset = self.offset;
        self.offset += text.len() as u64;
        Event::Chunk { offset, text }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Call {
        Chunk(String),
        Progress(u8),
        Flush,
    }

    fn calls() -> impl Strategy<Value = Vec<(Call, bool)>> {
        let call = prop_oneof![
            4 => "[a-zä]{1,5}".prop_map(Call::Chunk),
            2 => any::<u8>().prop_map(Call::Progress),
            1 => Just(Call::Flush),
        ];
        proptest::collection::vec((call, any::<bool>()), 0..120)
    }

    /// Plays the calls and flushes once more at the end.
    fn play(calls: Vec<(Call, bool)>) -> Vec<(i64, Event)> {
        let mut lane = Lane::new(10);
        let mut out = Vec::new();
        for (call, crowded) in calls.into_iter().chain([(Call::Flush, false)]) {
            let events = match call {
                Call::Chunk(text) => lane.chunk(&text, crowded).into_iter().collect(),
                Call::Progress(value) => lane
                    .progress(value, (Stage::Answer, 0, None), crowded)
                    .into_iter()
                    .collect(),
                Call::Flush => lane.release(),
            };
            out.extend(
                events
                    .into_iter()
                    .filter_map(|event| Some((lane.number(3)?, event))),
            );
        }
        out
    }

    proptest! {
        #[test]
        fn nothing_is_lost_doubled_or_out_of_order(calls in calls()) {
            let said: String = calls
                .iter()
                .filter_map(|(call, _)| if let Call::Chunk(text) = call { Some(text.as_str()) } else { None })
                .collect();
            let mut heard = String::new();
            let mut last_seq = sequence(3, 0);
            let mut last_progress = 10;
            for (seq, event) in play(calls) {
                prop_assert!(seq > last_seq && seq < sequence(4, 0));
                last_seq = seq;
                match event {
                    Event::Chunk { offset, text } => {
                        prop_assert_eq!(offset, heard.len() as u64);
                        heard.push_str(&text);
                    }
                    Event::Progress { progress, .. } => {
                        prop_assert!(progress >= last_progress && progress <= 100);
                        last_progress = progress;
                    }
                    _ => prop_assert!(false, "only chunks and progress were emitted"),
                }
            }
            prop_assert_eq!(heard, said);
        }
    }

    #[test]
    fn a_burst_merges_into_one_event() {
        let mut lane = Lane::new(0);
        let mut at_once = 0;
        for _ in 0..100 {
            if lane.chunk("x", false).is_some() {
                at_once += 1;
                lane.number(1);
            }
        }
        assert_eq!(at_once, PROMPT_EVENTS);
        assert_eq!(
            lane.release(),
            [Event::Chunk {
                offset: 4,
                text: "x".repeat(96)
            }]
        );
    }
}
