//! Panics of parsers, made quiet.
//!
//! A panic message may quote the document, so only the place in the source is kept, and nothing is printed.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, Location};

use crate::error::ParseError;

/// Path components that name a place well enough: crate, folder, file.
const PATH_PARTS: usize = 3;

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Replaces the hook that would print the message.
pub(super) fn keep_quiet() {
    panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(|| "unknown place".to_owned(), describe);
        PLACE.with_borrow_mut(|slot| *slot = place);
    }));
}

/// Runs `work`; a panic becomes an error that names its place.
pub(super) fn catch<T>(work: impl FnOnce() -> Result<T, ParseError>) -> Result<T, ParseError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let place = PLACE.with_borrow_mut(std::mem::take);
        Err(ParseError::Crashed(format!("panic at {place}")))
    })
}

fn describe(location: &Location<'_>) -> String {
    let parts: Vec<&str> = location.file().split('/').collect();
    let tail = &parts[parts.len().saturating_sub(PATH_PARTS)..];
    format!("{}:{}", tail.join("/"), location.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_names_its_place_and_not_its_message() {
        let before = panic::take_hook();
        keep_quiet();
        let outcome = catch(|| -> Result<(), ParseError> { panic!("secret of the document") });
        panic::set_hook(before);
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("child/panics.rs:"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
