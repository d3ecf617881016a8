//! One child: a process, the socket to it and its standard error.
//!
//! Started with `posix_spawn` (no `pre_exec`: a fork of a parent with much memory takes hundreds of milliseconds), with an empty
//! environment. Reading never blocks past the job's [`Watch`], and standard error is drained on the way so that a chatty child
//! cannot fill its pipe and stall. Dropping a child kills it and collects it.

use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::{Pid, PidfdFlags};

use super::death;
use super::status::SandboxStatus;
use super::watch::{Deadlines, Watch};
use crate::error::ParseError;
use crate::frame::{self, FromChild, HEADER, Header, MAX_MESSAGE, PROTOCOL_VERSION, ToChild};
use crate::request::CancelFlag;

/// Time for a child to start and lock itself in: a millisecond, or seconds on a machine that is swamped.
const HELLO_WITHIN: Duration = Duration::from_secs(20);

/// Time for a process that closed its socket to end by itself and leave a telling status.
const DIE_WITHIN: Duration = Duration::from_secs(1);

/// Last words of a child that are kept.
const STDERR_KEPT: usize = 16 * 1024;

/// Bytes asked of the socket at a time; small messages then cost one system call for many.
const READ_AHEAD: usize = 64 * 1024;

/// A running child.
#[derive(Debug)]
pub(super) struct ChildProcess {
    child: Child,
    socket: UnixStream,
    stderr: ChildStderr,
    last_words: Vec<u8>,
    /// Bytes that arrived and are not read yet: `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
    /// How far the child locked itself in, by its own word.
    pub(super) sandbox: SandboxStatus,
    /// When it was started.
    pub(super) born: Instant,
    /// Jobs that it was given.
    pub(super) jobs: u32,
}

impl ChildProcess {
    /// Starts `program` and waits until it is locked in.
    pub(super) fn spawn(program: &Path, memory_bytes: u64) -> Result<Self, ParseError> {
        let mut process = Self::start(program, memory_bytes)
            .map_err(|error| ParseError::Unavailable(format!("{}: {error}", program.display())))?;
        let never = CancelFlag::default();
        let deadlines = Deadlines {
            wall: HELLO_WITHIN,
            longest_wall: HELLO_WITHIN,
            silence: HELLO_WITHIN,
        };
        let mut watch = Watch::new(&never, deadlines);
        match process.receive(&mut watch) {
            Ok(FromChild::Hello {
                protocol: PROTOCOL_VERSION,
                sandbox,
            }) => process.sandbox = sandbox,
            Ok(_) => {
                return Err(ParseError::Unavailable(format!(
                    "{} is of another version",
                    program.display()
                )));
            }
            Err(error) => {
                return Err(ParseError::Unavailable(format!(
                    "no answer from {}: {error}",
                    program.display()
                )));
            }
        }
        Ok(process)
    }

    fn start(program: &Path, memory_bytes: u64) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut child = Command::new(program)
            .arg(memory_bytes.to_string())
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child
            .stderr
            .take()
            .expect("standard error was asked for as a pipe");
        rustix::io::ioctl_fionbio(&stderr, true)?;
        Ok(Self {
            child,
            socket,
            stderr,
            last_words: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            sandbox: SandboxStatus::default(),
            born: Instant::now(),
            jobs: 0,
        })
    }

    /// Hands over a job. The child is idle and waits for it, so this does not block.
    pub(super) fn send_job(&mut self, file: &File, job: &ToChild) -> Result<(), ParseError> {
        self.jobs += 1;
        let bytes = frame::encode(job)?;
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(
            control.push(SendAncillaryMessage::ScmRights(&files)),
            "the buffer has room for one descriptor"
        );
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(
                &self.socket,
                &[IoSlice::new(&bytes)],
                &mut control,
                SendFlags::NOSIGNAL,
            )
        });
        match sent {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(ParseError::Unavailable(
                "a job did not fit into the socket".to_owned(),
            )),
            Err(_) => Err(self.explain_death()),
        }
    }

    /// The next message, however long it takes within `watch`.
    pub(super) fn receive(&mut self, watch: &mut Watch<'_>) -> Result<FromChild, ParseError> {
        let mut message = Vec::new();
        loop {
            let mut header = [0; HEADER];
            self.receive_exact(&mut header, watch)?;
            let header =
                Header::decode(header).ok_or_else(|| broken("an impossible frame length"))?;
            let start = message.len();
            if start + header.length > MAX_MESSAGE {
                return Err(broken("a message without end"));
            }
            message.resize(start + header.length, 0);
            self.receive_exact(&mut message[start..], watch)?;
            watch.heard();
            if !header.more {
                break;
            }
        }
        serde_json::from_slice(&message).map_err(|_| broken("a message that is none"))
    }

    /// Fills `target` with the bytes that follow.
    pub(super) fn receive_exact(
        &mut self,
        target: &mut [u8],
        watch: &mut Watch<'_>,
    ) -> Result<(), ParseError> {
        let mut filled = 0;
        while filled < target.len() {
            if self.start == self.buffer.len() {
                self.fill_buffer(watch)?;
            }
            let count = (self.buffer.len() - self.start).min(target.len() - filled);
            target[filled..filled + count]
                .copy_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            filled += count;
        }
        Ok(())
    }

    /// Waits for bytes and takes what is there, at least one.
    fn fill_buffer(&mut self, watch: &mut Watch<'_>) -> Result<(), ParseError> {
        self.start = 0;
        self.buffer.resize(READ_AHEAD, 0);
        loop {
            match rustix::net::recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((_, count)) if count > 0 => {
                    self.buffer.truncate(count);
                    return Ok(());
                }
                Err(rustix::io::Errno::AGAIN) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Ok(_) | Err(_) => {
                    self.buffer.clear();
                    return Err(self.explain_death());
                }
            }
            if let Err(error) = self.wait(watch) {
                self.buffer.clear();
                return Err(error);
            }
        }
    }

    fn wait(&mut self, watch: &mut Watch<'_>) -> Result<(), ParseError> {
        let timeout = Timespec::try_from(watch.next_wait()?).expect("a tick fits into a time span");
        let start = Instant::now();
        let mut sources = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.stderr, PollFlags::IN),
        ];
        // An interrupted wait is just a short one.
        let _ = rustix::event::poll(&mut sources, Some(&timeout));
        let chatter = sources[1].revents().contains(PollFlags::IN);
        watch.waited(start);
        if chatter {
            self.drain_stderr();
        }
        Ok(())
    }

    /// Reads standard error dry and keeps the beginning, where the cause stands.
    fn drain_stderr(&mut self) {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = self.stderr.read(&mut chunk) {
            let room = STDERR_KEPT - self.last_words.len();
            self.last_words.extend(&chunk[..count.min(room)]);
        }
    }

    /// The child hung up: gives it a moment to end by itself, so that its status tells why.
    fn explain_death(&mut self) -> ParseError {
        if !self.ends_by_itself() {
            let _ = self.child.kill();
        }
        self.drain_stderr();
        match self.child.wait() {
            Ok(status) => death::explain(status, &self.last_words),
            Err(error) => ParseError::Io(error),
        }
    }

    fn ends_by_itself(&self) -> bool {
        let Ok(process) =
            rustix::process::pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
        else {
            return false;
        };
        let timeout = Timespec::try_from(DIE_WITHIN).expect("a second fits into a time span");
        let mut sources = [PollFd::new(&process, PollFlags::IN)];
        matches!(rustix::event::poll(&mut sources, Some(&timeout)), Ok(1..))
    }

    /// Bytes of memory that the child has now; 0 when the kernel does not say.
    pub(super) fn resident_bytes(&self) -> u64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
        pages.unwrap_or(0) * rustix::param::page_size() as u64
    }

    /// Whether the process is still there and has nothing unread in its socket.
    pub(super) fn is_ready(&mut self) -> bool {
        self.start == self.buffer.len() && matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process now; dropping the child collects it.
    pub(super) fn kill(&mut self) {
        // Fails only when the process is already collected.
        let _ = self.child.kill();
    }

    /// Process id, for logs.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// The child does not keep to the protocol.
pub(super) fn broken(what: &str) -> ParseError {
    ParseError::Crashed(format!("it sent {what}"))
}
