//! The embedded server against a real PostgreSQL: its whole life, and every way in which it can be cut short.
//!
//! Some tests need a process to kill or a process of another user. They run this test binary again with one test of it, which
//! then starts a server where they tell it to and waits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use quire_store::embedded::{EmbeddedError, EmbeddedPostgres};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

/// Tells the test named below which directory to serve.
const HELPER_DIRECTORY: &str = "QUIRE_TEST_HELPER_DIRECTORY";
const HELPER: &str = "a_server_is_started_and_stopped";

/// The user id of `nobody` on Linux.
const NOBODY: u32 = 65534;

/// Ends waits that can only end by a failure.
const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_new_server_is_durable_has_no_port_and_keeps_its_data() {
    let place = Place::new();
    let server = place.start();
    assert!(server.is_owner());
    for (setting, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("log_min_messages", "log"),
        ("search_path", "public"),
    ] {
        assert_eq!(
            text(server.url(), &format!("SHOW {setting}")),
            value,
            "{setting}"
        );
    }
    assert_eq!(
        text(
            server.url(),
            "SELECT current_user || '@' || current_database()"
        ),
        "quire@quire"
    );
    assert_eq!(text(server.url(), "SELECT lower('ÄÉ')"), "äé");
    execute(
        server.url(),
        "CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore; CREATE TABLE kept AS SELECT 'kept' AS value",
    );
    server.stop().unwrap();
    assert!(!place.cluster().join("postmaster.pid").exists());
    assert!(!place.path().join("cluster.tmp").exists());

    let again = place.start();
    assert_eq!(text(again.url(), "SELECT value FROM kept"), "kept");
}

#[test]
fn the_log_holds_no_content() {
    let place = Place::new();
    let server = place.start();
    block_on(async {
        let mut connection = PgConnection::connect(server.url()).await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (v text UNIQUE); INSERT INTO t VALUES ('secret')")
            .execute(&mut connection)
            .await
            .unwrap();
        assert!(
            sqlx::raw_sql("INSERT INTO t VALUES ('secret')")
                .execute(&mut connection)
                .await
                .is_err()
        );
        assert!(
            sqlx::raw_sql("SELECT 'secret'::int")
                .execute(&mut connection)
                .await
                .is_err()
        );
    });
    server.stop().unwrap();
    let log = fs::read_to_string(place.path().join("server.log")).unwrap();
    assert!(log.contains("ready to accept connections"));
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn of_many_starts_at_once_one_owns_the_server_and_all_are_served() {
    let place = Place::new();
    let together = Arc::new(Barrier::new(4));
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let (together, directory) = (Arc::clone(&together), place.path().to_owned());
            std::thread::spawn(move || {
                together.wait();
                EmbeddedPostgres::start(&directory).unwrap()
            })
        })
        .collect();
    let servers: Vec<EmbeddedPostgres> = starts
        .into_iter()
        .map(|start| start.join().unwrap())
        .collect();
    assert_eq!(servers.iter().filter(|server| server.is_owner()).count(), 1);
    for server in &servers {
        assert_eq!(text(server.url(), "SELECT 'served'"), "served");
    }

    let (owners, clients): (Vec<_>, Vec<_>) =
        servers.into_iter().partition(EmbeddedPostgres::is_owner);
    for client in clients {
        client.stop().unwrap();
    }
    assert_eq!(text(owners[0].url(), "SELECT 'served'"), "served");
    drop(owners);
    assert!(place.start().is_owner());
}

#[test]
fn an_heir_goes_on_with_the_server_when_its_owner_ends_and_stops_it_itself() {
    let place = Place::new();
    let owner = EmbeddedPostgres::start_or_inherit(place.path()).unwrap();
    execute(owner.url(), "CREATE TABLE kept AS SELECT 'kept' AS value");
    let heir = EmbeddedPostgres::start_or_inherit(place.path()).unwrap();
    let client = place.start();
    assert!(owner.is_owner() && !heir.is_owner() && !client.is_owner());
    let first = place.server_pid();
    owner.stop().unwrap();
    let begun = Instant::now();
    let running = || {
        let file = fs::read_to_string(place.path().join("cluster/postmaster.pid"));
        file.is_ok_and(|file| {
            file.lines()
                .nth(7)
                .is_some_and(|status| status.trim() == "ready")
        })
    };
    while !running() {
        assert!(begun.elapsed() < LIMIT, "nobody took the server over");
        std::thread::yield_now();
    }
    assert_ne!(place.server_pid(), first);
    assert_eq!(text(heir.url(), "SELECT value FROM kept"), "kept");
    assert_eq!(text(client.url(), "SELECT value FROM kept"), "kept");
    let second = place.server_pid();
    heir.stop().unwrap();
    assert!(!is_running(second), "it is the heir's to stop");
    client.stop().unwrap();
    assert!(place.start().is_owner());
}

#[test]
fn the_server_goes_with_a_killed_parent_and_the_next_start_works_at_once() {
    let place = Place::new();
    let mut parent = Helper::start(place.path());
    execute(&parent.url, "CREATE TABLE kept AS SELECT 'kept' AS value");
    let server = place.server_pid();
    parent.process.kill().unwrap();
    let begun = Instant::now();
    let next = place.start();
    assert!(next.is_owner());
    assert_ne!(place.server_pid(), server);
    assert!(!is_running(server));
    eprintln!(
        "next start after kill -9 of the parent: {:?}",
        begun.elapsed()
    );
    assert_eq!(text(next.url(), "SELECT value FROM kept"), "kept");
    parent.process.wait().unwrap();
}

#[test]
fn a_killed_parent_leaves_no_process() {
    let place = Place::new();
    let mut parent = Helper::start(place.path());
    let server = place.server_pid();
    parent.process.kill().unwrap();
    let begun = Instant::now();
    wait_until("the server has ended", || !is_running(server));
    eprintln!(
        "server gone after kill -9 of the parent: {:?}",
        begun.elapsed()
    );
    parent.process.wait().unwrap();
    let log = fs::read_to_string(place.path().join("server.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
}

#[test]
fn a_killed_server_is_started_again() {
    let place = Place::new();
    let server = place.start();
    execute(server.url(), "CREATE TABLE kept AS SELECT 'kept' AS value");
    let killed = place.server_pid();
    kill_process(killed, Signal::KILL).unwrap();
    wait_until("another server is ready", || {
        is_ready(&place) && place.server_pid() != killed
    });
    assert_eq!(text(server.url(), "SELECT value FROM kept"), "kept");
    server.stop().unwrap();
    assert!(!place.cluster().join("postmaster.pid").exists());
}

#[test]
fn nothing_committed_is_lost_when_both_are_killed() {
    let place = Place::new();
    let mut parent = Helper::start(place.path());
    execute(&parent.url, "CREATE TABLE rows (id int)");
    for id in 0..50 {
        execute(&parent.url, &format!("INSERT INTO rows VALUES ({id})"));
    }
    kill_process(place.server_pid(), Signal::KILL).unwrap();
    parent.process.kill().unwrap();
    parent.process.wait().unwrap();
    let next = place.start();
    assert_eq!(text(next.url(), "SELECT count(*)::text FROM rows"), "50");
}

#[test]
fn a_kill_while_the_cluster_is_made_leaves_nothing_in_the_way() {
    let place = Place::new();
    let mut parent = helper_command(&std::env::current_exe().unwrap(), place.path())
        .spawn()
        .unwrap();
    wait_until("the cluster is half made", || {
        place.path().join("cluster.tmp/cluster/base").exists()
    });
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(!place.cluster().exists());

    let server = place.start();
    assert_eq!(text(server.url(), "SELECT 'whole'"), "whole");
    assert!(!place.path().join("cluster.tmp").exists());
}

#[test]
fn a_state_file_that_names_an_unrelated_process_does_not_hinder() {
    let place = Place::new();
    place.start().stop().unwrap();
    // What a container that was killed leaves: in the next one the number belongs to somebody else, here to ourselves.
    let state = format!(
        "{}\n{}\n1\n5432\n/nowhere\n\n1 1\nready\n",
        std::process::id(),
        place.cluster().display()
    );
    fs::write(place.cluster().join("postmaster.pid"), state).unwrap();
    assert!(place.start().is_owner());
}

#[test]
fn a_data_directory_with_a_long_or_odd_path_works() {
    let place = Place::new();
    let long = place
        .path()
        .join("d".repeat(120))
        .join("mit Leerzeichen, Komma & Umlaut ä");
    let server = EmbeddedPostgres::start(&long).unwrap();
    assert_eq!(text(server.url(), "SELECT 'short enough'"), "short enough");
    let socket = text(server.url(), "SHOW unix_socket_directories");
    assert!(Path::new(&socket).is_dir());
    server.stop().unwrap();
    assert!(!Path::new(&socket).exists());
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    for name in ["cluster", "cluster.tmp"] {
        let place = Place::new();
        let foreign = place.path().join(name);
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("precious"), "data").unwrap();
        let error = EmbeddedPostgres::start(place.path()).unwrap_err();
        assert!(
            matches!(error, EmbeddedError::ForeignDirectory { .. }),
            "{error}"
        );
        assert_eq!(
            fs::read_to_string(foreign.join("precious")).unwrap(),
            "data"
        );
    }
}

#[test]
fn a_cluster_of_a_version_that_is_not_installed_is_refused_with_the_way_out() {
    let place = Place::new();
    place.start().stop().unwrap();
    fs::write(place.cluster().join("PG_VERSION"), "99\n").unwrap();
    let error = EmbeddedPostgres::start(place.path())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("apt-get install postgresql-99") && error.contains("mv "),
        "{error}"
    );
}

#[test]
fn root_is_told_which_directory_is_closed_to_the_server() {
    if !rustix::process::geteuid().is_root() {
        return; // Anybody else runs the server as themselves.
    }
    let place = Place::new();
    let closed = place.path().join("closed");
    fs::create_dir_all(closed.join("data")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedPostgres::start(&closed.join("data"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("cannot enter {}:", closed.display())),
        "{error}"
    );
    assert!(error.contains("chmod o+x"), "{error}");
}

#[test]
fn a_plain_user_runs_a_server_of_their_own() {
    if !rustix::process::geteuid().is_root() {
        return; // Then all the other tests show it.
    }
    let place = Place::new();
    let data = place.path().join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    // The build directory may be closed to them.
    let program = place.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();

    let mut command = helper_command(&program, &data);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let mut theirs = Helper::from(command);
    // Root may connect as well.
    assert_eq!(text(&theirs.url, "SELECT current_user::text"), "quire");
    drop(theirs.process.stdin.take());
    assert!(theirs.process.wait().unwrap().success());

    // Root goes on with their cluster as their user.
    let server = EmbeddedPostgres::start(&data).unwrap();
    assert_eq!(text(server.url(), "SELECT 'both'"), "both");
}

/// Also the process that other tests kill or run as another user: then it serves their directory until its input ends.
#[test]
fn a_server_is_started_and_stopped() {
    let asked = std::env::var_os(HELPER_DIRECTORY).map(PathBuf::from);
    // Not made when asked: killed, we would leave it behind.
    let own = asked.is_none().then(Place::new);
    let directory = asked.as_deref().or(own.as_ref().map(Place::path)).unwrap();
    let server = EmbeddedPostgres::start(directory).unwrap();
    println!("\nREADY {}", server.url());
    if asked.is_some() {
        std::io::stdin().lines().for_each(drop);
    }
    assert!(directory.join("cluster/postmaster.pid").exists());
    server.stop().unwrap();
    assert!(!directory.join("cluster/postmaster.pid").exists());
}

/// A data directory that every user can reach.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::with_prefix("quire-embedded-").unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn cluster(&self) -> PathBuf {
        self.path().join("cluster")
    }

    fn start(&self) -> EmbeddedPostgres {
        EmbeddedPostgres::start(self.path()).unwrap()
    }

    fn server_pid(&self) -> Pid {
        let state = fs::read_to_string(self.cluster().join("postmaster.pid")).unwrap();
        Pid::from_raw(state.lines().next().unwrap().parse().unwrap()).unwrap()
    }
}

/// A process that runs a server until its input ends.
struct Helper {
    process: Child,
    /// Kept open: it goes on writing.
    _output: BufReader<ChildStdout>,
    url: String,
}

impl Helper {
    fn start(directory: &Path) -> Self {
        Self::from(helper_command(&std::env::current_exe().unwrap(), directory))
    }
}

impl From<Command> for Helper {
    fn from(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut lines = output.by_ref().lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("READY ").map(str::to_owned));
        Self {
            process,
            _output: output,
            url: url.expect("the helper says that it is ready"),
        }
    }
}

fn helper_command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", HELPER, "--nocapture"])
        .env(HELPER_DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

fn is_ready(place: &Place) -> bool {
    let state = fs::read_to_string(place.cluster().join("postmaster.pid")).unwrap_or_default();
    state
        .lines()
        .nth(7)
        .is_some_and(|status| status.trim() == "ready")
}

/// A zombie has ended: whoever inherited it has not asked yet.
fn is_running(pid: Pid) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.as_raw_nonzero().to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process's end has no event for us to wait for"
)]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn text(url: &str, query: &str) -> String {
    block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_one(&mut connection)
            .await
            .unwrap()
    })
}

fn execute(url: &str, statements: &str) {
    block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements))
            .execute(&mut connection)
            .await
            .unwrap();
    });
}
