//! Death at every write of a job's life, one by one: the Nth statement, commit or file operation aborts the process, for every N.
//!
//! The real program is armed while it is idle, gets one upload, dies at its Nth point, is started again, and the client tries
//! again with the same key. Then the next N, until a life goes through without reaching it. All lives together are judged by the
//! history checker.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use quire_store::Store;

use super::{TICK, files, observe, plan::Work, subscribers::Subscribers, uploads::Uploader};
use crate::support::{
    cluster::{Cluster, Part, program},
    history::{self, History, Limits},
    process::free_port,
};

/// Fewer points than this, and the pipeline has lost some: it has more than thirty writes.
const LEAST_POINTS: u64 = 30;
/// The last points lie behind the moment at which the job is seen to have ended.
const AFTERLIFE: Duration = Duration::from_millis(300);
/// One life, a death and a restart in it included, on a loaded machine.
const LIFE_LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_write_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let switch = data.path().join("die-at");
    let settings = [
        ("QUIRE_WORKERS", "1"),
        ("FAILPOINT_FILE", switch.to_str().unwrap()),
    ];
    let parts = [Part::All(free_port())];
    let cluster = tokio::task::block_in_place(|| Cluster::start(&program(), &parts, &settings));
    let observer = observe(cluster.url()).await;
    let mut lives = Lives {
        uploader: Uploader::new(&cluster.bases()),
        subscribers: Subscribers::start(&cluster.bases()),
        observer,
        cluster,
    };
    let mut points = 0;
    while let Some(point) = lives.die_at(points + 1, &switch).await {
        points += 1;
        eprintln!("died at {point}");
    }
    eprintln!("{points} points");
    assert!(points >= LEAST_POINTS, "only {points} points were reached");
    let complaints = lives.judge().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

struct Lives {
    cluster: Cluster,
    uploader: Uploader,
    subscribers: Subscribers,
    observer: Store,
}

impl Lives {
    /// One life with a death at point `number`; what that point was, or `None` when life has fewer.
    async fn die_at(&mut self, number: u64, switch: &Path) -> Option<String> {
        let start = Instant::now();
        let trace = switch.with_extension("trace");
        // Not there before the first death.
        let _ = fs::remove_file(&trace);
        fs::write(switch, number.to_string()).unwrap();
        let (uploader, work) = (self.uploader.clone(), small_table(number));
        let upload = tokio::spawn(async move { uploader.upload(&work).await });
        let mut died = false;
        let mut rested: Option<Instant> = None;
        while !rested.is_some_and(|since| died || since.elapsed() > AFTERLIFE) {
            assert!(start.elapsed() < LIFE_LIMIT, "stuck after point {number}");
            tokio::task::block_in_place(|| self.cluster.tend());
            if !died && !self.cluster.is_up(0) {
                died = true;
                fs::remove_file(switch).unwrap();
            }
            if !(upload.is_finished() && self.at_rest().await) {
                rested = None;
            } else if rested.is_none() {
                rested = Some(Instant::now());
            }
            tokio::time::sleep(TICK).await;
        }
        let job = upload.await.unwrap().expect("an upload is insisted on");
        self.subscribers.follow(job, number.is_multiple_of(2));
        if !died {
            fs::remove_file(switch).unwrap();
            return None;
        }
        let trace = fs::read_to_string(&trace).unwrap();
        trace.lines().last().map(str::to_owned)
    }

    async fn at_rest(&self) -> bool {
        self.cluster.is_whole() && self.observer.unfinished().await.is_ok_and(|jobs| jobs == 0)
    }

    async fn judge(mut self) -> Vec<String> {
        let acknowledged = self.uploader.log.lock().acknowledged.clone();
        let jobs = acknowledged.iter().map(|upload| upload.job).collect();
        let end = Instant::now() + LIFE_LIMIT;
        while Instant::now() < end
            && !(self.subscribers.still_following() == 0 && self.subscribers.know_the_end_of(&jobs))
        {
            tokio::task::block_in_place(|| self.cluster.tend());
            tokio::time::sleep(TICK).await;
        }
        let tables = self.observer.tables().await.unwrap();
        self.observer.close().await;
        let views = self.subscribers.finish(&jobs).await;
        let kept = self.cluster.keep();
        tokio::task::block_in_place(|| self.cluster.end());
        let history = History {
            acknowledged,
            views,
            tables,
            disk: history::read_disk(&kept.join("files")).unwrap(),
            limits: Limits {
                // Clients of the process that works hear of a step before it is stored.
                published_early: true,
                ..Limits::default()
            },
        };
        fs::remove_dir_all(&kept).unwrap();
        let mut complaints: Vec<String> = history::check(&history)
            .iter()
            .map(ToString::to_string)
            .collect();
        complaints.append(&mut self.uploader.log.lock().unexpected);
        complaints
    }
}

/// A small table of its own for each life.
fn small_table(number: u64) -> Work {
    (0..1_000)
        .map(|seed| Work {
            // Not one of those that are sent twice.
            index: number * 10 + 1,
            key: format!("failpoint-{number}"),
            seed,
        })
        .find(|work| {
            let document = files::document(work);
            document.name == "levels.csv" && document.bytes.len() < 8_000
        })
        .expect("every other seed makes a small table")
}
