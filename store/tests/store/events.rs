//! Events: the same records, once and in order, on every way to every subscriber.

use std::time::Duration;

use quire_store::{Event, EventRecord, JobState, Owner, Stage};
use serde_json::json;
use sqlx::{Postgres, pool::PoolConnection};

use crate::support::{Quire, heard_until_end, said, until, within};

const WORDS: usize = 500;

/// Says five hundred words, with progress in between, and ends.
async fn answer(quire: &Quire, lease: &quire_store::Lease) -> String {
    let writer = quire.store.writer(lease);
    let mut text = String::new();
    for n in 0..WORDS {
        let word = format!("word{n} ");
        writer.chunk(&word);
        text.push_str(&word);
        if n % 10 == 0 {
            writer.progress(
                50 + (n / 10) as u8,
                Stage::Answer,
                n as u32,
                Some(WORDS as u32),
            );
        }
        if n % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(quire.store.complete(lease, &text, json!({})).await.unwrap());
    text
}

fn without_time(records: &[EventRecord]) -> Vec<(i64, Event)> {
    records
        .iter()
        .map(|record| (record.seq, record.event.clone()))
        .collect()
}

#[tokio::test]
async fn subscribers_here_and_elsewhere_hear_what_the_table_holds() {
    let quire = Quire::new().await;
    let elsewhere = quire.db.store().await;
    let (mut here, mut there) = (
        quire.store.events().subscribe(),
        elsewhere.events().subscribe(),
    );
    let lease = quire.answering().await;
    let job = lease.job.id;
    let (text, heard, told) = tokio::join!(
        answer(&quire, &lease),
        heard_until_end(&mut here, job),
        heard_until_end(&mut there, job)
    );
    let stored = quire.events(job).await;
    assert!(stored.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(said(&stored), text);
    assert_eq!(without_time(&heard), without_time(&stored));
    assert_eq!(without_time(&told), without_time(&stored));
    assert_eq!(
        elsewhere
            .events()
            .since(Owner::LOCAL, job, -1, 10_000)
            .await
            .unwrap(),
        stored
    );
    assert!(stored.len() < WORDS, "a burst is merged: {}", stored.len());
    let mut offset = 0;
    for record in &stored {
        if let Event::Chunk { offset: at, text } = &record.event {
            assert_eq!(*at, offset);
            offset += text.len() as u64;
        }
    }
}

#[tokio::test]
async fn a_local_subscriber_hears_the_first_words_at_once() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let mut here = quire.store.events().subscribe();
    quire.store.writer(&lease).chunk("now");
    let record = here.try_recv().expect("no flush in between");
    assert_eq!(
        record.event,
        Event::Chunk {
            offset: 0,
            text: "now".to_owned()
        }
    );
}

#[tokio::test]
async fn replay_and_live_join_without_a_gap_or_a_repeat() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let (job, writer) = (lease.job.id, quire.store.writer(&lease));
    let mut text = String::new();
    for n in 0..40 {
        for part in 0..12 {
            let word = format!("{n}.{part} ");
            writer.chunk(&word);
            text.push_str(&word);
        }
        // Comes in the middle of a burst, most of which is not stored yet.
        let mut live = quire.store.events().subscribe();
        let mut heard = quire
            .store
            .events()
            .since(Owner::LOCAL, job, -1, 100_000)
            .await
            .unwrap();
        let last = heard.last().unwrap().seq;
        writer.chunk("! ");
        text.push_str("! ");
        writer.barrier().await.unwrap();
        while let Ok(record) = live.try_recv() {
            if record.seq > last {
                heard.push(EventRecord::clone(&record));
            }
        }
        assert_eq!(said(&heard), text);
    }
}

#[tokio::test]
async fn a_page_of_history_goes_on_where_the_last_one_ended() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    answer(&quire, &lease).await;
    let all = quire.events(lease.job.id).await;
    let (mut paged, mut after) = (Vec::new(), -1);
    loop {
        let page = quire
            .store
            .events()
            .since(Owner::LOCAL, lease.job.id, after, 7)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn running_jobs_show_their_state_and_their_answer_so_far() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let writer = quire.store.writer(&lease);
    writer.progress(61, Stage::Answer, 1, None);
    for _ in 0..20 {
        writer.chunk("half ");
    }
    let waiting = quire.job().await;
    let hub = quire.store.events();
    let recent = hub
        .recent(Owner::LOCAL, Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(recent.len(), 1, "only the running one");
    assert_eq!(recent[0].partial, "half ".repeat(20));
    assert_eq!(
        (recent[0].job.state, recent[0].job.progress),
        (JobState::Streaming, 61)
    );
    assert_eq!(
        recent[0].last_seq,
        quire.events(lease.job.id).await.last().unwrap().seq
    );

    // The attempt is broken off, and its words with it.
    assert!(quire.store.release(&lease).await.unwrap());
    let again = quire.claim(lease.job.id).await;
    quire.store.writer(&again).chunk("whole");
    let recent = hub
        .recent(Owner::LOCAL, Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(recent[0].partial, "whole");
    assert!(
        quire
            .store
            .complete(&again, "whole", json!({}))
            .await
            .unwrap()
    );
    let recent = hub
        .recent(Owner::LOCAL, Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(
        (recent.len(), recent[0].job.state),
        (1, JobState::Completed)
    );
    assert!(
        hub.recent(Owner::LOCAL, Duration::ZERO)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(quire.state(waiting.id).await, JobState::Queued);
}

#[tokio::test]
async fn progress_is_stored_and_never_goes_back() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    let writer = quire.store.writer(&lease);
    for progress in [10, 30, 20, 250] {
        writer.progress(progress, Stage::Extract, 1, None);
        writer.barrier().await.unwrap();
    }
    let shown: Vec<u8> = quire
        .events(lease.job.id)
        .await
        .iter()
        .filter_map(|record| {
            if let Event::Progress { progress, .. } = record.event {
                Some(progress)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(shown, [10, 30, 30, 100]);
    assert_eq!(quire.read(lease.job.id).await.progress, 100);
}

#[tokio::test]
async fn nothing_is_lost_when_every_session_ends_in_the_middle() {
    let quire = Quire::new().await;
    let elsewhere = quire.db.store().await;
    let mut there = elsewhere.events().subscribe();
    let lease = quire.answering().await;
    let (job, writer) = (lease.job.id, quire.store.writer(&lease));
    let mut text = String::new();
    for n in 0..60 {
        let word = format!("word{n} ");
        writer.chunk(&word);
        text.push_str(&word);
        if n % 20 == 10 {
            let mut conn = within("a connection", connection(&quire)).await;
            // Every session but this one: pools, listeners, worker locks. Failing is fine, others come.
            let _ = sqlx::query(
                "select pg_terminate_backend(pid)
                 from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .execute(&mut *conn)
            .await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("the answer is stored", async || {
        match quire.store.complete(&lease, &text, json!({})).await {
            Ok(done) => done,
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                false
            }
        }
    })
    .await;
    let heard = heard_until_end(&mut there, job).await;
    let stored = quire.events(job).await;
    assert_eq!(said(&stored), text);
    assert_eq!(
        without_time(&heard),
        without_time(&stored)[heard_from(&heard, &stored)..].to_vec()
    );
    assert_eq!(quire.ends(job).await, 1);
}

async fn connection(quire: &Quire) -> PoolConnection<Postgres> {
    loop {
        if let Ok(conn) = quire.sql().acquire().await {
            return conn;
        }
    }
}

/// Where in the table the subscriber's hearing begins: it may have come after the first events.
fn heard_from(heard: &[EventRecord], stored: &[EventRecord]) -> usize {
    stored
        .iter()
        .position(|record| record.seq == heard[0].seq)
        .unwrap()
}

#[tokio::test]
async fn an_attempt_whose_events_cannot_be_stored_has_no_answer() {
    let quire = Quire::new().await;
    sqlx::query("alter table quire.job_events add constraint refused check (body ->> 'text' is distinct from 'cursed')")
        .execute(quire.sql())
        .await
        .unwrap();
    let (cursed, blessed) = (quire.answering().await, quire.answering().await);
    quire.store.writer(&cursed).chunk("cursed");
    quire.store.writer(&blessed).chunk("blessed");
    assert!(
        quire
            .store
            .complete(&cursed, "cursed", json!({}))
            .await
            .is_err()
    );
    assert!(
        quire
            .store
            .complete(&blessed, "blessed", json!({}))
            .await
            .unwrap(),
        "the neighbour is untouched"
    );
    assert!(
        quire
            .store
            .fail(&cursed, "events_lost", "the answer could not be stored")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn what_was_said_before_closing_is_stored() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let leaving = quire.db.store().await;
    let worker = leaving.register_worker("leaving").await.unwrap();
    let job = quire.answering().await.job.id;
    let other = quire.store.job(Owner::LOCAL, job).await.unwrap().unwrap();
    assert_eq!(other.state, JobState::Running);
    let fresh = quire.job().await;
    let ticket = quire.ticket(fresh.id).await;
    let last = leaving
        .claim(&ticket, worker.name())
        .await
        .unwrap()
        .unwrap();
    leaving.writer(&last).progress(7, Stage::Extract, 1, None);
    leaving.close().await;
    let kinds = quire.kinds(fresh.id).await;
    assert_eq!(kinds, ["queued", "progress"]);
    assert_eq!(
        quire.state(fresh.id).await,
        JobState::Queued,
        "and the job was given back"
    );
    assert!(!lease.lost.is_cancelled());
}

#[tokio::test]
async fn a_new_owner_speaks_after_what_its_predecessor_said_has_been_heard() {
    let quire = Quire::new().await;
    let elsewhere = quire.db.store().await;
    let worker = elsewhere.register_worker("successor").await.unwrap();
    let lease = quire.extracting().await;
    let job = lease.job.id;
    let mut heard = elsewhere.events().subscribe();
    // Its notification is on its way still.
    quire
        .execute(
            r#"insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, origin, body)
               select id, 1 << 20 | 3, job_day, created_at, owner, run, 42, '{"kind": "chunk", "offset": 0, "text": "late"}'
               from quire.jobs
               where id = $1"#,
            job,
        )
        .await;
    assert!(quire.store.release(&lease).await.unwrap());
    let ticket = quire.ticket(job).await;
    let next = elsewhere
        .claim(&ticket, worker.name())
        .await
        .unwrap()
        .unwrap();
    elsewhere.writer(&next).progress(5, Stage::Extract, 0, None);
    assert!(elsewhere.fail(&next, "damaged", "it is").await.unwrap());
    let kinds: Vec<&str> = heard_until_end(&mut heard, job)
        .await
        .iter()
        .map(|record| record.event.kind())
        .filter(|kind| *kind != "queued")
        .collect();
    assert_eq!(kinds, ["chunk", "restarted", "progress", "failed"]);
}

#[tokio::test]
async fn what_a_failed_reading_left_out_goes_before_what_follows_it() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    let job = lease.job.id;
    quire
        .store
        .writer(&lease)
        .progress(5, Stage::Extract, 0, None);
    quire.store.writer(&lease).barrier().await.unwrap();
    // Another process has just begun and never heard of the job: as if the notifications so far had come while it could not read.
    let elsewhere = quire.db.store().await;
    let mut heard = elsewhere.events().subscribe();
    assert!(quire.store.fail(&lease, "damaged", "it is").await.unwrap());
    let kinds: Vec<&str> = heard_until_end(&mut heard, job)
        .await
        .iter()
        .map(|record| record.event.kind())
        .collect();
    assert_eq!(kinds, ["queued", "progress", "failed"]);
}

#[tokio::test]
async fn an_event_that_is_committed_long_after_its_time_goes_before_what_follows_it() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    let job = lease.job.id;
    let mut heard = quire.store.events().subscribe();
    // As a worker does it that was frozen before its commit, when the successor's events are met by the catch-up first.
    quire
        .execute(
            r#"insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, origin, at, body)
               select j.id, e.seq, j.job_day, j.created_at, j.owner, j.run, 42, now() - e.age, e.body
               from quire.jobs j,
                    (values (1 << 20 | 3, interval '1 minute', '{"kind": "chunk", "offset": 0, "text": "late"}'::jsonb),
                            (3 << 20, interval '0', '{"kind": "restarted", "attempt": 2}'),
                            (4 << 20, interval '0', '{"kind": "cancelled"}')) as e (seq, age, body)
               where j.id = $1"#,
            job,
        )
        .await;
    let kinds: Vec<&str> = heard_until_end(&mut heard, job)
        .await
        .iter()
        .map(|record| record.event.kind())
        .collect();
    assert_eq!(kinds, ["chunk", "restarted", "cancelled"]);
}
