//! `postmaster.pid`, the file in which a running server tells where it is and how far.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::error::{AtPath as _, EmbeddedError, absent};

// Its lines, counted from 0. A starting server writes them one after the other.
const PID: usize = 0;
const DATA_DIRECTORY: usize = 1;
const SOCKET_DIRECTORY: usize = 4;
const STATUS: usize = 7;

/// What the file held when it was read.
#[derive(Debug)]
pub(super) struct StateFile {
    lines: Vec<Vec<u8>>,
}

impl StateFile {
    pub(super) fn path(cluster: &Path) -> PathBuf {
        cluster.join("postmaster.pid")
    }

    /// `None` when no server runs or none ever crashed.
    pub(super) fn read(cluster: &Path) -> Result<Option<Self>, EmbeddedError> {
        let path = Self::path(cluster);
        let content = absent(fs::read(&path)).at("read", &path)?;
        Ok(content.map(|content| Self::parse(&content)))
    }

    /// The server's process id; `None` in a file whose writer was killed before it wrote.
    pub(super) fn pid(&self) -> Option<Pid> {
        // A server in single-user mode writes its number negative.
        let number: i32 = self.text(PID)?.parse().ok()?;
        Pid::from_raw(number.checked_abs()?)
    }

    /// Whether the server accepts connections.
    pub(super) fn is_ready(&self) -> bool {
        self.text(STATUS) == Some("ready")
    }

    /// Whether it was written by a server of this cluster: a copied cluster carries the file of the original.
    pub(super) fn is_about(&self, cluster: &Path) -> bool {
        self.lines
            .get(DATA_DIRECTORY)
            .is_some_and(|line| line == cluster.as_os_str().as_bytes())
    }

    pub(super) fn socket_directory(&self) -> Option<PathBuf> {
        let line = self
            .lines
            .get(SOCKET_DIRECTORY)
            .filter(|line| !line.is_empty())?;
        Some(PathBuf::from(OsString::from_vec(line.clone())))
    }

    /// The same file in the name of another process.
    pub(super) fn with_pid(&self, pid: Pid) -> Vec<u8> {
        let mut content = pid.as_raw_nonzero().to_string().into_bytes();
        for line in self.lines.iter().skip(1) {
            content.push(b'\n');
            content.extend_from_slice(line);
        }
        content.push(b'\n');
        content
    }

    fn parse(content: &[u8]) -> Self {
        let lines = content
            .split(|byte| *byte == b'\n')
            .map(|line| line.trim_ascii_end().to_vec());
        Self {
            lines: lines.collect(),
        }
    }

    fn text(&self, line: usize) -> Option<&str> {
        std::str::from_utf8(self.lines.get(line)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &[u8] =
        b"4711\n/data/postgres\n1760000000\n5432\n/run/q\n\n  1073930        12\nready   \n";

    #[test]
    fn reads_a_running_server() {
        let state = StateFile::parse(READY);
        assert_eq!(state.pid(), Pid::from_raw(4711));
        assert!(state.is_ready());
        assert!(
            state.is_about(Path::new("/data/postgres"))
                && !state.is_about(Path::new("/copy/postgres"))
        );
        assert_eq!(state.socket_directory(), Some(PathBuf::from("/run/q")));
    }

    #[test]
    fn a_starting_stopping_or_empty_file_is_not_ready() {
        assert!(!StateFile::parse(b"4711\n/data/postgres\n1760000000\n5432\n").is_ready());
        assert!(!StateFile::parse(b"1\n/d\n2\n5432\n/s\n\n 1 2\nstopping\n").is_ready());
        let empty = StateFile::parse(b"");
        assert!(!empty.is_ready() && empty.pid().is_none() && empty.socket_directory().is_none());
    }

    #[test]
    fn a_changed_owner_leaves_the_other_lines() {
        let changed = StateFile::parse(READY).with_pid(Pid::from_raw(12).unwrap());
        let state = StateFile::parse(&changed);
        assert_eq!(state.pid(), Pid::from_raw(12));
        assert_eq!(
            state.lines[1..],
            StateFile::parse(READY)
                .with_pid(Pid::INIT)
                .split(|b| *b == b'\n')
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()[1..]
        );
    }
}
