//! A database per test: a copy of a migrated template, in a server that all test processes share.
//!
//! Copying a template takes a third of the time of migrating, and that stays so as the migrations grow. The template's name holds
//! a hash of all that migrating depends on, so a changed migration means another template. Databases of tests that were killed
//! are removed by later ones.
//!
//! Everything here panics when it fails: a test without a database has nothing else to do.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid, test_kill_process};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;

use crate::embedded::shared::SharedServer;
use crate::migrate::ours;
use crate::store::{Store, StoreOptions};

/// The database from which the others are made; it exists in every cluster of ours and stays empty.
const ADMIN_DATABASE: &str = "quire";

/// Name of a template under construction: renamed when it is complete, so no test ever sees half of one.
const UNFINISHED: &str = "quire_template_unfinished";

/// Key of the advisory lock under which templates are made and left-overs removed ("quire" in ASCII).
const SETUP_LOCK: i64 = 0x71_75_69_72_65;

/// Left-overs that one process removes at most, so that no test pays for a long history.
const SWEEP_LIMIT: usize = 4;

/// Connections of a test's store. The server allows 400, and every core runs a test.
const STORE_CONNECTIONS: u32 = 6;

/// Longest wait for the first connection of a test.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// Pause before it is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The server and its template, found once per process.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// Numbers this process's databases.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A migrated, empty database of one test. Dropping it drops the database.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    url: String,
    admin_url: String,
}

#[derive(Debug)]
struct Shared {
    server: SharedServer,
    template: String,
}

impl TestDb {
    /// Makes a database for the calling test.
    pub async fn new() -> Self {
        let shared = SHARED.get_or_init(find_shared).await;
        let name = format!(
            "quire_test_{}_{}",
            getpid().as_raw_nonzero(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let admin_url = shared.server.url(ADMIN_DATABASE);
        let mut admin = connect(&admin_url).await;
        run(
            &mut admin,
            format!("CREATE DATABASE {name} TEMPLATE {}", shared.template),
        )
        .await;
        close(admin).await;
        Self {
            url: shared.server.url(&name),
            name,
            admin_url,
        }
    }

    /// The address, for `StoreOptions::url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement beside the service, for what no verb does.
    pub async fn execute(&self, statement: &str) {
        let mut connection = connect(&self.url).await;
        run(&mut connection, statement.to_owned()).await;
        close(connection).await;
    }

    /// A store on this database, as one process would have it.
    pub async fn store(&self) -> Store {
        open_store(&self.url, STORE_CONNECTIONS).await
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let admin_url = self.admin_url.clone();
        // The test's runtime may be single-threaded or shutting down: this one is independent of it.
        let removal = std::thread::spawn(move || -> Result<(), sqlx::Error> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&admin_url).await?;
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(&mut admin)
                    .await?;
                admin.close().await
            })
        });
        if !matches!(removal.join(), Ok(Ok(()))) {
            tracing::warn!(
                database = self.name,
                "a test's database is left for the next run to remove"
            );
        }
    }
}

async fn find_shared() -> Shared {
    let started = tokio::task::spawn_blocking(SharedServer::start).await;
    let server = started
        .expect("starting the server does not panic")
        .unwrap_or_else(|error| panic!("{error}"));
    let template = template_name();
    let mut admin = connect(&server.url(ADMIN_DATABASE)).await;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(SETUP_LOCK)
        .execute(&mut admin)
        .await
        .expect("the setup lock can be taken");
    let databases = databases(&mut admin).await;
    for left_over in left_overs(&databases, &template, server.fresh) {
        run(
            &mut admin,
            format!("DROP DATABASE IF EXISTS {left_over} WITH (FORCE)"),
        )
        .await;
    }
    if !databases.contains(&template) {
        make_template(&mut admin, &server, &template).await;
    }
    close(admin).await;
    Shared { server, template }
}

async fn make_template(admin: &mut PgConnection, server: &SharedServer, template: &str) {
    run(
        admin,
        format!("DROP DATABASE IF EXISTS {UNFINISHED} WITH (FORCE)"),
    )
    .await;
    run(admin, format!("CREATE DATABASE {UNFINISHED}")).await;
    let store = open_store(&server.url(UNFINISHED), STORE_CONNECTIONS).await;
    store
        .migrate()
        .await
        .unwrap_or_else(|error| panic!("the migrations failed: {error}"));
    store.close().await;
    // A database can only be renamed when nobody is connected; a closed connection's process takes a moment to end.
    sqlx::query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1")
        .bind(UNFINISHED)
        .execute(&mut *admin)
        .await
        .expect("sessions can be ended");
    // Nobody connects to a template, not even autovacuum: a connection would make copying wait.
    run(
        admin,
        format!("ALTER DATABASE {UNFINISHED} WITH ALLOW_CONNECTIONS false"),
    )
    .await;
    run(
        admin,
        format!("ALTER DATABASE {UNFINISHED} RENAME TO {template}"),
    )
    .await;
}

/// The databases that nobody can need any more.
fn left_overs<'a>(databases: &'a [String], template: &str, fresh: bool) -> Vec<&'a String> {
    let dead = |name: &&String| match name.strip_prefix("quire_test_") {
        Some(rest) => fresh || owner_is_gone(rest),
        // While a server runs, a test built from another state of the sources may be using its own template.
        None => fresh && name.starts_with("quire_template_") && *name != template,
    };
    databases
        .iter()
        .filter(dead)
        .take(if fresh { usize::MAX } else { SWEEP_LIMIT })
        .collect()
}

/// Reads `<process id>_<number>`. A database with our own process id is left from an earlier process with the same one.
fn owner_is_gone(rest: &str) -> bool {
    let pid = rest
        .split_once('_')
        .and_then(|(pid, _)| Pid::from_raw(pid.parse().ok()?));
    pid.is_none_or(|pid| pid == getpid() || test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

/// Named by what migrating depends on: our migrations, those of apalis (by its locked version), the code that runs them, and the
/// day, for which partitions are made.
fn template_name() -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        package.join("../Cargo.lock"),
        package.join("src/migrate.rs"),
    ];
    let mut hash = Sha256::new();
    for file in files {
        hash.update(
            std::fs::read(&file)
                .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display())),
        );
        hash.update([0]);
    }
    // Those in this program, not the files: a test that was compiled before a change of them has its own template.
    for migration in ours().iter() {
        hash.update(&migration.checksum);
    }
    hash.update(crate::clock::now().date_naive().to_string());
    format!("quire_template_{}", hex::encode(&hash.finalize()[..8]))
}

/// A store on any database. A machine that compiles beside the tests may be slow to answer: that is waited for.
pub async fn open_store(url: &str, max_connections: u32) -> Store {
    let options = StoreOptions {
        url: url.to_owned(),
        max_connections,
        role: "quire-test",
    };
    let begun = Instant::now();
    loop {
        match Store::connect(&options).await {
            Ok(store) => return store,
            Err(error) if error.is_unavailable() && begun.elapsed() < CONNECT_WITHIN => {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            Err(error) => panic!("cannot connect to {url}: {error}"),
        }
    }
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
}

async fn close(connection: PgConnection) {
    connection
        .close()
        .await
        .expect("a connection to the local server can be closed");
}

async fn databases(admin: &mut PgConnection) -> Vec<String> {
    let names = sqlx::query_scalar("SELECT datname::text FROM pg_database");
    names
        .fetch_all(admin)
        .await
        .expect("databases can be listed")
}

async fn run(admin: &mut PgConnection, statement: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(admin)
        .await;
    if let Err(error) = done {
        panic!("{statement}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_needs_is_removed() {
        let ours = format!("quire_test_{}_0", getpid().as_raw_nonzero());
        let names = [
            "quire",
            "postgres",
            "quire_template_a",
            "quire_template_b",
            "quire_test_1_0",
            "quire_test_x",
            &ours,
        ];
        let databases: Vec<String> = names.iter().map(ToString::to_string).collect();

        let running = left_overs(&databases, "quire_template_a", false);
        assert_eq!(running, ["quire_test_x", &ours]);
        let fresh = left_overs(&databases, "quire_template_a", true);
        assert_eq!(
            fresh,
            ["quire_template_b", "quire_test_1_0", "quire_test_x", &ours]
        );
    }

    #[tokio::test]
    async fn every_test_has_its_own_database() {
        let (one, other) = (TestDb::new().await, TestDb::new().await);
        assert_ne!(one.url(), other.url());
        let mut connection = connect(one.url()).await;
        run(
            &mut connection,
            "CREATE TABLE only_here (id int)".to_owned(),
        )
        .await;
        let mut elsewhere = connect(other.url()).await;
        let found: Option<String> = sqlx::query_scalar("SELECT to_regclass('only_here')::text")
            .fetch_one(&mut elsewhere)
            .await
            .unwrap();
        assert_eq!(found, None);
    }

    #[tokio::test]
    async fn a_database_comes_migrated_and_goes_with_its_test() {
        let db = TestDb::new().await;
        let store = db.store().await;
        store.ping().await.unwrap();
        let mut connection = connect(db.url()).await;
        let jobs: Option<String> = sqlx::query_scalar("SELECT to_regclass('quire.jobs')::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(jobs.as_deref(), Some("quire.jobs"));

        let (name, admin_url) = (db.name.clone(), db.admin_url.clone());
        drop(db);
        assert!(
            !databases(&mut connect(&admin_url).await)
                .await
                .contains(&name)
        );
    }
}
