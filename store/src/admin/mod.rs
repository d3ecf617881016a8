//! What an operator asks for: the state of the whole queue in one snapshot, the numbers behind `/metrics`, the dead letters.
//!
//! Everything here looks across owners. Jobs that live are counted in their partial indexes, jobs that have ended in
//! `quire.tallies`, which the schema keeps in the transactions that end them: the cost does not grow with the history.

mod dead;
mod metrics;
mod process;
mod requeue;
mod snapshot;
mod tallies;
mod types;

pub use dead::{DeadFilter, DeadLetter, DeadPage};
pub use metrics::{Bucket, MoveCount, QueueMetrics, Times};
pub use process::{PoolUse, ProcessNumbers};
pub use snapshot::snapshot_in;
pub use types::{EndedCounts, Percentiles, QueueDepth, QueueSnapshot, Throughput, WorkerStatus};

pub(crate) use tallies::count_rescue;

use sqlx::{Postgres, Transaction};

use crate::{error::StoreError, store::Store};

/// All statements of the transaction see the same moment.
const ONE_MOMENT: &str = "begin isolation level repeatable read read only";

impl Store {
    /// The whole queue at one moment.
    pub async fn queue_snapshot(&self) -> Result<QueueSnapshot, StoreError> {
        let mut tx = self.one_moment().await?;
        let snapshot = snapshot::snapshot_in(&mut tx).await?;
        tx.commit().await?;
        Ok(snapshot)
    }

    /// The snapshot together with everything that has ever been counted, at the same moment.
    pub async fn queue_metrics(&self) -> Result<QueueMetrics, StoreError> {
        let mut tx = self.one_moment().await?;
        let metrics = metrics::metrics_in(&mut tx).await?;
        tx.commit().await?;
        Ok(metrics)
    }

    async fn one_moment(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin_with(ONE_MOMENT).await?)
    }
}
