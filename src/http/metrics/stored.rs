//! The numbers of the queue for `/metrics`: they are the database's, so every process shows the same.
//!
//! One look at the database serves all scrapes of a second. What it says is written as text here and not kept in the recorder:
//! without the database these numbers are absent instead of old.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use quire_store::{MoveCount, ProcessNumbers, QueueMetrics, Stage, Store, Times};
use tokio::time::timeout;

use super::exposition::{Exposition, Labels};
use crate::http::admin::view::{QueueView, seconds};

/// How long a look at the database serves.
const FRESH: Duration = Duration::from_secs(1);

/// Longest wait for the database; a scraper commonly gives up after 10 s and then has nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last look.
#[derive(Debug, Default)]
pub struct QueueNumbers {
    last: Mutex<Option<(Instant, Arc<str>)>>,
}

impl QueueNumbers {
    /// The queue's numbers as text; empty when the database does not answer.
    pub(super) async fn text(&self, store: &Store) -> Arc<str> {
        if let Some((at, text)) = &*self.last.lock()
            && at.elapsed() < FRESH
        {
            return Arc::clone(text);
        }
        match timeout(PATIENCE, store.queue_metrics()).await {
            Ok(Ok(metrics)) => {
                let text: Arc<str> = queue(&metrics).into();
                *self.last.lock() = Some((Instant::now(), Arc::clone(&text)));
                text
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the numbers of the queue are not known now");
                Arc::default()
            }
            Err(_) => {
                tracing::debug!("the numbers of the queue are not known now: no answer");
                Arc::default()
            }
        }
    }
}

/// The numbers of this process's part of the store.
pub(super) fn process(numbers: &ProcessNumbers) -> String {
    let mut text = Exposition::default();
    let none: Labels<'_> = &[];
    let up = if numbers.database_up { 1.0 } else { 0.0 };
    text.gauge(
        "quire_database_up",
        "1 while the database answers.",
        [(none, up)],
    );
    text.counter(
        "quire_events_flushed_total",
        "Events of running attempts written to the database by this process.",
        [(none, numbers.events_flushed as f64)],
    );
    // In the order in which the store has them.
    let pools = || ["requests", "jobs"].into_iter().zip(&numbers.pools);
    let mut connections: Vec<([(&str, &str); 2], f64)> = Vec::new();
    for (name, pool) in pools() {
        connections.push(([("pool", name), ("state", "used")], f64::from(pool.used)));
        connections.push(([("pool", name), ("state", "idle")], f64::from(pool.idle)));
    }
    text.gauge(
        "quire_db_pool_connections",
        "Database connections of this process.",
        samples(&connections),
    );
    let most: Vec<_> = pools()
        .map(|(name, pool)| ([("pool", name)], f64::from(pool.max)))
        .collect();
    text.gauge(
        "quire_db_pool_max_connections",
        "Most database connections of this process.",
        samples(&most),
    );
    text.finish()
}

fn queue(metrics: &QueueMetrics) -> String {
    let mut text = Exposition::default();
    now(&mut text, metrics);
    moves(&mut text, &metrics.moves);
    times(
        &mut text,
        "quire_job_wait_seconds",
        "From the moment a job could begin to its start; completed jobs.",
        &metrics.wait,
    );
    times(
        &mut text,
        "quire_job_run_seconds",
        "From the start of a job to its end; completed jobs.",
        &metrics.run,
    );
    text.finish()
}

/// What is there at this moment.
fn now(text: &mut Exposition, metrics: &QueueMetrics) {
    let (snapshot, view) = (&metrics.now, QueueView::from(&metrics.now));
    let counts = &view.jobs;
    let jobs = [
        ("queued", counts.queued),
        ("scheduled", counts.scheduled),
        ("running", counts.running),
        ("streaming", counts.streaming),
        ("completed", counts.completed),
        ("failed", counts.failed),
        ("cancelled", counts.cancelled),
        ("dead", counts.dead),
    ];
    let jobs = jobs.map(|(state, jobs)| ([("state", state)], jobs as f64));
    text.gauge("quire_jobs", "Stored jobs by state.", samples(&jobs));
    let (mut depth, mut oldest, mut paused) = (Vec::new(), Vec::new(), Vec::new());
    for queue in &snapshot.queues {
        let name = ("queue", queue.stage.as_str());
        for (state, jobs) in [
            ("queued", queue.queued),
            ("scheduled", queue.scheduled),
            ("running", queue.running),
            ("streaming", queue.streaming),
        ] {
            depth.push(([name, ("state", state)], jobs as f64));
        }
        let age = queue
            .oldest_queued_at
            .map(|since| seconds(since, snapshot.at));
        oldest.push(([name], age.unwrap_or_default()));
        paused.push(([name], if queue.paused_at.is_some() { 1.0 } else { 0.0 }));
    }
    text.gauge(
        "quire_queue_depth",
        "Jobs that have not ended.",
        samples(&depth),
    );
    text.gauge(
        "quire_queue_oldest_age_seconds",
        "How long the job that has waited longest has waited; 0 when none waits.",
        samples(&oldest),
    );
    text.gauge(
        "quire_queue_paused",
        "1 while the queue is paused.",
        samples(&paused),
    );
    let none: Labels<'_> = &[];
    text.gauge(
        "quire_dead_letters",
        "Stored jobs that ended with an error.",
        [(none, view.dead_letters as f64)],
    );
    text.gauge(
        "quire_workers",
        "Registered workers that have been seen lately.",
        [(
            none,
            view.workers
                .iter()
                .filter(|worker| worker.responding)
                .count() as f64,
        )],
    );
}

/// What has happened since the database was made.
fn moves(text: &mut Exposition, moves: &[MoveCount]) {
    let stages = [Stage::Extract, Stage::Answer];
    let total = |what: &str, stage: Stage| {
        let found = moves
            .iter()
            .find(|row| row.what == what && row.stage == stage);
        found.map_or(0.0, |row| row.total as f64)
    };
    let mut ended = Vec::new();
    for stage in stages {
        for state in ["completed", "failed", "cancelled", "dead"] {
            let labels = [("queue", stage.as_str()), ("state", state)];
            ended.push((labels, total(state, stage)));
        }
    }
    text.counter(
        "quire_jobs_ended_total",
        "Jobs that ended, by the queue they were in.",
        samples(&ended),
    );
    for (name, what, help) in [
        ("quire_attempts_total", "attempt", "Jobs taken by a worker."),
        (
            "quire_retries_total",
            "retry",
            "Failed tries that are repeated later.",
        ),
        (
            "quire_rescues_total",
            "rescue",
            "Jobs taken from a worker that was dead, frozen or too late.",
        ),
        (
            "quire_crashes_total",
            "crash",
            "Attempts that ended with the death of their worker.",
        ),
    ] {
        let counts = stages.map(|stage| ([("queue", stage.as_str())], total(what, stage)));
        text.counter(name, help, samples(&counts));
    }
}

fn times(text: &mut Exposition, name: &str, help: &str, times: &Times) {
    let buckets = times.buckets.iter();
    text.histogram(
        name,
        help,
        buckets.map(|bucket| (bucket.bound, bucket.count)),
        times.sum,
    );
}

fn samples<'a, const N: usize>(
    samples: &'a [([(&'a str, &'a str); N], f64)],
) -> impl Iterator<Item = (Labels<'a>, f64)> {
    samples.iter().map(|(labels, value)| (&labels[..], *value))
}
