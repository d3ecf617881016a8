//! `pip download` as a subprocess: how a wheel comes here.
//!
//! pip, not a client of our own, because it is pip that knows the user's index, proxy and certificates. It only downloads: no
//! dependencies, no source packages (building one runs its code), nothing installed. What it brought is verified by the caller.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::cancel::CancelFlag;

use super::failure::FetchError;

/// The longest download: 100 MB at 100 kB/s is 17 minutes.
const TIME_LIMIT: Duration = Duration::from_mins(30);
/// How often the cancel flag and the progress are looked at while pip runs.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Most that is read of pip's error output, and of one line of it in a message.
const MAX_ERROR_BYTES: u64 = 256 * 1024;
const MAX_MESSAGE_CHARS: usize = 300;
/// What Python says when it has no pip.
const NO_MODULE: &str = "No module named pip";

/// How to call pip.
#[derive(Clone, Debug)]
pub struct PipOptions {
    /// Commands to try, each with its first arguments; the first that exists is used.
    pub commands: Vec<Vec<String>>,
}

impl Default for PipOptions {
    fn default() -> Self {
        let commands = ["python3 -m pip", "pip", "pip3"];
        Self {
            commands: commands
                .iter()
                .map(|command| command.split(' ').map(str::to_owned).collect())
                .collect(),
        }
    }
}

/// Downloads the wheel of one exact version into `folder`, which should be empty. `poll` is called a few times per second.
pub(super) fn download(
    requirement: &str,
    folder: &Path,
    options: &PipOptions,
    cancel: &CancelFlag,
    poll: &mut dyn FnMut(),
) -> Result<(), FetchError> {
    for command in &options.commands {
        let Some((program, first_args)) = command.split_first() else {
            continue;
        };
        let mut command = Command::new(program);
        command.args(first_args).args([
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-cache-dir",
            "--no-input",
            "--quiet",
        ]);
        command
            .args([
                "--disable-pip-version-check",
                "--progress-bar=off",
                "--dest",
            ])
            .args([folder.as_os_str(), OsStr::new(requirement)]);
        // pip collects the file in the temporary directory first: ours, so that it lies on the disk that was meant to hold models.
        command
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(FetchError::io(Path::new(program))(error)),
            Ok(child) => match Running::new(child).wait(cancel, poll) {
                Err(FetchError::Pip(message)) if message.contains(NO_MODULE) => {}
                outcome => return outcome,
            },
        }
    }
    let tried: Vec<String> = options
        .commands
        .iter()
        .map(|command| command.join(" "))
        .collect();
    Err(FetchError::NoPip(tried.join(", ")))
}

/// A pip process; dropping it ends it and whatever it started.
struct Running {
    child: Child,
    /// The message in pip's error output, once that is closed.
    message: Receiver<String>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let (send, message) = channel();
        if let Some(errors) = child.stderr.take() {
            // Ends with the process, which is killed on drop at the latest; a failed send means that nobody waits any more.
            std::thread::spawn(move || send.send(error_message(errors)).ok());
        }
        Self { child, message }
    }

    fn wait(mut self, cancel: &CancelFlag, poll: &mut dyn FnMut()) -> Result<(), FetchError> {
        let start = Instant::now();
        let message = loop {
            match self.message.recv_timeout(POLL_INTERVAL) {
                Ok(message) => break message,
                Err(RecvTimeoutError::Disconnected) => break String::new(),
                Err(RecvTimeoutError::Timeout) => poll(),
            }
            if cancel.is_cancelled() {
                return Err(FetchError::Cancelled);
            }
            if start.elapsed() > TIME_LIMIT {
                return Err(FetchError::Pip(format!(
                    "not done after {} minutes",
                    TIME_LIMIT.as_secs() / 60
                )));
            }
        };
        let status = self
            .child
            .wait()
            .map_err(FetchError::io(Path::new("pip")))?;
        if status.success() {
            return Ok(());
        }
        Err(FetchError::Pip(if message.is_empty() {
            status.to_string()
        } else {
            message
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Its own group: pip may be a launcher script with the real process below it.
        if let Some(group) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // Fails only when the group is gone already.
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

/// The line that says what went wrong: the last one that starts with ERROR, else the last one.
fn error_message(errors: impl Read) -> String {
    let lines: Vec<String> = BufReader::new(errors.take(MAX_ERROR_BYTES))
        .lines()
        .map_while(Result::ok)
        .collect();
    let filled = || lines.iter().rev().filter(|line| !line.trim().is_empty());
    let line = filled()
        .find(|line| line.starts_with("ERROR"))
        .or_else(|| filled().next());
    line.map_or_else(String::new, |line| {
        line.trim_start_matches("ERROR: ")
            .chars()
            .take(MAX_MESSAGE_CHARS)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_the_last_error_line() {
        let output = "WARNING: slow\nERROR: Could not find a version\nERROR: No matching distribution found for x\n\n[notice] update\n";
        assert_eq!(
            error_message(output.as_bytes()),
            "No matching distribution found for x"
        );
        assert_eq!(
            error_message("Traceback\nsomething broke\n\n".as_bytes()),
            "something broke"
        );
        assert_eq!(error_message(&b""[..]), "");
    }
}
