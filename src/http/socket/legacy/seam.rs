//! Fits the frames that all sockets share behind what one socket already has.
//!
//! A socket that just came, or that lost frames because it was slow, is told the state of every job from the table: one frame
//! for the progress, one for the answer so far, or the end. The shared frames that follow overlap with that. This part drops
//! what the socket has and cuts the first `chunk` after the seam, so that for every single socket the chunks still add
//! up to `partial`. Pure.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::extract::ws::Utf8Bytes;
use quire_store::{JobId, JobState};
use tokio::time::Instant;

use super::frame::{self, Body, Frame};
use crate::http::socket::{CANCELLED, recent::Seen, sequence::START};

/// How long an ended job is remembered, so that a second look at the table does not tell its end again.
const REMEMBERED: Duration = Duration::from_mins(1);

/// What a job is said to have died of when the store does not say.
const UNKNOWN_ERROR: &str = "job failed";

/// What one socket has been told.
#[derive(Default)]
pub(super) struct Seam {
    jobs: HashMap<JobId, Told>,
}

#[derive(Clone, Debug)]
struct Told {
    /// Everything up to this event came from the table: shared frames up to it are old.
    covered: i64,
    /// Everything up to this event was told, by whichever way.
    seq: i64,
    /// The answer as it was told.
    text: Arc<str>,
    /// When the end was told.
    over: Option<Instant>,
    /// When the job was old enough to be told, as judged the first time.
    settled: Option<Instant>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            covered: START,
            seq: START,
            text: Arc::default(),
            over: None,
            settled: None,
        }
    }
}

impl Told {
    /// Bytes of `partial` that were told.
    fn known(&self, partial: &str) -> usize {
        if partial.starts_with(&*self.text) {
            self.text.len()
        } else {
            0
        }
    }
}

impl Seam {
    /// When the job may be told; judged once, because a clock that is ahead would put it off again and again.
    pub(super) fn settled(&mut self, job: JobId, judge: impl FnOnce() -> Instant) -> Instant {
        *self
            .jobs
            .entry(job)
            .or_default()
            .settled
            .get_or_insert_with(judge)
    }

    /// The text to send for a shared frame, or nothing when the socket has it.
    pub(super) fn pass(&mut self, frame: &Frame, now: Instant) -> Option<Utf8Bytes> {
        let told = self.jobs.entry(frame.job_id).or_default();
        if frame.seq <= told.covered || (told.over.is_some() && frame.seq <= told.seq) {
            return None;
        }
        if told.seq < frame.begun {
            told.text = Arc::default();
        }
        (told.seq, told.over) = (frame.seq, None);
        match &frame.body {
            Body::Update => Some(frame.text.clone()),
            Body::Chunk { start, partial } => {
                let known = told.known(partial);
                told.text = Arc::clone(partial);
                if known == *start {
                    return Some(frame.text.clone());
                }
                (known < partial.len()).then(|| frame::chunk(frame.job_id, known, partial))
            }
            Body::End => {
                (told.text, told.over) = (Arc::default(), Some(now));
                self.forget(now);
                Some(frame.text.clone())
            }
        }
    }

    /// The texts that bring the socket up to what the table says about a job.
    pub(super) fn catch_up(&mut self, seen: &Seen, now: Instant) -> Vec<Utf8Bytes> {
        let (job, last_seq) = (&seen.job, seen.last_seq);
        let told = self.jobs.entry(job.id).or_default();
        if last_seq <= told.seq {
            return Vec::new();
        }
        let known = told.known(&seen.partial);
        (told.covered, told.seq) = (last_seq, last_seq);
        if job.state.is_terminal() {
            (told.text, told.over) = (Arc::default(), Some(now));
        } else {
            (told.text, told.over) = (Arc::clone(&seen.partial), None);
        }
        // Nearly every socket that looks has just come and gets the same.
        if known == 0 {
            seen.frames.get_or_init(|| texts(seen, 0)).clone()
        } else {
            texts(seen, known)
        }
    }

    fn forget(&mut self, now: Instant) {
        self.jobs
            .retain(|_, told| told.over.is_none_or(|over| now < over + REMEMBERED));
    }
}

/// A job in frames, for somebody who has the first `known` bytes of its answer.
fn texts(seen: &Seen, known: usize) -> Vec<Utf8Bytes> {
    let (job, mut texts) = (&seen.job, Vec::new());
    let end = end_of(seen);
    if end.is_none() && job.progress > 0 {
        texts.push(frame::update(job.id, job.progress.clamp(0, 100) as u8));
    }
    // To somebody who knows nothing of the answer yet, its end says everything.
    if known < seen.partial.len() && (end.is_none() || known > 0) {
        texts.push(frame::chunk(job.id, known, &seen.partial));
    }
    texts.extend(end);
    texts
}

fn end_of(seen: &Seen) -> Option<Utf8Bytes> {
    let job = &seen.job;
    match job.state {
        JobState::Completed => Some(frame::completed(
            job.id,
            job.answer.as_deref().unwrap_or(&seen.partial),
        )),
        JobState::Cancelled => Some(frame::failed(job.id, CANCELLED)),
        JobState::Failed | JobState::Dead => Some(frame::failed(
            job.id,
            job.error_message.as_deref().unwrap_or(UNKNOWN_ERROR),
        )),
        JobState::Queued | JobState::Scheduled | JobState::Running | JobState::Streaming => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use quire_store::{Event, Owner};

    use super::{
        super::{client::Client, view::JobView},
        *,
    };
    use crate::http::socket::sample::{History, JOB, histories, seq, snapshot};

    fn texts(list: &[Utf8Bytes]) -> Vec<&str> {
        list.iter().map(Utf8Bytes::as_str).collect()
    }

    /// What the table says after the record before `until`.
    fn table(history: &History, until: usize) -> Option<Seen> {
        let (mut partial, mut state, mut progress) = (String::new(), JobState::Queued, 0);
        let last = history.records[..until].last()?;
        for record in &history.records[..until] {
            match &record.event {
                Event::Queued | Event::Restarted { .. } => {
                    partial.clear();
                    state = JobState::Queued;
                }
                Event::Progress {
                    progress: value, ..
                } => progress = i16::from(*value),
                Event::Chunk { text, .. } => {
                    state = JobState::Streaming;
                    partial.push_str(text);
                }
                Event::Completed { .. } => state = JobState::Completed,
                Event::Failed { .. } => state = JobState::Failed,
                Event::Cancelled => state = JobState::Cancelled,
            }
        }
        Some(snapshot(state, progress, &partial, last.seq).into())
    }

    /// The frames of a process whose renderer read the first `begun` records from the table, each with how many records were
    /// broadcast before it.
    fn shared(history: &History, pauses: &[u64], begun: usize) -> Vec<(usize, Frame)> {
        let (mut view, mut now) = (JobView::new(Owner::LOCAL, JOB), Instant::now());
        let mut frames = Vec::new();
        for (index, record) in history.records.iter().enumerate() {
            now += Duration::from_millis(pauses.get(index).copied().unwrap_or(0));
            view.apply(record);
            if index + 1 < begun {
                continue;
            }
            let mut out = Vec::new();
            view.render(now, &mut out);
            frames.extend(out.into_iter().map(|frame| (index + 1, frame)));
        }
        frames
    }

    proptest! {
        /// A socket comes at `joins`, later loses some frames and looks at the table again.
        #[test]
        fn whoever_comes_late_or_loses_frames_ends_with_the_same_state(
            history in histories(),
            pauses in proptest::collection::vec(0_u64..120, 40),
            (joins, first_listener) in (0_usize..40, any::<bool>()),
            (lost, count) in (0_usize..40, 0_usize..10),
        ) {
            let joins = joins.min(history.records.len());
            // The renderer starts with the first listener and reads the table like it.
            let begun = if first_listener { joins } else { 0 };
            let frames = shared(&history, &pauses, begun);
            let (mut seam, mut client, now) = (Seam::default(), Client::default(), Instant::now());
            let look = |seam: &mut Seam, client: &mut Client, broadcast: usize| {
                let texts = table(&history, broadcast).map(|snapshot| seam.catch_up(&snapshot, now)).unwrap_or_default();
                for text in &texts {
                    client.hear(text);
                }
            };
            look(&mut seam, &mut client, joins);
            for (broadcast, frame) in frames.iter().filter(|(broadcast, _)| *broadcast > joins || first_listener) {
                if (lost..lost + count).contains(broadcast) {
                    continue;
                }
                if *broadcast == lost + count {
                    look(&mut seam, &mut client, *broadcast - 1);
                }
                if let Some(text) = seam.pass(frame, now) {
                    client.hear(&text);
                }
            }
            look(&mut seam, &mut client, history.records.len());
            prop_assert!(client.over);
            let end = frames.iter().rev().find(|(_, frame)| matches!(frame.body, Body::End)).unwrap();
            prop_assert_eq!(client.ends.last().map(String::as_str), Some(end.1.text.as_str()));
            let ends = frames.iter().filter(|(_, frame)| matches!(frame.body, Body::End)).count();
            prop_assert!(client.ends.len() <= ends, "an end was told twice");
            prop_assert!(client.ends.len() == ends || joins > 0 || count > 0);
        }
    }

    #[test]
    fn a_socket_that_was_there_from_the_start_gets_the_shared_bytes_themselves() {
        let (mut seam, now) = (Seam::default(), Instant::now());
        let text = frame::chunk(JOB, 0, "abc");
        let body = Body::Chunk {
            start: 0,
            partial: Arc::from("abc"),
        };
        let frame = Frame {
            owner: Owner::LOCAL,
            job_id: JOB,
            seq: seq(1, 3),
            begun: 0,
            body,
            text: text.clone(),
        };
        let passed = seam.pass(&frame, now).unwrap();
        assert_eq!(passed.as_str().as_ptr(), text.as_str().as_ptr());
    }

    #[test]
    fn a_running_job_is_replayed_as_progress_and_answer_so_far() {
        let (mut seam, now) = (Seam::default(), Instant::now());
        let texts_of = |seam: &mut Seam, state, progress, partial, last| {
            seam.catch_up(&snapshot(state, progress, partial, last).into(), now)
        };
        let first = texts_of(&mut seam, JobState::Streaming, 70, "It is", seq(1, 4));
        assert_eq!(
            texts(&first),
            [
                frame::update(JOB, 70).as_str(),
                frame::chunk(JOB, 0, "It is").as_str()
            ]
        );
        assert!(
            texts_of(&mut seam, JobState::Streaming, 70, "It is", seq(1, 4)).is_empty(),
            "nothing new, nothing said"
        );
        let next = texts_of(&mut seam, JobState::Completed, 100, "It is 42", seq(1, 9));
        assert_eq!(
            texts(&next),
            [
                frame::chunk(JOB, 5, "It is 42").as_str(),
                frame::completed(JOB, "It is 42").as_str()
            ]
        );
    }

    #[test]
    fn an_ended_job_is_replayed_as_its_end_alone_and_a_waiting_one_not_at_all() {
        let now = Instant::now();
        let replay = |state, progress, partial| {
            Seam::default().catch_up(&snapshot(state, progress, partial, seq(2, 1)).into(), now)
        };
        assert_eq!(
            texts(&replay(JobState::Completed, 100, "42")),
            [frame::completed(JOB, "42").as_str()]
        );
        assert_eq!(
            texts(&replay(JobState::Failed, 30, "4")),
            [frame::failed(JOB, "it broke").as_str()]
        );
        assert_eq!(
            texts(&replay(JobState::Dead, 30, "")),
            [frame::failed(JOB, UNKNOWN_ERROR).as_str()]
        );
        assert_eq!(
            texts(&replay(JobState::Cancelled, 30, "")),
            [frame::failed(JOB, CANCELLED).as_str()]
        );
        assert!(replay(JobState::Queued, 0, "").is_empty());
        assert_eq!(
            texts(&replay(JobState::Queued, 50, "")),
            [frame::update(JOB, 50).as_str()],
            "between the two stages"
        );
    }

    #[test]
    fn an_ended_job_is_forgotten_after_a_while() {
        let (mut seam, now) = (Seam::default(), Instant::now());
        let end = |job_id| Frame {
            owner: Owner::LOCAL,
            job_id,
            seq: 5,
            begun: 0,
            body: Body::End,
            text: frame::completed(job_id, ""),
        };
        seam.pass(&end(JOB), now);
        let other = JobId::generate();
        seam.pass(&end(other), now + REMEMBERED);
        assert_eq!(seam.jobs.keys().collect::<Vec<_>>(), [&other]);
    }
}
