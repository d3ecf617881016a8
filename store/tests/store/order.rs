//! Who is served next: turns between owners, ageing, slots, pause, another priority, another time, and what is said about it.

use std::{collections::HashMap, time::Duration};

use quire_store::{
    Confidence, Job, JobId, JobState, MoveOutcome, NewUpload, Owner, QUEUE_EXTRACT, Stage, clock,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sqlx::postgres::PgListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    queue::{drain, fetch},
    support::{Quire, created, upload, within},
};

/// Owners in the order of their ids.
fn owner(number: u128) -> Owner {
    Owner(Uuid::from_u128(number))
}

async fn job_of(quire: &Quire, owner: Owner, priority: i32) -> Job {
    let new = NewUpload {
        owner,
        priority,
        ..upload("?")
    };
    created(quire.store.create_upload(new).await.unwrap())
}

async fn jobs_of(quire: &Quire, owner: Owner, count: usize) -> Vec<JobId> {
    let new = vec![
        NewUpload {
            owner,
            ..upload("?")
        };
        count
    ];
    let outcomes = quire.store.create_uploads(new).await.unwrap();
    outcomes.into_iter().map(|job| created(job).id).collect()
}

async fn next(quire: &Quire) -> Option<JobId> {
    fetch(quire).await.map(|ticket| ticket.job)
}

/// Makes the job look as if it had been queued so many seconds ago.
async fn age(quire: &Quire, job: JobId, seconds: f64) {
    let ticket = quire.ticket(job).await.ticket.to_string();
    sqlx::query("update apalis.jobs set run_at = run_at - make_interval(secs => $2) where idempotency_key = $1")
        .bind(ticket)
        .bind(seconds)
        .execute(quire.sql())
        .await
        .unwrap();
}

/// The acknowledgement of a job that was fetched.
async fn acknowledge(quire: &Quire, job: JobId) {
    let ticket = quire.ticket(job).await.ticket.to_string();
    sqlx::query(
        "update apalis.jobs set status = 'Done', done_at = now() where idempotency_key = $1",
    )
    .bind(ticket)
    .execute(quire.sql())
    .await
    .unwrap();
}

async fn listener(quire: &Quire) -> PgListener {
    let mut listener = PgListener::connect_with(quire.sql()).await.unwrap();
    listener.listen("apalis::job::insert").await.unwrap();
    listener
}

async fn heard(listener: &mut PgListener) -> serde_json::Value {
    let notification = within("the workers are woken", listener.recv())
        .await
        .unwrap();
    serde_json::from_str(notification.payload()).unwrap()
}

#[tokio::test]
async fn a_new_job_of_another_owner_is_served_next_however_many_wait() {
    let quire = Quire::new().await;
    let flood = jobs_of(&quire, owner(7), 1_000).await;
    assert_eq!(next(&quire).await, Some(flood[0]));
    for other in [owner(3), owner(9)] {
        let job = job_of(&quire, other, 0).await.id;
        assert_eq!(quire.store.queue_position(job).await.unwrap(), Some(1));
        assert_eq!(next(&quire).await, Some(job));
        // One turn later the flood goes on where it was.
        assert!(flood.contains(&next(&quire).await.unwrap()));
    }
}

#[tokio::test]
async fn owners_take_turns_and_each_ones_jobs_come_in_order() {
    let quire = Quire::new().await;
    let a = jobs_of(&quire, owner(1), 4).await;
    let b = jobs_of(&quire, owner(2), 2).await;
    let c = jobs_of(&quire, owner(3), 3).await;
    let wanted = [a[0], b[0], c[0], a[1], b[1], c[1], a[2], c[2], a[3]];
    assert_eq!(drain(&quire).await, wanted);
}

#[tokio::test]
async fn one_priority_does_not_take_the_turns_of_another() {
    let quire = Quire::new().await;
    let a = jobs_of(&quire, owner(1), 2).await;
    let b = jobs_of(&quire, owner(2), 2).await;
    let mut order = Vec::new();
    // An urgent job of a third owner before every other one: it must not always be the first owner's turn after it.
    for _ in 0..4 {
        let urgent = job_of(&quire, owner(9), 5).await.id;
        assert_eq!(next(&quire).await, Some(urgent));
        order.extend(next(&quire).await);
    }
    assert_eq!(order, [a[0], b[0], a[1], b[1]]);
}

#[tokio::test]
async fn a_class_that_has_waited_long_is_served_once_and_a_backlog_does_not_age() {
    let quire = Quire::new().await;
    let old = jobs_of(&quire, Owner::LOCAL, 2).await;
    let urgent: Vec<JobId> = [
        job_of(&quire, Owner::LOCAL, 9).await.id,
        job_of(&quire, Owner::LOCAL, 9).await.id,
    ]
    .into();
    // Nine levels take 270 s: one second less is not enough.
    age(&quire, old[0], 269.0).await;
    age(&quire, old[1], 269.0).await;
    assert_eq!(next(&quire).await, Some(urgent[0]));
    age(&quire, old[0], 60.0).await;
    age(&quire, old[1], 60.0).await;
    assert_eq!(next(&quire).await, Some(old[0]));
    assert_eq!(next(&quire).await, Some(urgent[1]), "its class was served");
    assert_eq!(next(&quire).await, Some(old[1]));
}

#[tokio::test]
async fn the_lowest_priority_gets_its_turn_under_a_flood_of_the_highest() {
    let quire = Quire::new().await;
    let low = job_of(&quire, Owner::LOCAL, -100).await.id;
    job_of(&quire, Owner::LOCAL, 100).await;
    job_of(&quire, Owner::LOCAL, 100).await;
    age(&quire, low, 5_000.0).await;
    assert_ne!(next(&quire).await, Some(low));
    age(&quire, low, 86_400.0).await;
    // 200 levels at most: level with a new job of the highest priority, which goes first, but not with one that comes later.
    assert_ne!(next(&quire).await, Some(low));
    assert_eq!(next(&quire).await, Some(low));
}

#[tokio::test]
async fn an_owner_at_his_limit_is_passed_over_until_a_slot_is_free() {
    let quire = Quire::new().await;
    quire.store.limit_owner_slots(2).await.unwrap();
    let a = jobs_of(&quire, owner(1), 5).await;
    let b = jobs_of(&quire, owner(2), 1).await;
    assert_eq!(drain(&quire).await, [a[0], b[0], a[1]]);
    let mut woken = listener(&quire).await;
    acknowledge(&quire, a[0]).await;
    assert_eq!(heard(&mut woken).await["job_type"], QUEUE_EXTRACT);
    assert_eq!(drain(&quire).await, [a[2]]);
    quire.store.limit_owner_slots(0).await.unwrap();
    assert_eq!(heard(&mut woken).await["job_type"], QUEUE_EXTRACT);
    assert_eq!(drain(&quire).await, [a[3], a[4]]);
}

#[tokio::test]
async fn a_higher_priority_of_an_owner_at_his_limit_holds_nobody_up() {
    let quire = Quire::new().await;
    quire.store.limit_owner_slots(1).await.unwrap();
    let first = job_of(&quire, owner(1), 9).await.id;
    job_of(&quire, owner(1), 9).await;
    let other = job_of(&quire, owner(2), 0).await.id;
    assert_eq!(drain(&quire).await, [first, other]);
}

#[tokio::test]
async fn fetches_at_once_give_each_job_once_and_keep_the_limit() {
    let quire = Quire::new().await;
    quire.store.limit_owner_slots(3).await.unwrap();
    for number in 1..=4 {
        jobs_of(&quire, owner(number), 10).await;
    }
    let stores = [
        quire.store.clone(),
        quire.db.store().await,
        quire.db.store().await,
    ];
    next(&quire).await.unwrap();
    let worker = quire.worker.apalis_name("extract-0");
    let mut fetches = JoinSet::new();
    for store in stores.iter().cycle().take(24) {
        let store = store.clone();
        let worker = worker.clone();
        fetches.spawn(async move {
            let ids: Vec<(String, Uuid)> =
                sqlx::query_as("select id, owner from apalis.get_jobs($1, $2, 1)")
                    .bind(worker)
                    .bind(QUEUE_EXTRACT)
                    .fetch_all(store.pool())
                    .await
                    .unwrap();
            ids
        });
    }
    let given: Vec<(String, Uuid)> = fetches.join_all().await.into_iter().flatten().collect();
    let distinct: std::collections::HashSet<&String> = given.iter().map(|(id, _)| id).collect();
    assert_eq!(
        (given.len(), distinct.len()),
        (11, 11),
        "12 slots, one taken before"
    );
    let mut of_owner: HashMap<Uuid, usize> = HashMap::new();
    for (_, owner) in &given {
        *of_owner.entry(*owner).or_default() += 1;
    }
    assert!(of_owner.values().all(|count| *count <= 3), "{of_owner:?}");
}

#[tokio::test]
async fn a_paused_queue_hands_nothing_out_and_wakes_its_workers_when_it_goes_on() {
    let quire = Quire::new().await;
    quire.store.pause_queue(Stage::Extract).await.unwrap();
    let job = quire.job().await.id;
    assert_eq!(next(&quire).await, None);
    assert_eq!(quire.store.paused_queues().await.unwrap(), [Stage::Extract]);
    let mut woken = listener(&quire).await;
    quire.store.resume_queue(Stage::Extract).await.unwrap();
    assert_eq!(heard(&mut woken).await["job_type"], QUEUE_EXTRACT);
    assert_eq!(next(&quire).await, Some(job));
    assert!(quire.store.paused_queues().await.unwrap().is_empty());
    // The other queue was never concerned; both can be paused, and twice.
    for _ in 0..2 {
        quire.store.pause_queue(Stage::Answer).await.unwrap();
        quire.store.pause_queue(Stage::Extract).await.unwrap();
    }
    assert_eq!(
        quire.store.paused_queues().await.unwrap(),
        [Stage::Extract, Stage::Answer]
    );
}

#[tokio::test]
async fn a_thousand_entries_are_one_notification() {
    let quire = Quire::new().await;
    let mut woken = listener(&quire).await;
    jobs_of(&quire, Owner::LOCAL, 1_000).await;
    jobs_of(&quire, Owner::LOCAL, 1).await;
    heard(&mut woken).await;
    heard(&mut woken).await;
    // A third would have come before this one.
    sqlx::query("select pg_notify('apalis::job::insert', '\"last\"')")
        .execute(quire.sql())
        .await
        .unwrap();
    assert_eq!(heard(&mut woken).await, "last");
}

#[tokio::test]
async fn positions_are_the_order_in_which_jobs_come() {
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let quire = Quire::new().await;
        let mut jobs = Vec::new();
        for _ in 0..60 {
            let owner = owner(random.random_range(1..6));
            jobs.push(job_of(&quire, owner, random.random_range(-1..2)).await.id);
        }
        // Somewhere in the middle of a round.
        for _ in 0..random.random_range(0..20) {
            let ticket = fetch(&quire).await.unwrap();
            quire
                .store
                .claim(&ticket, quire.worker.name())
                .await
                .unwrap()
                .unwrap();
        }
        let mut expected = Vec::new();
        for job in jobs {
            let position = quire.store.queue_position(job).await.unwrap();
            expected.extend(position.map(|position| (position, job)));
        }
        expected.sort_unstable();
        let places: Vec<i64> = expected.iter().map(|(position, _)| *position).collect();
        assert!(
            places.iter().copied().eq((1..).take(places.len())),
            "seed {seed}: {places:?}"
        );
        let order: Vec<JobId> = expected.into_iter().map(|(_, job)| job).collect();
        assert_eq!(drain(&quire).await, order, "seed {seed}");
    }
}

#[tokio::test]
async fn a_waiting_job_can_be_given_another_priority() {
    let quire = Quire::new().await;
    let (first, second) = (quire.job().await.id, quire.job().await.id);
    let outcome = quire
        .store
        .prioritize(Owner::LOCAL, second, 3)
        .await
        .unwrap();
    assert!(matches!(outcome, MoveOutcome::Moved(job) if job.priority == 3));
    assert_eq!(quire.store.queue_position(second).await.unwrap(), Some(1));
    assert_eq!(drain(&quire).await, [second, first]);
    let lease = quire.claim(second).await;
    // The second stage has it too.
    assert!(
        quire
            .store
            .finish_extract(&lease, &serde_json::json!({}), 1)
            .await
            .unwrap()
    );
    assert_eq!(
        quire
            .count("select priority::bigint from apalis.jobs where job_type = 'quire.answer'")
            .await,
        3
    );
}

#[tokio::test]
async fn a_job_that_does_not_wait_cannot_be_moved() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    let id = lease.job.id;
    let later = clock::now() + Duration::from_hours(1);
    let moves = async || {
        [
            quire.store.prioritize(Owner::LOCAL, id, 1).await.unwrap(),
            quire
                .store
                .reschedule(Owner::LOCAL, id, later)
                .await
                .unwrap(),
        ]
    };
    for outcome in moves().await {
        assert!(
            matches!(outcome, MoveOutcome::InvalidState(job) if job.state == JobState::Running)
        );
    }
    quire.store.fail(&lease, "x", "x").await.unwrap();
    for outcome in moves().await {
        assert!(matches!(outcome, MoveOutcome::InvalidState(job) if job.state == JobState::Failed));
    }
    let stranger = owner(1);
    for outcome in [
        quire.store.prioritize(stranger, id, 1).await.unwrap(),
        quire.store.reschedule(stranger, id, later).await.unwrap(),
    ] {
        assert_eq!(outcome, MoveOutcome::NotFound);
    }
}

#[tokio::test]
async fn a_queued_job_can_be_put_off_and_called_back() {
    let quire = Quire::new().await;
    let (job, behind) = (quire.job().await.id, quire.job().await.id);
    let stale = quire.ticket(job).await;
    let later = clock::now() + Duration::from_hours(1);
    let outcome = quire
        .store
        .reschedule(Owner::LOCAL, job, later)
        .await
        .unwrap();
    assert!(matches!(outcome, MoveOutcome::Moved(job) if job.state == JobState::Scheduled));
    assert_eq!(
        quire
            .store
            .claim(&stale, quire.worker.name())
            .await
            .unwrap()
            .map(|_| ()),
        None
    );
    assert_eq!(next(&quire).await, Some(behind));
    assert_eq!(next(&quire).await, None);
    let outcome = quire
        .store
        .reschedule(Owner::LOCAL, job, clock::now())
        .await
        .unwrap();
    assert!(matches!(outcome, MoveOutcome::Moved(job) if job.state == JobState::Queued));
    assert_eq!(next(&quire).await, Some(job));
    quire.claim(job).await;
}

#[tokio::test]
async fn a_queued_job_that_may_start_now_keeps_its_place() {
    let quire = Quire::new().await;
    let (job, behind) = (quire.job().await.id, quire.job().await.id);
    let ticket = quire.ticket(job).await;
    quire
        .store
        .reschedule(Owner::LOCAL, job, clock::now())
        .await
        .unwrap();
    assert_eq!(quire.ticket(job).await, ticket);
    assert_eq!(drain(&quire).await, [job, behind]);
}

#[tokio::test]
async fn an_estimate_comes_from_slots_and_recent_jobs() {
    let quire = Quire::new().await;
    let unknown = quire.job().await.id;
    let estimate = quire
        .store
        .estimate(Owner::LOCAL, unknown)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(estimate.position, Some(1));
    assert_eq!(
        (estimate.starts_at, estimate.confidence),
        (None, Confidence::None)
    );
    assert_eq!(quire.store.estimate(owner(1), unknown).await.unwrap(), None);

    for _ in 0..30 {
        let lease = quire.answering().await;
        assert!(
            quire
                .store
                .complete(&lease, "a", serde_json::json!({}))
                .await
                .unwrap()
        );
    }
    sqlx::query("update quire.jobs set extract_took = '10 s', answer_took = '20 s'")
        .execute(quire.sql())
        .await
        .unwrap();
    quire
        .store
        .note_slots(quire.worker.name(), 2, 4)
        .await
        .unwrap();
    let mut last = unknown;
    for _ in 0..4 {
        last = quire.job().await.id;
    }
    let before = clock::now();
    let estimate = quire
        .store
        .estimate(Owner::LOCAL, last)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (estimate.position, estimate.confidence),
        (Some(5), Confidence::High)
    );
    let seconds = |at: Option<chrono::DateTime<chrono::Utc>>| (at.unwrap() - before).num_seconds();
    // Two rounds of two slots are in front of it; answering has slots to spare for all but the last.
    assert_eq!(
        (seconds(estimate.starts_at), seconds(estimate.ends_at)),
        (20, 50)
    );
    quire.store.pause_queue(Stage::Extract).await.unwrap();
    let estimate = quire
        .store
        .estimate(Owner::LOCAL, last)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (estimate.starts_at, estimate.confidence),
        (None, Confidence::None)
    );
}
