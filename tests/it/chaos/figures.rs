//! What a fault run measures, and the table of it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{plan::Plan, uploads::UploadLog};
use crate::support::{
    cluster::Ended,
    history::{History, Invariant, Violation},
};

/// A worker was killed or frozen while it had jobs.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Which.
    pub worker: usize,
    /// When.
    pub at: DateTime<Utc>,
    /// Frozen, not killed.
    pub frozen: bool,
    /// What it had.
    pub jobs: Vec<Uuid>,
    /// Another worker process was there to take them.
    pub other_alive: bool,
}

/// What the driver noted on the way.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Workers that were hit.
    pub hits: Vec<Hit>,
    /// When a fault struck a worker, or the database (`None`): what lies in between is not disturbed.
    pub struck: Vec<(DateTime<Utc>, Option<usize>)>,
    /// When Postgres answered again after a kill while jobs waited.
    pub returns: Vec<DateTime<Utc>>,
    /// Faults by their names.
    pub faults: HashMap<&'static str, u64>,
    /// How long the run took.
    pub took: Duration,
}

/// All that the table is made of.
pub struct Report<'a> {
    /// What was to happen.
    pub plan: &'a Plan,
    /// What the driver noted.
    pub notes: &'a Notes,
    /// What was observed.
    pub history: &'a History,
    /// What the uploading clients saw.
    pub uploads: &'a UploadLog,
    /// Processes that ended, and how long each SIGTERM took.
    pub ended: &'a Ended,
    /// What the checker says.
    pub violations: &'a [Violation],
}

impl Report<'_> {
    /// The table.
    pub fn table(&self) -> String {
        let mut rows = self.run();
        rows.extend(self.verdicts());
        rows.extend(recoveries(self.notes, self.history));
        rows.extend(self.service());
        let mut text = String::from("| what | measured |\n|---|---|\n");
        for (what, measured) in rows {
            writeln!(text, "| {what} | {measured} |").unwrap();
        }
        text
    }

    fn run(&self) -> Vec<Row> {
        let mut faults: Vec<_> = self.notes.faults.iter().collect();
        faults.sort();
        let faults: Vec<String> = faults
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        let jobs = &self.history.tables.jobs;
        let completed = jobs.iter().filter(|job| job.state == "completed").count();
        let uploads = &self.history.acknowledged;
        let acknowledged: HashSet<Uuid> = uploads.iter().map(|upload| upload.job).collect();
        let frames: usize = self
            .history
            .views
            .iter()
            .map(|view| view.frames.len())
            .sum();
        vec![
            ("seed", self.plan.seed.to_string()),
            ("time", format!("{:.0} s", self.notes.took.as_secs_f64())),
            (
                "faults",
                format!("{}: {}", self.plan.steps.len(), faults.join(", ")),
            ),
            (
                "jobs acknowledged, completed",
                format!("{}, {completed}", acknowledged.len()),
            ),
            (
                "events stored, frames seen by clients",
                format!("{}, {frames}", self.history.tables.events.len()),
            ),
            ("jobs by worker deaths that count", self.deaths()),
            (
                "jobs failed as poison because two of their workers were killed",
                jobs.iter()
                    .filter(|job| self.history.is_spent(job))
                    .count()
                    .to_string(),
            ),
        ]
    }

    fn verdicts(&self) -> Vec<Row> {
        let is_end = |violation: &Violation| violation.evidence.contains("terminal events");
        let count = |invariant, ends| {
            self.violations
                .iter()
                .filter(|found| found.invariant == invariant && is_end(found) == ends)
                .count()
                .to_string()
        };
        vec![
            ("lost (I1)", count(Invariant::I1, false)),
            ("not completed (I2)", count(Invariant::I2, false)),
            (
                "terminal events doubled or missing (I3)",
                count(Invariant::I3, true),
            ),
            (
                "gaps, repeats, disorder seen by clients (I3)",
                count(Invariant::I3, false),
            ),
            ("mixed or wrong answers (I4)", count(Invariant::I4, false)),
            ("owners mixed (I5)", count(Invariant::I5, false)),
            (
                "budgets broken, called poison too early (I6)",
                count(Invariant::I6, false),
            ),
            ("files and rows apart (I7)", count(Invariant::I7, false)),
        ]
    }

    fn deaths(&self) -> String {
        let mut deaths: BTreeMap<i32, u64> = BTreeMap::new();
        for job in &self.history.tables.jobs {
            *deaths.entry(job.crashes).or_default() += 1;
        }
        let deaths: Vec<String> = deaths
            .iter()
            .map(|(crashes, jobs)| format!("{crashes}: {jobs}"))
            .collect();
        deaths.join(", ")
    }

    fn service(&self) -> Vec<Row> {
        let uploads = self.uploads;
        let stops = self.ended.stops.iter();
        vec![
            (
                "uploads refused with 503, connections broken",
                format!("{}, {}", uploads.refused, uploads.broken),
            ),
            (
                "upload answered, ms",
                spread(&mut uploads.answers_ms.clone()),
            ),
            ("unexpected answers", uploads.unexpected.len().to_string()),
            (
                "exits that nobody asked for, starts broken off",
                format!("{}, {}", self.ended.surprises.len(), self.ended.early),
            ),
            (
                "SIGTERM to end, ms",
                spread(
                    &mut stops
                        .map(|stop| stop.as_millis() as u64)
                        .collect::<Vec<_>>(),
                ),
            ),
        ]
    }
}

type Row = (&'static str, String);

/// From the moment of a fault to the next attempt of each job that was hit.
fn recoveries(notes: &Notes, history: &History) -> Vec<Row> {
    let mut restarts: HashMap<Uuid, Vec<DateTime<Utc>>> = HashMap::new();
    let mut moves: Vec<DateTime<Utc>> = Vec::new();
    for event in &history.tables.events {
        if event.kind == "restarted" {
            restarts.entry(event.job_id).or_default().push(event.at);
        }
        if event.kind != "queued" {
            moves.push(event.at);
        }
    }
    moves.sort_unstable();
    let mut times = [const { Vec::new() }; 3];
    for hit in &notes.hits {
        for job in &hit.jobs {
            let next = restarts
                .get(job)
                .and_then(|all| all.iter().filter(|at| **at > hit.at).min());
            let Some(next) = next else { continue };
            // A frozen worker's jobs outlast many a fault; what matters is the database, and the end of the worker itself.
            let matters = |of: Option<usize>| !hit.frozen || of.is_none_or(|of| of == hit.worker);
            let mut between = notes
                .struck
                .iter()
                .filter(|(at, _)| *at > hit.at && at < next);
            let disturbed = !hit.other_alive || between.any(|(_, of)| matters(*of));
            let row = match (disturbed, hit.frozen) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            };
            times[row].push((*next - hit.at).num_milliseconds().unsigned_abs());
        }
    }
    let mut back: Vec<u64> = notes
        .returns
        .iter()
        .filter_map(|at| {
            let next = moves.partition_point(|moved| moved <= at);
            Some((*moves.get(next)? - *at).num_milliseconds().unsigned_abs())
        })
        .collect();
    let [killed, frozen, disturbed] = &mut times;
    vec![
        ("job of a killed worker runs again, ms", spread(killed)),
        ("job of a frozen worker runs again, ms", spread(frozen)),
        (
            "the same with a further fault in between, ms",
            spread(disturbed),
        ),
        ("first step after Postgres is back, ms", spread(&mut back)),
    ]
}

fn spread(values: &mut [u64]) -> String {
    values.sort_unstable();
    let Some(last) = values.len().checked_sub(1) else {
        return "none".to_owned();
    };
    let at = |share: f64| values[(last as f64 * share).round() as usize];
    format!(
        "n {}, p50 {}, p99 {}, max {}",
        values.len(),
        at(0.5),
        at(0.99),
        values[last]
    )
}
