//! One start of the server: its program, its user, and the settings that must hold.
//!
//! Settings on the command line win over every file, so this is where durability, the missing TCP port and silent logs are kept.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal};

use super::binaries::{self, Binaries};
use super::cluster::{self, Found};
use super::error::{AtPath as _, EmbeddedError};
use super::home::Home;
use super::parent_death;
use super::socket::{PORT, SocketDir};
use super::state_file::StateFile;
use super::user::ServerUser;

/// Settings of every server of ours. The log must not hold content: a failed statement is not written down, nor the row
/// that an error's detail would show.
const ALWAYS: [&str; 10] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "cluster_name=quire",
    "logging_collector=off",
    "log_destination=stderr",
    "log_statement=none",
    "log_min_duration_statement=-1",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "log_parameter_max_length_on_error=0",
];

/// Nothing acknowledged is ever lost.
const DURABLE: [&str; 3] = ["fsync=on", "full_page_writes=on", "synchronous_commit=on"];

/// A test's data is worth nothing after it, and many test processes connect at once.
#[cfg(feature = "testing")]
const SCRATCH: [&str; 5] = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "max_connections=400",
    "shared_buffers=128MB",
];

/// What the server's data is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Durability {
    /// Survives a loss of power.
    Durable,
    /// Survives nothing; for tests.
    #[cfg(feature = "testing")]
    Scratch,
}

/// How long a server lives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    /// Until the thread that starts it ends.
    WithThread,
    /// Until it is told to stop.
    #[cfg(feature = "testing")]
    Detached,
}

/// A cluster that exists, and all it takes to start its server.
#[derive(Debug)]
pub(super) struct Launch {
    home: Home,
    program: PathBuf,
    pub(super) user: ServerUser,
    pub(super) socket: SocketDir,
    durability: Durability,
}

/// A server's process, which may not be ready yet.
pub(super) struct Spawned {
    pub(super) child: Child,
    /// Where its part of the log begins.
    log_start: u64,
}

impl Launch {
    /// Makes the cluster if there is none, and prepares it for this start.
    pub(super) fn prepare(home: &Home, durability: Durability) -> Result<Self, EmbeddedError> {
        let path = home.cluster();
        let found = cluster::inspect(&path)?;
        let binaries = choose(&path, &found)?;
        binaries.check_extensions()?;
        let user = ServerUser::choose(&path)?;
        user.check_access(home.directory(), &binaries.postgres())?;
        if found == Found::Nothing {
            tracing::info!(path = %path.display(), "initialising the database");
            cluster::initialise(home, &binaries, &user)?;
        }
        cluster::write_access_rules(&path, &user)?;
        Ok(Self {
            home: home.clone(),
            program: binaries.postgres(),
            socket: SocketDir::choose(&path, &user)?,
            user,
            durability,
        })
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.home.cluster()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.home.log()
    }

    /// Starts the process.
    pub(super) fn spawn(&self, life: Life) -> Result<Spawned, EmbeddedError> {
        let log = self.home.open_log()?;
        let log_path = self.log();
        let log_start = log.metadata().at("read", &log_path)?.len();
        let mut command = self.user.command(&self.program);
        command
            .arg("-D")
            .arg(self.cluster())
            .args(
                self.settings()
                    .iter()
                    .flat_map(|setting| ["-c", setting.as_str()]),
            )
            .stdout(log.try_clone().at("open", &log_path)?)
            .stderr(Stdio::from(log));
        match life {
            // SIGINT is the server's fast shutdown: it ends sessions and writes a checkpoint.
            Life::WithThread => parent_death::end_with_this_thread(&mut command, Signal::INT),
            #[cfg(feature = "testing")]
            Life::Detached => {}
        }
        let child = command.spawn().at("start", &self.program)?;
        Ok(Spawned { child, log_start })
    }

    /// Whether the server with this process id accepts connections.
    pub(super) fn is_ready(&self, pid: Pid) -> Result<bool, EmbeddedError> {
        let state = StateFile::read(&self.cluster())?;
        Ok(state.is_some_and(|state| state.pid() == Some(pid) && state.is_ready()))
    }

    /// What the server wrote before it ended.
    pub(super) fn last_words(&self, spawned: &Spawned) -> String {
        let mut text = Vec::new();
        let read = File::open(self.log()).and_then(|mut log| {
            log.seek(SeekFrom::Start(spawned.log_start))?;
            log.read_to_end(&mut text)
        });
        match read {
            Ok(_) if !text.is_empty() => cluster::tail(&text),
            _ => format!("it wrote nothing to {}", self.log().display()),
        }
    }

    fn settings(&self) -> Vec<String> {
        let level: &[&str] = match self.durability {
            Durability::Durable => &DURABLE,
            #[cfg(feature = "testing")]
            Durability::Scratch => &SCRATCH,
        };
        let mut settings: Vec<String> = ALWAYS
            .iter()
            .chain(level)
            .map(ToString::to_string)
            .collect();
        settings.push(format!("port={PORT}"));
        settings.push(format!(
            "unix_socket_directories={}",
            self.socket.path.display()
        ));
        settings
    }
}

/// The newest version for a new cluster, the one that made it for an old one.
fn choose(path: &Path, found: &Found) -> Result<Binaries, EmbeddedError> {
    let installed = binaries::installed();
    let newest = installed.first().ok_or(EmbeddedError::NotInstalled)?;
    let Found::Ours { major } = *found else {
        return Ok(newest.clone());
    };
    let same = installed.iter().find(|binaries| binaries.major == major);
    same.cloned().ok_or_else(|| EmbeddedError::OtherVersion {
        path: path.to_owned(),
        made_by: major,
        installed: installed
            .iter()
            .map(|binaries| binaries.major.to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })
}
