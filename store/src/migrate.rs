//! Brings the schema up to date: apalis's own migrations, then ours, which also repair apalis's.
//!
//! All of it on one connection under one advisory lock, so that any number of processes may start at once. Ours are tracked in
//! `quire._sqlx_migrations`, apalis's in `apalis._sqlx_migrations`, and an application's in `public` stay untouched.

use apalis_postgres::PostgresStorage;
use sqlx::{PgPool, migrate::Migrator, postgres::PgPoolOptions};

use crate::{error::StoreError, store::Store};

/// Where our applied migrations are listed.
const MIGRATIONS_TABLE: &str = "quire._sqlx_migrations";
/// The key of the migration lock: "quire" in ASCII.
const MIGRATION_LOCK: i64 = 0x71_75_69_72_65;

/// The migration that replaces the queue's fetch, and what encloses the body of the function in it.
const APALIS_MIGRATION: &str = include_str!("../../migrations/0004_order.sql");
const BODY_QUOTE: &str = "$get_jobs$";

impl Store {
    /// Creates or updates both schemas. Safe for many processes at once; does nothing when all is up to date.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A pool of one connection that nobody else uses: whatever fails, closing it releases the lock and the settings.
        let only = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(self.inner.session.clone());
        let outcome = bring_up_to_date(&only).await;
        only.close().await;
        outcome
    }
}

async fn bring_up_to_date(only: &PgPool) -> Result<(), StoreError> {
    lock(only).await?;
    create_extensions(only).await?;
    PostgresStorage::migrations().run(only).await?;
    ours().run(only).await?;
    check_fetch(only).await
}

/// Our migrations, as they were when this was compiled.
pub(crate) fn ours() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator.create_schema("quire");
    migrator
}

/// The versions of our migrations, in order.
pub(crate) fn versions() -> Vec<i64> {
    ours().iter().map(|migration| migration.version).collect()
}

async fn lock(only: &PgPool) -> Result<(), StoreError> {
    // Another process may be in the middle of a long migration, and so may we be soon.
    sqlx::query!(
        "select set_config(setting, '0', false)
         from unnest(array['statement_timeout', 'lock_timeout']) as setting"
    )
    .fetch_all(only)
    .await?;
    sqlx::query!("select pg_advisory_lock($1)", MIGRATION_LOCK)
        .execute(only)
        .await?;
    Ok(())
}

/// apalis stores task metadata as hstore, and its early migrations call pgcrypto. Both are trusted: the owner of the database may
/// create them.
async fn create_extensions(only: &PgPool) -> Result<(), StoreError> {
    sqlx::query!("create extension if not exists pgcrypto")
        .execute(only)
        .await?;
    sqlx::query!("create extension if not exists hstore")
        .execute(only)
        .await?;
    Ok(())
}

/// Refuses a database whose queue would fall back to the fetch that scans the table.
async fn check_fetch(only: &PgPool) -> Result<(), StoreError> {
    let stored = sqlx::query_scalar!(
        "select prosrc
         from pg_proc
         where oid = to_regprocedure('apalis.get_jobs(text, text, integer)')"
    )
    .fetch_optional(only)
    .await?;
    if stored.as_deref() == fetch_body() {
        return Ok(());
    }
    Err(StoreError::Foreign(
        "apalis.get_jobs is not the function of migration 0004",
    ))
}

fn fetch_body() -> Option<&'static str> {
    APALIS_MIGRATION.split(BODY_QUOTE).nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migration_names_the_body_that_the_check_compares() {
        let body = fetch_body().unwrap();
        assert!(body.contains("quire.next_in_class") && body.trim_end().ends_with("end"));
    }
}
