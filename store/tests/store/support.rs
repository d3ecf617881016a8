//! What every test of the store starts from.

use std::{future::Future, sync::Arc, time::Duration};

use quire_store::{
    AnswerOptions, Created, Event, EventRecord, FileHold, Idempotency, Job, JobId, JobState, Lease,
    NewUpload, Owner, Store, StoredFile, Ticket, WorkerGuard, testing::TestDb,
};
use sqlx::PgPool;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time,
};
use ulid::Ulid;
use uuid::Uuid;

/// Only a broken build waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// A database, a store on it, and a registered worker.
pub(crate) struct Quire {
    pub(crate) store: Store,
    pub(crate) worker: WorkerGuard,
    // Last: dropped after the store.
    pub(crate) db: TestDb,
}

impl Quire {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new().await;
        let store = db.store().await;
        let worker = store.register_worker(&worker_name()).await.unwrap();
        Self { store, worker, db }
    }

    pub(crate) fn sql(&self) -> &PgPool {
        self.store.pool()
    }

    /// A queued job.
    pub(crate) async fn job(&self) -> Job {
        created(
            self.store
                .create_upload(upload("what is this?"))
                .await
                .unwrap(),
        )
    }

    /// A job that the worker has begun to extract.
    pub(crate) async fn extracting(&self) -> Lease {
        let job = self.job().await;
        self.claim(job.id).await
    }

    /// A job that the worker has begun to answer.
    pub(crate) async fn answering(&self) -> Lease {
        let lease = self.extracting().await;
        assert!(
            self.store
                .finish_extract(&lease, &serde_json::json!({"pages": []}), 1)
                .await
                .unwrap()
        );
        self.claim(lease.job.id).await
    }

    /// Takes a queued job.
    pub(crate) async fn claim(&self, job: JobId) -> Lease {
        let ticket = self.ticket(job).await;
        let lease = self.store.claim(&ticket, self.worker.name()).await.unwrap();
        lease.expect("the present ticket of a queued job can be claimed")
    }

    /// The present ticket of a queued job.
    pub(crate) async fn ticket(&self, job: JobId) -> Ticket {
        let ticket: Uuid = sqlx::query_scalar(
            "select ticket from quire.jobs where id = $1 and ticket is not null",
        )
        .bind(job.0)
        .fetch_one(self.sql())
        .await
        .unwrap();
        Ticket { job, ticket }
    }

    pub(crate) async fn read(&self, job: JobId) -> Job {
        self.store.job(Owner::LOCAL, job).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, job: JobId) -> JobState {
        self.read(job).await.state
    }

    /// Every stored event of a job.
    pub(crate) async fn events(&self, job: JobId) -> Vec<EventRecord> {
        self.store
            .events()
            .since(Owner::LOCAL, job, -1, 10_000)
            .await
            .unwrap()
    }

    pub(crate) async fn kinds(&self, job: JobId) -> Vec<&'static str> {
        self.events(job)
            .await
            .iter()
            .map(|record| record.event.kind())
            .collect()
    }

    /// How many ends the job has.
    pub(crate) async fn ends(&self, job: JobId) -> usize {
        self.events(job)
            .await
            .iter()
            .filter(|record| record.event.is_terminal())
            .count()
    }

    pub(crate) async fn count(&self, what: &'static str) -> i64 {
        sqlx::query_scalar(what)
            .fetch_one(self.sql())
            .await
            .unwrap()
    }

    /// A statement about one job.
    pub(crate) async fn execute(&self, statement: &'static str, job: JobId) {
        sqlx::query(statement)
            .bind(job.0)
            .execute(self.sql())
            .await
            .unwrap();
    }
}

pub(crate) fn worker_name() -> String {
    format!("test-{}", Ulid::from(Uuid::now_v7().as_u128()))
}

pub(crate) fn upload(prompt: &str) -> NewUpload {
    NewUpload {
        owner: Owner::LOCAL,
        file: StoredFile {
            sha256: [7; 32],
            bytes: 4,
            hold: FileHold::default(),
        },
        file_name: "report.pdf".to_owned(),
        media: "pdf".to_owned(),
        prompt: prompt.to_owned(),
        priority: 0,
        scheduled_at: None,
        password: None,
        idempotency: None,
        options: AnswerOptions::default(),
    }
}

pub(crate) fn with_key(key: &str, hash: u8) -> NewUpload {
    let idempotency = Some(Idempotency {
        key: key.to_owned(),
        request_hash: [hash; 32],
    });
    NewUpload {
        idempotency,
        ..upload("twice?")
    }
}

pub(crate) fn created(created: Created) -> Job {
    match created {
        Created::New(job) => job,
        other => panic!("not a new job: {other:?}"),
    }
}

/// Fails the test when `what` never happens.
pub(crate) async fn within<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let Ok(value) = time::timeout(DEADLINE, happens).await else {
        panic!("never happened: {what}")
    };
    value
}

/// Asks again and again until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    within(what, async {
        while !holds().await {
            time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// The records of a job, as a subscriber hears them, up to its end.
pub(crate) async fn heard_until_end(
    receiver: &mut Receiver<Arc<EventRecord>>,
    job: JobId,
) -> Vec<EventRecord> {
    let mut heard = Vec::new();
    within("the end of the job is heard", async {
        loop {
            let record = match receiver.recv().await {
                Ok(record) if record.job_id == job => record,
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => panic!("the test reads too slowly"),
                Err(RecvError::Closed) => panic!("the store is gone"),
            };
            heard.push(EventRecord::clone(&record));
            if record.event.is_terminal() {
                break;
            }
        }
    })
    .await;
    heard
}

/// The answer that the chunks of one attempt make.
pub(crate) fn said(records: &[EventRecord]) -> String {
    let text = |record: &EventRecord| match &record.event {
        Event::Chunk { text, .. } => Some(text.clone()),
        _ => None,
    };
    records.iter().filter_map(text).collect()
}
