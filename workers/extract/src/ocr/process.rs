//! Runs a program to its end, within a deadline, a cancel and a cap on its output.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

use crate::request::CancelFlag;

/// Longest wait without a look at the cancel flag.
const TICK: Duration = Duration::from_millis(25);

/// Output that is kept of each stream: the words of the densest page with their boxes take about 1 MiB.
const OUTPUT_KEPT: usize = 16 * 1024 * 1024;

/// Why a program gave no output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RunError {
    /// The caller asked to stop.
    Cancelled,
    /// It did not start, ran too long, said too much or failed.
    Failed,
}

/// Both streams of a program that ended well.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
}

/// Runs `command`, whose standard input is already set. It is killed when time is up or the caller cancels.
pub(super) fn run(
    command: &mut Command,
    deadline: Duration,
    cancel: &CancelFlag,
) -> Result<Streams, RunError> {
    let end = Instant::now() + deadline;
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|_| RunError::Failed)?;
    let mut running = Running { child };
    let streams = running.collect(end, cancel)?;
    let status = running.child.wait().map_err(|_| RunError::Failed)?;
    if status.success() {
        Ok(streams)
    } else {
        Err(RunError::Failed)
    }
}

/// A child that does not outlive its caller.
struct Running {
    child: Child,
}

impl Running {
    /// Reads both streams until both are closed and the process has ended.
    fn collect(&mut self, end: Instant, cancel: &CancelFlag) -> Result<Streams, RunError> {
        let (Some(mut out), Some(mut err)) = (self.child.stdout.take(), self.child.stderr.take())
        else {
            return Err(RunError::Failed);
        };
        let process =
            rustix::process::pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
                .map_err(|_| RunError::Failed)?;
        rustix::io::ioctl_fionbio(&out, true).map_err(|_| RunError::Failed)?;
        rustix::io::ioctl_fionbio(&err, true).map_err(|_| RunError::Failed)?;
        let mut streams = Streams {
            out: Vec::new(),
            err: Vec::new(),
        };
        let mut ended = false;
        while !ended {
            ended = wait(&out, &err, &process, end, cancel)?;
            // After the end there is nothing more to come, so one last read takes the rest.
            drain(&mut out, &mut streams.out)?;
            drain(&mut err, &mut streams.err)?;
        }
        Ok(streams)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process is already collected.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to happen; true when the process has ended.
fn wait(
    out: &impl AsFd,
    err: &impl AsFd,
    process: &impl AsFd,
    end: Instant,
    cancel: &CancelFlag,
) -> Result<bool, RunError> {
    if cancel.is_cancelled() {
        return Err(RunError::Cancelled);
    }
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(RunError::Failed);
    }
    let timeout = Timespec::try_from(left.min(TICK)).expect("a tick fits into a time span");
    let mut sources = [
        PollFd::new(process, PollFlags::IN),
        PollFd::new(out, PollFlags::IN),
        PollFd::new(err, PollFlags::IN),
    ];
    // An interrupted wait is just a short one.
    let _ = rustix::event::poll(&mut sources, Some(&timeout));
    Ok(!sources[0].revents().is_empty())
}

fn drain(source: &mut impl Read, target: &mut Vec<u8>) -> Result<(), RunError> {
    let mut chunk = [0; 16 * 1024];
    while let Ok(count @ 1..) = source.read(&mut chunk) {
        if target.len() + count > OUTPUT_KEPT {
            return Err(RunError::Failed);
        }
        target.extend_from_slice(&chunk[..count]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    #[test]
    fn both_streams_are_read_to_the_end() {
        let streams = run(
            &mut shell("seq 100000; echo problem >&2"),
            LONG,
            &CancelFlag::default(),
        )
        .unwrap();
        assert!(streams.out.ends_with(b"\n100000\n"));
        assert_eq!(streams.err, b"problem\n");
    }

    #[test]
    fn a_failing_or_missing_program_is_a_failure() {
        assert_eq!(
            run(&mut shell("exit 3"), LONG, &CancelFlag::default()).unwrap_err(),
            RunError::Failed
        );
        assert_eq!(
            run(&mut Command::new("/no/such"), LONG, &CancelFlag::default()).unwrap_err(),
            RunError::Failed
        );
    }

    #[test]
    fn time_and_output_are_limited() {
        let short = Duration::from_millis(50);
        assert_eq!(
            run(&mut shell("exec sleep 1000"), short, &CancelFlag::default()).unwrap_err(),
            RunError::Failed
        );
        assert_eq!(
            run(&mut shell("exec yes"), LONG, &CancelFlag::default()).unwrap_err(),
            RunError::Failed
        );
    }

    #[test]
    fn a_cancel_kills() {
        let cancel = CancelFlag::default();
        cancel.cancel();
        assert_eq!(
            run(&mut shell("exec sleep 1000"), LONG, &cancel).unwrap_err(),
            RunError::Cancelled
        );
    }
}
