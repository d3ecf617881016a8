//! The operator's view: every number of a snapshot is what the tables say at that very moment, whatever goes on meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use quire_store::{
    DeadFilter, EndedCounts, JobState, Lease, Owner, Percentiles, QueueSnapshot, Stage, snapshot_in,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use sqlx::{PgConnection, PgPool, Row as _};

use crate::support::{Quire, created, until, upload, within, worker_name};

/// Tasks that change jobs while snapshots are taken.
const CHURNERS: u64 = 4;
/// Snapshots that are not the one before again.
const TICKS: usize = 60;
/// States that jobs are in at some time: every one but `streaming`, which needs an engine, and `dead`, which needs patience.
const STATES: usize = 6;
/// Changes of each task between the first and the last snapshot, at least.
const CHANGES: usize = 400;

/// What the tables say, by statements that share nothing with those of the store: no tally, no helper, no partial index needed.
#[derive(Debug, PartialEq)]
struct Truth {
    jobs: BTreeMap<(String, String), i64>,
    oldest: BTreeMap<String, i64>,
    completed: Vec<i64>,
    workers: BTreeMap<String, i64>,
    paused: Vec<String>,
}

impl Truth {
    async fn read(conn: &mut PgConnection) -> Self {
        let mut jobs = BTreeMap::new();
        let mut oldest = BTreeMap::new();
        let rows = sqlx::query(
            "select stage, state, count(*), (extract(epoch from min(queued_at)) * 1000000)::bigint
             from quire.jobs group by stage, state",
        );
        for row in rows.fetch_all(&mut *conn).await.unwrap() {
            let (stage, state): (String, String) = (row.get(0), row.get(1));
            // Which queue an ended job was in is not asked for.
            let ended: JobState = state.parse().unwrap();
            let key = if ended.is_terminal() {
                String::new()
            } else {
                stage.clone()
            };
            *jobs.entry((key, state.clone())).or_default() += row.get::<i64, _>(2);
            if state == "queued" {
                oldest.insert(stage, row.get(3));
            }
        }
        let mut completed = Vec::new();
        for minutes in [1, 5, 15] {
            let count = sqlx::query_scalar(
                "select count(*) from quire.jobs where state = 'completed'
                 and floor(extract(epoch from finished_at) / 5) >= floor(extract(epoch from now() - make_interval(mins => $1)) / 5)",
            );
            completed.push(count.bind(minutes).fetch_one(&mut *conn).await.unwrap());
        }
        let workers = sqlx::query(
            "select name, (select count(*) from quire.jobs where worker = name) from quire.workers",
        );
        let workers = workers.fetch_all(&mut *conn).await.unwrap();
        let paused = sqlx::query_scalar(
            "select name from quire.queues where paused_at is not null order by name",
        );
        Self {
            jobs,
            oldest,
            completed,
            workers: workers.iter().map(|row| (row.get(0), row.get(1))).collect(),
            paused: paused.fetch_all(&mut *conn).await.unwrap(),
        }
    }

    /// The same of a snapshot.
    fn of(snapshot: &QueueSnapshot) -> Self {
        let mut jobs = BTreeMap::new();
        let mut count = |stage: &str, state: JobState, n: i64| {
            if n != 0 {
                jobs.insert((stage.to_owned(), state.as_str().to_owned()), n);
            }
        };
        let EndedCounts {
            completed,
            failed,
            cancelled,
            dead,
        } = snapshot.ended;
        count("", JobState::Completed, completed);
        count("", JobState::Failed, failed);
        count("", JobState::Cancelled, cancelled);
        count("", JobState::Dead, dead);
        for queue in &snapshot.queues {
            let stage = queue.stage.as_str();
            count(stage, JobState::Queued, queue.queued);
            count(stage, JobState::Scheduled, queue.scheduled);
            count(stage, JobState::Running, queue.running);
            count(stage, JobState::Streaming, queue.streaming);
        }
        let oldest = snapshot.queues.iter().filter_map(|queue| {
            let at = queue.oldest_queued_at?;
            Some((queue.stage.as_str().to_owned(), at.timestamp_micros()))
        });
        let workers = snapshot.workers.iter();
        let paused = snapshot.queues.iter().filter(|q| q.paused_at.is_some());
        let mut paused: Vec<String> = paused.map(|q| q.stage.queue().to_owned()).collect();
        paused.sort();
        Self {
            jobs,
            oldest: oldest.collect(),
            completed: snapshot.throughput.iter().map(|t| t.completed).collect(),
            workers: workers.map(|w| (w.name.clone(), w.jobs)).collect(),
            paused,
        }
    }
}

/// A snapshot and the truth, in one transaction that sees one moment.
async fn look(pool: &PgPool) -> (QueueSnapshot, Truth) {
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("set transaction isolation level repeatable read")
        .execute(&mut *tx)
        .await
        .unwrap();
    let snapshot = snapshot_in(&mut tx).await.unwrap();
    let truth = Truth::read(&mut tx).await;
    times_are_those_of_the_table(&mut tx, &snapshot).await;
    (snapshot, truth)
}

/// Percentiles, computed here from the rows.
async fn times_are_those_of_the_table(conn: &mut PgConnection, snapshot: &QueueSnapshot) {
    let rows = sqlx::query(
        "select extract(epoch from started_at - greatest(created_at, scheduled_at, case when run > 0 then queued_at end))::float8,
                extract(epoch from finished_at - started_at)::float8
         from quire.jobs
         where state = 'completed' and finished_at > now() - interval '15 minutes'
         order by finished_at desc limit 1000",
    );
    let rows = rows.fetch_all(conn).await.unwrap();
    assert_eq!(snapshot.sampled as usize, rows.len());
    let waits = rows.iter().map(|row| row.get::<f64, _>(0).max(0.0));
    assert_close(snapshot.wait, waits.collect());
    assert_close(snapshot.run, rows.iter().map(|row| row.get(1)).collect());
}

fn assert_close(told: Option<Percentiles>, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let Some(told) = told else {
        assert!(times.is_empty());
        return;
    };
    let at = |part: f64| {
        let place = part * (times.len() - 1) as f64;
        let (below, above) = (times[place.floor() as usize], times[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    assert!((told.p50 - at(0.5)).abs() < 1e-5, "{told:?} {times:?}");
    assert!((told.p95 - at(0.95)).abs() < 1e-5, "{told:?} {times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_is_the_truth_at_every_tick_under_churn() {
    let seed = rand::rng().random::<u64>();
    println!("seed {seed}");
    let quire = Arc::new(Quire::new().await);
    let (stop, changes) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let churners: Vec<_> = (0..CHURNERS)
        .map(|n| {
            let mut churn = Churn {
                quire: Arc::clone(&quire),
                rng: StdRng::seed_from_u64(seed.wrapping_add(n)),
                leases: Vec::new(),
            };
            let (stop, changes) = (Arc::clone(&stop), Arc::clone(&changes));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    churn.change().await;
                    changes.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // Connections of its own, so that looking and changing do not wait for each other.
    let outside = quire.db.store().await;
    let (mut ticks, mut different, mut states) = (0, 0, BTreeSet::new());
    let mut last = None;
    within(
        "every state was seen and the queue has changed often",
        async {
            while different < TICKS
                || changes.load(Ordering::Relaxed) < CHANGES
                || states.len() < STATES
            {
                let (snapshot, truth) = look(outside.pool()).await;
                assert_eq!(Truth::of(&snapshot), truth, "tick {ticks}, seed {seed}");
                states.extend(truth.jobs.keys().map(|(_, state)| state.clone()));
                different += usize::from(last.as_ref() != Some(&truth));
                last = Some(truth);
                ticks += 1;
                assert!(!churners.iter().any(tokio::task::JoinHandle::is_finished));
            }
        },
    )
    .await;
    stop.store(true, Ordering::Relaxed);
    for churner in churners {
        churner.await.unwrap();
    }
    println!("{ticks} ticks, {different} of them different, {changes:?} changes");
}

/// One source of changes.
struct Churn {
    quire: Arc<Quire>,
    rng: StdRng,
    leases: Vec<Lease>,
}

impl Churn {
    async fn change(&mut self) {
        let store = self.quire.store.clone();
        match self.rng.random_range(0..20) {
            0..5 => {
                let mut new = upload("churn");
                if self.rng.random_bool(0.2) {
                    new.scheduled_at =
                        Some(quire_store::clock::now() + std::time::Duration::from_hours(1));
                }
                store.create_upload(new).await.unwrap();
            }
            5..10 => self.claim().await,
            10..17 => self.end_one().await,
            17 => {
                let Some(job) = self.any("select id from quire.jobs where state not in ('completed', 'cancelled') order by random() limit 1").await else { return };
                store.cancel_job(Owner::LOCAL, job).await.unwrap();
            }
            18 => {
                let Some(job) = self.any("select id from quire.jobs where state in ('failed', 'cancelled') order by random() limit 1").await else { return };
                store.retry_job(Owner::LOCAL, job).await.unwrap();
            }
            _ if self.rng.random_bool(0.5) => {
                store.compact_tallies().await.unwrap();
            }
            _ => {
                sqlx::query("delete from quire.jobs where id in (select id from quire.jobs where finished_at is not null order by random() limit 2)")
                    .execute(self.quire.sql())
                    .await
                    .unwrap();
            }
        }
    }

    async fn any(&self, statement: &'static str) -> Option<quire_store::JobId> {
        let id: Option<uuid::Uuid> = sqlx::query_scalar(statement)
            .fetch_optional(self.quire.sql())
            .await
            .unwrap();
        id.map(quire_store::JobId)
    }

    async fn claim(&mut self) {
        let row = sqlx::query(
            "select id, ticket from quire.jobs where state = 'queued' order by random() limit 1",
        );
        let Some(row) = row.fetch_optional(self.quire.sql()).await.unwrap() else {
            return;
        };
        let ticket = quire_store::Ticket {
            job: quire_store::JobId(row.get(0)),
            ticket: row.get(1),
        };
        let claimed = self.quire.store.claim(&ticket, self.quire.worker.name());
        self.leases.extend(claimed.await.unwrap());
    }

    async fn end_one(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let lease = self
            .leases
            .swap_remove(self.rng.random_range(0..self.leases.len()));
        let store = &self.quire.store;
        match self.rng.random_range(0..8) {
            0..3 if lease.stage == Stage::Extract => {
                store
                    .finish_extract(&lease, &json!({"pages": []}), 1)
                    .await
                    .unwrap();
            }
            0..5 => {
                store.complete(&lease, "42", json!({})).await.unwrap();
            }
            5 => {
                store
                    .fail(&lease, "damaged", "cannot be read")
                    .await
                    .unwrap();
            }
            6 => {
                store
                    .retry_later(&lease, "engine_busy", "try again")
                    .await
                    .unwrap();
            }
            _ => {
                store.release(&lease).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn the_comparison_notices_a_count_that_was_missed() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    sqlx::query("alter table quire.jobs disable trigger tally_update")
        .execute(quire.sql())
        .await
        .unwrap();
    quire
        .store
        .fail(&lease, "damaged", "cannot be read")
        .await
        .unwrap();
    let (snapshot, truth) = look(quire.sql()).await;
    assert_ne!(Truth::of(&snapshot), truth);
}

#[tokio::test]
async fn folding_changes_no_number_and_leaves_few_rows() {
    let quire = Quire::new().await;
    for _ in 0..3 {
        let lease = quire.answering().await;
        quire.store.complete(&lease, "42", json!({})).await.unwrap();
    }
    let lease = quire.extracting().await;
    quire
        .store
        .retry_later(&lease, "engine_busy", "try again")
        .await
        .unwrap();
    // As if it were long ago.
    sqlx::query("update quire.tallies set slot = slot - interval '1 day' where slot > '-infinity'")
        .execute(quire.sql())
        .await
        .unwrap();
    let before = quire.store.queue_metrics().await.unwrap();
    assert!(quire.store.compact_tallies().await.unwrap() >= 3);
    let after = quire.store.queue_metrics().await.unwrap();
    assert_eq!(
        (&after.moves, after.now.ended),
        (&before.moves, before.now.ended)
    );
    assert_eq!(
        (&after.wait.buckets, &after.run.buckets),
        (&before.wait.buckets, &before.run.buckets)
    );
    assert_eq!(
        quire
            .count("select count(*) from quire.tallies where slot > '-infinity' or backend <> 0")
            .await,
        0
    );
    let total = |what: &str| {
        let moves = after.moves.iter().filter(|row| row.what == what);
        moves.map(|row| row.total).sum::<i64>()
    };
    assert_eq!(
        (total("completed"), total("attempt"), total("retry")),
        (3, 7, 1)
    );
    let counted = |buckets: &[quire_store::Bucket]| buckets.iter().map(|b| b.count).sum::<i64>();
    assert_eq!(
        (counted(&after.wait.buckets), counted(&after.run.buckets)),
        (3, 3)
    );
}

#[tokio::test]
async fn rescues_and_crashes_are_counted_also_when_they_cost_the_job_nothing() {
    let quire = Quire::new().await;
    let worker = quire.store.register_worker(&worker_name()).await.unwrap();
    for _ in 0..2 {
        let ticket = quire.ticket(quire.job().await.id).await;
        let claimed = quire.store.claim(&ticket, worker.name()).await.unwrap();
        assert!(claimed.is_some());
    }
    // Its session ends without a sign-off, as with kill -9.
    drop(worker);
    until("both jobs are taken back", async || {
        quire.store.reap().await.unwrap() == 2
    })
    .await;
    let metrics = quire.store.queue_metrics().await.unwrap();
    let total = |what: &str| {
        let moves = metrics.moves.iter().filter(|row| row.what == what);
        moves.map(|row| row.total).sum::<i64>()
    };
    assert_eq!((total("rescue"), total("crash"), total("retry")), (2, 2, 0));
}

#[tokio::test]
async fn totals_never_fall_when_jobs_are_retried_or_deleted() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    quire
        .store
        .fail(&lease, "damaged", "cannot be read")
        .await
        .unwrap();
    quire
        .store
        .retry_job(Owner::LOCAL, lease.job.id)
        .await
        .unwrap();
    let done = quire.answering().await;
    quire.store.complete(&done, "42", json!({})).await.unwrap();
    sqlx::query("delete from quire.jobs where state = 'completed'")
        .execute(quire.sql())
        .await
        .unwrap();
    let metrics = quire.store.queue_metrics().await.unwrap();
    let ended = metrics
        .moves
        .iter()
        .filter(|row| matches!(row.what.as_str(), "completed" | "failed"));
    let ended: Vec<_> = ended
        .map(|row| (row.what.as_str(), row.stage, row.total))
        .collect();
    assert_eq!(
        ended,
        [
            ("completed", Stage::Answer, 1),
            ("failed", Stage::Extract, 1)
        ]
    );
    assert_eq!(metrics.now.ended, EndedCounts::default());
}

#[tokio::test]
async fn the_dead_are_listed_newest_first_in_pages_and_by_code() {
    let quire = Quire::new().await;
    let mut wanted = Vec::new();
    for code in ["damaged", "encrypted", "damaged", "damaged", "encrypted"] {
        let lease = quire.extracting().await;
        quire
            .store
            .fail(&lease, code, "cannot be read")
            .await
            .unwrap();
        wanted.insert(0, (lease.job.id, code.to_owned()));
    }
    let alive = created(quire.store.create_upload(upload("fine")).await.unwrap());
    quire
        .store
        .cancel_job(Owner::LOCAL, alive.id)
        .await
        .unwrap();
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = quire
            .store
            .dead_letters(&DeadFilter::default(), cursor, 2)
            .await
            .unwrap();
        assert_eq!(page.total_estimate, 5);
        seen.extend(page.letters.iter().map(|l| (l.id, l.code.clone())));
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen, wanted);
    let filter = DeadFilter {
        code: Some("encrypted".to_owned()),
        ..DeadFilter::default()
    };
    let page = quire.store.dead_letters(&filter, None, 200).await.unwrap();
    assert_eq!((page.letters.len(), page.total_estimate), (2, 2));
    let letter = &page.letters[0];
    assert_eq!(
        (letter.attempts, letter.failures, letter.crashes),
        (1, 1, 0)
    );
    assert_eq!(
        (letter.state, letter.stage, letter.message.as_str()),
        (JobState::Failed, Stage::Extract, "cannot be read")
    );
}

#[tokio::test]
async fn requeue_takes_what_the_filter_says_and_no_more() {
    let quire = Quire::new().await;
    let mut jobs = Vec::new();
    for code in ["damaged", "encrypted", "damaged", "damaged"] {
        let lease = quire.extracting().await;
        quire
            .store
            .fail(&lease, code, "cannot be read")
            .await
            .unwrap();
        jobs.push(lease.job.id);
    }
    let cancelled = quire.job().await.id;
    quire
        .store
        .cancel_job(Owner::LOCAL, cancelled)
        .await
        .unwrap();
    let damaged = DeadFilter {
        code: Some("damaged".to_owned()),
        ..DeadFilter::default()
    };
    // Those that ended first come first.
    assert_eq!(quire.store.requeue_letters(&damaged, 2).await.unwrap(), 2);
    for (job, state) in [
        (jobs[0], JobState::Queued),
        (jobs[1], JobState::Failed),
        (jobs[2], JobState::Queued),
        (jobs[3], JobState::Failed),
    ] {
        assert_eq!(quire.state(job).await, state);
    }
    // Each is a whole new run: it can be claimed, and has its own end.
    let lease = quire.claim(jobs[0]).await;
    assert!(quire.store.complete(&lease, "42", json!({})).await.unwrap());
    assert_eq!(quire.ends(jobs[0]).await, 2);
    let named = DeadFilter {
        jobs: vec![jobs[1], cancelled, jobs[0]],
        ..DeadFilter::default()
    };
    assert_eq!(quire.store.requeue_letters(&named, 10).await.unwrap(), 1);
    assert_eq!(quire.state(jobs[1]).await, JobState::Queued);
    assert_eq!(quire.state(cancelled).await, JobState::Cancelled);
}
