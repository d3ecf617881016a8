//! Every running job of the process, from broadcast events to frames: order, hold and merging put together.
//!
//! Pure but for the hold table it asks: time comes in, frames come out, and what has to be read from the table is named, not
//! read.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use quire_store::{EventRecord, JobId, Owner};
use tokio::time::Instant;

use super::{frame::Frame, view::JobView};
use crate::http::socket::{
    hold::{UploadHold, settled},
    sequence::{START, Sequencer},
};

/// How long an ended job is remembered: what a fenced-off attempt still says about it must not look like a new run.
const REMEMBERED: Duration = Duration::from_mins(1);

/// The jobs that the process has heard of since somebody listens.
#[derive(Default)]
pub(super) struct Renderer {
    jobs: HashMap<JobId, Entry>,
    /// Jobs that may have something to send.
    pending: HashSet<JobId>,
    /// Jobs whose events have to be read from the table.
    behind: HashSet<JobId>,
}

struct Entry {
    owner: Owner,
    order: Sequencer,
    view: JobView,
    /// When the job is old enough that its uploader knows its id.
    settled: Instant,
    /// When its end was rendered.
    over: Option<Instant>,
}

impl Renderer {
    /// Takes a broadcast event. `wall` is the time of day.
    pub(super) fn live(&mut self, record: Arc<EventRecord>, now: Instant, wall: DateTime<Utc>) {
        let job = record.job_id;
        let entry = self.jobs.entry(job).or_insert_with(|| Entry {
            owner: record.owner,
            order: Sequencer::after(START),
            view: JobView::new(record.owner, job),
            settled: settled(record.job_created_at, wall, now),
            over: None,
        });
        let mut events = Vec::new();
        entry.order.live(record, &mut events);
        self.take(job, &events);
    }

    /// Broadcasts were missed: every job that runs is read from the table.
    pub(super) fn fall_behind(&mut self) {
        for (job, entry) in &mut self.jobs {
            if entry.over.is_none() {
                entry.order.fall_behind();
                self.behind.insert(*job);
            }
        }
    }

    /// The jobs to be read from the table, each with the event after which to read.
    pub(super) fn behind(&self) -> Vec<(Owner, JobId, i64)> {
        let entry = |job: &JobId| {
            self.jobs
                .get(job)
                .map(|entry| (entry.owner, *job, entry.order.seq()))
        };
        self.behind.iter().filter_map(entry).collect()
    }

    /// Takes events from the table. `last` says that there are no more of them at this time.
    pub(super) fn stored(&mut self, job: JobId, records: Vec<EventRecord>, last: bool) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let mut events = Vec::new();
        entry.order.stored(records, &mut events);
        if last {
            entry.order.settle(&mut events);
        }
        self.take(job, &events);
    }

    /// Renders what is due and may go; returns when to come back.
    pub(super) fn render(
        &mut self,
        now: Instant,
        hold: &UploadHold,
        out: &mut Vec<Frame>,
    ) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let (jobs, mut ended) = (&mut self.jobs, false);
        self.pending.retain(|job| {
            let Some(entry) = jobs.get_mut(job) else {
                return false;
            };
            let wait = hold.gate(*job, entry.settled, now);
            if wait.is_none() {
                entry.view.render(now, out);
                entry.over = entry.view.is_over().then(|| entry.over.unwrap_or(now));
                ended |= entry.over.is_some();
            }
            let due = entry.view.due(now).map(|due| wait.unwrap_or(due));
            next = next.into_iter().chain(due).min();
            due.is_some()
        });
        if ended {
            self.jobs
                .retain(|_, entry| entry.over.is_none_or(|over| now < over + REMEMBERED));
        }
        next
    }

    fn take(&mut self, job: JobId, events: &[Arc<EventRecord>]) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        for event in events {
            entry.view.apply(event);
        }
        if !events.is_empty() {
            self.pending.insert(job);
        }
        if entry.order.is_behind() {
            self.behind.insert(job);
        } else {
            self.behind.remove(&job);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use quire_store::{Event, clock};

    use super::{super::frame, *};
    use crate::http::socket::{
        CANCELLED,
        hold::GRACE,
        sample::{JOB, chunk, progress, record, seq},
    };

    fn texts_at(renderer: &mut Renderer, hold: &UploadHold, now: Instant) -> Vec<String> {
        let mut out = Vec::new();
        renderer.render(now, hold, &mut out);
        out.iter().map(|frame| frame.text.to_string()).collect()
    }

    fn texts(renderer: &mut Renderer, hold: &UploadHold) -> Vec<String> {
        texts_at(renderer, hold, Instant::now())
    }

    fn hear(renderer: &mut Renderer, index: i64, event: Event) {
        renderer.live(record(seq(1, index), event), Instant::now(), clock::now());
    }

    /// A CSV that is answered before its upload's reply is written.
    fn fast_job(renderer: &mut Renderer) {
        hear(renderer, 0, Event::Queued);
        hear(renderer, 1, progress(10));
        hear(renderer, 2, progress(90));
        hear(renderer, 3, chunk(0, "4"));
        hear(renderer, 4, chunk(1, "2"));
        hear(
            renderer,
            5,
            Event::Completed {
                answer: "42".into(),
            },
        );
    }

    fn told() -> [String; 3] {
        [
            frame::update(JOB, 90),
            frame::chunk(JOB, 0, "42"),
            frame::completed(JOB, "42"),
        ]
        .map(|text| text.to_string())
    }

    #[test]
    fn a_job_that_outruns_its_reply_is_told_after_it() {
        let (mut renderer, hold) = (Renderer::default(), UploadHold::new());
        let reply = hold.begin(JOB);
        fast_job(&mut renderer);
        assert!(texts_at(&mut renderer, &hold, Instant::now() + GRACE).is_empty());
        let before = Instant::now();
        drop(reply);
        let after = Instant::now();
        let next = renderer.render(after, &hold, &mut Vec::new()).unwrap();
        assert!(next >= before + GRACE && next <= after + GRACE);
        assert_eq!(texts_at(&mut renderer, &hold, next), told());
        assert_eq!(renderer.render(next, &hold, &mut Vec::new()), None);
    }

    #[test]
    fn a_job_uploaded_elsewhere_is_told_when_it_is_old_enough() {
        let (mut renderer, hold, now) = (Renderer::default(), UploadHold::new(), Instant::now());
        let wall = record(1, Event::Queued).job_created_at + TimeDelta::milliseconds(40);
        renderer.live(record(seq(0, 0), Event::Queued), now, wall);
        renderer.live(record(seq(1, 1), progress(5)), now, wall);
        let told_at = now + GRACE - Duration::from_millis(40);
        assert_eq!(renderer.render(now, &hold, &mut Vec::new()), Some(told_at));
        assert_eq!(
            texts_at(&mut renderer, &hold, told_at),
            [frame::update(JOB, 5).to_string()]
        );
    }

    #[test]
    fn a_hole_is_filled_from_the_table_before_anything_is_told() {
        let (mut renderer, hold) = (Renderer::default(), UploadHold::new());
        let row = |index, event| EventRecord::clone(&record(seq(1, index), event));
        hear(&mut renderer, 4, chunk(3, "is "));
        hear(&mut renderer, 5, chunk(6, "42"));
        assert!(texts(&mut renderer, &hold).is_empty());
        assert_eq!(renderer.behind(), [(Owner::LOCAL, JOB, START)]);
        renderer.stored(JOB, vec![row(2, progress(60))], true);
        assert_eq!(
            renderer.behind(),
            [(Owner::LOCAL, JOB, seq(1, 2))],
            "the table has not caught up"
        );
        renderer.stored(JOB, vec![row(3, chunk(0, "It "))], false);
        renderer.stored(JOB, vec![row(4, chunk(3, "is "))], true);
        assert!(renderer.behind().is_empty());
        let expected =
            [frame::update(JOB, 60), frame::chunk(JOB, 0, "It is 42")].map(|text| text.to_string());
        assert_eq!(texts(&mut renderer, &hold), expected);
    }

    #[test]
    fn missed_broadcasts_send_every_running_job_to_the_table_and_no_ended_one() {
        let (mut renderer, hold) = (Renderer::default(), UploadHold::new());
        hear(&mut renderer, 0, Event::Queued);
        hear(&mut renderer, 1, progress(5));
        assert_eq!(
            texts(&mut renderer, &hold),
            [frame::update(JOB, 5).to_string()]
        );
        assert!(renderer.behind().is_empty());
        renderer.fall_behind();
        assert_eq!(renderer.behind(), [(Owner::LOCAL, JOB, seq(1, 1))]);
        renderer.stored(
            JOB,
            vec![EventRecord::clone(&record(seq(2, 0), Event::Cancelled))],
            true,
        );
        assert_eq!(
            texts(&mut renderer, &hold),
            [frame::failed(JOB, CANCELLED).to_string()]
        );
        renderer.fall_behind();
        assert!(renderer.behind().is_empty());
    }

    #[test]
    fn an_ended_job_is_deaf_for_a_while_and_then_forgotten() {
        let (mut renderer, hold) = (Renderer::default(), UploadHold::new());
        fast_job(&mut renderer);
        let now = Instant::now();
        assert_eq!(texts_at(&mut renderer, &hold, now), told());
        hear(&mut renderer, 9, chunk(0, "late"));
        assert!(texts(&mut renderer, &hold).is_empty());
        let other = JobId::generate();
        for event in [Event::Queued, Event::Cancelled] {
            let seq = seq(i64::from(event.is_terminal()), 0);
            let record = EventRecord {
                job_id: other,
                ..EventRecord::clone(&record(seq, event))
            };
            renderer.live(Arc::new(record), now, clock::now());
        }
        texts_at(&mut renderer, &hold, now + REMEMBERED);
        assert_eq!(renderer.jobs.keys().collect::<Vec<_>>(), [&other]);
    }
}
