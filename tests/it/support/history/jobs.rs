//! I1, I2, I5 and I6: the rows.

use std::collections::HashMap;

use quire_store::history::JobLine;
use uuid::Uuid;

use super::{Book, History, Invariant, Violations};

pub(super) fn check(history: &History, book: &Book<'_>, found: &mut Violations) {
    acknowledged(history, book, found);
    for job in &history.tables.jobs {
        ended(history, job, found);
        budgets(history, job, found);
    }
    owners(history, book, found);
}

fn acknowledged(history: &History, book: &Book<'_>, found: &mut Violations) {
    let files: HashMap<Uuid, String> = history
        .tables
        .files
        .iter()
        .map(|file| (file.id, hex::encode(&file.sha256)))
        .collect();
    let mut by_key: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for job in &history.tables.jobs {
        if let Some(key) = &job.idempotency_key {
            by_key.entry(key).or_default().push(job.id);
        }
    }
    for upload in &history.acknowledged {
        let Some(job) = book.jobs.get(&upload.job) else {
            let evidence = format!("upload {} was acknowledged and has no row", upload.key);
            found.of(Invariant::I1, upload.job, evidence);
            continue;
        };
        let jobs = by_key.get(upload.key.as_str()).map_or(0, Vec::len);
        if jobs != 1 || job.idempotency_key.as_deref() != Some(&upload.key) {
            let evidence = format!("key {} has {jobs} jobs", upload.key);
            found.of(Invariant::I1, upload.job, evidence);
        }
        let stored = files.get(&job.file_id);
        if stored != Some(&upload.sha256) {
            let evidence = format!("sent {}, the row says {stored:?}", upload.sha256);
            found.of(Invariant::I1, upload.job, evidence);
        }
    }
}

fn ended(history: &History, job: &JobLine, found: &mut Violations) {
    if job.state != "completed" && !history.is_spent(job) {
        let evidence = format!("is {} ({:?})", job.state, job.error_code);
        found.of(Invariant::I2, job.id, evidence);
    }
}

fn budgets(history: &History, job: &JobLine, found: &mut Violations) {
    let limits = &history.limits;
    if job.error_code.as_deref() == Some("poison") && !history.is_spent(job) {
        let evidence = format!("is innocent and was called poison, {} crashes", job.crashes);
        found.of(Invariant::I6, job.id, evidence);
    }
    let most = limits.failures + limits.crashes + 1;
    if job.failures > limits.failures || job.crashes > limits.crashes || job.attempt > most {
        let evidence = format!(
            "{} attempts of a stage, {} failures, {} crashes; allowed are {most}, {}, {}",
            job.attempt, job.failures, job.crashes, limits.failures, limits.crashes
        );
        found.of(Invariant::I6, job.id, evidence);
    }
}

fn owners(history: &History, book: &Book<'_>, found: &mut Violations) {
    let files: HashMap<Uuid, Uuid> = history
        .tables
        .files
        .iter()
        .map(|file| (file.id, file.owner))
        .collect();
    for job in &history.tables.jobs {
        if files
            .get(&job.file_id)
            .is_some_and(|owner| *owner != job.owner)
        {
            found.of(Invariant::I5, job.id, "its file is another owner's");
        }
        if let Some(event) = book
            .log(job.id)
            .iter()
            .find(|event| event.owner != job.owner)
        {
            let evidence = format!("event {} is another owner's", event.seq);
            found.of(Invariant::I5, job.id, evidence);
        }
    }
    for view in &history.views {
        let owner = book.jobs.get(&view.job).map(|job| job.owner);
        if owner.is_some_and(|owner| owner != view.owner) {
            let evidence = format!("{} was told of another owner's job", view.subscriber);
            found.of(Invariant::I5, view.job, evidence);
        }
    }
}
