//! What the last server left behind in a cluster, and perhaps that server itself.
//!
//! A server removes its state file at a clean end. After a crash the file stays, and the process id in it can be anything: a
//! server still shutting down, a zombie that nobody reaps (in a container without an init it stays for ever), or an unrelated
//! process that got the same number. A new server takes each of these for a running one and refuses to start, so we look closer.
//! Only the owner of the directory's lock may do so.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::error::{AtPath as _, EmbeddedError, absent};
use super::files;
use super::poll::poll;
use super::process::{self, Look};
use super::state_file::StateFile;
use super::user::ServerUser;

/// How long a predecessor may take to end. A killed parent's server needs about 0.2 s, one with much to write longer.
pub(super) const TAKEOVER_LIMIT: Duration = Duration::from_secs(30);

/// Who has the process id that a state file names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// No process.
    Nobody,
    /// A dead process that its parent has not asked about yet.
    Zombie,
    /// The server of this cluster.
    Server,
    /// Some other process.
    Unrelated,
}

/// Waits until nothing of an earlier server stands in the way of a new one; a live one is told to stop.
pub(super) fn settle(cluster: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    let mut told = false;
    let settled = poll(TAKEOVER_LIMIT, || {
        let Some(state) = StateFile::read(cluster)? else {
            return Ok(Some(()));
        };
        match state.pid().map(|pid| (pid, holder(pid, cluster))) {
            None => remove_state(cluster).map(Some),
            Some((_, Holder::Nobody)) => Ok(Some(())),
            Some((_, Holder::Zombie | Holder::Unrelated)) => {
                take_over(&state, cluster, user).map(Some)
            }
            Some((pid, Holder::Server)) => {
                if !told {
                    tell_to_stop(pid, cluster)?;
                    told = true;
                }
                Ok(None)
            }
        }
    })?;
    settled.ok_or_else(|| EmbeddedError::Busy {
        path: cluster.to_owned(),
        seconds: TAKEOVER_LIMIT.as_secs(),
    })
}

/// Finds out who has this process id.
pub(super) fn holder(pid: Pid, cluster: &Path) -> Holder {
    match process::look(pid) {
        Look::Nobody => Holder::Nobody,
        Look::Zombie => Holder::Zombie,
        Look::Alive(arguments) if process::names(&arguments, cluster) => Holder::Server,
        Look::Alive(_) => Holder::Unrelated,
    }
}

/// Writes our own process id into the state file. A server takes its parent's for no obstacle and goes on to the check that
/// matters: whether any process of the old server still has its shared memory. Removing the file would skip that check.
fn take_over(state: &StateFile, cluster: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    files::replace(&StateFile::path(cluster), &state.with_pid(getpid()), user)
}

/// An empty file is what a machine that lost power leaves; a server refuses it as it would a starting one.
fn remove_state(cluster: &Path) -> Result<(), EmbeddedError> {
    let path = StateFile::path(cluster);
    absent(std::fs::remove_file(&path))
        .at("remove", &path)
        .map(|_| ())
}

fn tell_to_stop(pid: Pid, cluster: &Path) -> Result<(), EmbeddedError> {
    tracing::info!(
        pid = pid.as_raw_nonzero().get(),
        "stopping a database server whose parent is gone"
    );
    match kill_process(pid, Signal::INT) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(std::io::Error::from(error)).at("stop the running server of", cluster),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// A process with chosen arguments, ended by closing its input.
    fn process_naming(path: &Path) -> std::process::Child {
        Command::new("sh")
            .args(["-c", "read line", "sh"])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn tells_a_server_from_an_unrelated_process_a_zombie_and_nobody() {
        let cluster = Path::new("/data/postgres");
        let mut child = process_naming(cluster);
        let pid = Pid::from_child(&child);
        // Until the child has become the shell it still has our own arguments.
        poll(TAKEOVER_LIMIT, || {
            Ok((holder(pid, cluster) == Holder::Server).then_some(()))
        })
        .unwrap()
        .unwrap();
        assert_eq!(holder(pid, Path::new("/other")), Holder::Unrelated);

        drop(child.stdin.take());
        poll(TAKEOVER_LIMIT, || {
            Ok((holder(pid, cluster) == Holder::Zombie).then_some(()))
        })
        .unwrap()
        .unwrap();
        child.wait().unwrap();
        assert_eq!(holder(pid, cluster), Holder::Nobody);
    }

    #[test]
    fn an_unrelated_process_with_the_same_number_is_written_over() {
        let cluster = tempfile::tempdir().unwrap();
        let user = ServerUser::choose(cluster.path()).unwrap();
        let mut child = process_naming(Path::new("/somewhere/else"));
        let file = StateFile::path(cluster.path());
        std::fs::write(&file, format!("{}\n/x\n1\n5432\n", child.id())).unwrap();

        settle(cluster.path(), &user).unwrap();
        let state = StateFile::read(cluster.path()).unwrap().unwrap();
        assert_eq!(state.pid(), Some(getpid()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn an_empty_state_file_is_removed() {
        let cluster = tempfile::tempdir().unwrap();
        let user = ServerUser::choose(cluster.path()).unwrap();
        std::fs::write(StateFile::path(cluster.path()), "").unwrap();
        settle(cluster.path(), &user).unwrap();
        assert!(StateFile::read(cluster.path()).unwrap().is_none());
    }
}
