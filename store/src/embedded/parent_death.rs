//! A child that ends with its parent, also when the parent is killed with SIGKILL.
//!
//! Linux sends a signal of our choice to a child when the *thread* that created it ends. So the creating thread has to live as
//! long as the child may. The call belongs into the child between fork and exec: a change of user clears the setting, and the
//! standard library changes the user before it runs this hook. Such a hook makes the standard library fork, which takes time in
//! proportion to our memory (308 ms at 2 GiB, measured): start the server while the process is small.
//!
//! Elsewhere (macOS) nothing like it exists; the next start stops the orphan instead, see `predecessor`.

use std::process::Command;

use rustix::process::Signal;

/// Has the child receive `signal` when the calling thread ends.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "pre_exec is the only way to a setting that must be made after the change of user"
)]
pub(super) fn end_with_this_thread(command: &mut Command, signal: Signal) {
    use std::os::unix::process::CommandExt as _;

    let parent = rustix::process::getpid();
    let hook = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // The parent may have died before the line above: then no signal will ever come.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(rustix::io::Errno::SRCH.into())
        }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: the hook makes two system calls, allocates nothing
    // and takes no lock (an io::Error made from an errno is a plain number).
    unsafe {
        command.pre_exec(hook);
    }
}

/// Does nothing: this system cannot tie a child to its parent.
#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_this_thread(_command: &mut Command, _signal: Signal) {}
