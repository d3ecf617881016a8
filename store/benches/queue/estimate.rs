//! How wrong estimates are: jobs of very different length through a fixed number of slots, asked for a time while they wait.
//!
//! Time is scaled down (a job of 0.3 s stands for one of seconds to minutes): errors are given as shares of the wait itself.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use quire_store::{JobId, Owner, QUEUE_ANSWER, QUEUE_EXTRACT, Stage, Store, Ticket, clock};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{task::JoinSet, time::sleep};

use crate::{Figure, database::Server, enqueue, percentile};

/// Slots of each stage.
const SLOTS: usize = 4;
/// Jobs before the ones that are asked about, so that run times are known.
const BEFORE: usize = 100;
const JOBS: usize = 150;
const SEED: u64 = 20_26;
/// Median run times of the stages, in milliseconds; the spread is that of a logarithmic normal distribution.
const MEDIANS: [(Stage, f64); 2] = [(Stage::Extract, 100.0), (Stage::Answer, 200.0)];
const SPREAD: f64 = 0.8;

struct Asked {
    job: JobId,
    at: DateTime<Utc>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
}

/// Measures the error of start and end.
pub async fn measure(server: &Server) -> Vec<Figure> {
    let store = server.ours("estimate", 24).await;
    let guard = store.register_worker("bench").await.unwrap();
    store.note_slots(guard.name(), SLOTS, SLOTS).await.unwrap();
    run_all(&store, guard.name(), BEFORE, None).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    run_all(&store, guard.name(), JOBS, Some(Arc::clone(&asked))).await;
    let (mut starts, mut ends, mut signed) = (Vec::new(), Vec::new(), Vec::new());
    let asked = std::mem::take(&mut *asked.lock());
    for asked in &asked {
        let job = store.job(Owner::LOCAL, asked.job).await.unwrap().unwrap();
        let (started, ended) = (job.started_at.unwrap(), job.finished_at.unwrap());
        starts.push(error(asked.at, asked.starts_at, started).abs());
        ends.push(error(asked.at, asked.ends_at, ended).abs());
        signed.push(error(asked.at, asked.ends_at, ended));
    }
    guard.stop().await;
    store.close().await;
    let asked = starts.len();
    let bias = percentile(&mut signed, 0.5);
    let line = |what: &str, sample: &mut [f64]| {
        let (p50, p90) = (percentile(sample, 0.5), percentile(sample, 0.9));
        let measured = format!(
            "off by {:.0} % of the wait (p50), {:.0} % (p90), n = {asked}",
            p50 * 100.0,
            p90 * 100.0
        );
        Figure::new(what, "", measured)
    };
    vec![
        line("estimated start", &mut starts),
        line("estimated finish", &mut ends),
        Figure::new(
            "estimated finish, direction",
            "",
            format!(
                "{:+.0} % of the wait (median; + is later than promised)",
                bias * 100.0
            ),
        ),
    ]
}

/// Shorter waits than about one job's time are measured by it: there is nothing to estimate in them.
const LEAST_WAIT: f64 = 0.3;

/// The error as a share of the whole wait, positive when it came later.
fn error(asked: DateTime<Utc>, expected: DateTime<Utc>, came: DateTime<Utc>) -> f64 {
    let wait = (came - asked).as_seconds_f64().max(LEAST_WAIT);
    (came - expected).as_seconds_f64() / wait
}

/// Takes jobs in, asks about each tenth one in the middle of the backlog, and runs all to their end.
async fn run_all(store: &Store, worker: &str, jobs: usize, asked: Option<Arc<Mutex<Vec<Asked>>>>) {
    let new = (0..jobs).map(enqueue::upload).collect();
    let created = store.create_uploads(new).await.unwrap();
    let ids: Vec<JobId> = created
        .into_iter()
        .filter_map(|created| match created {
            quire_store::Created::New(job) => Some(job.id),
            _ => None,
        })
        .collect();
    let mut slots = JoinSet::new();
    for number in 0..SLOTS as u64 {
        for (stage, median) in MEDIANS {
            let (store, worker) = (store.clone(), worker.to_owned());
            let random =
                StdRng::seed_from_u64(SEED + number * 2 + u64::from(stage == Stage::Answer));
            slots.spawn(async move { slot(&store, &worker, (stage, median), random).await });
        }
    }
    if let Some(asked) = asked {
        for batch in ids.chunks(30) {
            for id in batch.iter().step_by(5) {
                ask(store, *id, &asked).await;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
    loop {
        let last = store
            .job(Owner::LOCAL, *ids.last().unwrap())
            .await
            .unwrap()
            .unwrap();
        let waiting = store.count_waiting(1).await.unwrap();
        if waiting == 0 && last.state.is_terminal() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    // Jobs that were ahead of the last may still run.
    sleep(Duration::from_secs(2)).await;
    slots.shutdown().await;
}

async fn ask(store: &Store, job: JobId, asked: &Mutex<Vec<Asked>>) {
    let estimate = store.estimate(Owner::LOCAL, job).await.unwrap().unwrap();
    let at = clock::now();
    if let (Some(_), Some(starts_at), Some(ends_at)) =
        (estimate.position, estimate.starts_at, estimate.ends_at)
        && starts_at > at
    {
        asked.lock().push(Asked {
            job,
            at,
            starts_at,
            ends_at,
        });
    }
}

/// Runs jobs of one stage, one after the other.
async fn slot(store: &Store, worker: &str, (stage, median): (Stage, f64), mut random: StdRng) {
    let name = format!("{worker}/slot");
    let queue = match stage {
        Stage::Extract => QUEUE_EXTRACT,
        Stage::Answer => QUEUE_ANSWER,
    };
    sqlx::query("insert into apalis.workers (id, worker_type, storage_name) values ($1, $2, 'bench') on conflict do nothing")
        .bind(&name)
        .bind(queue)
        .execute(store.pool())
        .await
        .unwrap();
    loop {
        let payload: Option<Vec<u8>> =
            sqlx::query_scalar("select job from apalis.get_jobs($1, $2, 1)")
                .bind(&name)
                .bind(queue)
                .fetch_optional(store.pool())
                .await
                .unwrap();
        let Some(payload) = payload else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let ticket: Ticket = serde_json::from_slice(&payload).unwrap();
        let lease = store.claim(&ticket, worker).await.unwrap().unwrap();
        // The sum of twelve uniform numbers is nearly normal.
        let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let millis = median * (SPREAD * normal).exp();
        sleep(Duration::from_secs_f64(millis / 1000.0)).await;
        match stage {
            Stage::Extract => store
                .finish_extract(&lease, &serde_json::json!({}), 1)
                .await
                .unwrap(),
            Stage::Answer => store
                .complete(&lease, "a", serde_json::json!({}))
                .await
                .unwrap(),
        };
    }
}
