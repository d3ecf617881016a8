//! The fault run: real processes under random kills, freezes and stops, with clients that upload and listen all the while.
//!
//! Everything that happens is drawn from a seed, which is printed with the command that repeats it. What the clients, the
//! database and the disk say afterwards is judged by the history checker. `make test` runs the short form; `make chaos` the long
//! one, on the release program: `make chaos JOBS=20000 FAULTS=1000 SEED=1`.

mod failpoints;
mod figures;
mod files;
mod frames;
mod plan;
mod subscribers;
mod uploads;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use quire_store::{Store, StoreOptions, clock};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::{
    figures::{Hit, Notes, Report},
    plan::{Fault, Plan, WORKERS},
    subscribers::Subscribers,
    uploads::{UploadLog, Uploader},
};
use crate::support::{
    cluster::{Cluster, Part, api, program},
    history::{self, History, Limits, Violation},
};

/// The short form: every kind of fault, in well under a minute.
const SHORT: (u64, u64) = (150, 10);
/// How often dead processes are looked after.
const TICK: Duration = Duration::from_millis(10);
/// The last jobs and the last listeners are done by then, or never.
const DRAIN_LIMIT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_seen_twice_whatever_dies() {
    let seed = setting("CHAOS_SEED").unwrap_or(1);
    let jobs = setting("CHAOS_JOBS").unwrap_or(SHORT.0);
    let faults = setting("CHAOS_FAULTS").unwrap_or(SHORT.1);
    eprintln!("fault run: make chaos JOBS={jobs} FAULTS={faults} SEED={seed}");
    let outcome = run(Plan::new(seed, jobs, faults)).await;
    eprintln!("{}", outcome.table);
    for line in outcome.complaints.iter().take(200) {
        eprintln!("{line}");
    }
    assert!(
        outcome.complaints.is_empty(),
        "{} complaints, first: {}\nrepeat with: make chaos JOBS={jobs} FAULTS={faults} SEED={seed}\nkept: {}",
        outcome.complaints.len(),
        outcome.complaints[0],
        outcome.kept.unwrap_or_default(),
    );
}

/// What a run came to.
struct Outcome {
    table: String,
    /// Everything that is not as it must be.
    complaints: Vec<String>,
    /// Where the logs lie if there are complaints.
    kept: Option<String>,
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {value:?}, not a number")),
    )
}

async fn run(plan: Plan) -> Outcome {
    let parts = [api(), api(), Part::Worker, Part::Worker];
    let settings = [("QUIRE_WORKERS", "2"), ("QUIRE_SHUTDOWN_SECONDS", "5")];
    let cluster = tokio::task::block_in_place(|| Cluster::start(&program(), &parts, &settings));
    let observer = observe(cluster.url()).await;
    let mut driver = Driver {
        uploader: Uploader::new(&cluster.bases()),
        subscribers: Arc::new(Subscribers::start(&cluster.bases())),
        cluster,
        observer,
        notes: Arc::default(),
        tasks: TaskTracker::new(),
    };
    let start = Instant::now();
    for step in &plan.steps {
        driver.step(step).await;
    }
    driver.drain().await;
    driver.notes.lock().took = start.elapsed();
    driver.judge(&plan).await
}

async fn observe(url: &str) -> Store {
    let options = StoreOptions {
        url: url.to_owned(),
        max_connections: 4,
        role: "observer",
    };
    Store::connect(&options).await.unwrap()
}

struct Driver {
    cluster: Cluster,
    uploader: Uploader,
    subscribers: Arc<Subscribers>,
    observer: Store,
    notes: Arc<Mutex<Notes>>,
    tasks: TaskTracker,
}

impl Driver {
    async fn step(&mut self, step: &plan::Step) {
        for (at, work) in &step.uploads {
            let (uploader, subscribers) = (self.uploader.clone(), Arc::clone(&self.subscribers));
            let (at, work) = (*at, work.clone());
            self.tasks.spawn(async move {
                tokio::time::sleep(at).await;
                let job = uploader.upload(&work).await;
                if let (Some(job), as_stream @ (0 | 1)) = (job, work.index % 4) {
                    subscribers.follow(job, as_stream == 0);
                }
            });
        }
        let start = Instant::now();
        self.tend_for(step.fault_at).await;
        self.strike(step.fault).await;
        self.tend_for(step.length.saturating_sub(start.elapsed()))
            .await;
    }

    async fn tend_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::task::block_in_place(|| self.cluster.tend());
            tokio::time::sleep(TICK).await;
        }
    }

    async fn strike(&mut self, fault: Fault) {
        let name = match fault {
            Fault::KillWorker(worker, pause) => {
                self.hit(worker, false, |cluster| cluster.kill(worker, pause))
                    .await;
                "kill -9 worker"
            }
            Fault::FreezeWorker(worker, pause) => {
                self.hit(worker, true, |cluster| cluster.freeze(worker, pause))
                    .await;
                "SIGSTOP worker"
            }
            Fault::KillApi(api, pause) => {
                self.cluster.kill(api, pause);
                "kill -9 API"
            }
            Fault::KillPostgres => {
                self.kill_postgres();
                "kill -9 Postgres"
            }
            Fault::StopWorker(worker) => {
                self.notes.lock().struck.push((clock::now(), Some(worker)));
                self.cluster.stop(worker);
                "SIGTERM worker"
            }
            Fault::StopApi(api) => {
                self.cluster.stop(api);
                "SIGTERM API"
            }
        };
        *self.notes.lock().faults.entry(name).or_default() += 1;
    }

    /// Strikes a worker and notes what it had in hand.
    async fn hit(&mut self, worker: usize, frozen: bool, strike: impl FnOnce(&mut Cluster)) {
        let others = WORKERS.iter().filter(|other| **other != worker);
        let other_alive = others.into_iter().any(|other| self.cluster.is_up(*other));
        let pid = self.cluster.pid(worker);
        let was_up = self.cluster.is_up(worker);
        tokio::task::block_in_place(|| strike(&mut self.cluster));
        let at = clock::now();
        self.notes.lock().struck.push((at, Some(worker)));
        let Some(pid) = pid.filter(|_| was_up) else {
            return;
        };
        // What the dead still own; a reaper may have been quicker by a few.
        let name = format!("quire-{pid}-");
        if let Ok(Ok(jobs)) =
            tokio::time::timeout(Duration::from_millis(200), self.observer.owned_by(&name)).await
        {
            self.notes.lock().hits.push(Hit {
                worker,
                at,
                frozen,
                jobs,
                other_alive,
            });
        }
    }

    fn kill_postgres(&self) {
        self.notes.lock().struck.push((clock::now(), None));
        self.cluster.kill_postgres();
        let (observer, notes) = (self.observer.clone(), Arc::clone(&self.notes));
        self.tasks.spawn(async move {
            while observer.ping().await.is_err() {
                tokio::time::sleep(TICK).await;
            }
            let back = clock::now();
            if observer.unfinished().await.is_ok_and(|jobs| jobs > 0) {
                notes.lock().returns.push(back);
            }
        });
    }

    /// Waits until every upload is accepted, every job over, and everybody knows it.
    async fn drain(&mut self) {
        self.tasks.close();
        let end = Instant::now() + DRAIN_LIMIT;
        while Instant::now() < end && !self.is_drained().await {
            self.tend_for(TICK * 10).await;
        }
    }

    async fn is_drained(&self) -> bool {
        self.cluster.is_whole()
            && self.tasks.is_empty()
            && self.observer.unfinished().await.is_ok_and(|jobs| jobs == 0)
            && self.subscribers.still_following() == 0
            && self.subscribers.know_the_end_of(&self.jobs())
    }

    fn jobs(&self) -> HashSet<Uuid> {
        let log = self.uploader.log.lock();
        log.acknowledged.iter().map(|upload| upload.job).collect()
    }

    async fn judge(mut self, plan: &Plan) -> Outcome {
        let jobs = self.jobs();
        let drained = self.is_drained().await;
        let tables = self.observer.tables().await.unwrap();
        self.observer.close().await;
        let subscribers = Arc::into_inner(self.subscribers).expect("all uploads are over");
        let views = subscribers.finish(&jobs).await;
        let kept = self.cluster.keep();
        let ended = tokio::task::block_in_place(|| self.cluster.end());
        let uploads: UploadLog = std::mem::take(&mut *self.uploader.log.lock());
        let history = History {
            acknowledged: uploads.acknowledged.clone(),
            views,
            tables,
            disk: history::read_disk(&kept.join("files")).unwrap(),
            limits: Limits::default(),
        };
        let violations = history::check(&history);
        let notes = self.notes.lock().clone();
        let report = Report {
            plan,
            notes: &notes,
            history: &history,
            uploads: &uploads,
            ended: &ended,
            violations: &violations,
        };
        let table = report.table();
        let mut complaints: Vec<String> = violations.iter().map(Violation::to_string).collect();
        complaints.extend(uploads.unexpected.iter().cloned());
        complaints.extend(ended.surprises.iter().cloned());
        if !drained {
            complaints.push("the run did not come to rest".to_owned());
        }
        if complaints.is_empty() {
            std::fs::remove_dir_all(&kept).unwrap();
        }
        let kept = (!complaints.is_empty()).then(|| kept.display().to_string());
        Outcome {
            table,
            complaints,
            kept,
        }
    }
}
