//! The history checker: judges what clients saw against what the database and the disk say, from outside only.
//!
//! A fault run collects a [`History`]; [`check`] returns every breach of the seven invariants with the job and the evidence.
//! It knows nothing of how quire works, only of what it promises, so it also judges histories that never happened: its own tests
//! break each invariant once, because a checker that cannot fail proves nothing.
//!
//! | | invariant |
//! |---|---|
//! | I1 | every acknowledged upload has exactly one job, and its bytes |
//! | I2 | every job ends, once, and well: the uploads of a fault run are all answerable, unless two of their workers were killed |
//! | I3 | one terminal event per run, the last of it; a client that resumes by cursor sees each event once, in order, without a gap |
//! | I4 | an answer is one attempt's, whole, and the same in row, event, stream and every client's text |
//! | I5 | nothing of one owner reaches another |
//! | I6 | tries stay within their budgets, and no job is called poison before its budget is spent |
//! | I7 | no file without a row (older than the grace), no row without its file, nothing half received |

mod clients;
mod jobs;
mod log;
mod storage;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use quire_store::history::{EventLine, JobLine, Tables};
use uuid::Uuid;

pub use clients::{Frame, FrameKind, View, ViewKind};
pub use storage::{DiskFile, read_disk};

/// Everything that was observed.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Uploads that were answered 2xx.
    pub acknowledged: Vec<Acknowledged>,
    /// What each subscriber saw of each job.
    pub views: Vec<View>,
    /// The database.
    pub tables: Tables,
    /// The file store.
    pub disk: Vec<DiskFile>,
    /// What was allowed.
    pub limits: Limits,
}

impl History {
    /// Whether the job ended because as many workers died on it as it may take along: by the rule, be it innocent or not.
    pub fn is_spent(&self, job: &JobLine) -> bool {
        job.error_code.as_deref() == Some("poison")
            && job.state == "failed"
            && job.crashes >= self.limits.crashes
    }
}

/// An upload that the server said it has.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// The id in the reply.
    pub job: Uuid,
    /// SHA-256 of the bytes that were sent, in hex.
    pub sha256: String,
}

/// Bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failed tries a job may have.
    pub failures: i32,
    /// Worker deaths a job may have.
    pub crashes: i32,
    /// Age below which a file may be without a row.
    pub orphan_grace: Duration,
    /// Clients may have seen steps of an attempt that were lost with it, as long as they are told that it is void.
    pub published_early: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures: quire_store::MAX_FAILURES,
            crashes: quire_store::MAX_CRASHES,
            orphan_grace: Duration::ZERO,
            published_early: false,
        }
    }
}

/// The invariants of `research/reliability.md`, section 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Nothing acknowledged is lost.
    I1,
    /// Every job ends once.
    I2,
    /// Every event is told once, in order.
    I3,
    /// One attempt's result.
    I4,
    /// Owners are apart.
    I5,
    /// Budgets hold.
    I6,
    /// Files and rows agree.
    I7,
}

/// A breach, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is broken.
    pub invariant: Invariant,
    /// The job, where one can be named.
    pub job: Option<Uuid>,
    /// What was seen.
    pub evidence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.invariant)?;
        if let Some(job) = self.job {
            write!(f, " job {job}")?;
        }
        write!(f, ": {}", self.evidence)
    }
}

/// Every breach.
pub fn check(history: &History) -> Vec<Violation> {
    let book = Book::of(history);
    let mut found = Violations::default();
    jobs::check(history, &book, &mut found);
    log::check(history, &book, &mut found);
    clients::check(history, &book, &mut found);
    storage::check(history, &book, &mut found);
    found.0.sort_by_key(|violation| violation.invariant);
    found.0
}

/// Rows by job.
struct Book<'a> {
    jobs: HashMap<Uuid, &'a JobLine>,
    /// In the order of `seq`.
    events: BTreeMap<Uuid, Vec<&'a EventLine>>,
}

impl<'a> Book<'a> {
    fn of(history: &'a History) -> Self {
        let mut events: BTreeMap<Uuid, Vec<&EventLine>> = BTreeMap::new();
        for event in &history.tables.events {
            events.entry(event.job_id).or_default().push(event);
        }
        for log in events.values_mut() {
            log.sort_by_key(|event| event.seq);
        }
        let jobs = history
            .tables
            .jobs
            .iter()
            .map(|job| (job.id, job))
            .collect();
        Self { jobs, events }
    }

    fn log(&self, job: Uuid) -> &[&'a EventLine] {
        self.events.get(&job).map_or(&[], Vec::as_slice)
    }
}

#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn of(&mut self, invariant: Invariant, job: Uuid, evidence: impl Into<String>) {
        self.0.push(Violation {
            invariant,
            job: Some(job),
            evidence: evidence.into(),
        });
    }

    fn unnamed(&mut self, invariant: Invariant, evidence: impl Into<String>) {
        self.0.push(Violation {
            invariant,
            job: None,
            evidence: evidence.into(),
        });
    }
}

fn is_terminal(kind: &str) -> bool {
    matches!(kind, "completed" | "failed" | "cancelled")
}

/// After one of these, what was said before is void.
fn is_void(kind: &str) -> bool {
    matches!(kind, "queued" | "restarted")
}
