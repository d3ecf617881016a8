//! Files that no row names are removed, and rows whose file is missing are noted.
//!
//! A part of the store at a time: the files whose hash begins with one byte, which keeps every query and every transaction
//! small. The database remembers how far the sweep has come, so any process may go on with it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    blob::{FileStore, age},
    error::StoreError,
    store::Store,
};

/// How long a file without a row stays. An upload in progress is protected by its hold; this is for a store that is being
/// restored from a copy, whose rows come later.
pub const UNNAMED_KEPT: Duration = Duration::from_hours(1);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Files removed.
    pub removed: u64,
    /// Rows whose file was found missing for the first time.
    pub missing: u64,
    /// The store belongs to another database, or is not known to belong to this one: nothing was done.
    pub foreign: bool,
}

type Hash = [u8; 32];

impl Store {
    /// Sweeps the next `shards` of the 256 parts of the store: removes files that no row has named for `kept`, and notes rows
    /// whose file is missing. Does nothing while another process is at it.
    pub async fn sweep_files(
        &self,
        files: &FileStore,
        shards: u16,
        kept: Duration,
    ) -> Result<Sweep, StoreError> {
        let mut total = Sweep::default();
        for _ in 0..shards.min(256) {
            let Some(mut tx) = self.lead().await? else {
                break;
            };
            let (database, shard) = take_shard(&mut tx).await?;
            let swept = self
                .sweep_shard(&mut tx, files, database, shard, kept)
                .await?;
            tx.commit().await?;
            total.removed += swept.removed;
            total.missing += swept.missing;
            total.foreign |= swept.foreign;
        }
        Ok(total)
    }

    async fn sweep_shard(
        &self,
        conn: &mut PgConnection,
        files: &FileStore,
        database: Uuid,
        shard: u8,
        kept: Duration,
    ) -> Result<Sweep, StoreError> {
        let there: HashMap<Hash, SystemTime> = files
            .list(shard)
            .await?
            .into_iter()
            .map(|seen| (seen.sha256, seen.used_at))
            .collect();
        // Asked after the listing: the row of a file that was listed is seen here, unless it is still to be committed.
        let named = named(conn, shard).await?;
        if !is_ours(files, database, || {
            named.iter().any(|row| there.contains_key(&row.sha256))
        })
        .await?
        {
            return Ok(Sweep {
                foreign: !there.is_empty(),
                ..Sweep::default()
            });
        }
        let missing = note_missing(conn, files, &named, &there).await?;
        let known: HashSet<Hash> = named.into_iter().map(|row| row.sha256).collect();
        let mut removed = 0;
        for (sha256, used_at) in there {
            if !known.contains(&sha256) && age(used_at) >= kept {
                removed += u64::from(self.remove_old(files, &sha256, kept).await?);
            }
        }
        Ok(Sweep {
            removed,
            missing,
            foreign: false,
        })
    }

    /// Looks again with the right to remove in hand: an upload may have found the file since.
    async fn remove_old(
        &self,
        files: &FileStore,
        sha256: &Hash,
        kept: Duration,
    ) -> Result<bool, StoreError> {
        let Some(removal) = files.removal(sha256).await? else {
            return Ok(false);
        };
        let used_at = removal
            .used_at()
            .map_err(|error| StoreError::Files(error.into()))?;
        if age(used_at) < kept || self.is_named(sha256).await? {
            return Ok(false);
        }
        FileStore::remove(removal).await?;
        Ok(true)
    }
}

/// Whether the store belongs to this database. One that is not marked yet does as soon as a file in it has a row here.
async fn is_ours(
    files: &FileStore,
    database: Uuid,
    knows_a_file: impl FnOnce() -> bool,
) -> Result<bool, StoreError> {
    match files.database().await? {
        Some(noted) => Ok(noted == database),
        None if knows_a_file() => {
            files.set_database(database).await?;
            Ok(true)
        }
        None => Ok(false),
    }
}

/// Notes rows whose file is not there, and forgets the note where it is there again.
async fn note_missing(
    conn: &mut PgConnection,
    files: &FileStore,
    named: &[Named],
    there: &HashMap<Hash, SystemTime>,
) -> Result<u64, StoreError> {
    let (mut gone, mut back) = (Vec::new(), Vec::new());
    for row in named {
        let is_there = there.contains_key(&row.sha256);
        if row.is_noted && is_there {
            back.push(row.sha256.to_vec());
        } else if !row.is_noted && !is_there && !files.has(&row.sha256).await? {
            gone.push(row.sha256.to_vec());
        }
    }
    if gone.is_empty() && back.is_empty() {
        return Ok(0);
    }
    let noted = sqlx::query!(
        "update quire.files
         set missing_since = case when sha256 = any ($1) then now() end
         where sha256 = any ($1) or sha256 = any ($2)
         returning missing_since",
        &gone,
        &back,
    )
    .fetch_all(conn)
    .await?;
    Ok(noted
        .iter()
        .filter(|row| row.missing_since.is_some())
        .count() as u64)
}

/// The database's name for itself, and the part of the store whose turn it is.
async fn take_shard(conn: &mut PgConnection) -> Result<(Uuid, u8), StoreError> {
    let row = sqlx::query!(
        r#"update quire.file_store
           set next_shard = (next_shard + 1) % 256
           returning id, (next_shard + 255) % 256 as "shard!""#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.id, row.shard as u8))
}

struct Named {
    sha256: Hash,
    is_noted: bool,
}

/// What the rows say is there.
async fn named(conn: &mut PgConnection, shard: u8) -> Result<Vec<Named>, StoreError> {
    let (mut first, mut last) = ([0; 32], [0xff; 32]);
    (first[0], last[0]) = (shard, shard);
    let rows = sqlx::query!(
        r#"select sha256, bool_and(missing_since is not null) as "is_noted!"
           from quire.files
           where sha256 between $1 and $2
           group by sha256"#,
        &first[..],
        &last[..],
    )
    .fetch_all(conn)
    .await?;
    let named = rows.into_iter().filter_map(|row| {
        let sha256 = row.sha256.try_into().ok()?;
        Some(Named {
            sha256,
            is_noted: row.is_noted,
        })
    });
    Ok(named.collect())
}
