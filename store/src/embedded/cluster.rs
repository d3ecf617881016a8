//! The cluster on disk: making one, recognising ours, and its settings.
//!
//! A cluster is made under a temporary name and renamed when it is complete and durable, so a kill at any moment leaves either
//! none or a whole one. `initdb` is told not to sync each file: one call for the whole file system does the same in a tenth of
//! the time (0.04-0.34 s against 2.9-3.6 s, measured).
//!
//! What must hold stands on the server's command line (see `launch`); what a person may tune stands in `postgresql.conf`, written
//! once.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use super::binaries::Binaries;
use super::error::{AtPath as _, EmbeddedError, absent};
use super::files;
use super::home::Home;
use super::parent_death;
use super::socket::ROLE;
use super::user::ServerUser;

/// The file that says a directory is ours.
const MARKER: &str = "QUIRE_CLUSTER";

const MARKER_TEXT: &str =
    "This directory was made by quire and holds its database. Do not edit it while quire runs.\n";

/// Byte order for sorting, Unicode for upper and lower case; plain C where the system has no C.UTF-8.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// Appended to the `postgresql.conf` of a new cluster.
const SETTINGS: &str = "
# Added by quire when it made this cluster; edit as you like. Sockets, durability and logging are set on the command line.
shared_buffers = 64MB       # an idle server takes 13 MB, one with ten connections 29 MB
max_connections = 100       # five processes with their defaults, and people who look
max_wal_size = 512MB
jit = off                   # compiling costs more than the short queries of a queue
timezone = 'UTC'
log_timezone = 'UTC'
";

/// What a server in single-user mode is given to do, a statement per line: it reads no other way.
///
/// A client sees the errors of its statements and logs them itself; here their texts could bring a document's content into the
/// log. And our schema has the role's name, so by default an unqualified name would mean something else here than elsewhere.
const SETUP: &str = "CREATE DATABASE quire
ALTER ROLE quire SET log_min_messages = 'log'
ALTER ROLE quire SET search_path = public
";

/// How much of a failed program's output is shown.
const SHOWN_OUTPUT_BYTES: usize = 2000;

/// What is at a cluster's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or an empty directory.
    Nothing,
    /// A cluster of ours.
    Ours {
        /// The major version that made it.
        major: u32,
    },
}

/// Looks at a cluster's path; anything but a cluster of ours is an error.
pub(super) fn inspect(cluster: &Path) -> Result<Found, EmbeddedError> {
    let Some(mut entries) = absent(fs::read_dir(cluster)).at("read", cluster)? else {
        return Ok(Found::Nothing);
    };
    if entries.next().is_none() {
        return Ok(Found::Nothing);
    }
    let foreign = || EmbeddedError::ForeignDirectory {
        path: cluster.to_owned(),
    };
    if !cluster.join(MARKER).is_file() {
        return Err(foreign());
    }
    let version =
        fs::read_to_string(cluster.join("PG_VERSION")).at("read the version of", cluster)?;
    let major = version.trim().parse().map_err(|_| foreign())?;
    Ok(Found::Ours { major })
}

/// Makes the cluster of this home, with role and database.
pub(super) fn initialise(
    home: &Home,
    binaries: &Binaries,
    user: &ServerUser,
) -> Result<(), EmbeddedError> {
    let staging = home.staging();
    clear_staging(&staging)?;
    make_directory(&staging, 0o711)?;
    mark(&staging, user)?;
    let fresh = staging.join("cluster");
    make_directory(&fresh, 0o700)?;
    user.give(&fresh)?;

    run_initdb(&fresh, binaries, user)?;
    create_database(&fresh, binaries, user)?;
    append_settings(&fresh, user)?;
    mark(&fresh, user)?;

    files::sync_file_system(&fresh)?;
    fs::rename(&fresh, home.cluster()).at("rename", &fresh)?;
    files::sync_directory(home.directory())?;
    clear_staging(&staging)
}

/// Writes who may connect: the system's own users under the one role, told apart by the kernel, with no password anywhere.
pub(super) fn write_access_rules(cluster: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    let rules = format!("# Written by quire at every start.\nlocal all {ROLE} peer map=quire\n");
    files::replace(&cluster.join("pg_hba.conf"), rules.as_bytes(), user)?;
    let mut names = String::from("# Written by quire at every start.\n");
    for client in user.clients() {
        let quoted = client.replace('"', "\"\"");
        names.extend(["quire \"", &quoted, "\" ", ROLE, "\n"]);
    }
    files::replace(&cluster.join("pg_ident.conf"), names.as_bytes(), user)
}

/// Removes a half-made cluster of an earlier start, and nothing else.
fn clear_staging(staging: &Path) -> Result<(), EmbeddedError> {
    let Some(mut entries) = absent(fs::read_dir(staging)).at("read", staging)? else {
        return Ok(());
    };
    if entries.next().is_some() && !staging.join(MARKER).is_file() {
        return Err(EmbeddedError::ForeignDirectory {
            path: staging.to_owned(),
        });
    }
    // The cluster goes first: a kill in between leaves the marker, and so a directory that the next start may remove.
    let half_made = staging.join("cluster");
    files::remove_tree(&half_made).at("remove", &half_made)?;
    files::remove_tree(staging).at("remove", staging)
}

fn run_initdb(cluster: &Path, binaries: &Binaries, user: &ServerUser) -> Result<(), EmbeddedError> {
    let mut result = Ok(());
    for locale in LOCALES {
        let mut command = user.command(binaries.initdb());
        command
            .arg("-D")
            .arg(cluster)
            .args([
                "--username",
                ROLE,
                "--encoding=UTF8",
                "--locale=C",
                "--auth-local=peer",
                "--auth-host=reject",
            ])
            .arg(format!("--lc-ctype={locale}"))
            .args(["--data-checksums", "--no-sync", "--no-instructions"]);
        result = succeeded("initdb", &run(&mut command, "")?);
        let unknown_locale = matches!(&result, Err(EmbeddedError::Program { detail, .. }) if detail.contains("locale"));
        if !unknown_locale {
            break;
        }
    }
    result
}

/// Makes the database with a server in single-user mode, so that a cluster either has it or is not there at all.
fn create_database(
    cluster: &Path,
    binaries: &Binaries,
    user: &ServerUser,
) -> Result<(), EmbeddedError> {
    let mut command = user.command(binaries.postgres());
    command
        .args(["--single", "-F", "-c", "exit_on_error=true", "-D"])
        .arg(cluster)
        .arg("postgres");
    succeeded("postgres --single", &run(&mut command, SETUP)?)
}

/// Runs a program to its end; it does not outlive us, or it would go on writing into a directory that the next start removes.
fn run(command: &mut Command, input: &str) -> Result<Output, EmbeddedError> {
    let program = Path::new(command.get_program()).to_owned();
    parent_death::end_with_this_thread(command, Signal::KILL);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .at("start", &program)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early does not read; its exit status tells more than the broken pipe.
        let written = stdin.write_all(input.as_bytes());
        tracing::trace!(
            ok = written.is_ok(),
            "input given to a program of the server"
        );
    }
    child.wait_with_output().at("run", &program)
}

fn succeeded(program: &'static str, output: &Output) -> Result<(), EmbeddedError> {
    if output.status.success() {
        return Ok(());
    }
    let mut detail = tail(&output.stderr);
    if detail.is_empty() {
        detail = output.status.to_string();
    }
    Err(EmbeddedError::Program { program, detail })
}

/// The end of a program's output, as text.
pub(super) fn tail(output: &[u8]) -> String {
    let start = output.len().saturating_sub(SHOWN_OUTPUT_BYTES);
    String::from_utf8_lossy(&output[start..]).trim().to_owned()
}

fn append_settings(cluster: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    let path = cluster.join("postgresql.conf");
    let mut content = fs::read(&path).at("read", &path)?;
    content.extend_from_slice(SETTINGS.as_bytes());
    files::replace(&path, &content, user)
}

/// Makes a directory with this mode whatever the umask is.
fn make_directory(path: &Path, mode: u32) -> Result<(), EmbeddedError> {
    fs::create_dir(path).at("create", path)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).at("change the mode of", path)
}

fn mark(directory: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    files::replace(&directory.join(MARKER), MARKER_TEXT.as_bytes(), user)
}
