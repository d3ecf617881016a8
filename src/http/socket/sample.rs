//! Jobs, records and whole histories for the tests of the live-event modules.

use std::sync::Arc;

use chrono::DateTime;
use proptest::{collection::vec, prelude::*};
use quire_store::{Event, EventRecord, FileId, Job, JobId, JobSnapshot, JobState, Owner, Stage};
use uuid::Uuid;

/// The one job of these tests.
pub(crate) const JOB: JobId = JobId(Uuid::from_u128(0x0199_8c6e_2f5b_7c3a_9d50_6a3f_0e9f_1b11));

/// A record of [`JOB`], created at the epoch of Unix and therefore long settled.
pub(crate) fn record(seq: i64, event: Event) -> Arc<EventRecord> {
    let at = DateTime::UNIX_EPOCH;
    Arc::new(EventRecord {
        job_id: JOB,
        owner: Owner::LOCAL,
        seq,
        at,
        job_created_at: at,
        event,
    })
}

/// The number of the `position`-th event of an epoch.
pub(crate) fn seq(epoch: i64, position: i64) -> i64 {
    (epoch << 20) | position
}

/// A part of the answer.
pub(crate) fn chunk(offset: usize, text: &str) -> Event {
    Event::Chunk {
        offset: offset as u64,
        text: text.to_owned(),
    }
}

/// A progress event.
pub(crate) fn progress(progress: u8) -> Event {
    Event::Progress {
        progress,
        stage: Stage::Extract,
        done: 1,
        total: None,
    }
}

/// A failure.
pub(crate) fn failed(message: &str) -> Event {
    Event::Failed {
        code: "damaged".to_owned(),
        message: message.to_owned(),
    }
}

/// What the store says about [`JOB`] to somebody who just came.
pub(crate) fn snapshot(
    state: JobState,
    progress: i16,
    partial: &str,
    last_seq: i64,
) -> JobSnapshot {
    let at = DateTime::UNIX_EPOCH;
    let job = Job {
        id: JOB,
        owner: Owner::LOCAL,
        file_id: FileId(Uuid::nil()),
        file_name: "a.csv".to_owned(),
        media: "csv".to_owned(),
        sha256: [0; 32],
        bytes: 1,
        prompt: "?".to_owned(),
        priority: 0,
        state,
        stage: Stage::Answer,
        progress,
        attempt: 1,
        scheduled_at: None,
        created_at: at,
        started_at: Some(at),
        finished_at: None,
        answer: (state == JobState::Completed).then(|| partial.to_owned()),
        result: None,
        error_code: None,
        error_message: (state == JobState::Failed).then(|| "it broke".to_owned()),
    };
    JobSnapshot {
        job,
        partial: partial.to_owned(),
        last_seq,
    }
}

/// All that was ever broadcast about a job.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// In the order of `seq`.
    pub(crate) records: Vec<Arc<EventRecord>>,
}

impl History {
    /// What a read of the table gives when `until` records were broadcast: it waits for those that are not stored yet.
    pub(crate) fn stored(&self, until: usize) -> Vec<EventRecord> {
        self.records[..until]
            .iter()
            .map(|record| EventRecord::clone(record))
            .collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Progress(u8),
    Part(String),
    /// The attempt breaks off and another one begins.
    Break,
    /// The run ends; the client has it run again if more follows.
    End(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_u8..=100).prop_map(Step::Progress),
        8 => "[a-zß€😀\"\\\\\n ]{1,6}".prop_map(Step::Part),
        1 => Just(Step::Break),
        1 => (0_u8..3).prop_map(Step::End),
    ]
}

/// Every kind of life that the store can give a job.
pub(crate) fn histories() -> impl Strategy<Value = History> {
    vec(step(), 0..40).prop_map(|steps| History {
        records: live(&steps),
    })
}

/// Plays the steps as the store would number them.
fn live(steps: &[Step]) -> Vec<Arc<EventRecord>> {
    let mut player = Player {
        records: Vec::new(),
        epoch: 0,
        position: 0,
        answer: String::new(),
        ended: false,
    };
    player.push(Event::Queued);
    player.next_epoch();
    for step in steps {
        player.play(step);
    }
    if !player.ended {
        player.play(&Step::End(0));
    }
    player.records
}

struct Player {
    records: Vec<Arc<EventRecord>>,
    epoch: i64,
    position: i64,
    answer: String,
    ended: bool,
}

impl Player {
    fn play(&mut self, step: &Step) {
        if self.ended {
            self.turn(Event::Queued);
            self.answer.clear();
            self.next_epoch();
            self.ended = false;
        }
        match step {
            Step::Progress(value) => self.push(progress(*value)),
            Step::Part(text) => {
                self.push(chunk(self.answer.len(), text));
                self.answer.push_str(text);
            }
            Step::Break => {
                self.turn(Event::Restarted { attempt: 2 });
                self.answer.clear();
            }
            Step::End(kind) => {
                self.turn(match kind {
                    0 => Event::Completed {
                        answer: self.answer.clone(),
                    },
                    1 => failed("it broke"),
                    _ => Event::Cancelled,
                });
                self.ended = true;
            }
        }
    }

    /// The first event of a new epoch.
    fn turn(&mut self, event: Event) {
        self.next_epoch();
        self.push(event);
    }

    /// The number 0 of an epoch belongs to the transaction that begins it.
    fn next_epoch(&mut self) {
        (self.epoch, self.position) = (self.epoch + 1, 0);
    }

    fn push(&mut self, event: Event) {
        self.records
            .push(record(seq(self.epoch, self.position), event));
        self.position += 1;
    }
}
