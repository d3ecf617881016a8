//! A database that is away, busy or stuck: told apart from bugs, and within seconds.

use quire_store::{Owner, Store, StoreOptions, testing::TestDb};

use crate::support::{Quire, upload};

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let options = StoreOptions {
        url: "postgres://postgres@localhost/quire?host=/nowhere".to_owned(),
        max_connections: 1,
        role: "quire-test",
    };
    let error = Store::connect(&options).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_is_not() {
    let options = StoreOptions {
        url: "nonsense".to_owned(),
        max_connections: 1,
        role: "quire-test",
    };
    assert!(!Store::connect(&options).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn without_a_free_connection_it_is_unavailable() {
    let db = TestDb::new().await;
    let options = StoreOptions {
        url: db.url().to_owned(),
        max_connections: 1,
        role: "quire-test",
    };
    let store = Store::connect(&options).await.unwrap();
    let taken = store.pool().acquire().await.unwrap();
    let error = store.create_upload(upload("?")).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    drop(taken);
    store.create_upload(upload("?")).await.unwrap();
}

#[tokio::test]
async fn jobs_that_hold_every_connection_of_theirs_leave_requests_one() {
    let db = TestDb::new().await;
    let store = db.store().await;
    let workers = store.for_workers(2);
    let taken = (
        workers.pool().acquire().await.unwrap(),
        workers.pool().acquire().await.unwrap(),
    );
    let error = workers.create_upload(upload("?")).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    store.create_upload(upload("?")).await.unwrap();
    drop(taken);
    workers.create_upload(upload("?")).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_somebody_sits_on_is_unavailable() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    let mut sitter = quire.sql().begin().await.unwrap();
    sqlx::query("lock table quire.jobs in access exclusive mode")
        .execute(&mut *sitter)
        .await
        .unwrap();
    let error = quire
        .store
        .cancel_job(Owner::LOCAL, job.id)
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    sitter.rollback().await.unwrap();
    quire.store.cancel_job(Owner::LOCAL, job.id).await.unwrap();
}

#[tokio::test]
async fn no_session_waits_without_end() {
    let quire = Quire::new().await;
    let unbounded = "select count(*) from pg_settings
         where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') and setting = '0'";
    assert_eq!(quire.count(unbounded).await, 0);
}
