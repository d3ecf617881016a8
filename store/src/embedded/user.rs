//! Which user of the operating system runs the server.
//!
//! PostgreSQL refuses to run as root, so root hands it to `postgres`, else to `nobody`; anybody else runs it as themselves. A
//! cluster that exists already decides by its owner. Names come from `/etc/passwd` and, for users of a directory service, from
//! `id`: the C library's own look-up is an unsafe call.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;

use super::error::{AtPath as _, EmbeddedError, absent};

/// Whom root gives the server to, in this order; macOS writes its system users with an underscore.
const SERVER_USERS: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// What a server process keeps of our environment. Everything else stays out: it may hold secrets, which a database superuser
/// could read, and `PG*` variables, which would override settings.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// The user who owns the cluster and runs the server.
#[derive(Clone, Debug)]
pub(super) struct ServerUser {
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    /// Whether we are root and have to become this user first.
    switch: bool,
}

impl ServerUser {
    /// Chooses the user for the cluster at this path, which need not exist yet.
    pub(super) fn choose(cluster: &Path) -> Result<Self, EmbeddedError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if !uid.is_root() {
            return Self::numbered(uid.as_raw(), gid.as_raw(), false);
        }
        let existing = absent(fs::symlink_metadata(cluster)).at("read", cluster)?;
        if let Some(metadata) = existing.filter(|metadata| metadata.uid() != 0) {
            return Self::numbered(metadata.uid(), metadata.gid(), true);
        }
        SERVER_USERS
            .iter()
            .find_map(|wanted| passwd_entry(|entry| entry.name == *wanted))
            .map(|entry| Self {
                name: entry.name,
                uid: entry.uid,
                gid: entry.gid,
                switch: true,
            })
            .ok_or(EmbeddedError::NoServerUser)
    }

    /// A command that runs as this user, away from our terminal and with hardly any environment.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(
                KEPT_VARIABLES
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .env("LC_ALL", "C")
            // Ours may be closed to this user, and initdb insists on one that it can read.
            .current_dir("/")
            .stdin(Stdio::null())
            // Ctrl-C is for us: the server has to outlive our own last writes.
            .process_group(0);
        if self.switch {
            command.gid(self.gid).uid(self.uid);
        }
        command
    }

    /// Makes this user the owner of what we created.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).at("change the owner of", path)
    }

    /// Fails with the name of the closed directory when this user cannot reach `directory` or run `program`.
    pub(super) fn check_access(
        &self,
        directory: &Path,
        program: &Path,
    ) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        // Asking the kernel is exact where reading mode bits is not (access lists, capabilities).
        let attempt = self
            .command(program)
            .arg("-V")
            .current_dir(directory)
            .stdout(Stdio::null())
            .status();
        match attempt {
            Ok(_) => Ok(()),
            // Not `ErrorKind::PermissionDenied`: that is also what root without the right to change users gets (EPERM).
            Err(error) if error.raw_os_error() == Some(Errno::ACCESS.raw_os_error()) => {
                Err(EmbeddedError::NotTraversable {
                    directory: self.first_closed(directory, program),
                    user: self.name.clone(),
                })
            }
            Err(error) => Err(error).at("run, as another user,", program),
        }
    }

    /// The names that may connect, as `peer` sees them.
    pub(super) fn clients(&self) -> [&str; 2] {
        ["root", &self.name]
    }

    fn numbered(uid: u32, gid: u32, switch: bool) -> Result<Self, EmbeddedError> {
        let name = passwd_entry(|entry| entry.uid == uid)
            .map(|entry| entry.name)
            .or_else(|| name_from_directory(uid))
            .ok_or(EmbeddedError::NoUserName { uid })?;
        Ok(Self {
            name,
            uid,
            gid,
            switch,
        })
    }

    fn first_closed(&self, directory: &Path, program: &Path) -> std::path::PathBuf {
        let closed = |path: &Path| {
            let ancestors: Vec<&Path> = path.ancestors().collect();
            ancestors
                .into_iter()
                .rev()
                .find(|ancestor| !self.may_enter(ancestor))
                .map(Path::to_owned)
        };
        closed(directory)
            .or_else(|| closed(program))
            .unwrap_or_else(|| directory.to_owned())
    }

    fn may_enter(&self, path: &Path) -> bool {
        let Ok(metadata) = fs::metadata(path) else {
            return false;
        };
        let class = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & class != 0
    }
}

struct PasswdEntry {
    name: String,
    uid: u32,
    gid: u32,
}

fn passwd_entry(wanted: impl Fn(&PasswdEntry) -> bool) -> Option<PasswdEntry> {
    let passwd = fs::read("/etc/passwd").ok()?;
    String::from_utf8_lossy(&passwd)
        .lines()
        .filter_map(parse_passwd)
        .find(wanted)
}

/// Reads `name:password:uid:gid:...`; ids may be written as negative numbers (macOS: `nobody` is -2).
fn parse_passwd(line: &str) -> Option<PasswdEntry> {
    let mut fields = line.split(':');
    let name = fields
        .next()
        .filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let mut id = |skip: usize| fields.nth(skip)?.parse::<i64>().ok();
    Some(PasswdEntry {
        name: name.to_owned(),
        uid: id(1)? as u32,
        gid: id(0)? as u32,
    })
}

/// Asks the system's user database, which may live on another machine.
fn name_from_directory(uid: u32) -> Option<String> {
    let output = Command::new("id")
        .arg("-un")
        .arg(uid.to_string())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passwd_lines() {
        let entry = parse_passwd(
            "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash",
        )
        .unwrap();
        assert_eq!(
            (entry.name.as_str(), entry.uid, entry.gid),
            ("postgres", 101, 104)
        );
        let nobody =
            parse_passwd("nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (u32::MAX - 1, u32::MAX - 1));
        assert!(parse_passwd("# a comment").is_none());
        assert!(parse_passwd("broken:x").is_none());
    }

    #[test]
    fn a_user_id_without_a_name_is_refused() {
        let error = ServerUser::numbered(u32::MAX - 7, 0, false).unwrap_err();
        assert!(matches!(error, EmbeddedError::NoUserName { .. }), "{error}");
    }

    #[test]
    fn the_environment_of_a_server_process_is_clean() {
        let user = ServerUser::numbered(rustix::process::geteuid().as_raw(), 0, false).unwrap();
        let output = user.command("env").output().unwrap();
        let seen = String::from_utf8(output.stdout).unwrap();
        assert!(seen.contains("LC_ALL=C") && seen.contains("PATH="));
        assert!(!seen.contains("CARGO"), "{seen}");
    }
}
