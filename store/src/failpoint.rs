//! Deaths at exact places, for tests: "the Nth write dies, for every N".
//!
//! Every write statement, commit and file operation of the pipeline passes a point before it happens. While the file that
//! `FAILPOINT_FILE` names holds a number, points are counted, and the process aborts at that one, with what it was about to do
//! written beside it. Without the feature `testing` no point is compiled: a build for users has neither the names nor the variable.

/// Names what is about to be done to the disk or the database.
macro_rules! failpoint {
    ($what:literal) => {
        #[cfg(feature = "testing")]
        $crate::failpoint::armed::pass($what);
    };
}
pub(crate) use failpoint;

#[cfg(feature = "testing")]
pub(crate) mod armed {
    use std::{
        env, fs,
        io::Write as _,
        path::PathBuf,
        process,
        sync::{LazyLock, atomic::AtomicU64, atomic::Ordering},
    };

    /// Where the number is read, and beside which the trace is written (`.trace`). `None`: nobody wants a death.
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| env::var_os("FAILPOINT_FILE").map(PathBuf::from));

    /// Points passed since the file appeared.
    static PASSED: AtomicU64 = AtomicU64::new(0);

    /// Passes a point: goes on, or never returns.
    pub(crate) fn pass(what: &str) {
        let Some(file) = &*FILE else { return };
        let armed = fs::read_to_string(file)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        let Some(last) = armed else {
            PASSED.store(0, Ordering::SeqCst);
            return;
        };
        let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        let trace = fs::File::options()
            .create(true)
            .append(true)
            .open(file.with_extension("trace"));
        // The trace explains a failure; a test without it still fails.
        let _ = trace.and_then(|mut trace| writeln!(trace, "{number} {what}"));
        if number == last {
            process::abort();
        }
    }
}
