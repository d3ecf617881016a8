//! Deadlines, snoozes, dead letters, and workers that were taken for dead.

use std::time::Duration;

use quire_store::{
    DEADLINE_EXCEEDED, EmbeddedPostgres, JobState, MAX_CRASHES, MAX_FAILURES, MAX_SNOOZES, Owner,
    Store, StoreOptions, Ticket,
};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};

use crate::support::{Quire, created, until, upload, within, worker_name};

const WAITS_FOR: (&str, &str) = ("parser_unavailable", "the parser cannot be started");

/// Ends the sessions that hold worker locks, as a cut connection does.
async fn cut_sessions(quire: &Quire) {
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_locks
         where locktype = 'advisory' and granted and pid <> pg_backend_pid()
           and database = (select oid from pg_database where datname = current_database())",
    )
    .execute(quire.sql())
    .await
    .unwrap();
}

#[tokio::test]
async fn a_snooze_costs_nothing() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    let job = lease.job.id;
    let slept = quire.store.snooze(&lease, Duration::ZERO, WAITS_FOR).await;
    assert!(slept.unwrap());
    assert_eq!(quire.state(job).await, JobState::Scheduled);
    assert_eq!(
        quire
            .count("select count(*) from quire.jobs where failures + crashes + attempt = 0")
            .await,
        1
    );
    until("its time comes", async || {
        quire.store.promote_due().await.unwrap() == 1
    })
    .await;
    let again = quire.claim(job).await;
    assert_eq!(again.job.attempt, 1);
    assert_eq!(
        quire.kinds(job).await,
        ["queued", "queued"],
        "not restarted"
    );
    let late = quire.store.snooze(&lease, Duration::ZERO, WAITS_FOR).await;
    assert!(!late.unwrap(), "the first owner has no say");
}

#[tokio::test]
async fn whoever_sleeps_too_often_fails_a_try() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    sqlx::query("update quire.jobs set snoozes = $1")
        .bind(MAX_SNOOZES)
        .execute(quire.sql())
        .await
        .unwrap();
    let slept = quire.store.snooze(&lease, Duration::ZERO, WAITS_FOR).await;
    assert!(slept.unwrap());
    let job = quire.read(lease.job.id).await;
    assert_eq!((job.state, job.attempt), (JobState::Scheduled, 1));
    assert_eq!(job.error_code.as_deref(), Some(WAITS_FOR.0));
    assert_eq!(
        quire
            .count("select count(*) from quire.jobs where failures = 1")
            .await,
        1
    );
}

#[tokio::test]
async fn the_time_of_a_run_is_that_of_all_its_attempts() {
    let quire = Quire::new().await;
    let hour = Duration::from_hours(1);
    let worker = quire
        .store
        .register_worker_with(&worker_name(), hour)
        .await
        .unwrap();
    let job = quire.job().await.id;
    let mut left = Vec::new();
    for _ in 0..3 {
        let ticket = quire.ticket(job).await;
        let lease = quire.store.claim(&ticket, worker.name()).await.unwrap();
        let lease = lease.unwrap();
        left.push(lease.time_left);
        quire
            .execute(
                "update quire.jobs set claimed_at = claimed_at - interval '25 minutes' where id = $1",
                job,
            )
            .await;
        assert!(quire.store.release(&lease).await.unwrap());
    }
    let minutes: Vec<u64> = left
        .iter()
        .map(|left| left.as_secs().div_ceil(60))
        .collect();
    assert_eq!(minutes, [60, 35, 10]);
    let ticket = quire.ticket(job).await;
    let spent = quire.store.claim(&ticket, worker.name()).await.unwrap();
    assert_eq!(spent.unwrap().time_left, Duration::ZERO);
}

#[tokio::test]
async fn a_job_past_its_deadline_is_ended_from_outside() {
    let quire = Quire::new().await;
    let (late, in_time) = (quire.extracting().await, quire.extracting().await);
    quire
        .execute(
            "update quire.jobs set deadline_at = now() - interval '1 minute' where id = $1",
            late.job.id,
        )
        .await;
    let outside = quire.db.store().await;
    assert_eq!(outside.end_overdue().await.unwrap(), 1);
    within("the attempt is told", late.lost.cancelled()).await;
    let job = quire.read(late.job.id).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.error_code.as_deref(), Some(DEADLINE_EXCEEDED.0));
    assert_eq!(quire.ends(late.job.id).await, 1);
    assert_eq!(quire.state(in_time.job.id).await, JobState::Running);
    assert_eq!(outside.end_overdue().await.unwrap(), 0);
}

#[tokio::test]
async fn dead_letters_are_queued_again_oldest_first() {
    let quire = Quire::new().await;
    let mut dead = Vec::new();
    for _ in 0..3 {
        let lease = quire.extracting().await;
        quire
            .execute(
                "update quire.jobs set failures = 100 where id = $1",
                lease.job.id,
            )
            .await;
        assert!(quire.store.retry_later(&lease, "x", "x").await.unwrap());
        dead.push(lease.job.id);
    }
    let failed = quire.extracting().await;
    assert!(quire.store.fail(&failed, "damaged", "x").await.unwrap());
    let stranger = Owner(uuid::Uuid::from_u128(9));
    assert_eq!(quire.store.requeue_dead(stranger, 10).await.unwrap(), 0);
    assert_eq!(quire.store.requeue_dead(Owner::LOCAL, 2).await.unwrap(), 2);
    assert_eq!(quire.state(dead[2]).await, JobState::Dead);
    assert_eq!(quire.store.requeue_dead(Owner::LOCAL, 10).await.unwrap(), 1);
    assert_eq!(quire.store.requeue_dead(Owner::LOCAL, 10).await.unwrap(), 0);
    for job in dead {
        assert_eq!(quire.kinds(job).await, ["queued", "failed", "queued"]);
        let lease = quire.claim(job).await;
        assert!(quire.store.retry_later(&lease, "x", "x").await.unwrap());
        assert_eq!(
            quire.state(job).await,
            JobState::Scheduled,
            "it has all its {MAX_FAILURES} tries again"
        );
    }
    assert_eq!(quire.state(failed.job.id).await, JobState::Failed);
}

#[tokio::test]
async fn a_process_does_not_bury_its_own_worker() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    cut_sessions(&quire).await;
    assert_eq!(quire.store.reap().await.unwrap(), 0);
    assert_eq!(quire.state(lease.job.id).await, JobState::Running);
    assert!(!lease.lost.is_cancelled());
}

#[tokio::test]
async fn a_worker_that_was_not_dead_is_not_charged() {
    let quire = Quire::new().await;
    let outside = quire.db.store().await;
    for _ in 0..=MAX_CRASHES {
        let lease = quire.extracting().await;
        let job = lease.job.id;
        until("others take it for dead", async || {
            cut_sessions(&quire).await;
            outside.reap().await.unwrap() == 1
        })
        .await;
        within("the attempt is told", lease.lost.cancelled()).await;
        until("the crash is taken back", async || {
            quire
                .count("select count(*) from quire.jobs where crashes > 0")
                .await
                == 0
        })
        .await;
        assert_eq!(quire.state(job).await, JobState::Queued);
    }
}

#[tokio::test]
async fn looking_for_dead_workers_costs_next_to_nothing() {
    const LOOKS: u32 = 300;
    let quire = Quire::new().await;
    let outside = quire.db.store().await;
    let mut others = Vec::new();
    for _ in 0..9 {
        others.push(quire.store.register_worker(&worker_name()).await.unwrap());
    }
    outside.reap().await.unwrap();
    assert_eq!(
        outside.reap_interval(),
        Duration::from_secs(1),
        "ten processes look ten times a second together"
    );
    let started = std::time::Instant::now();
    for _ in 0..LOOKS {
        outside.reap().await.unwrap();
    }
    let each = started.elapsed() / LOOKS;
    println!("one look at ten workers takes {each:?}, the way to the server and back included");
    assert!(each < Duration::from_millis(50), "{each:?}");
    outside.reap().await.unwrap();
}

/// Kills one of the server's processes, which makes it drop every session and begin anew.
async fn crash(url: &str) {
    let mut victim = PgConnection::connect(url).await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut victim)
        .await
        .unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_server_that_dies_takes_no_worker_with_it() {
    let dir = tempfile::tempdir().unwrap();
    // Postgres runs as another user when the tests run as root.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), mode).unwrap();
    let server = EmbeddedPostgres::start(&dir.path().join("postgres")).unwrap();
    let connect = async || {
        let options = StoreOptions {
            url: server.url().to_owned(),
            max_connections: 4,
            role: "quire-test",
        };
        Store::connect(&options).await.unwrap()
    };
    let (store, outside) = (connect().await, connect().await);
    store.migrate().await.unwrap();
    let worker = store.register_worker("w").await.unwrap();
    let job = created(store.create_upload(upload("?")).await.unwrap()).id;
    let ticket = sqlx::query_scalar("select ticket from quire.jobs where id = $1")
        .bind(job.0)
        .fetch_one(store.pool())
        .await
        .unwrap();
    let lease = store.claim(&Ticket { job, ticket }, worker.name()).await;
    let lease = lease.unwrap().unwrap();
    crash(server.url()).await;
    // Unavailable at first; from its first answer on nobody may be buried.
    let answers = std::cell::Cell::new(0);
    until("the worker has had time to come back", async || {
        if let Ok(taken) = outside.reap().await {
            assert_eq!(taken, 0, "after {} looks", answers.get());
            answers.set(answers.get() + 1);
        }
        answers.get() > 100
    })
    .await;
    assert!(!lease.lost.is_cancelled());
    assert!(
        store
            .fail(&lease, "x", "it still owns the job")
            .await
            .unwrap()
    );
    worker.stop().await;
    store.close().await;
    outside.close().await;
    server.stop().unwrap();
}
