//! A password lives from the upload to the end of the extraction, whatever that end is, and opens no cache.

use std::time::Duration;

use quire_store::{JobId, Lease, NewUpload, Owner, Password, RetryOutcome};
use serde_json::json;

use crate::support::{Quire, created, upload};

fn secret() -> Option<Password> {
    Password::new("s3cret of a test")
}

impl Quire {
    /// A new job whose file is encrypted.
    async fn locked(&self) -> JobId {
        let new = NewUpload {
            password: secret(),
            ..upload("?")
        };
        created(self.store.create_upload(new).await.unwrap()).id
    }

    /// The same, being extracted.
    async fn locked_lease(&self) -> Lease {
        let job = self.locked().await;
        self.claim(job).await
    }

    /// Passwords that are kept, and jobs that say that they have one.
    async fn kept(&self) -> (i64, i64) {
        (
            self.store.kept_passwords().await.unwrap(),
            self.count("select count(*) from quire.jobs where has_password")
                .await,
        )
    }

    async fn password_of(&self, lease: &Lease) -> Option<Password> {
        self.store.extraction(lease, 1).await.unwrap().password
    }
}

#[tokio::test]
async fn the_attempt_that_extracts_gets_the_password_and_nobody_else() {
    let quire = Quire::new().await;
    let lease = quire.locked_lease().await;
    let other = quire.extracting().await;
    assert_eq!(quire.password_of(&lease).await, secret());
    assert_eq!(quire.password_of(&other).await, None);
    assert_eq!(quire.kept().await, (1, 1));
    // A lease that lost its job reads no password either.
    assert!(quire.store.release(&lease).await.unwrap());
    assert_eq!(quire.password_of(&lease).await, None);
    let again = quire.claim(lease.job.id).await;
    assert_eq!(quire.password_of(&again).await, secret());
}

#[tokio::test]
async fn what_ends_the_extraction_forgets_the_password() {
    let quire = Quire::new().await;
    let done = quire.locked_lease().await;
    assert!(
        quire
            .store
            .finish_extract(&done, &json!({}), 1)
            .await
            .unwrap()
    );
    assert_eq!(quire.kept().await, (0, 0), "extracted");
    let failed = quire.locked_lease().await;
    assert!(
        quire
            .store
            .fail(&failed, "wrong_password", "no")
            .await
            .unwrap()
    );
    assert_eq!(quire.kept().await, (0, 0), "failed");
    let waiting = quire.locked().await;
    quire.store.cancel_job(Owner::LOCAL, waiting).await.unwrap();
    assert_eq!(quire.kept().await, (0, 0), "cancelled before it ran");
    let running = quire.locked_lease().await;
    quire
        .store
        .cancel_job(Owner::LOCAL, running.job.id)
        .await
        .unwrap();
    assert_eq!(quire.kept().await, (0, 0), "cancelled while it ran");
    quire.locked().await;
    quire
        .execute("delete from quire.jobs where id <> $1", failed.job.id)
        .await;
    assert_eq!(quire.kept().await, (0, 0), "deleted");
    assert_eq!(
        quire
            .store
            .rows_with_text("s3cret of a test")
            .await
            .unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_further_try_still_has_the_password_and_death_takes_it() {
    let quire = Quire::new().await;
    let mut lease = quire.locked_lease().await;
    let job = lease.job.id;
    assert!(
        quire
            .store
            .snooze(&lease, Duration::ZERO, ("parser_unavailable", "later"))
            .await
            .unwrap()
    );
    assert_eq!(quire.kept().await, (1, 1), "snoozed");
    for failures in 1..=quire_store::MAX_FAILURES {
        quire.store.promote_due().await.unwrap();
        quire
            .execute(
                "update quire.jobs set due_at = now() where id = $1 and due_at is not null",
                job,
            )
            .await;
        quire.store.promote_due().await.unwrap();
        lease = quire.claim(job).await;
        assert_eq!(quire.password_of(&lease).await, secret(), "try {failures}");
        assert!(
            quire
                .store
                .retry_later(&lease, "internal", "again")
                .await
                .unwrap()
        );
    }
    assert_eq!(quire.state(job).await, quire_store::JobState::Dead);
    assert_eq!(quire.kept().await, (0, 0));
}

#[tokio::test]
async fn a_retry_by_hand_brings_its_own_password() {
    let quire = Quire::new().await;
    let lease = quire.locked_lease().await;
    assert!(
        quire
            .store
            .fail(&lease, "wrong_password", "no")
            .await
            .unwrap()
    );
    let retried = quire
        .store
        .retry_job(Owner::LOCAL, lease.job.id)
        .await
        .unwrap();
    assert!(matches!(retried, RetryOutcome::Queued(_)));
    let again = quire.claim(lease.job.id).await;
    assert_eq!(quire.password_of(&again).await, None);
    assert!(
        quire
            .store
            .fail(&again, "password_needed", "no")
            .await
            .unwrap()
    );
    let right = Password::new("right");
    let retried = quire
        .store
        .retry_job_with(Owner::LOCAL, lease.job.id, right.as_ref())
        .await
        .unwrap();
    assert!(matches!(retried, RetryOutcome::Queued(_)));
    let last = quire.claim(lease.job.id).await;
    assert_eq!(quire.password_of(&last).await, right);
}

#[tokio::test]
async fn a_document_that_needed_a_password_is_no_cache_until_somebody_reads_it_without() {
    let quire = Quire::new().await;
    let document = json!({"pages": [{"text": "open"}]});
    let cached = async |lease: &Lease| quire.store.extraction(lease, 1).await.unwrap().document;
    let locked = quire.locked_lease().await;
    assert!(
        quire
            .store
            .finish_extract(&locked, &document, 1)
            .await
            .unwrap()
    );
    let next = quire.extracting().await;
    assert_eq!(cached(&next).await, None, "also not for the same owner");
    let known = quire
        .store
        .document_of(Owner::LOCAL, &next.job.sha256, 1)
        .await
        .unwrap();
    assert_eq!(
        known.as_ref(),
        Some(&document),
        "the job that opened it has it"
    );
    // This one opened the file without a password, so it needs none.
    assert!(
        quire
            .store
            .finish_extract(&next, &document, 1)
            .await
            .unwrap()
    );
    let third = quire.locked_lease().await;
    assert_eq!(cached(&third).await, Some(document.clone()));
    assert!(
        quire
            .store
            .finish_extract(&third, &document, 1)
            .await
            .unwrap()
    );
    let fourth = quire.extracting().await;
    assert_eq!(
        cached(&fourth).await,
        Some(document),
        "a password does not lock what is open"
    );
}
