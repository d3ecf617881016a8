//! Workers that die, freeze, or come back.

use quire_store::{JobState, MAX_CRASHES, MAX_FAILURES, Owner, StoreError, WorkerGuard};
use sqlx::{Connection as _, PgConnection};

use crate::support::{Quire, until, within, worker_name};

/// The worker's session ends without a sign-off, as with kill -9.
async fn kill(quire: &Quire, worker: WorkerGuard) -> String {
    let name = worker.name().to_owned();
    drop(worker);
    until("the session is gone", async || {
        let free: bool =
            sqlx::query_scalar("select pg_try_advisory_xact_lock(quire.worker_lock($1))")
                .bind(&name)
                .fetch_one(quire.sql())
                .await
                .unwrap();
        free
    })
    .await;
    name
}

async fn claim_as(
    quire: &Quire,
    job: quire_store::JobId,
    worker: &WorkerGuard,
) -> quire_store::Lease {
    let ticket = quire.ticket(job).await;
    quire
        .store
        .claim(&ticket, worker.name())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn the_jobs_of_a_dead_worker_run_again_until_they_are_poison() {
    let quire = Quire::new().await;
    let job = quire.job().await.id;
    for death in 1..=MAX_CRASHES {
        let worker = quire.store.register_worker(&worker_name()).await.unwrap();
        let lease = claim_as(&quire, job, &worker).await;
        assert_eq!(quire.store.reap().await.unwrap(), 0, "it is alive");
        kill(&quire, worker).await;
        assert_eq!(quire.store.reap().await.unwrap(), 1);
        within("the old attempt is told", lease.lost.cancelled()).await;
        assert!(!quire.store.fail(&lease, "late", "late").await.unwrap());
        let wanted = if death < MAX_CRASHES {
            JobState::Queued
        } else {
            JobState::Failed
        };
        assert_eq!(quire.state(job).await, wanted);
    }
    let job = quire.read(job).await;
    assert_eq!(job.error_code.as_deref(), Some("poison"));
    let restarts = vec!["restarted"; MAX_CRASHES as usize - 1];
    let kinds = [vec!["queued"], restarts, vec!["failed"]].concat();
    assert_eq!(quire.kinds(job.id).await, kinds);
    assert_eq!(quire.count("select count(*) from quire.workers").await, 1);
    assert_eq!(quire.store.reap().await.unwrap(), 0);
}

#[tokio::test]
async fn who_dies_with_others_spends_tries_and_runs_alone_from_then_on() {
    let quire = Quire::new().await;
    let jobs = [quire.job().await.id, quire.job().await.id];
    for _ in 0..MAX_FAILURES {
        let worker = quire.store.register_worker(&worker_name()).await.unwrap();
        for job in jobs {
            claim_as(&quire, job, &worker).await;
        }
        kill(&quire, worker).await;
        assert_eq!(quire.store.reap().await.unwrap(), 2);
    }
    for job in jobs {
        assert_eq!(quire.state(job).await, JobState::Queued);
    }
    let calls: Vec<Vec<u8>> =
        sqlx::query_scalar("select job from apalis.jobs where status = 'Pending' order by run_at desc, id desc limit 2")
            .fetch_all(quire.sql())
            .await
            .unwrap();
    for call in calls {
        let call: quire_store::Call = serde_json::from_slice(&call).unwrap();
        assert!(call.suspect && jobs.contains(&call.ticket.job), "{call:?}");
    }
}

#[tokio::test]
async fn racing_reapers_take_a_job_once() {
    let quire = Quire::new().await;
    let job = quire.job().await.id;
    let worker = quire.store.register_worker(&worker_name()).await.unwrap();
    claim_as(&quire, job, &worker).await;
    kill(&quire, worker).await;
    let others = (quire.db.store().await, quire.db.store().await);
    let taken = tokio::join!(quire.store.reap(), others.0.reap(), others.1.reap());
    assert_eq!(taken.0.unwrap() + taken.1.unwrap() + taken.2.unwrap(), 1);
    assert_eq!(
        quire
            .count("select count(*) from quire.jobs where crashes = 1")
            .await,
        1
    );
}

#[tokio::test]
async fn a_restart_under_the_same_name_takes_its_jobs_back_at_once() {
    let quire = Quire::new().await;
    let job = quire.job().await.id;
    let worker = quire.store.register_worker("same").await.unwrap();
    claim_as(&quire, job, &worker).await;
    kill(&quire, worker).await;
    let again = quire.store.register_worker("same").await.unwrap();
    assert_eq!(quire.state(job).await, JobState::Queued);
    claim_as(&quire, job, &again).await;
}

#[tokio::test]
async fn a_name_in_use_is_refused() {
    let quire = Quire::new().await;
    let elsewhere = quire.db.store().await;
    let refused = elsewhere.register_worker(quire.worker.name()).await;
    assert!(matches!(refused, Err(StoreError::WorkerNameTaken(_))));
}

#[tokio::test]
async fn queue_entries_in_the_hands_of_a_dead_worker_are_free_at_once() {
    let quire = Quire::new().await;
    quire.job().await;
    let worker = quire.store.register_worker(&worker_name()).await.unwrap();
    for name in [
        worker.apalis_name("extract-0"),
        quire.worker.apalis_name("extract-0"),
    ] {
        sqlx::query("insert into apalis.workers (id, worker_type, storage_name) values ($1, 'quire.extract', 'test')")
            .bind(name)
            .execute(quire.sql())
            .await
            .unwrap();
    }
    sqlx::query("update apalis.jobs set status = 'Queued', lock_by = $1")
        .bind(worker.apalis_name("extract-0"))
        .execute(quire.sql())
        .await
        .unwrap();
    quire.store.reap().await.unwrap();
    assert_eq!(
        quire
            .count("select count(*) from apalis.jobs where status = 'Queued'")
            .await,
        1
    );
    kill(&quire, worker).await;
    quire.store.reap().await.unwrap();
    assert_eq!(
        quire
            .count("select count(*) from apalis.jobs where status = 'Pending' and attempts = 0")
            .await,
        1
    );
}

#[tokio::test]
async fn the_jobs_of_a_frozen_worker_run_again_as_a_failed_try() {
    let quire = Quire::new().await;
    let job = quire.job().await.id;
    // A process that is stopped: its session and its lock live on, its heartbeat does not.
    let mut session = PgConnection::connect(quire.db.url()).await.unwrap();
    sqlx::query("select pg_advisory_lock(quire.worker_lock('frozen'))")
        .execute(&mut session)
        .await
        .unwrap();
    sqlx::query("insert into quire.workers (name, process, seen_at) values ('frozen', 1, now() - interval '1 hour')")
        .execute(quire.sql())
        .await
        .unwrap();
    let ticket = quire.ticket(job).await;
    let lease = quire.store.claim(&ticket, "frozen").await.unwrap().unwrap();
    assert_eq!(
        quire.store.reap().await.unwrap(),
        0,
        "one look is not enough"
    );
    until("the job is taken", async || {
        quire.store.reap().await.unwrap() == 1
    })
    .await;
    assert!(lease.lost.is_cancelled());
    assert_eq!(quire.state(job).await, JobState::Queued);
    assert_eq!(
        quire
            .count("select count(*) from quire.jobs where crashes = 0 and failures = 1")
            .await,
        1
    );
}

#[tokio::test]
async fn a_worker_that_signs_off_gives_its_jobs_back_for_free() {
    let quire = Quire::new().await;
    let job = quire.job().await.id;
    let worker = quire.store.register_worker(&worker_name()).await.unwrap();
    let lease = claim_as(&quire, job, &worker).await;
    worker.stop().await;
    assert!(lease.lost.is_cancelled());
    let job = quire.read(job).await;
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0));
    assert_eq!(
        quire
            .count("select count(*) from quire.jobs where crashes + failures > 0")
            .await,
        0
    );
    assert_eq!(quire.count("select count(*) from quire.workers").await, 1);
}

#[tokio::test]
async fn an_attempt_that_nobody_works_on_is_given_back() {
    let quire = Quire::new().await;
    let (dropped, held) = (quire.extracting().await, quire.extracting().await);
    let job = dropped.job.id;
    // As when the reply to the claim is lost, or a handler panics.
    drop(dropped);
    sqlx::query("update quire.jobs set claimed_at = now() - interval '1 minute'")
        .execute(quire.sql())
        .await
        .unwrap();
    until("the job is queued again", async || {
        quire.state(job).await == JobState::Queued
    })
    .await;
    assert_eq!(quire.state(held.job.id).await, JobState::Running);
    assert!(!held.lost.is_cancelled());
}

#[tokio::test]
async fn a_lost_attempt_is_noticed_without_a_notification() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    quire
        .execute(
            "update quire.jobs
             set state = 'cancelled', finished_at = now(), attempt_id = null, worker = null, claimed_at = null
             where id = $1",
            lease.job.id,
        )
        .await;
    within("the heartbeat notices", lease.lost.cancelled()).await;
}

#[tokio::test]
async fn a_worker_outlives_the_loss_of_its_session() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    // Ends every session of this database but the one that asks.
    sqlx::query(
        "select pg_terminate_backend(pid)
         from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(quire.sql())
    .await
    .unwrap();
    until("the lock is held again", async || {
        let held: Result<i64, _> = sqlx::query_scalar(
            "select count(*)
             from pg_locks l
             join quire.workers w on l.locktype = 'advisory'
              and ((l.classid::bigint << 32) | l.objid::bigint) = quire.worker_lock(w.name)
             where l.granted",
        )
        .fetch_one(quire.sql())
        .await;
        held.is_ok_and(|count| count == 1)
    })
    .await;
    assert!(!lease.lost.is_cancelled());
    assert!(quire.store.release(&lease).await.unwrap());
    quire
        .store
        .cancel_job(Owner::LOCAL, lease.job.id)
        .await
        .unwrap();
}
