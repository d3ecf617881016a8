//! What the doctor sees of the database: the server, the schema, workers, queue and files.
//!
//! It attaches to a server that runs and starts none: whoever started one would have to keep it for others that find it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use quire_store::{
    Examination, FileStore, QueueDepth, QueueSnapshot, Store, StoreError, StoreOptions,
    embedded::{self, EmbeddedState},
};
use tokio::time::timeout;

use super::{finding::Finding, machine};
use crate::config::Config;

/// A server that takes longer to answer serves nobody.
const PATIENCE: Duration = Duration::from_secs(5);
/// Share of the connections in use beyond which the next process may find none.
const MANY_CONNECTIONS: f64 = 0.9;
/// A heartbeat comes twice a second.
const SILENT_SECS: i64 = 5;
/// A job that has waited longer than this is worth a word.
const LONG_WAIT_SECS: i64 = 300;

const POSTGRES: &str = "postgres";

/// Everything about the database.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let (url, kind) = match address(config) {
        Ok(found) => found,
        Err(finding) => return vec![*finding],
    };
    let options = StoreOptions {
        url,
        max_connections: 4,
        role: "quire-doctor",
    };
    let store = match timeout(PATIENCE, Store::connect(&options)).await {
        Ok(Ok(store)) => store,
        // What the pool says is that it has waited long enough.
        Ok(Err(error)) if !error.is_unavailable() => {
            return vec![unreachable(config, kind, &error.to_string())];
        }
        _ => return vec![unreachable(config, kind, "it does not answer")],
    };
    let findings = timeout(PATIENCE * 2, examine(&store, config, kind)).await;
    store.close().await;
    findings.unwrap_or_else(|_| vec![unreachable(config, kind, "it stopped answering")])
}

/// Where the database is, and which kind; or the one line to say when there is none.
fn address(config: &Config) -> Result<(String, &'static str), Box<Finding>> {
    if let Some(url) = &config.database_url {
        return Ok((url.clone(), "external"));
    }
    let installed = embedded::installed().map_err(|error| {
        Finding::problem(POSTGRES, error.to_string(), "then run `quire doctor` again")
    })?;
    match embedded::look(&config.data_dir.join("postgres")) {
        Ok(EmbeddedState::Running { url }) => Ok((url, "embedded")),
        Ok(EmbeddedState::Absent) => Err(Box::new(Finding::note(
            POSTGRES,
            format!(
                "embedded, not set up yet: the first start does that, with version {}",
                installed.first().copied().unwrap_or_default()
            ),
        ))),
        Ok(EmbeddedState::Stopped { major }) => Err(Box::new(stopped(major, &installed))),
        Err(error) => Err(Box::new(Finding::problem(
            POSTGRES,
            error.to_string(),
            "then run `quire doctor` again",
        ))),
    }
}

fn stopped(major: u32, installed: &[u32]) -> Finding {
    if installed.contains(&major) {
        return Finding::note(
            POSTGRES,
            format!(
                "embedded, version {major}, not running: `quire serve` starts it, and then this shows the queue"
            ),
        );
    }
    Finding::problem(
        POSTGRES,
        format!("the database was made by PostgreSQL {major}, which is not installed"),
        format!("apt-get install postgresql-{major} postgresql-contrib"),
    )
}

fn unreachable(config: &Config, kind: &str, why: &str) -> Finding {
    let remedy = if config.database_url.is_some() {
        "check DATABASE_URL (`quire config show`) and that the server runs".to_owned()
    } else {
        format!(
            "its log is {}",
            machine::server_log(&config.data_dir).display()
        )
    };
    Finding::problem(POSTGRES, format!("{kind}, not reachable: {why}"), remedy)
}

async fn examine(store: &Store, config: &Config, kind: &str) -> Vec<Finding> {
    let examination = match store.examine().await {
        Ok(examination) => examination,
        Err(error) => return vec![unreachable(config, kind, &error.to_string())],
    };
    let mut findings = server(&examination, kind);
    let (schema, usable) = schema(&examination);
    findings.push(schema);
    if !usable {
        return findings;
    }
    match store.queue_snapshot().await {
        Ok(snapshot) => findings.extend(queue(&snapshot)),
        Err(error) => findings.push(failed("queue", &error)),
    }
    findings.push(
        files(store, config)
            .await
            .unwrap_or_else(|error| failed("files", &error)),
    );
    findings
}

fn failed(area: &'static str, error: &StoreError) -> Finding {
    Finding::problem(
        area,
        error.to_string(),
        "please report this: it is a bug in quire",
    )
}

fn server(seen: &Examination, kind: &str) -> Vec<Finding> {
    let (used, max) = seen.connections;
    let says = format!(
        "{kind}, version {}, {} of {max} connections used, {}",
        seen.version,
        used,
        HumanBytes(seen.bytes.unsigned_abs())
    );
    let mut findings = vec![if used as f64 > max as f64 * MANY_CONNECTIONS {
        Finding::warning(
            POSTGRES,
            says,
            "raise max_connections, or lower QUIRE_DATABASE_CONNECTIONS",
        )
    } else {
        Finding::ok(POSTGRES, says)
    }];
    if !seen.unsafe_settings.is_empty() {
        let settings = seen.unsafe_settings.join(", ");
        findings.push(Finding::problem(
            POSTGRES,
            format!("{settings} is off: a power failure can lose accepted jobs"),
            format!(
                "set {} = on in postgresql.conf",
                seen.unsafe_settings.join(" = on, ")
            ),
        ));
    }
    findings
}

/// The line, and whether the tables can be read by this build.
fn schema(seen: &Examination) -> (Finding, bool) {
    const AREA: &str = "schema";
    if !seen.unknown.is_empty() {
        let finding = Finding::problem(
            AREA,
            "the database was made for a newer quire than this one",
            "install the newer version",
        );
        return (finding, false);
    }
    if seen.pending.len() == seen.known {
        let finding = Finding::note(AREA, "not made yet: the first start makes it");
        return (finding, false);
    }
    if !seen.pending.is_empty() {
        let finding = Finding::warning(
            AREA,
            format!(
                "{} of {} migrations are missing",
                seen.pending.len(),
                seen.known
            ),
            "quire migrate (every start of a server or worker does it too)",
        );
        return (finding, false);
    }
    let says = format!("up to date ({} migrations)", seen.known);
    (Finding::ok(AREA, says), true)
}

fn queue(snapshot: &QueueSnapshot) -> Vec<Finding> {
    let waiting: i64 = snapshot.queues.iter().map(|queue| queue.queued).sum();
    let mut findings = vec![workers(snapshot, waiting), depth(snapshot, waiting)];
    let paused = snapshot
        .queues
        .iter()
        .filter(|queue| queue.paused_at.is_some());
    findings.extend(paused.map(|queue| {
        Finding::warning(
            "queue",
            format!("{} is paused: its jobs wait", queue.stage.as_str()),
            format!(
                "POST /api/admin/queues/{}/resume lets it go on",
                queue.stage.as_str()
            ),
        )
    }));
    let dead = snapshot.ended.dead;
    if dead > 0 {
        findings.push(Finding::warning(
            "dead letters",
            format!("{dead} jobs were given up after too many failed tries"),
            "GET /api/admin/dead tells why; POST /api/admin/dead/requeue tries them again",
        ));
    }
    findings
}

fn workers(snapshot: &QueueSnapshot, waiting: i64) -> Finding {
    const AREA: &str = "workers";
    let seconds_silent = |at: DateTime<Utc>| (snapshot.at - at).num_seconds();
    let (alive, silent): (Vec<_>, Vec<_>) = snapshot
        .workers
        .iter()
        .partition(|worker| seconds_silent(worker.seen_at) < SILENT_SECS);
    let jobs: i64 = alive.iter().map(|worker| worker.jobs).sum();
    if alive.is_empty() && waiting > 0 {
        return Finding::problem(
            AREA,
            format!("none is alive, and {waiting} jobs wait"),
            "start `quire serve` or `quire worker`",
        );
    }
    if let Some(first) = silent.first() {
        return Finding::warning(
            AREA,
            format!(
                "{} alive; {} has been silent for {}",
                alive.len(),
                first.name,
                ago(seconds_silent(first.seen_at))
            ),
            "its jobs are taken over; it is frozen, cut off, or about to be forgotten",
        );
    }
    match alive.len() {
        0 => Finding::note(AREA, "none is running, and nothing waits"),
        n => Finding::ok(AREA, format!("{n} alive, {jobs} jobs in hand")),
    }
}

fn depth(snapshot: &QueueSnapshot, waiting: i64) -> Finding {
    const AREA: &str = "queue";
    let scheduled: i64 = snapshot.queues.iter().map(|queue| queue.scheduled).sum();
    let oldest = snapshot
        .queues
        .iter()
        .filter_map(|queue: &QueueDepth| queue.oldest_queued_at)
        .min();
    let wait = oldest.map(|at| (snapshot.at - at).num_seconds().max(0));
    let later = if scheduled > 0 {
        format!(", {scheduled} are scheduled for later")
    } else {
        String::new()
    };
    match wait {
        None => Finding::ok(AREA, format!("nothing waits{later}")),
        Some(wait) if wait >= LONG_WAIT_SECS => Finding::warning(
            AREA,
            format!("{waiting} jobs wait, the oldest for {}{later}", ago(wait)),
            "add workers: `quire worker` on this or another machine, or QUIRE_WORKERS",
        ),
        Some(wait) => Finding::ok(
            AREA,
            format!("{waiting} jobs wait, the oldest for {}{later}", ago(wait)),
        ),
    }
}

async fn files(store: &Store, config: &Config) -> Result<Finding, StoreError> {
    const AREA: &str = "files";
    let rows = store.file_rows().await?;
    let noted = FileStore::existing(config.files_dir()).database().await?;
    if noted.is_some_and(|noted| noted != rows.database) {
        return Ok(Finding::warning(
            AREA,
            format!(
                "{} belongs to another database; nothing is removed there",
                config.files_dir().display()
            ),
            "check QUIRE_DATA_DIR and DATABASE_URL; if both are right, delete the file `database` in that directory",
        ));
    }
    if rows.missing > 0 {
        return Ok(Finding::problem(
            AREA,
            format!(
                "{} of {} uploaded files are missing: their jobs fail when they are run",
                rows.missing, rows.files
            ),
            format!(
                "bring {} back from a copy, or upload them again",
                config.files_dir().display()
            ),
        ));
    }
    Ok(Finding::ok(
        AREA,
        format!("{} uploaded, none is known to be missing", rows.files),
    ))
}

/// `40 s`, `12 min`, `3 h`, `5 days`.
fn ago(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use quire_store::{EndedCounts, Stage, Throughput, WorkerStatus, clock};

    use super::*;
    use crate::cli::doctor::finding::Level;

    fn examination() -> Examination {
        Examination {
            version: "15.18".to_owned(),
            connections: (12, 60),
            bytes: 9 << 20,
            unsafe_settings: Vec::new(),
            pending: Vec::new(),
            unknown: Vec::new(),
            known: 8,
        }
    }

    /// Jobs wait since `waited` seconds; the workers were last seen so many seconds ago.
    fn snapshot(queued: i64, waited: i64, workers: &[i64]) -> QueueSnapshot {
        let at = clock::now();
        let before = |seconds| at - chrono::TimeDelta::seconds(seconds);
        let window = |minutes| Throughput {
            minutes,
            seconds: 60.0,
            completed: 0,
        };
        QueueSnapshot {
            at,
            queues: vec![QueueDepth {
                stage: Stage::Extract,
                paused_at: None,
                queued,
                scheduled: 0,
                running: 0,
                streaming: 0,
                oldest_queued_at: (queued > 0).then(|| before(waited)),
            }],
            ended: EndedCounts::default(),
            throughput: [1, 5, 15].map(window),
            wait: None,
            run: None,
            sampled: 0,
            workers: workers
                .iter()
                .map(|&silent| WorkerStatus {
                    name: format!("w{silent}"),
                    started_at: before(600),
                    seen_at: before(silent),
                    jobs: 1,
                })
                .collect(),
        }
    }

    fn levels(findings: &[Finding]) -> Vec<Level> {
        findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_server_that_forgets_is_a_problem() {
        assert_eq!(levels(&server(&examination(), "embedded")), [Level::Ok]);
        let unsafe_settings = vec!["fsync".to_owned(), "synchronous_commit".to_owned()];
        let findings = server(
            &Examination {
                unsafe_settings,
                connections: (59, 60),
                ..examination()
            },
            "external",
        );
        assert_eq!(levels(&findings), [Level::Warning, Level::Problem]);
        let remedy = findings[1].remedy.as_deref().unwrap();
        assert!(
            remedy.contains("fsync = on, synchronous_commit = on"),
            "{remedy}"
        );
    }

    #[test]
    fn a_schema_of_another_version_is_not_read() {
        let of = |pending: Vec<i64>, unknown: Vec<i64>| {
            let (finding, usable) = schema(&Examination {
                pending,
                unknown,
                ..examination()
            });
            (finding.level, usable)
        };
        assert_eq!(of(vec![], vec![]), (Level::Ok, true));
        assert_eq!(of(vec![7, 8], vec![]), (Level::Warning, false));
        assert_eq!(of((1..=8).collect(), vec![]), (Level::Note, false));
        assert_eq!(of(vec![], vec![9]), (Level::Problem, false));
    }

    #[test]
    fn waiting_jobs_without_workers_are_a_problem_and_a_long_wait_is_a_warning() {
        let of =
            |queued, waited, workers: &[i64]| levels(&queue(&snapshot(queued, waited, workers)));
        assert_eq!(of(0, 0, &[]), [Level::Note, Level::Ok]);
        assert_eq!(of(3, 10, &[]), [Level::Problem, Level::Ok]);
        assert_eq!(of(3, 10, &[0]), [Level::Ok, Level::Ok]);
        assert_eq!(of(3, 900, &[0]), [Level::Ok, Level::Warning]);
        assert_eq!(of(3, 10, &[0, 60]), [Level::Warning, Level::Ok]);
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let all = [5, 119, 125, 7_300, 400_000].map(ago);
        assert_eq!(all, ["5 s", "119 s", "2 min", "2 h", "4 days"]);
    }
}
