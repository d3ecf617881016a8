//! Batches: opened once, filled by many, read back in order, closed for good.

use quire_store::{
    Added, BatchCounts, BatchId, BatchItem, Idempotency, ItemPlace, JobState, NewBatch, NewUpload,
    Opened, Owner, Refusal,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Quire, upload, with_key};

fn place(key: &str, position: i64) -> ItemPlace {
    ItemPlace {
        key: key.into(),
        position,
        reference: None,
        file_name: format!("{key}.csv"),
    }
}

fn refusal(code: &str) -> Refusal {
    Refusal {
        code: code.into(),
        message: "why".into(),
    }
}

impl Quire {
    async fn batch(&self) -> BatchId {
        let new = NewBatch {
            owner: Owner::LOCAL,
            name: None,
            idempotency: None,
        };
        match self.store.open_batch(new).await.unwrap() {
            Opened::New(batch) => batch.id,
            other => panic!("{other:?}"),
        }
    }

    async fn add(&self, batch: BatchId, place: ItemPlace, new: NewUpload) -> Added {
        let mut added = self
            .store
            .add_to_batch(batch, &[place], &[new])
            .await
            .unwrap();
        added.pop().unwrap()
    }

    async fn items(&self, batch: BatchId) -> Vec<BatchItem> {
        self.store
            .batch_items(batch, None, 1000, true)
            .await
            .unwrap()
    }

    async fn counts(&self, batch: BatchId) -> BatchCounts {
        self.store.batch_counts(batch).await.unwrap()
    }
}

#[tokio::test]
async fn a_batch_with_a_key_is_opened_once() {
    let quire = Quire::new().await;
    let new = |hash| NewBatch {
        owner: Owner::LOCAL,
        name: Some("may\0".into()),
        idempotency: Some(Idempotency {
            key: "k".into(),
            request_hash: [hash; 32],
        }),
    };
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, new) = (quire.store.clone(), new(1));
        tasks.spawn(async move { store.open_batch(new).await.unwrap() });
    }
    let opened = tasks.join_all().await;
    let fresh = opened
        .iter()
        .filter(|opened| matches!(opened, Opened::New(_)))
        .count();
    assert_eq!(fresh, 1);
    assert_eq!(
        quire.store.open_batch(new(2)).await.unwrap(),
        Opened::Mismatch
    );
    assert_eq!(quire.count("select count(*) from quire.batches").await, 1);
    let stranger = Owner(Uuid::from_u128(1));
    let page = quire
        .store
        .list_batches(Owner::LOCAL, None, 10)
        .await
        .unwrap();
    let id = page.batches[0].0.id;
    assert!(quire.store.batch(Owner::LOCAL, id).await.unwrap().is_some());
    assert_eq!(quire.store.batch(stranger, id).await.unwrap(), None);
    assert_eq!(quire.store.cancel_batch(stranger, id).await.unwrap(), None);
}

#[tokio::test]
async fn an_item_and_its_job_are_one_change() {
    let quire = Quire::new().await;
    let batch = quire.batch().await;
    sqlx::query("alter table quire.batch_items add constraint refused check (position <> 13)")
        .execute(quire.sql())
        .await
        .unwrap();
    let refused = quire
        .store
        .add_to_batch(
            batch,
            &[place("a", 1), place("b", 13)],
            &[upload("?"), upload("?")],
        )
        .await;
    assert!(refused.is_err());
    for table in [
        "quire.jobs",
        "quire.files",
        "quire.batch_items",
        "apalis.jobs",
    ] {
        let left: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
                .fetch_one(quire.sql())
                .await
                .unwrap();
        assert_eq!(left, 0, "{table}");
    }
}

#[tokio::test]
async fn sent_again_an_item_stays_what_it_is_unless_it_was_refused() {
    let quire = Quire::new().await;
    let batch = quire.batch().await;
    let keyed = |hash| with_key("k", hash);
    let Added::New(job) = quire.add(batch, place("a", 0), keyed(1)).await else {
        panic!("not new");
    };
    assert_eq!(
        quire.add(batch, place("a", 0), keyed(1)).await,
        Added::Replayed(job.clone())
    );
    assert_eq!(
        quire.add(batch, place("a", 0), keyed(2)).await,
        Added::Mismatch
    );
    assert!(
        quire
            .store
            .refuse_in_batch(batch, &place("a", 5), &refusal("empty"))
            .await
            .unwrap()
    );
    let items = quire.items(batch).await;
    assert_eq!(items.len(), 1);
    assert_eq!(
        (items[0].job, &items[0].error, items[0].place.position),
        (Some(job.id), &None, 0)
    );

    assert!(
        quire
            .store
            .refuse_in_batch(batch, &place("b", 1), &refusal("empty"))
            .await
            .unwrap()
    );
    assert_eq!(quire.counts(batch).await.refused, 1);
    assert!(matches!(
        quire.add(batch, place("b", 1), upload("?")).await,
        Added::New(_)
    ));
    let counts = quire.counts(batch).await;
    assert_eq!((counts.total, counts.refused, counts.pending), (2, 0, 2));

    // A key that another upload has, in another batch: no job, and the item says why.
    let other = quire.batch().await;
    assert_eq!(
        quire.add(other, place("a", 0), keyed(2)).await,
        Added::Mismatch
    );
    let items = quire.items(other).await;
    assert_eq!(
        items[0].error.as_ref().unwrap().code,
        "idempotency_mismatch"
    );
    // The same upload in another batch is the same job in both.
    assert_eq!(
        quire.add(other, place("c", 1), keyed(1)).await,
        Added::Replayed(job.clone())
    );
    assert_eq!(quire.items(other).await[1].job, Some(job.id));
}

#[tokio::test]
async fn many_senders_of_the_same_files_give_each_one_job() {
    let quire = Quire::new().await;
    let batch = quire.batch().await;
    let mut tasks = JoinSet::new();
    for sender in 0..6_usize {
        let store = quire.store.clone();
        tasks.spawn(async move {
            let mut keys: Vec<usize> = (0..20).collect();
            // Each in an order of its own: nobody may wait for each other.
            keys.rotate_left(sender * 3);
            for some in keys.chunks(7) {
                let places: Vec<_> = some
                    .iter()
                    .map(|key| place(&format!("{key:02}"), key.cast_signed() as i64))
                    .collect();
                let uploads: Vec<_> = some
                    .iter()
                    .map(|key| with_key(&format!("k{key}"), 1))
                    .collect();
                store.add_to_batch(batch, &places, &uploads).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(quire.count("select count(*) from quire.jobs").await, 20);
    let items = quire.items(batch).await;
    let positions: Vec<i64> = items.iter().map(|item| item.place.position).collect();
    assert_eq!(positions, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn items_come_in_order_page_by_page_and_once() {
    let quire = Quire::new().await;
    let batch = quire.batch().await;
    // Several at one position: the key decides.
    let places: Vec<_> = (0..25)
        .rev()
        .map(|n| place(&format!("k{n:02}"), n / 3))
        .collect();
    let uploads: Vec<_> = places.iter().map(|_| upload("?")).collect();
    quire
        .store
        .add_to_batch(batch, &places, &uploads)
        .await
        .unwrap();
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = quire
            .store
            .batch_items(batch, after.as_ref(), 4, false)
            .await
            .unwrap();
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.cursor());
        keys.extend(page.into_iter().map(|item| item.place.key));
    }
    assert_eq!(
        keys,
        (0..25).map(|n| format!("k{n:02}")).collect::<Vec<_>>()
    );
    assert_eq!(quire.store.batch_end(batch).await.unwrap(), 9);
}

#[tokio::test]
async fn cancelling_closes_the_batch_and_ends_its_jobs_in_any_state() {
    let quire = Quire::new().await;
    let batch = quire.batch().await;
    let places: Vec<_> = (0..6).map(|n| place(&n.to_string(), n)).collect();
    let uploads: Vec<_> = places.iter().map(|_| upload("?")).collect();
    let added = quire
        .store
        .add_to_batch(batch, &places, &uploads)
        .await
        .unwrap();
    let job = |at: usize| match &added[at] {
        Added::New(job) => job.id,
        other => panic!("{other:?}"),
    };
    let running = quire.claim(job(0)).await;
    quire.store.cancel_job(Owner::LOCAL, job(1)).await.unwrap();
    let untouched = quire.job().await;

    assert_eq!(
        quire.store.cancel_batch(Owner::LOCAL, batch).await.unwrap(),
        Some(5)
    );
    assert_eq!(
        quire.store.cancel_batch(Owner::LOCAL, batch).await.unwrap(),
        Some(0)
    );
    assert!(running.lost.is_cancelled(), "the running attempt is told");
    for at in 0..6 {
        assert_eq!(quire.state(job(at)).await, JobState::Cancelled);
        assert_eq!(quire.ends(job(at)).await, 1);
    }
    assert_eq!(quire.state(untouched.id).await, JobState::Queued);
    assert_eq!(
        quire.add(batch, place("late", 9), upload("?")).await,
        Added::Closed
    );
    assert!(
        !quire
            .store
            .refuse_in_batch(batch, &place("late", 9), &refusal("empty"))
            .await
            .unwrap()
    );
    assert_eq!(quire.counts(batch).await.cancelled, 6);
    assert_eq!(quire.count("select count(*) from quire.jobs").await, 7);
}

#[tokio::test]
async fn a_deleted_job_leaves_its_line() {
    let quire = Quire::new().await;
    let batch = quire.batch().await;
    let Added::New(job) = quire.add(batch, place("a", 0), upload("?")).await else {
        panic!("not new");
    };
    quire
        .execute("delete from quire.jobs where id = $1", job.id)
        .await;
    let counts = quire.counts(batch).await;
    assert_eq!((counts.total, counts.deleted, counts.progress), (1, 1, 100));
    let items = quire.items(batch).await;
    assert_eq!((items[0].job, items[0].state), (None, None));
}

#[tokio::test]
async fn a_batch_goes_when_its_time_is_over_and_its_last_job_is_gone() {
    let quire = Quire::new().await;
    let (young, old, busy) = (
        quire.batch().await,
        quire.batch().await,
        quire.batch().await,
    );
    let Added::New(job) = quire.add(busy, place("a", 0), upload("?")).await else {
        panic!("not new");
    };
    quire
        .store
        .refuse_in_batch(old, &place("b", 0), &refusal("empty"))
        .await
        .unwrap();
    sqlx::query("update quire.batches set created_at = now() - interval '31 days' where id <> $1")
        .bind(young.0)
        .execute(quire.sql())
        .await
        .unwrap();
    assert_eq!(quire.store.expire_batches(30).await.unwrap(), 1);
    assert_eq!(quire.store.batch(Owner::LOCAL, old).await.unwrap(), None);
    quire
        .execute("delete from quire.jobs where id = $1", job.id)
        .await;
    assert_eq!(quire.store.expire_batches(30).await.unwrap(), 1);
    assert_eq!(
        quire.count("select count(*) from quire.batch_items").await,
        0
    );
    assert!(
        quire
            .store
            .batch(Owner::LOCAL, young)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn waiting_jobs_are_counted_no_further_than_asked() {
    let quire = Quire::new().await;
    for _ in 0..3 {
        quire.job().await;
    }
    let later = NewUpload {
        scheduled_at: Some(quire_store::clock::now() + chrono::TimeDelta::hours(1)),
        ..upload("?")
    };
    quire.store.create_upload(later).await.unwrap();
    quire.extracting().await;
    assert_eq!(
        quire.store.count_waiting(100).await.unwrap(),
        4,
        "the running one does not wait"
    );
    assert_eq!(quire.store.count_waiting(2).await.unwrap(), 2);
}
