//! The inside of `quire-parse`.
//!
//! [`main`] locks the process in before it reads a byte from anyone, starts the one thread that parses (its stack is larger than
//! a main thread's, and no thread can be started once the system-call filter is in place), and serves jobs until the parent hangs up.
//! A panic ends the child after it was reported: nobody knows what it left behind, and a fresh child costs a millisecond.

mod harden;
mod jobs;
mod outbox;
mod panics;
mod syscalls;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

use crate::formats::Format;

/// Stack of the parsing thread. Parsers recurse over nested objects; 64 MiB lets honest files through, and only touched pages count.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Address space when the parent does not say: 768 MiB held every one of the hostile files measured in research/reliability.md 3.3.
const DEFAULT_MEMORY_BYTES: u64 = 768 * 1024 * 1024;

/// Runs a child that knows `formats`; returns when the parent hangs up. The first argument is the address space it may use, in bytes.
pub fn main(formats: &'static [&'static dyn Format]) -> ExitCode {
    let memory = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_MEMORY_BYTES);
    let status = harden::restrict_process(memory);
    panics::keep_quiet();
    let Ok(socket) = parent_socket() else {
        return ExitCode::FAILURE;
    };
    let parser = thread::Builder::new()
        .name("parser".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let status = syscalls::restrict(status);
            jobs::serve(&socket, formats, status)
        });
    match parser.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Standard input is one end of a socket pair. It is duplicated because the standard library keeps the original for itself.
fn parent_socket() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}
