//! The queue as the admin API and the live topic show it.

use chrono::{DateTime, SecondsFormat, Utc};
use quire_store::{Percentiles, QueueDepth, QueueSnapshot, WorkerStatus};
use serde::Serialize;
use utoipa::ToSchema;

/// A worker that was not seen for longer does not respond: eight heartbeats. Its jobs are taken from it soon after.
const RESPONDS_WITHIN_MS: i64 = 4_000;

/// The whole queue at one moment; every number is of the same state of the database.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueView {
    /// The moment, by the database's clock.
    #[schema(example = "2024-01-01T00:00:00.000Z")]
    pub at: String,
    /// Stored jobs by state.
    pub jobs: JobCounts,
    /// Jobs that ended with an error: failed and dead.
    pub dead_letters: i64,
    /// The queues, in the order in which a job passes them.
    pub queues: Vec<QueueState>,
    /// How long the job that has waited longest has waited; null when none waits.
    #[schema(required = true)]
    pub oldest_waiting_seconds: Option<f64>,
    /// Completed jobs per minute.
    pub completed_per_minute: Rates,
    /// From the moment a job could begin to its start; null when no job was completed lately.
    #[schema(required = true)]
    pub wait_seconds: Option<Spread>,
    /// From the start of a job to its end.
    #[schema(required = true)]
    pub run_seconds: Option<Spread>,
    /// How many jobs these times are of: the newest completed ones, at most 1,000 and 15 minutes old.
    pub sampled_jobs: i64,
    /// Registered workers.
    pub workers: Vec<WorkerView>,
}

/// Jobs by state.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct JobCounts {
    /// Could be taken now.
    pub queued: i64,
    /// Wait for their time.
    pub scheduled: i64,
    /// A worker has them.
    pub running: i64,
    /// A worker has them and their answer has begun.
    pub streaming: i64,
    /// Answered.
    pub completed: i64,
    /// Ended by an error that another try would not change.
    pub failed: i64,
    /// Ended by the client.
    pub cancelled: i64,
    /// Ended after too many failed tries.
    pub dead: i64,
}

/// One queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueState {
    /// `extract` or `answer`.
    #[schema(example = "extract")]
    pub name: &'static str,
    /// It hands nothing out.
    pub paused: bool,
    /// Since when; null when it is not paused.
    #[schema(required = true)]
    pub paused_at: Option<String>,
    /// Jobs that could be taken now.
    pub waiting: i64,
    /// Jobs that wait for their time.
    pub scheduled: i64,
    /// Jobs that a worker has.
    pub running: i64,
    /// How long the job that has waited longest has waited; null when none waits.
    #[schema(required = true)]
    pub oldest_waiting_seconds: Option<f64>,
}

/// Jobs per minute over windows of different length.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rates {
    /// Of the last minute.
    #[serde(rename = "1m")]
    pub last_minute: f64,
    /// Of the last 5 minutes.
    #[serde(rename = "5m")]
    pub last_5_minutes: f64,
    /// Of the last 15 minutes.
    #[serde(rename = "15m")]
    pub last_15_minutes: f64,
}

/// The middle and the upper end of some times, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Spread {
    /// Half of the times are at most this.
    pub p50: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
}

/// A registered worker.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// When it registered.
    #[schema(example = "2024-01-01T00:00:00.000Z")]
    pub started_at: String,
    /// Its last heartbeat; they come every half second.
    #[schema(example = "2024-01-01T00:00:00.000Z")]
    pub seen_at: String,
    /// It has been seen lately.
    pub responding: bool,
    /// Jobs that it has.
    pub jobs: i64,
}

impl From<&QueueSnapshot> for QueueView {
    fn from(snapshot: &QueueSnapshot) -> Self {
        let at = snapshot.at;
        let queues: Vec<_> = snapshot
            .queues
            .iter()
            .map(|queue| state(queue, at))
            .collect();
        let ended = snapshot.ended;
        let sum = |count: fn(&QueueDepth) -> i64| snapshot.queues.iter().map(count).sum();
        let [first, second, third] = snapshot.throughput.map(|window| round(window.per_minute()));
        Self {
            at: text(at),
            jobs: JobCounts {
                queued: sum(|queue| queue.queued),
                scheduled: sum(|queue| queue.scheduled),
                running: sum(|queue| queue.running),
                streaming: sum(|queue| queue.streaming),
                completed: ended.completed,
                failed: ended.failed,
                cancelled: ended.cancelled,
                dead: ended.dead,
            },
            dead_letters: ended.failed + ended.dead,
            oldest_waiting_seconds: queues
                .iter()
                .filter_map(|queue| queue.oldest_waiting_seconds)
                .reduce(f64::max),
            queues,
            completed_per_minute: Rates {
                last_minute: first,
                last_5_minutes: second,
                last_15_minutes: third,
            },
            wait_seconds: snapshot.wait.map(spread),
            run_seconds: snapshot.run.map(spread),
            sampled_jobs: snapshot.sampled,
            workers: snapshot
                .workers
                .iter()
                .map(|worker| self::worker(worker, at))
                .collect(),
        }
    }
}

fn state(queue: &QueueDepth, at: DateTime<Utc>) -> QueueState {
    QueueState {
        name: queue.stage.as_str(),
        paused: queue.paused_at.is_some(),
        paused_at: queue.paused_at.map(text),
        waiting: queue.queued,
        scheduled: queue.scheduled,
        running: queue.running + queue.streaming,
        oldest_waiting_seconds: queue.oldest_queued_at.map(|since| seconds(since, at)),
    }
}

fn worker(worker: &WorkerStatus, at: DateTime<Utc>) -> WorkerView {
    WorkerView {
        name: worker.name.clone(),
        started_at: text(worker.started_at),
        seen_at: text(worker.seen_at),
        responding: (at - worker.seen_at).num_milliseconds() < RESPONDS_WITHIN_MS,
        jobs: worker.jobs,
    }
}

fn spread(percentiles: Percentiles) -> Spread {
    Spread {
        p50: round(percentiles.p50),
        p95: round(percentiles.p95),
    }
}

/// Never negative: the queue keeps whole seconds and a job of this very second may lie ahead of `at`.
pub(crate) fn seconds(since: DateTime<Utc>, at: DateTime<Utc>) -> f64 {
    ((at - since).num_milliseconds().max(0) as f64) / 1_000.0
}

/// To milliseconds: more is noise, and makes no two snapshots equal.
fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Times of this API, to milliseconds.
pub(super) fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;
    use quire_store::{EndedCounts, Stage, Throughput};

    use super::*;

    /// A snapshot with something of everything.
    pub(in super::super) fn snapshot() -> QueueSnapshot {
        let at = DateTime::from_timestamp(1_704_067_200, 500_000_000).unwrap();
        let queue = |stage, queued: i64, paused: bool| QueueDepth {
            stage,
            paused_at: paused.then_some(at - TimeDelta::minutes(1)),
            queued,
            scheduled: 2,
            running: 1,
            streaming: 3,
            oldest_queued_at: (queued > 0).then_some(at - TimeDelta::milliseconds(90_250)),
        };
        let window = |minutes: i32, completed| Throughput {
            minutes,
            seconds: f64::from(minutes * 60),
            completed,
        };
        QueueSnapshot {
            at,
            queues: vec![
                queue(Stage::Extract, 4, false),
                queue(Stage::Answer, 0, true),
            ],
            ended: EndedCounts {
                completed: 10,
                failed: 2,
                cancelled: 1,
                dead: 3,
            },
            throughput: [window(1, 3), window(5, 10), window(15, 10)],
            wait: Some(Percentiles {
                p50: 0.0125,
                p95: 1.5,
            }),
            run: None,
            sampled: 10,
            workers: vec![WorkerStatus {
                name: "host-1".to_owned(),
                started_at: at - TimeDelta::hours(1),
                seen_at: at - TimeDelta::seconds(5),
                jobs: 8,
            }],
        }
    }

    #[test]
    fn the_view_has_the_names_that_clients_know() {
        let view = serde_json::to_value(QueueView::from(&snapshot())).unwrap();
        let expected = serde_json::json!({
            "at": "2024-01-01T00:00:00.500Z",
            "jobs": {"queued": 4, "scheduled": 4, "running": 2, "streaming": 6,
                     "completed": 10, "failed": 2, "cancelled": 1, "dead": 3},
            "dead_letters": 5,
            "queues": [
                {"name": "extract", "paused": false, "paused_at": null, "waiting": 4, "scheduled": 2, "running": 4,
                 "oldest_waiting_seconds": 90.25},
                {"name": "answer", "paused": true, "paused_at": "2023-12-31T23:59:00.500Z", "waiting": 0, "scheduled": 2,
                 "running": 4, "oldest_waiting_seconds": null}
            ],
            "oldest_waiting_seconds": 90.25,
            "completed_per_minute": {"1m": 3.0, "5m": 2.0, "15m": 0.667},
            "wait_seconds": {"p50": 0.013, "p95": 1.5},
            "run_seconds": null,
            "sampled_jobs": 10,
            "workers": [{"name": "host-1", "started_at": "2023-12-31T23:00:00.500Z", "seen_at": "2023-12-31T23:59:55.500Z",
                         "responding": false, "jobs": 8}]
        });
        assert_eq!(view, expected);
    }

    #[test]
    fn an_age_is_never_negative() {
        let at = DateTime::from_timestamp(100, 0).unwrap();
        assert!(seconds(at + TimeDelta::seconds(1), at).abs() < f64::EPSILON);
    }
}
