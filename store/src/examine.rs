//! Questions about the state of the database that only somebody who looks after it asks: `quire doctor`.

use std::{io, path::Path};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{error::StoreError, ids::JobId, migrate, store::Store};

/// The database, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The server's version, such as `15.18`.
    pub version: String,
    /// Connections in use, of how many.
    pub connections: (i64, i64),
    /// Bytes of our database.
    pub bytes: i64,
    /// Settings of the server that let acknowledged work be lost: those that are off.
    pub unsafe_settings: Vec<String>,
    /// Migrations that this build has and the database does not.
    pub pending: Vec<i64>,
    /// Migrations of the database that this build does not know: it was made for an older one.
    pub unknown: Vec<i64>,
    /// How many migrations this build has.
    pub known: usize,
}

/// What the rows say about the file store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRows {
    /// The database's name for itself, as it is noted in its file store.
    pub database: Uuid,
    /// Uploaded files.
    pub files: i64,
    /// Those whose bytes the sweep did not find.
    pub missing: i64,
}

/// A job that a worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldJob {
    /// The job.
    pub id: JobId,
    /// The worker.
    pub worker: String,
}

impl Store {
    /// Looks at the server and the schema; also of a database that was never migrated.
    pub async fn examine(&self) -> Result<Examination, StoreError> {
        let mut conn = self.pool.acquire().await?;
        let server = server(&mut conn).await?;
        let applied = applied(&mut conn).await?;
        let known = migrate::versions();
        let missing = |from: &[i64], of: &[i64]| -> Vec<i64> {
            let missing = of.iter().filter(|version| !from.contains(version));
            missing.copied().collect()
        };
        Ok(Examination {
            version: server.version,
            connections: (server.used, server.max),
            bytes: server.bytes,
            unsafe_settings: server.unsafe_settings,
            pending: missing(&applied, &known),
            unknown: missing(&known, &applied),
            known: known.len(),
        })
    }

    /// What the rows say about the file store.
    pub async fn file_rows(&self) -> Result<FileRows, StoreError> {
        let row = sqlx::query_as!(
            FileRows,
            r#"select id as database,
                      (select count(*) from quire.files) as "files!",
                      (select count(*) from quire.files where missing_since is not null) as "missing!"
               from quire.file_store"#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(row)
    }

    /// Every job that a worker has.
    pub async fn held_jobs(&self) -> Result<Vec<HeldJob>, StoreError> {
        let held = sqlx::query!(
            r#"select id, worker as "worker!"
               from quire.jobs
               where worker is not null
               order by id"#
        )
        .fetch_all(&self.pool)
        .await?;
        let held = held.into_iter().map(|row| HeldJob {
            id: JobId(row.id),
            worker: row.worker,
        });
        Ok(held.collect())
    }
}

/// Bytes that this process may still write to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

struct Server {
    version: String,
    used: i64,
    max: i64,
    bytes: i64,
    unsafe_settings: Vec<String>,
}

async fn server(conn: &mut PgConnection) -> Result<Server, StoreError> {
    let server = sqlx::query_as!(
        Server,
        r#"select split_part(current_setting('server_version'), ' ', 1) as "version!",
                  (select count(*) from pg_stat_activity where backend_type = 'client backend') as "used!",
                  current_setting('max_connections')::bigint as "max!",
                  pg_database_size(current_database()) as "bytes!",
                  (select coalesce(array_agg(name order by name), '{}')
                   from pg_settings
                   where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off') as "unsafe_settings!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(server)
}

/// Not checked when it is compiled: the table is made by the migrator, and need not be there.
async fn applied(conn: &mut PgConnection) -> Result<Vec<i64>, StoreError> {
    let exists: bool =
        sqlx::query_scalar("select to_regclass('quire._sqlx_migrations') is not null")
            .fetch_one(&mut *conn)
            .await?;
    if !exists {
        return Ok(Vec::new());
    }
    let versions = "select version from quire._sqlx_migrations where success order by version";
    Ok(sqlx::query_scalar(versions).fetch_all(conn).await?)
}
