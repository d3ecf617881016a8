//! The server of the run and its databases: one with our schema, one with apalis as it is shipped.

use apalis_postgres::PostgresStorage;
use quire_store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

/// The server of this run.
pub struct Server {
    url: String,
}

impl Server {
    /// At the address of its first database.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
        }
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        self.url.replacen("/quire?", &format!("/{database}?"), 1)
    }

    /// An empty database with our schema.
    pub async fn ours(&self, name: &str, connections: u32) -> Store {
        self.create(name).await;
        let options = StoreOptions {
            url: self.url(name),
            max_connections: connections,
            role: "quire-bench",
        };
        let store = Store::connect(&options).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// An empty database with apalis' schema and nothing else.
    pub async fn shipped(&self, name: &str) -> PgPool {
        self.create(name).await;
        let pool = PgPool::connect(&self.url(name)).await.unwrap();
        run(&pool, "create extension pgcrypto; create extension hstore").await;
        PostgresStorage::migrations().run(&pool).await.unwrap();
        pool
    }

    /// An empty database.
    pub async fn create(&self, name: &str) {
        let mut admin = PgConnection::connect(&self.url).await.unwrap();
        let statement = format!("create database {name}");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut admin)
            .await
            .unwrap();
    }
}

/// Runs statements that are part of the setting and not of what is measured.
pub async fn run(pool: &PgPool, statements: &'static str) {
    sqlx::raw_sql(statements).execute(pool).await.unwrap();
}
