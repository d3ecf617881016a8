//! Whatever a parser does ends in one typed error, and the next job works.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use quire_extract::{
    CancelFlag, Document, MediaType, ParseError, ParseRequest, ParserPool, PoolConfig,
};

use crate::support::{file, mock_parser, parse, quire_parse};

fn config() -> PoolConfig {
    PoolConfig::with_program(mock_parser(), 1)
}

fn impatient() -> PoolConfig {
    PoolConfig {
        idle_progress: Duration::from_millis(300),
        ..config()
    }
}

fn order(pool: &ParserPool, what: &str) -> Result<Document, ParseError> {
    parse(pool, MediaType::Csv, what.as_bytes())
}

fn text(pool: &ParserPool, what: &str) -> String {
    order(pool, what).unwrap().pages.remove(0).text
}

/// Runs `what`, gives its error, and shows that the pool goes on.
fn error_of(config: PoolConfig, what: &str) -> ParseError {
    let pool = ParserPool::start(config).unwrap();
    let error = order(&pool, what).unwrap_err();
    assert_eq!(text(&pool, "text"), "fine", "the job after {what:?}");
    error
}

#[test]
fn a_panic_is_a_crash_that_names_its_place_and_no_content() {
    let message = error_of(config(), "panic").to_string();
    assert!(
        message.contains("examples/mock_parser/main.rs:"),
        "{message}"
    );
    assert!(!message.contains("content of a document"), "{message}");
}

#[test]
fn an_abort_an_exit_and_a_stack_overflow_are_crashes() {
    assert_eq!(
        error_of(config(), "abort").to_string(),
        "the parser crashed: aborted"
    );
    assert_eq!(
        error_of(config(), "exit").to_string(),
        "the parser crashed: exited with status 0 in the middle of a job"
    );
    assert_eq!(
        error_of(config(), "stack").to_string(),
        "the parser crashed: stack overflow"
    );
}

#[test]
fn memory_without_end_is_out_of_memory() {
    let config = PoolConfig {
        memory_bytes: 256 * 1024 * 1024,
        ..config()
    };
    assert!(matches!(
        error_of(config, "allocate"),
        ParseError::OutOfMemory
    ));
}

#[test]
fn a_spinning_and_a_sleeping_parser_run_out_of_time() {
    assert!(matches!(error_of(impatient(), "spin"), ParseError::Timeout));
    assert!(matches!(
        error_of(impatient(), "sleep"),
        ParseError::Timeout
    ));
}

#[test]
fn signs_of_life_do_not_stretch_the_wall_deadline() {
    let config = PoolConfig {
        wall: Duration::from_millis(500),
        ..config()
    };
    assert!(matches!(error_of(config, "chatter"), ParseError::Timeout));
}

#[test]
fn output_without_end_stops_at_the_budget_and_keeps_what_there_is() {
    let pool = ParserPool::start(PoolConfig {
        output_bytes: 1_000_000,
        ..config()
    })
    .unwrap();
    let document = order(&pool, "flood").unwrap();
    assert_eq!(document.pages.len(), 9);
    assert_eq!(document.warnings[0].code, "incomplete");
    assert_eq!(text(&pool, "text"), "fine");
}

#[test]
fn pages_survive_what_comes_after_them() {
    let pool = ParserPool::start(config()).unwrap();
    for what in ["page then abort", "page then error"] {
        let document = order(&pool, what).unwrap();
        assert_eq!(document.pages[0].text, "kept", "{what}");
        assert_eq!(document.warnings[0].code, "incomplete", "{what}");
    }
}

#[test]
fn a_cancel_ends_a_spinning_job() {
    let pool = ParserPool::start(config()).unwrap();
    let cancel = CancelFlag::default();
    let request = ParseRequest::new(MediaType::Csv);
    // The parser reports progress once and then spins, so the cancel meets it at work.
    let outcome = pool.parse(&file(b"spin"), &request, &cancel, &mut |_| cancel.cancel());
    assert!(matches!(outcome, Err(ParseError::Cancelled)));
    assert_eq!(text(&pool, "text"), "fine");
}

#[test]
fn a_cancel_ends_the_wait_for_a_slot() {
    let pool = ParserPool::start(config()).unwrap();
    let request = ParseRequest::new(MediaType::Csv);
    let (busy, waiting) = (CancelFlag::default(), CancelFlag::default());
    std::thread::scope(|scope| {
        let outcome = pool.parse(&file(b"spin"), &request, &busy, &mut |_| {
            waiting.cancel();
            // The slot is taken by this very job, so the other one can only wait, and sees that it is cancelled.
            let second =
                scope.spawn(|| pool.parse(&file(b"text"), &request, &waiting, &mut |_| ()));
            assert!(matches!(second.join().unwrap(), Err(ParseError::Cancelled)));
            busy.cancel();
        });
        assert!(matches!(outcome, Err(ParseError::Cancelled)));
    });
}

/// Acts that are answered with "not permitted".
const REFUSED: [&str; 26] = [
    "open",
    "open proc",
    "open memory",
    "create",
    "list",
    "stat",
    "read link",
    "remove",
    "rename",
    "hard link",
    "symbolic link",
    "directory",
    "permissions",
    "owner",
    "working directory",
    "root directory",
    "fork",
    "thread",
    "session",
    "kill",
    "watch process",
    "raise limit",
    "file in memory",
    "pipe",
    "watch files",
    "wait for many",
];

/// Acts that only an attacker tries: the child dies of them.
const DEADLY: [&str; 4] = ["execute", "connect", "send", "connect here"];

fn nothing_is_allowed(program: PathBuf) {
    let pool = ParserPool::start(PoolConfig {
        require_sandbox: true,
        ..PoolConfig::with_program(program, 1)
    })
    .unwrap();
    assert_eq!(
        pool.sandbox_status().missing,
        Vec::<String>::new(),
        "this kernel cannot run this test"
    );
    for act in REFUSED {
        assert_eq!(text(&pool, act), "refused: PermissionDenied", "{act}");
    }
    for act in DEADLY {
        assert_eq!(
            order(&pool, act).unwrap_err().to_string(),
            "the parser crashed: stopped at a forbidden system call",
            "{act}"
        );
    }
    assert_eq!(text(&pool, "environment"), "");
}

#[test]
fn forbidden_acts_are_blocked() {
    nothing_is_allowed(mock_parser());
}

/// `nobody`, as whom a server that was started by root would not run its children, but somebody else's server does.
#[test]
fn forbidden_acts_of_a_plain_user_are_blocked_too() {
    if !rustix::process::geteuid().is_root() {
        // The test above ran as one.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let everybody = || Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), everybody()).unwrap();
    let copy = folder.path().join("mock_parser");
    fs::copy(mock_parser(), &copy).unwrap();
    let wrapper = folder.path().join("as-nobody");
    let script = format!(
        "#!/bin/sh\nexec /usr/bin/env -i /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups {} \"$@\"\n",
        copy.display()
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, everybody()).unwrap();
    nothing_is_allowed(wrapper);
}

#[test]
fn a_child_serves_many_jobs_and_a_crash_replaces_it() {
    let pool = ParserPool::start(config()).unwrap();
    let first = text(&pool, "pid");
    assert_eq!(text(&pool, "pid"), first);
    order(&pool, "panic").unwrap_err();
    assert_ne!(text(&pool, "pid"), first);
}

#[test]
fn a_child_outlives_the_thread_that_used_it_first() {
    let pool = ParserPool::start(config()).unwrap();
    let other_thread =
        || std::thread::scope(|scope| scope.spawn(|| text(&pool, "pid")).join().unwrap());
    let first = other_thread();
    // A child that were tied to its first thread would be dead by now.
    assert_eq!(other_thread(), first);
    assert_eq!(text(&pool, "pid"), first);
}

#[test]
fn jobs_run_side_by_side_up_to_the_slots() {
    let pool = ParserPool::start(PoolConfig::with_program(mock_parser(), 2)).unwrap();
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..10).map(|_| text(&pool, "text")).collect::<Vec<_>>()))
            .collect();
        for job in jobs {
            assert_eq!(job.join().unwrap(), vec!["fine"; 10]);
        }
    });
}

#[test]
fn a_page_picture_without_ink_needs_no_recognition() {
    let pool = ParserPool::start(config()).unwrap();
    let page = order(&pool, "picture of nothing").unwrap().pages.remove(0);
    assert_eq!((page.text.as_str(), page.width), ("", 100.0));
    assert!(page.empty_reason.is_some());
    assert!(matches!(
        order(&pool, "picture of a lie"),
        Err(ParseError::LimitExceeded(_))
    ));
    assert_eq!(text(&pool, "text"), "fine");
}

#[test]
fn a_child_that_breaks_the_protocol_is_replaced() {
    for what in ["impossible frame", "frame without sense", "hello again"] {
        let error = error_of(config(), what);
        assert!(
            matches!(&error, ParseError::Crashed(reason) if reason.starts_with("it sent")),
            "{what}: {error}"
        );
    }
}

#[test]
fn a_program_that_is_no_parser_makes_the_pool_unavailable() {
    for program in ["/no/such/program", "/bin/true", "/bin/cat"] {
        let error = ParserPool::start(PoolConfig::with_program(program.into(), 1)).unwrap_err();
        assert!(
            matches!(error, ParseError::Unavailable(_)) && error.is_retryable(),
            "{program}: {error}"
        );
    }
}

#[test]
fn a_media_type_without_a_reader_is_not_supported() {
    let pool = ParserPool::start(config()).unwrap();
    assert!(matches!(
        parse(&pool, MediaType::Pdf, b"x"),
        Err(ParseError::NotSupported(_))
    ));
    assert!(matches!(
        parse(&pool, MediaType::Csv, b""),
        Err(ParseError::Damaged(_))
    ));
}

#[test]
fn the_real_child_is_found_from_a_test() {
    assert_eq!(quire_extract::find_program().unwrap(), quire_parse());
}
