//! One server for all test processes of a checkout on this machine.
//!
//! A test runner starts a process per test, and a server per process would cost more than the tests. So the first process starts
//! a server that outlives it, with durability off, and a watchdog that stops the server when nobody has used it for a while:
//!
//! - every test process holds a shared lock on `users.lock` for its whole life; the kernel lets go of it however the process ends;
//! - the watchdog is a small shell script; it stops the server under the exclusive lock, so no test can begin meanwhile;
//! - start and watchdog each have a lock of their own, so that of many processes at once one starts each.
//!
//! The cluster lies in the temporary directory: a checkout below root's home is closed to the user who runs the server.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::cluster::{self, Found};
use super::error::{AtPath as _, EmbeddedError};
use super::files;
use super::home::Home;
use super::launch::{Durability, Launch};
use super::state_file::StateFile;
use super::user::ServerUser;
use super::{predecessor, running, socket, supervisor};

/// Stops the server of cluster `$2` once the lock `$1` is free and was not taken in the last `$4` minutes; looks every `$3` seconds.
const WATCHDOG: &str = r#"
stop='[ -f "$1/postmaster.pid" ] || exit 0
kill -INT "$(head -n 1 "$1/postmaster.pid")" || exit 0
left=300
while [ -f "$1/postmaster.pid" ] && [ $left -gt 0 ]; do sleep 0.1; left=$((left - 1)); done'
if command -v flock >/dev/null; then
    when_free() { flock -n -x "$@"; }
else
    when_free() { lockf -k -t 0 "$@"; }
fi
while sleep "$3"; do
    [ -d "$2" ] || exit
    [ -n "$(find "$1" -mmin "-$4")" ] && continue
    when_free "$1" sh -c "$stop" sh "$2" && exit
done
"#;

/// How patient the watchdog is.
#[derive(Clone, Copy)]
struct Patience {
    /// Seconds between two looks.
    interval: &'static str,
    /// Minutes that the server stays without use. A runner is often without a database test for some seconds.
    idle: &'static str,
}

const PATIENCE: Patience = Patience {
    interval: "20",
    idle: "1",
};

/// An older cluster is made anew: cleaners of the temporary directory delete single files after some days (ten by default).
const MAX_AGE: Duration = Duration::from_hours(72);

/// The running server, kept so while this value lives.
#[derive(Debug)]
pub(crate) struct SharedServer {
    socket: PathBuf,
    /// Whether this process started it: then no database of an earlier test is in use.
    pub(crate) fresh: bool,
    /// Its lock tells the watchdog that somebody is here.
    _users: File,
}

impl SharedServer {
    /// Starts the server unless it runs.
    pub(crate) fn start() -> Result<Self, EmbeddedError> {
        Self::start_in(&directory(), PATIENCE)
    }

    /// The address of a database of this server.
    pub(crate) fn url(&self, database: &str) -> String {
        socket::url(&self.socket, database)
    }

    fn start_in(directory: &Path, patience: Patience) -> Result<Self, EmbeddedError> {
        let home = Home::open(directory)?;
        check_owner(home.directory())?;
        let users = join_users(&home)?;
        let turn_path = home.directory().join("start.lock");
        let turn = open(&turn_path)?;
        turn.lock().at("lock", &turn_path)?;
        let (socket, fresh) = match running(&home.cluster())? {
            Some(socket) => (socket, false),
            None => (start_server(&home)?, true),
        };
        start_watchdog(&home, patience)?;
        Ok(Self {
            socket,
            fresh,
            _users: users,
        })
    }
}

fn directory() -> PathBuf {
    let checkout = socket::short_hash(env!("CARGO_MANIFEST_DIR").as_bytes());
    let uid = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("quire-test-pg-{uid}-{checkout}"))
}

/// Anybody can make a directory of this name in the temporary directory before us.
fn check_owner(directory: &Path) -> Result<(), EmbeddedError> {
    let metadata = fs::metadata(directory).at("read", directory)?;
    if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(EmbeddedError::OtherUser {
        path: directory.to_owned(),
    })
}

/// Waits while the watchdog stops the server.
fn join_users(home: &Home) -> Result<File, EmbeddedError> {
    let path = home.directory().join("users.lock");
    let mut users = open(&path)?;
    // The watchdog runs as the server's user and has to open it.
    users
        .set_permissions(Permissions::from_mode(0o644))
        .at("change the mode of", &path)?;
    users.lock_shared().at("lock", &path)?;
    // Its time of change is what the watchdog reads.
    users
        .set_len(0)
        .and_then(|()| users.write_all(b"used\n"))
        .at("write", &path)?;
    Ok(users)
}

fn start_server(home: &Home) -> Result<PathBuf, EmbeddedError> {
    discard_doubtful(home)?;
    let launch = Launch::prepare(home, Durability::Scratch)?;
    let label = label(home);
    fs::write(&label, source_hash()).at("write", &label)?;
    supervisor::start_detached(&launch)?;
    Ok(launch.socket.path)
}

/// Removes a cluster that did not end cleanly, which without fsync may be damaged, or that is old or made by other code.
fn discard_doubtful(home: &Home) -> Result<(), EmbeddedError> {
    let path = home.cluster();
    if cluster::inspect(&path)? == Found::Nothing {
        return Ok(());
    }
    // One may be starting still, for a test process that was killed meanwhile.
    predecessor::settle(&path, &ServerUser::choose(&path)?)?;
    let made = fs::metadata(path.join("PG_VERSION"))
        .and_then(|file| file.modified())
        .at("read", &path)?;
    let old = made.elapsed().is_ok_and(|age| age > MAX_AGE);
    if old || StateFile::read(&path)?.is_some() || !made_by_this_code(home) {
        files::remove_tree(&path).at("remove", &path)?;
    }
    Ok(())
}

fn made_by_this_code(home: &Home) -> bool {
    fs::read_to_string(label(home)).is_ok_and(|hash| hash == source_hash())
}

/// Says which code made the cluster.
fn label(home: &Home) -> PathBuf {
    home.directory().join("made-by")
}

fn source_hash() -> String {
    socket::short_hash(include_bytes!("cluster.rs"))
}

/// The watchdog's input is its locked lock file: whoever can lock it knows that there is no watchdog.
fn start_watchdog(home: &Home, patience: Patience) -> Result<(), EmbeddedError> {
    let path = home.directory().join("watchdog.lock");
    let lock = open(&path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
    }
    let cluster = home.cluster();
    let mut command = ServerUser::choose(&cluster)?.command("sh");
    command
        .args(["-c", WATCHDOG, "quire-test-watchdog"])
        .arg(home.directory().join("users.lock"))
        .arg(&cluster)
        .args([patience.interval, patience.idle])
        .stdin(lock)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .spawn()
        .at("start a watchdog for", &cluster)
        .map(drop)
}

fn open(path: &Path) -> Result<File, EmbeddedError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .at("open", path)
}

#[cfg(test)]
mod tests {
    use super::super::poll::poll;
    use super::*;

    const HASTY: Patience = Patience {
        interval: "0.1",
        idle: "0",
    };

    #[test]
    fn the_server_is_shared_and_stops_when_nobody_uses_it() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o711)).unwrap();
        let directory = place.path().join("shared");

        let first = SharedServer::start_in(&directory, HASTY).unwrap();
        let second = SharedServer::start_in(&directory, HASTY).unwrap();
        assert!(first.fresh && !second.fresh);
        assert_eq!(first.url("quire"), second.url("quire"));

        drop((first, second));
        let home = Home::open(&directory).unwrap();
        let limit = Duration::from_mins(1);
        let stopped = || Ok(StateFile::read(&home.cluster())?.is_none().then_some(()));
        assert!(poll(limit, stopped).unwrap().is_some());
        let watchdog = open(&home.directory().join("watchdog.lock")).unwrap();
        assert!(
            poll(limit, || Ok(watchdog.try_lock().ok()))
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_cluster_that_did_not_end_cleanly_is_not_trusted() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::open(place.path()).unwrap();
        fs::create_dir(home.cluster()).unwrap();
        for file in ["QUIRE_CLUSTER", "PG_VERSION"] {
            fs::write(home.cluster().join(file), "15\n").unwrap();
        }
        fs::write(label(&home), source_hash()).unwrap();
        discard_doubtful(&home).unwrap();
        assert!(home.cluster().exists());
        fs::write(StateFile::path(&home.cluster()), "1\n").unwrap();
        discard_doubtful(&home).unwrap();
        assert!(!home.cluster().exists());
    }
}
