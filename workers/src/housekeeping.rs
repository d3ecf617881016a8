//! Keeps tables and files small: what every process does in the background, with or without workers.
//!
//! All of it may run in any number of processes at once; the store sees to it that one does each piece of work. There is no
//! leader and nothing to set up.

use std::time::Duration;

use quire_store::{FileStore, Store, UNNAMED_KEPT};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::maintenance::every;

/// How often finished queue entries are removed: at full speed thousands come in this time.
const TRIM_INTERVAL: Duration = Duration::from_secs(1);
/// How often old events, jobs and files are looked for.
const INTERVAL: Duration = Duration::from_mins(1);
/// Parts of the file store, of 256, that are swept each time: all of it in a good quarter of an hour.
const SHARDS: u16 = 16;

/// What is kept how long.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Days that ended jobs stay, with their files and documents; `None`: for ever.
    pub jobs_days: Option<u32>,
    /// Days that events stay.
    pub events_days: u32,
}

/// The housekeeping of one process.
pub struct Housekeeping {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Housekeeping {
    /// Starts it.
    pub fn start(store: &Store, files: &FileStore, retention: Retention) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let until_stop = || stop.clone();
        tasks.spawn(until_stop().run_until_cancelled_owned(trim(store.clone())));
        tasks.spawn(until_stop().run_until_cancelled_owned(tables(store.clone(), retention)));
        tasks.spawn(until_stop().run_until_cancelled_owned(sweep(store.clone(), files.clone())));
        tasks.close();
        Self { stop, tasks }
    }

    /// Ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn trim(store: Store) {
    let trim = || async {
        let entries = store.trim_queue().await?;
        metrics::counter!("quire_trimmed_entries_total").increment(entries);
        // Nothing worth a line in the log.
        Ok(0)
    };
    every(|| TRIM_INTERVAL, "delete finished queue entries", trim).await;
}

async fn tables(store: Store, retention: Retention) {
    let tables = async {
        let keep = || async {
            store.housekeeping(retention.events_days).await?;
            Ok(0)
        };
        every(|| INTERVAL, "keep tables small", keep).await;
    };
    let jobs = async {
        let Some(days) = retention.jobs_days else {
            return;
        };
        let expire = || async {
            let jobs = store.expire_jobs(days).await?;
            store.expire_batches(days).await?;
            Ok(jobs)
        };
        every(|| INTERVAL, "delete jobs whose retention is over", expire).await;
    };
    tokio::join!(tables, jobs);
}

async fn sweep(store: Store, files: FileStore) {
    every(
        || INTERVAL,
        "remove files that nobody needs",
        || async {
            let abandoned = files.remove_abandoned().await?;
            let swept = store.sweep_files(&files, SHARDS, UNNAMED_KEPT).await?;
            if swept.missing > 0 {
                tracing::error!(
                    files = swept.missing,
                    "uploaded files are missing from the file store; `quire doctor` tells more"
                );
            }
            Ok(abandoned + swept.removed)
        },
    )
    .await;
}
