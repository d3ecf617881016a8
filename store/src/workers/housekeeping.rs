//! Keeps the tables small and the queue whole. One process at a time does it, whichever comes first.

use sqlx::{Postgres, Transaction};

use super::sweep;
use crate::{error::StoreError, store::Store, vectors};

/// The key of the lock: "quirehk" in ASCII.
const HOUSEKEEPING_LOCK: i64 = 0x71_75_69_72_65_68_6b;
/// Days ahead that event partitions are made for: a housekeeping that fails for as long is noticed.
const PARTITIONS_AHEAD: i32 = 3;

impl Store {
    /// Deletes what is finished and old, makes and drops event partitions (events of jobs created more than `retention_days` ago
    /// go), gives queued jobs without a queue entry a new one, and forgets vectors that are not used. Meant to be called about once a minute; does nothing while
    /// another process is at it.
    pub async fn housekeeping(&self, retention_days: u32) -> Result<(), StoreError> {
        let keep = i32::try_from(retention_days).unwrap_or(i32::MAX);
        if let Some(mut tx) = self.lead().await? {
            sweep::make_partitions(&mut tx, PARTITIONS_AHEAD).await?;
            tx.commit().await?;
        }
        if let Some(mut tx) = self.lead().await? {
            sweep::drop_partitions(&mut tx, keep).await?;
            tx.commit().await?;
        }
        if let Some(mut tx) = self.lead().await? {
            sweep::finished_entries(&mut tx).await?;
            sweep::forgotten_apalis_workers(&mut tx).await?;
            tx.commit().await?;
        }
        if let Some(mut tx) = self.lead().await? {
            sweep::stranded_jobs(&mut tx).await?;
            tx.commit().await?;
        }
        if let Some(mut tx) = self.lead().await? {
            vectors::sweep::surplus(&mut tx).await?;
            tx.commit().await?;
        }
        self.compact_tallies().await?;
        Ok(())
    }

    /// Deletes finished queue entries but for the last thousand, and says how many. Meant to be called about once a second: a
    /// queue that is drained at full speed leaves thousands behind in that time.
    pub async fn trim_queue(&self) -> Result<u64, StoreError> {
        sweep::surplus_entries(&self.pool).await
    }

    /// A transaction that no other process's housekeeping overlaps with.
    pub(crate) async fn lead(&self) -> Result<Option<Transaction<'static, Postgres>>, StoreError> {
        let mut tx = self.begin().await?;
        let leads = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock($1) as "leads!""#,
            HOUSEKEEPING_LOCK,
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(leads.then_some(tx))
    }
}
