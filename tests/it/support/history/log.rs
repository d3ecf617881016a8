//! I3 and I4 in the event log: one end per run, and one attempt's text before it.

use quire_store::history::EventLine;
use serde_json::Value;
use uuid::Uuid;

use super::{Book, History, Invariant, Violations, is_terminal, is_void};

/// Low bits of `seq`: the position within an epoch. Above them is the epoch, one per owner of the job.
const POSITION_BITS: u32 = 20;

pub(super) fn check(history: &History, book: &Book<'_>, found: &mut Violations) {
    for job in &history.tables.jobs {
        let log = book.log(job.id);
        ends(job.id, job.run, log, found);
        order(job.id, log, found);
        if job.state == "completed" {
            answer(job.id, job.answer.as_deref(), log, found);
        }
        agreement(job.id, &job.state, log, found);
    }
    for job in book
        .events
        .keys()
        .filter(|job| !book.jobs.contains_key(job))
    {
        found.of(Invariant::I3, *job, "has events and no row");
    }
}

/// Exactly one terminal event per run, nothing of the run behind it.
fn ends(job: Uuid, last_run: i32, log: &[&EventLine], found: &mut Violations) {
    for run in 0..=last_run {
        let of_run = || log.iter().filter(|event| event.run == run);
        let ends: Vec<i64> = of_run()
            .filter(|event| is_terminal(&event.kind))
            .map(|event| event.seq)
            .collect();
        if ends.len() != 1 {
            let evidence = format!("run {run} has {} terminal events: {ends:?}", ends.len());
            found.of(Invariant::I3, job, evidence);
        } else if let Some(late) = of_run().find(|event| event.seq > ends[0]) {
            let evidence = format!("{} {} follows the end {}", late.kind, late.seq, ends[0]);
            found.of(Invariant::I3, job, evidence);
        }
    }
}

fn order(job: Uuid, log: &[&EventLine], found: &mut Violations) {
    if let Some(pair) = log.windows(2).find(|pair| pair[0].seq >= pair[1].seq) {
        let evidence = format!("event {} is there twice", pair[1].seq);
        found.of(Invariant::I3, job, evidence);
    }
    if let Some(pair) = log.windows(2).find(|pair| pair[0].run > pair[1].run) {
        let evidence = format!("event {} is of an earlier run", pair[1].seq);
        found.of(Invariant::I3, job, evidence);
    }
}

/// The text behind the last void mark is of one epoch, whole, and is the answer.
fn answer(job: Uuid, row: Option<&str>, log: &[&EventLine], found: &mut Violations) {
    let start = log
        .iter()
        .rposition(|event| is_void(&event.kind))
        .map_or(0, |at| at + 1);
    let chunks = || log[start..].iter().filter(|event| event.kind == "chunk");
    let epochs: Vec<i64> = chunks().map(|event| event.seq >> POSITION_BITS).collect();
    if epochs.iter().any(|epoch| *epoch != epochs[0]) {
        found.of(Invariant::I4, job, format!("text of epochs {epochs:?}"));
    }
    let mut text = String::new();
    for chunk in chunks() {
        if chunk.body["offset"].as_u64() != Some(text.len() as u64) {
            let evidence = format!(
                "chunk {} is at {}, the text before it ends at {}",
                chunk.seq,
                chunk.body["offset"],
                text.len()
            );
            found.of(Invariant::I4, job, evidence);
        }
        text.push_str(chunk.body["text"].as_str().unwrap_or_default());
    }
    let told = log
        .iter()
        .rfind(|event| event.kind == "completed")
        .and_then(|event| event.body["answer"].as_str());
    if row.is_none() || told != row {
        found.of(
            Invariant::I4,
            job,
            format!("row has {row:?}, event {told:?}"),
        );
    }
    if row.is_some_and(|row| row != text) {
        let evidence = format!("row has {row:?}, the chunks say {text:?}");
        found.of(Invariant::I4, job, evidence);
    }
}

/// The row's state and the last event say the same.
fn agreement(job: Uuid, state: &str, log: &[&EventLine], found: &mut Violations) {
    let last = log.last();
    let (kind, body) = last.map_or(("nothing", &Value::Null), |event| {
        (&*event.kind, &event.body)
    });
    let agree = match state {
        "completed" | "cancelled" => kind == state,
        "failed" | "dead" => kind == "failed",
        _ => !is_terminal(kind),
    };
    if !agree {
        let evidence = format!("the row is {state}, the last event {kind} {body}");
        found.of(Invariant::I2, job, evidence);
    }
}
