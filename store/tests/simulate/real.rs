//! The real side of the replay: the store on a Postgres of its own, and the comparison.

use std::{collections::HashMap, time::Duration};

use apalis_core::worker::context::WorkerContext;
use apalis_postgres::{Config, queries::fetch_next};
use quire_store::{
    AnswerOptions, CancelOutcome, Created, FileHold, JobId, Lease, NewUpload, Owner, RetryOutcome,
    Stage, Store, StoredFile, Ticket as RealTicket, WorkerGuard, clock, rules, testing::TestDb,
};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    compare::same,
    database::New,
    entries::Holder,
    replay::{Operation, Rules, Verb, is_raw},
    row::{Fence, JobNo, Ticket, Worker},
};

/// Only a broken build waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// Two owners, in the order of the model's numbers.
fn owner(number: u8) -> Owner {
    Owner(Uuid::from_u128(u128::from(number) + 1))
}

/// A worker of the real side.
enum Hand {
    Whole(WorkerGuard),
    /// A session that holds the lock, and a row: it can be frozen.
    Raw(PgConnection),
}

/// The store, and what it calls the things of the rules.
pub(crate) struct Real {
    pub(crate) store: Store,
    pub(crate) jobs: Vec<(JobId, Owner)>,
    pub(crate) tickets: HashMap<Ticket, Uuid>,
    pub(crate) leases: HashMap<Fence, Lease>,
    workers: HashMap<Worker, Hand>,
    // Last: dropped after the store.
    db: TestDb,
}

impl Real {
    pub(crate) async fn new(db: TestDb, owner_slots: usize) -> Self {
        let store = db.store().await;
        sqlx::query("update quire.queues set owner_slots = $1")
            .bind(i32::try_from(owner_slots).unwrap())
            .execute(store.pool())
            .await
            .unwrap();
        Self {
            store,
            jobs: Vec::new(),
            tickets: HashMap::new(),
            leases: HashMap::new(),
            workers: HashMap::new(),
            db,
        }
    }

    /// Does `operation` on both sides; the first difference.
    pub(crate) async fn step(
        &mut self,
        rules: &mut Rules,
        operation: Operation,
    ) -> Result<(), String> {
        rules.db.now = self.now().await;
        let before = rules.db.clone();
        let allowed = rules.act(operation);
        if let Operation::Fetch(stage, worker) = operation {
            self.fetch(rules, stage, worker).await?;
        }
        let done = self.act(rules, operation).await;
        same("the verb says", &done, &allowed)?;
        if let Operation::Write(job, _, Verb::Stream) = operation
            && allowed == Some(true)
        {
            rules.told_chunk(job);
        }
        self.check_pause(rules, operation, &before).await?;
        self.compare(rules).await
    }

    pub(crate) async fn now(&self) -> u64 {
        let now: i64 =
            sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
                .fetch_one(self.store.pool())
                .await
                .unwrap();
        now.unsigned_abs()
    }

    async fn act(&mut self, rules: &Rules, operation: Operation) -> Option<bool> {
        match operation {
            Operation::Create(new, spent) => {
                self.create(new, spent).await;
                None
            }
            Operation::Claim(job, ticket, worker) => {
                let fence = rules.db.jobs[job].attempt_id;
                Some(self.claim(job, ticket, worker, fence).await)
            }
            Operation::Write(_, fence, verb) => {
                let lease = self.leases[&fence].clone();
                Some(self.write(&lease, verb).await)
            }
            Operation::Cancel(job) => {
                let (id, owner) = self.jobs[job];
                let outcome = self.store.cancel_job(owner, id).await.unwrap();
                Some(matches!(outcome, CancelOutcome::Cancelled(_)))
            }
            Operation::Retry(job) => {
                let (id, owner) = self.jobs[job];
                let outcome = self.store.retry_job(owner, id).await.unwrap();
                Some(matches!(outcome, RetryOutcome::Queued(_)))
            }
            Operation::Promote(job) => {
                self.execute("update quire.jobs set due_at = now() where id = $1", job)
                    .await;
                // A heartbeat may be quicker.
                self.until("select state = 'queued' from quire.jobs where id = $1", job)
                    .await;
                None
            }
            Operation::LoseEntry(job) => {
                self.lose_entry(job).await;
                None
            }
            Operation::Pause(stage) => {
                self.pause(stage, true).await;
                None
            }
            Operation::GoOn(stage) => {
                self.pause(stage, false).await;
                None
            }
            Operation::Fetch(..) => None,
            Operation::Register(worker) => {
                self.register(worker).await;
                None
            }
            Operation::Kill(worker) => {
                self.kill(worker).await;
                None
            }
            Operation::Freeze(worker) => {
                self.freeze(worker).await;
                None
            }
            Operation::SignOff(worker) => {
                if let Some(Hand::Whole(guard)) = self.workers.remove(&worker) {
                    guard.stop().await;
                }
                None
            }
        }
    }

    // ---- jobs

    async fn create(&mut self, new: New, spent: rules::Spent) {
        let scheduled_at = new
            .scheduled_at
            .map(|_| clock::now() + Duration::from_hours(1));
        let upload = NewUpload {
            owner: owner(new.owner),
            file: StoredFile {
                sha256: [7; 32],
                bytes: 4,
                hold: FileHold::default(),
            },
            file_name: "report.pdf".to_owned(),
            media: "pdf".to_owned(),
            prompt: "what is this?".to_owned(),
            priority: new.priority,
            scheduled_at,
            password: None,
            idempotency: None,
            options: AnswerOptions::default(),
        };
        let Created::New(job) = self.store.create_upload(upload).await.unwrap() else {
            panic!("a new upload is a new job");
        };
        sqlx::query(
            "update quire.jobs set crashes = $2, failures = $3, snoozes = $4 where id = $1",
        )
        .bind(job.id.0)
        .bind(spent.crashes)
        .bind(spent.failures)
        .bind(spent.snoozes)
        .execute(self.store.pool())
        .await
        .unwrap();
        self.jobs.push((job.id, owner(new.owner)));
    }

    async fn claim(
        &mut self,
        job: JobNo,
        ticket: Ticket,
        worker: Worker,
        fence: Option<Fence>,
    ) -> bool {
        let ticket = RealTicket {
            job: self.jobs[job].0,
            ticket: self.tickets[&ticket],
        };
        let lease = self.store.claim(&ticket, &name(worker)).await.unwrap();
        let granted = lease.is_some();
        if let (Some(lease), Some(fence)) = (lease, fence) {
            self.leases.insert(fence, lease);
        }
        granted
    }

    async fn write(&self, lease: &Lease, verb: Verb) -> bool {
        let (store, wait) = (&self.store, Duration::from_hours(1));
        match verb {
            Verb::Stream => {
                let writer = store.writer(lease);
                writer.chunk("text");
                writer.barrier().await.unwrap();
                // It never says; the row and the events do.
                !lease.lost.is_cancelled() && self.owns(lease).await
            }
            Verb::FinishExtract => store.finish_extract(lease, &json!({}), 1).await.unwrap(),
            Verb::Complete => store.complete(lease, "answer", json!({})).await.unwrap(),
            Verb::Fail => store.fail(lease, "code", "message").await.unwrap(),
            Verb::RetryLater => store.retry_later(lease, "code", "message").await.unwrap(),
            Verb::Snooze => store
                .snooze(lease, wait, ("wait", "message"))
                .await
                .unwrap(),
            Verb::Release => store.release(lease).await.unwrap(),
        }
    }

    async fn owns(&self, lease: &Lease) -> bool {
        sqlx::query_scalar("select exists (select from quire.jobs where attempt_id = $1)")
            .bind(lease.attempt_id)
            .fetch_one(self.store.pool())
            .await
            .unwrap()
    }

    async fn lose_entry(&self, job: JobNo) {
        self.execute(
            "delete from apalis.jobs where idempotency_key = (select ticket::text from quire.jobs where id = $1)",
            job,
        )
        .await;
        self.execute(
            "update quire.jobs set queued_at = queued_at - interval '1 minute' where id = $1",
            job,
        )
        .await;
        self.store.housekeeping(3).await.unwrap();
    }

    async fn pause(&self, stage: Stage, on: bool) {
        sqlx::query(
            "update quire.queues set paused_at = case when $2 then now() end where name = $1",
        )
        .bind(stage.queue())
        .bind(on)
        .execute(self.store.pool())
        .await
        .unwrap();
    }

    // ---- workers

    async fn register(&mut self, worker: Worker) {
        let name = name(worker);
        let hand = if is_raw(worker) {
            let mut session = PgConnection::connect(self.db.url()).await.unwrap();
            sqlx::query("select pg_advisory_lock(quire.worker_lock($1))")
                .bind(&name)
                .execute(&mut session)
                .await
                .unwrap();
            sqlx::query("insert into quire.workers (name, process) values ($1, 1)")
                .bind(&name)
                .execute(self.store.pool())
                .await
                .unwrap();
            Hand::Raw(session)
        } else {
            Hand::Whole(self.store.register_worker(&name).await.unwrap())
        };
        self.workers.insert(worker, hand);
    }

    async fn kill(&mut self, worker: Worker) {
        match self.workers.remove(&worker) {
            Some(Hand::Raw(session)) => session.close().await.unwrap(),
            Some(Hand::Whole(guard)) => drop(guard),
            None => {}
        }
        self.show_signs_of_life(None).await;
        let name = name(worker);
        within(async {
            loop {
                self.store.reap().await.unwrap();
                let known: bool =
                    sqlx::query_scalar("select exists (select from quire.workers where name = $1)")
                        .bind(&name)
                        .fetch_one(self.store.pool())
                        .await
                        .unwrap();
                if !known {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Silent until its jobs are taken.
    async fn freeze(&self, worker: Worker) {
        self.show_signs_of_life(Some(worker)).await;
        within(async {
            while self.store.reap().await.unwrap() == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        self.show_signs_of_life(None).await;
    }

    /// Of all workers that do not beat by themselves, but one.
    async fn show_signs_of_life(&self, but: Option<Worker>) {
        sqlx::query(
            "update quire.workers
             set seen_at = case when name = $1 then now() - interval '1 hour' else now() + interval '1 hour' end
             where process = 1",
        )
        .bind(but.map(name))
        .execute(self.store.pool())
        .await
        .unwrap();
    }

    // ---- the queue

    /// Both sides hand out the same entry.
    async fn fetch(&self, rules: &mut Rules, stage: Stage, worker: Worker) -> Result<(), String> {
        rules.db.now = self.now().await;
        let chosen = rules.db.choose(stage);
        let holder = Holder {
            worker,
            incarnation: 0,
        };
        let wanted = chosen.map(|index| rules.db.hand_out(index, holder).ticket);
        let apalis_name = format!("{}/{}", name(worker), stage.as_str());
        sqlx::query("insert into apalis.workers (id, worker_type, storage_name) values ($1, $2, 'test') on conflict do nothing")
            .bind(&apalis_name)
            .bind(stage.queue())
            .execute(self.store.pool())
            .await
            .unwrap();
        let config = Config::default().queue(stage.queue()).batch_size(1);
        let mut conn = self.store.pool().acquire().await.unwrap();
        let tasks = fetch_next(&mut *conn, &config, &WorkerContext::new(&apalis_name))
            .await
            .unwrap();
        let fetched = tasks.first().map(|task| {
            serde_json::from_slice::<RealTicket>(&task.args)
                .unwrap()
                .ticket
        });
        same(
            "the queue hands out",
            &fetched,
            &wanted.map(|ticket| self.tickets[&ticket]),
        )
    }

    // ---- parts

    async fn execute(&self, statement: &'static str, job: JobNo) {
        sqlx::query(statement)
            .bind(self.jobs[job].0.0)
            .execute(self.store.pool())
            .await
            .unwrap();
    }

    /// Promotes until it holds.
    async fn until(&self, question: &'static str, job: JobNo) {
        within(async {
            loop {
                self.store.promote_due().await.unwrap();
                let holds: bool = sqlx::query_scalar(question)
                    .bind(self.jobs[job].0.0)
                    .fetch_one(self.store.pool())
                    .await
                    .unwrap();
                if holds {
                    break;
                }
            }
        })
        .await;
    }
}

pub(crate) fn name(worker: Worker) -> String {
    format!("replay-{}", worker.0)
}

async fn within<T>(happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, happens)
        .await
        .unwrap_or_else(|_| panic!("never happened"))
}
