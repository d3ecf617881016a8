//! One job as clients of the upload contract see it: from events to frames, without a clock of its own.
//!
//! `partial` repeats the whole answer in every frame, so a frame for each token of a 2,000-token answer would send 8.4 MB
//! instead of 8 KB. Frames are therefore merged: the first part of an answer goes at once, then one frame every
//! [`SHORT_GAP`], and every [`LONG_GAP`] once the answer is longer than [`LONG_ANSWER`] bytes. An end never waits, and what was
//! not yet shown goes right before it, so the last `partial` equals `ai_response`.

use std::{sync::Arc, time::Duration};

use axum::extract::ws::Utf8Bytes;
use quire_store::{Event, EventRecord, JobId, Owner};
use tokio::time::Instant;

use super::frame::{self, Body, Frame};
use crate::http::socket::{CANCELLED, sequence::START};

/// Least time between two frames of the same kind: faster than the eye reads.
pub(super) const SHORT_GAP: Duration = Duration::from_millis(50);

/// The same for long answers, whose frames are large.
pub(super) const LONG_GAP: Duration = Duration::from_millis(250);

/// Bytes from which on an answer is long.
pub(super) const LONG_ANSWER: usize = 4096;

/// A job and what of it was not yet put into frames.
#[derive(Debug)]
pub(super) struct JobView {
    owner: Owner,
    job_id: JobId,
    /// The last event taken in.
    seq: i64,
    /// The event with which the run began.
    begun: i64,
    /// The answer so far.
    partial: String,
    /// How much of it was put into frames.
    framed: usize,
    /// The next part may go from then on; `None` = at once.
    chunk_at: Option<Instant>,
    /// The newest progress that was not put into a frame.
    progress: Option<u8>,
    /// The progress that clients have.
    shown: Option<u8>,
    /// The next progress may go from then on.
    update_at: Option<Instant>,
    /// How the run ended, until it is put into a frame.
    ending: Option<Ending>,
    /// The run has ended: nothing more until another one begins.
    ended: bool,
    /// Frames of an earlier run that ended while nothing could be sent.
    ready: Vec<Frame>,
}

#[derive(Debug)]
enum Ending {
    Completed,
    Failed(String),
}

impl JobView {
    /// A job of which nothing is known.
    pub(super) fn new(owner: Owner, job_id: JobId) -> Self {
        Self {
            owner,
            job_id,
            seq: START,
            begun: START,
            partial: String::new(),
            framed: 0,
            chunk_at: None,
            progress: None,
            shown: None,
            update_at: None,
            ending: None,
            ended: false,
            ready: Vec::new(),
        }
    }

    /// Takes in the next event. The events of a job come in order and without holes, which is `Sequencer`'s work.
    pub(super) fn apply(&mut self, record: &EventRecord) {
        match &record.event {
            Event::Queued => self.begin_run(record.seq),
            Event::Restarted { .. } => {
                let progress = self.progress.or(self.shown).unwrap_or_default();
                self.begin_run(record.seq);
                // The store never lets progress go back; saying it again tells clients that the job is alive.
                self.progress = Some(progress);
            }
            _ if self.ended => {}
            Event::Progress { progress, .. } => self.progress = Some(*progress),
            Event::Chunk { offset, text } => {
                if *offset == 0 {
                    self.clear_answer();
                }
                self.partial.push_str(text);
            }
            Event::Completed { answer } => self.complete(answer),
            Event::Failed { message, .. } => self.end(Ending::Failed(message.clone())),
            Event::Cancelled => self.end(Ending::Failed(CANCELLED.to_owned())),
        }
        self.seq = record.seq;
    }

    /// When [`Self::render`] has something to do; a time that is over means at once, `None` that nothing waits.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.ending.is_some() || !self.ready.is_empty() {
            return Some(now);
        }
        let update = self.has_update().then(|| self.update_at.unwrap_or(now));
        let chunk = self.has_chunk().then(|| self.chunk_at.unwrap_or(now));
        update.into_iter().chain(chunk).min()
    }

    /// Puts what is due into frames, in the order of the contract: progress, answer, end.
    pub(super) fn render(&mut self, now: Instant, out: &mut Vec<Frame>) {
        out.append(&mut self.ready);
        let last = self.ending.is_some();
        let due = |at: Option<Instant>| last || at.is_none_or(|at| at <= now);
        if self.has_update() && due(self.update_at) {
            self.render_update(out);
            self.update_at = Some(now + SHORT_GAP);
        }
        if self.has_chunk() && due(self.chunk_at) {
            self.render_chunk(out);
            self.chunk_at = Some(
                now + if self.partial.len() > LONG_ANSWER {
                    LONG_GAP
                } else {
                    SHORT_GAP
                },
            );
        }
        self.render_end(out);
    }

    /// The run has ended and its end is in a frame.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.ending.is_none()
    }

    fn has_update(&self) -> bool {
        self.progress.is_some() && self.progress != self.shown
    }

    fn has_chunk(&self) -> bool {
        self.framed < self.partial.len()
    }

    /// Whatever was said about the job before is void, except an end that was held back.
    fn begin_run(&mut self, seq: i64) {
        if self.ending.is_some() {
            let mut ready = std::mem::take(&mut self.ready);
            self.render_update(&mut ready);
            self.render_chunk(&mut ready);
            self.render_end(&mut ready);
            self.ready = ready;
        }
        self.begun = seq;
        self.clear_answer();
        (self.ended, self.progress, self.shown, self.update_at) = (false, None, None, None);
    }

    fn clear_answer(&mut self) {
        self.partial.clear();
        (self.framed, self.chunk_at) = (0, None);
    }

    fn complete(&mut self, answer: &str) {
        // They differ only when the table lost a part of the answer; what clients have of it cannot be taken back.
        self.framed = common_prefix(&self.partial[..self.framed], answer);
        answer.clone_into(&mut self.partial);
        self.end(Ending::Completed);
    }

    fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.ended = true;
    }

    fn render_update(&mut self, out: &mut Vec<Frame>) {
        if !self.has_update() {
            return;
        }
        self.shown = self.progress.take();
        out.push(self.frame(
            Body::Update,
            frame::update(self.job_id, self.shown.unwrap_or_default()),
        ));
    }

    fn render_chunk(&mut self, out: &mut Vec<Frame>) {
        if !self.has_chunk() {
            return;
        }
        let body = Body::Chunk {
            start: self.framed,
            partial: Arc::from(self.partial.as_str()),
        };
        out.push(self.frame(body, frame::chunk(self.job_id, self.framed, &self.partial)));
        self.framed = self.partial.len();
    }

    fn render_end(&mut self, out: &mut Vec<Frame>) {
        let text = match self.ending.take() {
            Some(Ending::Completed) => frame::completed(self.job_id, &self.partial),
            Some(Ending::Failed(message)) => frame::failed(self.job_id, &message),
            None => return,
        };
        out.push(self.frame(Body::End, text));
        self.partial = String::new();
        (self.framed, self.progress) = (0, None);
    }

    fn frame(&self, body: Body, text: Utf8Bytes) -> Frame {
        Frame {
            owner: self.owner,
            job_id: self.job_id,
            seq: self.seq,
            begun: self.begun,
            body,
            text,
        }
    }
}

/// Bytes at the start of both texts that are the same, whole characters only.
fn common_prefix(left: &str, right: &str) -> usize {
    let same = left.chars().zip(right.chars()).take_while(|(a, b)| a == b);
    same.map(|(c, _)| c.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::{super::client::Client, *};
    use crate::http::socket::sample::{
        History, JOB, chunk, failed, histories, progress, record, seq,
    };
    use proptest::prelude::*;
    use quire_store::Event;

    fn view() -> JobView {
        JobView::new(Owner::LOCAL, JOB)
    }

    fn texts(frames: &[Frame]) -> Vec<String> {
        frames.iter().map(|frame| frame.text.to_string()).collect()
    }

    fn render(view: &mut JobView, now: Instant) -> Vec<String> {
        let mut out = Vec::new();
        view.render(now, &mut out);
        texts(&out)
    }

    /// Plays the history with the given pauses in milliseconds, holding frames back while `held` says so.
    fn play(
        history: &History,
        pauses: &[u64],
        held: impl Fn(usize) -> bool,
    ) -> (Client, Vec<Frame>) {
        let (mut view, mut now) = (view(), Instant::now());
        let (mut client, mut sent) = (Client::default(), Vec::new());
        let last = history.records.len() - 1;
        for (index, record) in history.records.iter().enumerate() {
            now += Duration::from_millis(pauses.get(index).copied().unwrap_or(0));
            view.apply(record);
            if held(index) && index < last {
                continue;
            }
            let mut out = Vec::new();
            view.render(now, &mut out);
            for frame in out {
                let (shown, answers) = (client.text.clone(), client.answers.len());
                client.hear(&frame.text);
                if let Some(answer) = client.answers.get(answers) {
                    assert!(
                        answer.is_empty() || *answer == shown,
                        "the last partial is not the answer"
                    );
                }
                sent.push(frame);
            }
        }
        assert!(view.due(now).is_none(), "an ended job waits for nothing");
        (client, sent)
    }

    proptest! {
        #[test]
        fn chunks_add_up_to_partial_and_partial_to_the_answer(
            history in histories(),
            pauses in proptest::collection::vec(0_u64..120, 0..60),
            (from, count) in (0_usize..40, 0_usize..20),
        ) {
            let (client, sent) = play(&history, &pauses, |index| (from..from + count).contains(&index));
            let answers: Vec<_> = history.records.iter().filter_map(|record| match &record.event {
                Event::Completed { answer } => Some(answer.clone()),
                _ => None,
            }).collect();
            let ends = history.records.iter().filter(|record| record.event.is_terminal()).count();
            prop_assert_eq!(client.answers, answers);
            prop_assert_eq!(client.ends.len(), ends);
            prop_assert!(client.over);
            prop_assert!(sent.windows(2).all(|pair| pair[0].seq <= pair[1].seq));
        }

        #[test]
        fn parts_of_one_answer_keep_their_distance(
            parts in proptest::collection::vec("[a-z€]{1,400}", 1..60),
            pauses in proptest::collection::vec(0_u64..90, 60),
        ) {
            let (mut view, mut now) = (view(), Instant::now());
            let (mut offset, mut last): (usize, Option<(Instant, usize)>) = (0, None);
            for ((part, pause), position) in parts.iter().zip(pauses).zip(1..) {
                now += Duration::from_millis(pause);
                view.apply(&record(seq(1, position), chunk(offset, part)));
                offset += part.len();
                let sent = !render(&mut view, now).is_empty();
                let gap = |length| if length > LONG_ANSWER { LONG_GAP } else { SHORT_GAP };
                prop_assert_eq!(sent, last.is_none_or(|(at, length)| now >= at + gap(length)));
                if sent {
                    last = Some((now, offset));
                }
                let due = view.due(now);
                prop_assert_eq!(due, (!sent).then(|| last.map(|(at, length)| at + gap(length))).flatten());
            }
        }
    }

    #[test]
    fn one_job_from_upload_to_answer() {
        let (mut view, now) = (view(), Instant::now());
        let mut at = |index, event, after| {
            view.apply(&record(seq(1, index), event));
            render(&mut view, now + Duration::from_millis(after))
        };
        assert!(at(1, Event::Queued, 0).is_empty());
        assert_eq!(
            at(2, progress(45), 0),
            [
                r#"{"type":"job_update","job_id":"01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11","progress":45}"#
            ]
        );
        assert!(
            at(3, progress(45), 100).is_empty(),
            "the same progress again says nothing"
        );
        assert_eq!(
            at(4, chunk(0, "It "), 100),
            [frame::chunk(JOB, 0, "It ").to_string()]
        );
        assert!(at(5, chunk(3, "is "), 120).is_empty());
        assert_eq!(
            at(6, chunk(6, "4"), 150),
            [frame::chunk(JOB, 3, "It is 4").to_string()]
        );
        assert!(at(7, chunk(7, "2."), 160).is_empty());
        assert_eq!(
            at(
                8,
                Event::Completed {
                    answer: "It is 42.".into()
                },
                161
            ),
            [
                frame::chunk(JOB, 7, "It is 42.").to_string(),
                frame::completed(JOB, "It is 42.").to_string()
            ]
        );
        assert!(
            at(9, progress(99), 900).is_empty(),
            "nothing follows the end"
        );
    }

    #[test]
    fn an_answer_that_was_never_streamed_is_shown_before_the_end() {
        let mut view = view();
        view.apply(&record(
            seq(2, 1),
            Event::Completed {
                answer: "yes".into(),
            },
        ));
        let now = Instant::now();
        assert_eq!(
            render(&mut view, now),
            [
                frame::chunk(JOB, 0, "yes").to_string(),
                frame::completed(JOB, "yes").to_string()
            ]
        );
        let mut silent = super::JobView::new(Owner::LOCAL, JOB);
        silent.apply(&record(
            seq(2, 1),
            Event::Completed {
                answer: String::new(),
            },
        ));
        assert_eq!(
            render(&mut silent, now),
            [frame::completed(JOB, "").to_string()]
        );
    }

    #[test]
    fn failure_and_cancellation_are_both_job_failed() {
        for (event, error) in [
            (failed("the file is damaged"), "the file is damaged"),
            (Event::Cancelled, "job was cancelled"),
        ] {
            let mut view = view();
            view.apply(&record(seq(1, 1), event));
            assert_eq!(
                render(&mut view, Instant::now()),
                [frame::failed(JOB, error).to_string()]
            );
        }
    }

    #[test]
    fn a_restart_repeats_the_progress_and_takes_the_answer_back() {
        let (mut view, now) = (view(), Instant::now());
        view.apply(&record(seq(1, 1), progress(80)));
        view.apply(&record(seq(1, 2), chunk(0, "half an ans")));
        assert_eq!(render(&mut view, now).len(), 2);
        view.apply(&record(seq(2, 1), Event::Restarted { attempt: 2 }));
        view.apply(&record(seq(2, 2), chunk(0, "half")));
        assert_eq!(
            render(&mut view, now),
            [
                frame::update(JOB, 80).to_string(),
                frame::chunk(JOB, 0, "half").to_string()
            ]
        );
    }

    #[test]
    fn an_end_that_was_held_back_survives_a_retry() {
        let (mut view, now) = (view(), Instant::now());
        view.apply(&record(seq(1, 1), progress(30)));
        view.apply(&record(seq(1, 2), failed("no")));
        view.apply(&record(seq(2, 1), Event::Queued));
        view.apply(&record(seq(3, 1), progress(10)));
        assert_eq!(
            render(&mut view, now),
            [
                frame::update(JOB, 30).to_string(),
                frame::failed(JOB, "no").to_string(),
                frame::update(JOB, 10).to_string()
            ]
        );
    }
}
