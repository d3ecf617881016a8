//! Panics, each place once: its input is kept beside those of faults, as `panic-<place>`.

use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Mutex;

/// Folder of the findings of a run.
const FINDINGS: &str = "QUIRE_FUZZ_FINDINGS";

static LAST: Mutex<Option<String>> = Mutex::new(None);
static SEEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Replaces the hook with which libFuzzer's Rust side turns every panic into an abort.
pub(crate) fn keep_quiet() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |location| {
            let file = Path::new(location.file());
            // The last three parts name crate folder and file; what is before them is this machine's.
            let parts: Vec<_> = file
                .iter()
                .rev()
                .take(3)
                .map(|part| part.to_string_lossy())
                .collect();
            let named: Vec<_> = parts.into_iter().rev().collect();
            format!("{}-{}", named.join("-"), location.line())
        });
        if let Ok(mut last) = LAST.lock() {
            *last = Some(place);
        }
    }));
}

/// What `work` gives; `None` when it panicked on `data`.
pub(crate) fn catch<T>(format: &str, data: &[u8], work: impl FnOnce() -> T) -> Option<T> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    if outcome.is_none() {
        let place = LAST.lock().ok().and_then(|mut last| last.take());
        keep(format, &place.unwrap_or_default(), data);
    }
    outcome
}

fn keep(format: &str, place: &str, data: &[u8]) {
    let Ok(mut seen) = SEEN.lock() else { return };
    if !seen.get_or_insert_default().insert(place.to_owned()) {
        return;
    }
    eprintln!("PANIC {format} {place}");
    if let Some(folder) = std::env::var_os(FINDINGS) {
        let path = Path::new(&folder).join(format!("panic-{place}"));
        if let Err(error) = std::fs::write(&path, data) {
            eprintln!("cannot keep {}: {error}", path.display());
        }
    }
}
