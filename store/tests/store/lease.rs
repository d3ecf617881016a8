//! Ownership: given once, lost for good, and without it nothing is written.

use quire_store::{Event, JobState, MAX_FAILURES, Owner, Stage, StoreError, Ticket, clock};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Quire, until, within};

#[tokio::test]
async fn eight_racing_workers_claim_a_job_once() {
    let quire = Quire::new().await;
    for _ in 0..10 {
        let ticket = quire.ticket(quire.job().await.id).await;
        let mut claims = JoinSet::new();
        for _ in 0..8 {
            let (store, worker) = (quire.store.clone(), quire.worker.name().to_owned());
            claims.spawn(async move { store.claim(&ticket, &worker).await.unwrap() });
        }
        let leases: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
        assert_eq!(leases.len(), 1);
        assert_eq!(
            (leases[0].job.state, leases[0].job.attempt),
            (JobState::Running, 1)
        );
    }
}

#[tokio::test]
async fn a_replaced_or_foreign_ticket_is_worth_nothing() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    let first = quire.ticket(job.id).await;
    let lease = quire.claim(job.id).await;
    assert!(
        quire
            .store
            .claim(&first, quire.worker.name())
            .await
            .unwrap()
            .is_none(),
        "used"
    );
    assert!(quire.store.release(&lease).await.unwrap());
    assert!(
        quire
            .store
            .claim(&first, quire.worker.name())
            .await
            .unwrap()
            .is_none(),
        "replaced"
    );
    let other = quire.job().await;
    let crossed = Ticket {
        job: other.id,
        ..quire.ticket(job.id).await
    };
    assert!(
        quire
            .store
            .claim(&crossed, quire.worker.name())
            .await
            .unwrap()
            .is_none(),
        "of another job"
    );
    quire.claim(job.id).await;
}

#[tokio::test]
async fn only_registered_workers_may_own_jobs() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    let refused = quire
        .store
        .claim(&quire.ticket(job.id).await, "nobody")
        .await;
    assert!(matches!(refused, Err(StoreError::UnknownWorker(name)) if name == "nobody"));
    assert_eq!(quire.state(job.id).await, JobState::Queued);
}

#[tokio::test]
async fn extraction_hands_over_to_answering() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    assert_eq!(lease.stage, Stage::Extract);
    quire
        .store
        .writer(&lease)
        .progress(40, Stage::Extract, 2, Some(5));
    let document = json!({"pages": [{"text": "a\0b"}]});
    assert!(
        quire
            .store
            .finish_extract(&lease, &document, 1)
            .await
            .unwrap()
    );
    assert!(
        !quire
            .store
            .finish_extract(&lease, &document, 1)
            .await
            .unwrap(),
        "only once"
    );
    let job = quire.read(lease.job.id).await;
    assert_eq!(
        (job.state, job.stage, job.progress, job.attempt),
        (JobState::Queued, Stage::Answer, 40, 0)
    );
    let kept = quire
        .store
        .document_of(Owner::LOCAL, &lease.job.sha256, 1)
        .await
        .unwrap();
    assert_eq!(kept, Some(json!({"pages": [{"text": "a\u{fffd}b"}]})));
    assert_eq!(
        quire
            .store
            .document_of(Owner::LOCAL, &lease.job.sha256, 2)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        quire
            .store
            .document_of(Owner(clock::new_id()), &lease.job.sha256, 1)
            .await
            .unwrap(),
        None
    );

    let lease = quire.claim(job.id).await;
    assert_eq!((lease.stage, lease.job.attempt), (Stage::Answer, 1));
    assert!(
        quire
            .store
            .complete(&lease, "42", json!({"engine": "test"}))
            .await
            .unwrap()
    );
    let job = quire.read(job.id).await;
    assert_eq!(
        (job.state, job.progress, job.answer.as_deref()),
        (JobState::Completed, 100, Some("42"))
    );
    assert_eq!(job.result, Some(json!({"engine": "test"})));
    assert_eq!(
        quire.kinds(job.id).await,
        ["queued", "progress", "progress", "completed"]
    );
}

#[tokio::test]
async fn a_cancelled_attempt_can_do_nothing_any_more() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let writer = quire.store.writer(&lease);
    writer.chunk("before");
    writer.barrier().await.unwrap();
    quire
        .store
        .cancel_job(Owner::LOCAL, lease.job.id)
        .await
        .unwrap();
    let after = quire.events(lease.job.id).await;
    writer.chunk("after");
    writer.progress(99, Stage::Answer, 1, None);
    writer.barrier().await.unwrap();
    assert!(
        !quire
            .store
            .complete(&lease, "late", json!({}))
            .await
            .unwrap()
    );
    assert!(!quire.store.fail(&lease, "late", "late").await.unwrap());
    assert!(
        !quire
            .store
            .retry_later(&lease, "late", "late")
            .await
            .unwrap()
    );
    assert!(!quire.store.release(&lease).await.unwrap());
    assert_eq!(quire.events(lease.job.id).await, after);
    assert_eq!(quire.state(lease.job.id).await, JobState::Cancelled);
}

#[tokio::test]
async fn an_owner_that_was_replaced_unawares_can_do_nothing_any_more() {
    let quire = Quire::new().await;
    let old = quire.answering().await;
    let (job, writer) = (old.job.id, quire.store.writer(&old));
    writer.chunk("old");
    writer.barrier().await.unwrap();
    // Another process takes the job over; no notification reaches the old owner.
    let ticket = clock::new_id();
    sqlx::query(
        "update quire.jobs
         set state = 'queued', ticket = $2, attempt_id = null, worker = null, claimed_at = null,
             epoch = epoch + 1, interrupted = true
         where id = $1",
    )
    .bind(job.0)
    .bind(ticket)
    .execute(quire.sql())
    .await
    .unwrap();
    let other = quire.db.store().await;
    let peer = other.register_worker("peer").await.unwrap();
    let new = other
        .claim(&Ticket { job, ticket }, peer.name())
        .await
        .unwrap()
        .unwrap();

    writer.chunk(" and gone");
    assert!(
        !quire
            .store
            .complete(&old, "old and gone", json!({}))
            .await
            .unwrap()
    );
    within("the old owner learns of it", old.lost.cancelled()).await;
    let successor = other.writer(&new);
    successor.chunk("new");
    assert!(other.complete(&new, "new", json!({})).await.unwrap());
    let events = quire.events(job).await;
    let texts: Vec<&str> = events
        .iter()
        .filter_map(|record| {
            if let Event::Chunk { text, .. } = &record.event {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(texts, ["old", "new"]);
    assert_eq!(quire.read(job).await.answer.as_deref(), Some("new"));
    assert_eq!(quire.ends(job).await, 1);
}

#[tokio::test]
async fn a_released_job_keeps_its_place_and_its_tries() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let behind = quire.answering().await;
    assert!(quire.store.release(&behind).await.unwrap());
    quire.store.writer(&lease).chunk("partial");
    assert!(quire.store.release(&lease).await.unwrap());
    let job = quire.read(lease.job.id).await;
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0));
    assert_eq!(
        quire
            .count("select count(*) from quire.jobs where failures + crashes > 0")
            .await,
        0
    );
    let again = quire.claim(lease.job.id).await;
    assert_eq!(again.job.attempt, 1);
    let kinds = quire.kinds(lease.job.id).await;
    assert_eq!(
        kinds.last(),
        Some(&"restarted"),
        "the partial answer is void: {kinds:?}"
    );
}

#[tokio::test]
async fn a_job_is_dead_after_its_tries() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    for failure in 1..=MAX_FAILURES {
        let lease = quire.claim(job.id).await;
        assert_eq!(lease.job.attempt, failure);
        assert!(
            quire
                .store
                .retry_later(&lease, "flaky", "the disk was away")
                .await
                .unwrap()
        );
        if failure < MAX_FAILURES {
            assert_eq!(quire.state(job.id).await, JobState::Scheduled);
            assert_eq!(
                quire
                    .count(
                        "select count(*) from quire.jobs where due_at > now() + interval '1 second'"
                    )
                    .await,
                1
            );
            quire
                .execute("update quire.jobs set due_at = now() where id = $1", job.id)
                .await;
            until("the next try is queued", async || {
                quire.store.promote_due().await.unwrap();
                quire.state(job.id).await == JobState::Queued
            })
            .await;
        }
    }
    let job = quire.read(job.id).await;
    assert_eq!(
        (job.state, job.error_code.as_deref()),
        (JobState::Dead, Some("flaky"))
    );
    assert_eq!(quire.ends(job.id).await, 1);
}

#[tokio::test]
async fn a_failed_job_says_why_once() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    assert!(
        quire
            .store
            .fail(&lease, "damaged", "the file has no pages \0")
            .await
            .unwrap()
    );
    assert!(!quire.store.fail(&lease, "damaged", "again").await.unwrap());
    let job = quire.read(lease.job.id).await;
    assert_eq!(
        (job.state, job.error_message.as_deref()),
        (JobState::Failed, Some("the file has no pages \u{fffd}"))
    );
    let last = quire.events(job.id).await.pop().unwrap();
    assert_eq!(
        last.event,
        Event::Failed {
            code: "damaged".to_owned(),
            message: "the file has no pages \u{fffd}".to_owned()
        }
    );
}
