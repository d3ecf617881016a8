//! Where the server's socket lies, and the URL that leads to it.
//!
//! The socket lies in the cluster, which nobody else can enter. A socket's path may have only about a hundred bytes, though, and
//! the server reads its directories as a comma-separated list: a directory that does not fit gets a short private directory
//! under `/run` or the temporary directory. Clients read the place from the server's own state file, so it may differ between
//! two starts.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::EmbeddedError;
use super::user::ServerUser;

/// The port only names the socket file: there is no TCP port.
pub(super) const PORT: u16 = 5432;

/// The role that owns the cluster, and the name of our database.
pub(super) const ROLE: &str = "quire";

/// The longest path of a socket: `sun_path` less its final NUL.
const MAX_SOCKET_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// What the server appends to the directory.
const SOCKET_NAME: &str = "/.s.PGSQL.5432";

/// The directory of one server's socket.
#[derive(Clone, Debug)]
pub(super) struct SocketDir {
    pub(super) path: PathBuf,
    /// Whether it was made for this server only and goes with it.
    temporary: bool,
}

impl SocketDir {
    /// The cluster itself when its path allows, else a private directory with a short path.
    pub(super) fn choose(cluster: &Path, user: &ServerUser) -> Result<Self, EmbeddedError> {
        if fits(cluster) {
            return Ok(Self {
                path: cluster.to_owned(),
                temporary: false,
            });
        }
        let bases = runtime_directories();
        let name = format!("quire-{}", short_hash(cluster.as_os_str().as_bytes()));
        let made = bases
            .iter()
            .map(|base| base.join(&name))
            .find(|path| fits(path) && make_private(path, user).is_ok());
        made.map(|path| Self {
            path,
            temporary: true,
        })
        .ok_or_else(|| EmbeddedError::NoSocketDirectory {
            path: cluster.to_owned(),
            tried: bases
                .iter()
                .map(|base| base.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// Removes what a killed server left; its lock file can name a process that has nothing to do with it.
    pub(super) fn sweep(&self) {
        for suffix in ["", ".lock"] {
            let left_over = self.path.join(format!("{}{suffix}", &SOCKET_NAME[1..]));
            if let Err(error) = fs::remove_file(left_over)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(error = %error, "a left-over database socket could not be removed");
            }
        }
    }

    /// Removes the directory if it was made for this server.
    pub(super) fn remove(&self) {
        if self.temporary
            && let Err(error) = fs::remove_dir(&self.path)
        {
            tracing::debug!(error = %error, "the database socket's directory could not be removed");
        }
    }
}

/// The address of a database on the server with this socket directory.
pub(super) fn url(directory: &Path, database: &str) -> String {
    let mut encoded = String::new();
    for &byte in directory.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    // The port is part of the socket's name: without it, PGPORT of our environment would decide.
    format!("postgres://{ROLE}@localhost:{PORT}/{database}?host={encoded}&sslmode=disable")
}

/// The first 64 bits of a hash, in hex: enough to tell one machine's directories apart.
pub(super) fn short_hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..8])
}

fn fits(directory: &Path) -> bool {
    let Some(text) = directory.to_str() else {
        return false;
    };
    let read_as_it_is = !text.contains([',', '"', '\'']) && !text.contains(char::is_control);
    read_as_it_is && text.len() + SOCKET_NAME.len() <= MAX_SOCKET_PATH_BYTES
}

fn runtime_directories() -> Vec<PathBuf> {
    // Not XDG_RUNTIME_DIR: it is emptied at logout, while a server started in the background goes on.
    let mut bases = vec![std::env::temp_dir(), PathBuf::from("/tmp")];
    if rustix::process::geteuid().is_root() {
        bases.insert(0, PathBuf::from("/run"));
    }
    bases.dedup();
    bases
}

/// Makes a directory that only the server's user can enter. One that exists must be ours: anybody can write to `/tmp`.
fn make_private(path: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    use super::error::AtPath as _;

    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other.at("create", path)?,
    }
    let metadata = fs::symlink_metadata(path).at("read", path)?;
    let ours = [user.uid, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    if !metadata.is_dir() || !ours || metadata.mode() & 0o077 != 0 {
        return Err(EmbeddedError::OtherUser {
            path: path.to_owned(),
        });
    }
    user.give(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_path_limit_is_counted_to_the_byte() {
        let longest = MAX_SOCKET_PATH_BYTES - SOCKET_NAME.len();
        let directory = format!("/{}", "d".repeat(longest - 1));
        assert!(fits(Path::new(&directory)));
        assert!(!fits(Path::new(&format!("{directory}d"))));
    }

    #[test]
    fn a_path_that_the_server_would_take_for_a_list_does_not_fit() {
        assert!(!fits(Path::new("/data,old/postgres")));
        assert!(!fits(Path::new("/da\"ta/postgres")));
        assert!(fits(Path::new("/my data/postgres")));
    }

    #[test]
    fn the_url_leads_to_the_socket_whatever_the_path_holds() {
        let url = url(Path::new("/tmp/ein Weg/&host=ä?"), "quire");
        assert_eq!(
            url,
            "postgres://quire@localhost:5432/quire?host=/tmp/ein%20Weg/%26host%3D%C3%A4%3F&sslmode=disable"
        );
        assert!(url.parse::<sqlx::postgres::PgConnectOptions>().is_ok());
    }

    #[test]
    fn a_directory_that_others_can_enter_is_not_taken() {
        use std::os::unix::fs::PermissionsExt as _;

        let base = tempfile::tempdir().unwrap();
        let user = ServerUser::choose(base.path()).unwrap();
        let open = base.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(make_private(&open, &user).is_err());
        assert!(make_private(&base.path().join("fresh"), &user).is_ok());
    }
}
