//! How a child ended, told from its exit status and the last words on its standard error.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::error::ParseError;

/// What the standard library prints when an allocation fails, before it aborts.
const OUT_OF_MEMORY: &[u8] = b"memory allocation of";

/// What it prints from its handler of a stack overflow.
const STACK_OVERFLOW: &[u8] = b"has overflowed its stack";

/// The error for a child that ended on its own.
pub(super) fn explain(status: ExitStatus, last_words: &[u8]) -> ParseError {
    let Some(signal) = status.signal() else {
        let code = status.code().unwrap_or_default();
        return ParseError::Crashed(format!("exited with status {code} in the middle of a job"));
    };
    match signal {
        libc::SIGXCPU => ParseError::Timeout,
        // The pool's own kills never get here, so this is the kernel, short of memory.
        libc::SIGKILL => ParseError::OutOfMemory,
        libc::SIGSYS => ParseError::Crashed("stopped at a forbidden system call".to_owned()),
        libc::SIGABRT if contains(last_words, OUT_OF_MEMORY) => ParseError::OutOfMemory,
        libc::SIGABRT | libc::SIGSEGV if contains(last_words, STACK_OVERFLOW) => {
            ParseError::Crashed("stack overflow".to_owned())
        }
        libc::SIGABRT => ParseError::Crashed("aborted".to_owned()),
        signal => ParseError::Crashed(format!("ended by signal {signal}")),
    }
}

fn contains(text: &[u8], phrase: &[u8]) -> bool {
    text.windows(phrase.len()).any(|window| window == phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signalled(signal: i32, words: &str) -> ParseError {
        explain(ExitStatus::from_raw(signal), words.as_bytes())
    }

    #[test]
    fn every_end_has_its_error() {
        assert!(matches!(
            signalled(libc::SIGABRT, "memory allocation of 9 bytes failed"),
            ParseError::OutOfMemory
        ));
        assert!(matches!(
            signalled(libc::SIGKILL, ""),
            ParseError::OutOfMemory
        ));
        assert!(matches!(signalled(libc::SIGXCPU, ""), ParseError::Timeout));
        let messages = [
            signalled(
                libc::SIGABRT,
                "thread 'parser' (7) has overflowed its stack",
            ),
            signalled(libc::SIGABRT, ""),
            signalled(libc::SIGSYS, ""),
            signalled(libc::SIGBUS, ""),
            explain(ExitStatus::from_raw(0), b""),
        ];
        let messages = messages.map(|error| error.to_string());
        assert_eq!(
            messages,
            [
                "the parser crashed: stack overflow",
                "the parser crashed: aborted",
                "the parser crashed: stopped at a forbidden system call",
                "the parser crashed: ended by signal 7",
                "the parser crashed: exited with status 0 in the middle of a job",
            ]
        );
    }
}
