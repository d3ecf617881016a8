//! Requests whose caller goes away: what was committed is heard, what was not has not happened.

use std::{
    future::{self, Future},
    pin::pin,
    task::Poll,
};

use quire_store::{Event, Owner};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::{Quire, heard_until_end, said, until};

/// Polls a request `polls` times, as a server does until its client goes away. Whether it came to its end.
async fn abandoned_after(polls: usize, request: impl Future) -> bool {
    let mut request = pin!(request);
    let mut left = polls;
    future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        request.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn a_client_that_goes_away_at_any_moment_hides_no_event() {
    let quire = Quire::new().await;
    for polls in 1.. {
        let job = quire.job().await.id;
        let mut heard = quire.store.events().subscribe();
        let finished = abandoned_after(polls, quire.store.cancel_job(Owner::LOCAL, job)).await;
        // Cancelled by the first request or by this one: either way everybody hears of it, once.
        quire.store.cancel_job(Owner::LOCAL, job).await.unwrap();
        let heard = heard_until_end(&mut heard, job).await;
        assert_eq!(heard.len(), 1, "abandoned after {polls} polls");
        assert_eq!(quire.ends(job).await, 1);
        if finished {
            break;
        }
    }
}

#[tokio::test]
async fn a_commit_whose_reply_nobody_waits_for_is_heard() {
    let quire = Quire::new().await;
    let job = quire.job().await.id;
    // Makes the commit wait for a lock that the test holds.
    sqlx::raw_sql(
        "create function wait_for_test() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock(42); return null; end $$;
         create constraint trigger wait_for_test after update on quire.jobs deferrable initially deferred
         for each row execute function wait_for_test()",
    )
    .execute(quire.sql())
    .await
    .unwrap();
    let mut gate = PgConnection::connect(quire.db.url()).await.unwrap();
    sqlx::query("select pg_advisory_lock(42)")
        .execute(&mut gate)
        .await
        .unwrap();
    let mut heard = quire.store.events().subscribe();
    let store = quire.store.clone();
    let request = tokio::spawn(async move { store.cancel_job(Owner::LOCAL, job).await });
    until("the commit waits", async || {
        let waits = "select count(*) from pg_locks where locktype = 'advisory' and objid = 42 and not granted";
        quire.count(waits).await == 1
    })
    .await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    gate.close().await.unwrap();
    let heard = heard_until_end(&mut heard, job).await;
    assert_eq!(
        heard.last().map(|record| &record.event),
        Some(&Event::Cancelled)
    );
}

#[tokio::test]
async fn events_whose_commit_was_not_confirmed_are_stored_once() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    // What an earlier try has left whose reply was lost.
    sqlx::query(
        "insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, origin, body)
         select id, (epoch::bigint << 20) + 1, job_day, created_at, owner, run, 0,
                '{\"kind\": \"chunk\", \"offset\": 0, \"text\": \"once\"}'
         from quire.jobs
         where id = $1",
    )
    .bind(lease.job.id.0)
    .execute(quire.sql())
    .await
    .unwrap();
    quire.store.writer(&lease).chunk("once");
    assert!(
        quire
            .store
            .complete(&lease, "once", json!({}))
            .await
            .unwrap()
    );
    assert_eq!(said(&quire.events(lease.job.id).await), "once");
}
