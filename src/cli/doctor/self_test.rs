//! `quire doctor --self-test`: jobs in a scratch installation whose workers are killed in the middle of them.
//!
//! The report counts what matters: accepted jobs that were lost, jobs that ended twice, and how long it took until the jobs of a
//! killed worker could be had by another. It is the same program on the same machine; only the data is another.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use quire_store::{HeldJob, JobId, JobState, Owner, QueueDepth, Store};
use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};
use uuid::Uuid;

use super::{
    finding::paint,
    is_coloured,
    troupe::{LOOK_EVERY, Troupe, TroupeError},
};
use crate::cli::{
    client::{Client, Question},
    report, say,
};

/// Jobs uploaded at the beginning, and again when the workers are done before the last one is killed.
const JOBS: usize = 24;
const MORE_JOBS: usize = 8;
/// Workers killed, each while it has a job.
const KILLS: usize = 3;
/// Worker processes at a time.
const WORKERS: usize = 2;
/// Rows of each uploaded table: a fraction of a second of work.
const ROWS: usize = 20_000;
/// Far beyond what the jobs take.
const LIMIT: Duration = Duration::from_mins(3);
/// Exit code of a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;
/// Events read at once.
const EVENT_PAGE: u32 = 1_000;

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Report {
    /// Uploads that were acknowledged.
    accepted: usize,
    /// Jobs with an answer.
    completed: usize,
    /// Jobs that ended without one.
    failed: usize,
    /// Jobs that are gone or have not ended.
    lost: usize,
    /// Jobs that ended more than once.
    doubled: usize,
    /// Workers killed.
    kills: usize,
    /// Milliseconds from the kill until another worker could take the job, for each job that a killed worker had.
    recovery_ms: Vec<u64>,
}

impl Report {
    fn passed(&self) -> bool {
        self.accepted > 0
            && self.completed == self.accepted
            && self.lost + self.doubled + self.failed == 0
            && self.kills == KILLS
    }
}

/// Runs the test: 0 when nothing was lost, 1 otherwise, 130 when it was interrupted.
pub(super) async fn run(json: bool) -> ExitCode {
    let teller = Teller { json };
    let mut troupe = None;
    let outcome = tokio::select! {
        outcome = play(&mut troupe, &teller) => Some(outcome),
        () = interrupted() => None,
    };
    teller.tell("cleaning up");
    if let Some(troupe) = troupe {
        match spawn_blocking(|| Troupe::end(troupe)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report(&error),
            Err(error) => report(&error),
        }
    }
    match outcome {
        None => ExitCode::from(EXIT_INTERRUPTED),
        Some(Err(error)) => {
            report(&error);
            ExitCode::FAILURE
        }
        Some(Ok(result)) => {
            teller.show(&result);
            if result.passed() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// The test. The troupe is left to the caller, who ends it whatever happens here.
async fn play(place: &mut Option<Troupe>, teller: &Teller) -> Result<Report, TroupeError> {
    teller.tell("starting a server with a database of its own, and two workers");
    let begun = Instant::now();
    let (troupe, client, store) = Troupe::start().await?;
    let troupe = place.insert(troupe);
    let outcome = perform(troupe, &client, &store, teller, begun).await;
    store.close().await;
    outcome
}

async fn perform(
    troupe: &mut Troupe,
    client: &Client,
    store: &Store,
    teller: &Teller,
    begun: Instant,
) -> Result<Report, TroupeError> {
    let mut test = Test {
        troupe,
        client,
        store,
        deadline: begun + LIMIT,
        jobs: Vec::new(),
        hit: HashSet::new(),
    };
    test.upload(JOBS).await?;
    teller.tell(&format!("{JOBS} jobs accepted"));
    for _ in 0..WORKERS {
        test.troupe.add_worker()?;
    }
    let mut result = Report::default();
    for _ in 0..KILLS {
        let killed = test.kill_a_busy_worker().await?;
        let (pid, had) = (killed.pid, jobs_in_words(killed.jobs.len()));
        teller.tell(&format!("worker {pid} killed while it had {had}"));
        result.kills += 1;
        test.troupe.add_worker()?;
        result.recovery_ms.extend(test.recovery(killed).await?);
    }
    teller.tell("waiting for every job to end");
    test.count(&mut result).await?;
    Ok(result)
}

fn jobs_in_words(count: usize) -> String {
    match count {
        1 => "a job in hand".to_owned(),
        count => format!("{count} jobs in hand"),
    }
}

fn write_table(dir: &Path, number: usize) -> std::io::Result<PathBuf> {
    let mut table = String::from("station,day,level\n");
    for row in 0..ROWS {
        let level = (row * 7_919 + number * 104_729) % 9_973;
        // Writing to a string cannot fail.
        let _ = writeln!(table, "Station {},{row},{level}", row % 97 + number);
    }
    let path = dir.join(format!("table-{number}.csv"));
    std::fs::write(&path, table)?;
    Ok(path)
}

/// A worker that was killed.
struct Killed {
    pid: u32,
    at: Instant,
    /// What it had in hand.
    jobs: Vec<HeldJob>,
}

struct Test<'a> {
    troupe: &'a mut Troupe,
    client: &'a Client,
    store: &'a Store,
    deadline: Instant,
    /// Accepted.
    jobs: Vec<JobId>,
    /// Jobs whose worker was killed: a second time would be taken for the job's own fault.
    hit: HashSet<JobId>,
}

impl Test<'_> {
    /// Each file is another one: nothing is answered from what was read before.
    async fn upload(&mut self, count: usize) -> Result<(), TroupeError> {
        for _ in 0..count {
            let path = write_table(&self.troupe.directory(), self.jobs.len())?;
            let question = Question {
                prompt: "Which station has the highest level?".to_owned(),
                ..Question::default()
            };
            let key = Uuid::new_v4();
            let id = self.client.upload(key, &path, &question, |_| {}).await?;
            self.jobs.push(JobId(id));
        }
        Ok(())
    }

    /// Kills a worker that has jobs, none of which were hit before.
    async fn kill_a_busy_worker(&mut self) -> Result<Killed, TroupeError> {
        loop {
            self.look("a worker takes a job")?;
            let held = self.store.held_jobs().await?;
            for name in held.iter().map(|job| &job.worker).collect::<HashSet<_>>() {
                let Some(victim) = self.troupe.worker_of(name) else {
                    continue;
                };
                // Frozen, it has what it has; whether that is still something is asked again.
                victim.freeze();
                let had: Vec<HeldJob> = self
                    .store
                    .held_jobs()
                    .await?
                    .into_iter()
                    .filter(|job| job.worker == *name)
                    .collect();
                if had.is_empty() || had.iter().any(|job| self.hit.contains(&job.id)) {
                    victim.thaw();
                    continue;
                }
                self.hit.extend(had.iter().map(|job| job.id));
                let at = Instant::now();
                return Ok(Killed {
                    pid: victim.kill()?,
                    at,
                    jobs: had,
                });
            }
            if self.is_idle().await? {
                self.upload(MORE_JOBS).await?;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Nothing waits and nothing runs.
    async fn is_idle(&self) -> Result<bool, TroupeError> {
        let queues = self.store.queue_snapshot().await?.queues;
        let busy = |queue: &QueueDepth| queue.queued + queue.running + queue.streaming > 0;
        Ok(!queues.iter().any(busy))
    }

    /// How long it took until each job was no longer the dead worker's.
    async fn recovery(&mut self, killed: Killed) -> Result<Vec<u64>, TroupeError> {
        let victims = killed.jobs.into_iter();
        let mut waiting: HashMap<JobId, String> = victims.map(|job| (job.id, job.worker)).collect();
        let mut times = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            self.look("the recovery of a killed worker's jobs")?;
            let now: HashMap<JobId, String> = self
                .store
                .held_jobs()
                .await?
                .into_iter()
                .map(|job| (job.id, job.worker))
                .collect();
            let before = waiting.len();
            waiting.retain(|id, dead| now.get(id) == Some(dead));
            let rescued = before - waiting.len();
            times.extend(std::iter::repeat_n(
                killed.at.elapsed().as_millis() as u64,
                rescued,
            ));
            sleep(LOOK_EVERY).await;
        }
        Ok(times)
    }

    /// Waits for the end of every job and counts the ends.
    async fn count(&mut self, result: &mut Report) -> Result<(), TroupeError> {
        result.accepted = self.jobs.len();
        for id in std::mem::take(&mut self.jobs) {
            while Instant::now() < self.deadline && !self.has_ended(id).await? {
                self.troupe.check()?;
                sleep(LOOK_EVERY).await;
            }
            match self.store.job(Owner::LOCAL, id).await?.map(|job| job.state) {
                Some(JobState::Completed) => result.completed += 1,
                Some(JobState::Failed | JobState::Dead | JobState::Cancelled) => result.failed += 1,
                _ => result.lost += 1,
            }
            let events = self
                .store
                .events()
                .since(Owner::LOCAL, id, -1, EVENT_PAGE)
                .await?;
            let ends = events.iter().filter(|record| record.event.is_terminal());
            result.doubled += usize::from(ends.count() > 1);
        }
        Ok(())
    }

    /// A job that is gone has ended badly; it is counted as lost.
    async fn has_ended(&self, id: JobId) -> Result<bool, TroupeError> {
        let job = self.store.job(Owner::LOCAL, id).await?;
        Ok(job.is_none_or(|job| job.finished_at.is_some()))
    }

    fn look(&mut self, what: &'static str) -> Result<(), TroupeError> {
        self.troupe.check()?;
        if Instant::now() > self.deadline {
            return Err(TroupeError::Late(what));
        }
        Ok(())
    }
}

/// Tells a person how far the test is; says nothing but the result as JSON.
struct Teller {
    json: bool,
}

impl Teller {
    fn tell(&self, step: &str) {
        if !self.json {
            say(format!("  {step}"));
        }
    }

    fn show(&self, result: &Report) {
        if self.json {
            say(serde_json::json!({ "passed": result.passed(), "report": result }));
        } else {
            say(text(result, is_coloured()));
        }
    }
}

fn text(result: &Report, colour: bool) -> String {
    let Report {
        accepted,
        completed,
        failed,
        lost,
        doubled,
        kills,
        ..
    } = result;
    let mut times = result.recovery_ms.clone();
    times.sort_unstable();
    let recovery = match (times.get(times.len() / 2), times.last()) {
        (Some(middle), Some(longest)) => {
            format!(
                "{middle} ms in the middle, {longest} ms at most, until their {} jobs could go on",
                times.len()
            )
        }
        _ => "none was needed".to_owned(),
    };
    let verdict = if result.passed() {
        paint(
            "Nothing that was accepted was lost, and nothing was done twice.",
            "32;1",
            colour,
        )
    } else {
        paint("The test was not passed.", "31;1", colour)
    };
    format!(
        "\n  accepted   {accepted}\n  completed  {completed}\n  failed     {failed}\n  lost       {lost}\n  doubled    {doubled}\n  kills      {kills} workers, by SIGKILL\n  recovery   {recovery}\n\n  {verdict}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed() -> Report {
        Report {
            accepted: 24,
            completed: 24,
            kills: KILLS,
            recovery_ms: vec![300, 100, 200],
            ..Report::default()
        }
    }

    #[test]
    fn the_report_tells_the_recovery_and_the_verdict() {
        let text = text(&passed(), false);
        assert!(
            text.contains("200 ms in the middle, 300 ms at most, until their 3 jobs could go on"),
            "{text}"
        );
        assert!(
            text.contains("Nothing that was accepted was lost"),
            "{text}"
        );
    }

    #[test]
    fn anything_lost_doubled_or_left_out_is_a_failure() {
        assert!(passed().passed());
        let changes: [fn(&mut Report); 5] = [
            |report| report.completed = 23,
            |report| report.lost = 1,
            |report| report.doubled = 1,
            |report| report.failed = 1,
            |report| report.kills = 0,
        ];
        for change in changes {
            let mut report = passed();
            change(&mut report);
            assert!(!report.passed(), "{report:?}");
        }
        assert!(!Report::default().passed());
    }
}
