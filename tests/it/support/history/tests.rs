//! Each invariant broken once: a checker that stays silent here is worthless.

use std::time::Duration;

use quire_store::history::{EventLine, FileLine, JobLine};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Acknowledged, DiskFile, Frame, FrameKind, History,
    Invariant::{self, I1, I2, I3, I4, I5, I6, I7},
    View, ViewKind, check,
};

const OWNER: Uuid = Uuid::from_u128(1);
const FILE: Uuid = Uuid::from_u128(2);
const JOB: Uuid = Uuid::from_u128(3);

const fn seq(epoch: i64, position: i64) -> i64 {
    (epoch << 20) | position
}

fn event(seq: i64, kind: &str, rest: Value) -> EventLine {
    EventLine {
        job_id: JOB,
        seq,
        owner: OWNER,
        run: 0,
        at: chrono::DateTime::UNIX_EPOCH,
        kind: kind.to_owned(),
        body: rest,
    }
}

fn frame(connection: u32, seq: i64, kind: FrameKind) -> Frame {
    Frame {
        connection,
        seq: Some(seq),
        kind,
    }
}

fn chunk(offset: u64, text: &str) -> FrameKind {
    FrameKind::Chunk {
        offset: Some(offset),
        text: text.to_owned(),
    }
}

fn end(answer: &str) -> FrameKind {
    FrameKind::End {
        answer: Some(answer.to_owned()),
    }
}

/// One job whose first attempt broke off after "ab", seen by a client that came back once and by one without a cursor.
fn healthy() -> History {
    let sha256 = hex::encode(Sha256::digest(b"bytes"));
    let mut history = History {
        acknowledged: vec![Acknowledged {
            key: "k".to_owned(),
            job: JOB,
            sha256: sha256.clone(),
        }],
        disk: vec![DiskFile {
            name: sha256.clone(),
            sha256,
            age: Duration::from_secs(9),
            incoming: false,
        }],
        ..History::default()
    };
    history.tables.jobs.push(JobLine {
        id: JOB,
        owner: OWNER,
        file_id: FILE,
        state: "completed".to_owned(),
        run: 0,
        attempt: 2,
        failures: 0,
        crashes: 1,
        answer: Some("abcd".to_owned()),
        error_code: None,
        idempotency_key: Some("k".to_owned()),
    });
    history.tables.files.push(FileLine {
        id: FILE,
        owner: OWNER,
        sha256: Sha256::digest(b"bytes").to_vec(),
        bytes: 5,
    });
    history.tables.events = vec![
        event(0, "queued", json!({})),
        event(seq(1, 1), "chunk", json!({"offset": 0, "text": "ab"})),
        event(seq(3, 0), "restarted", json!({"attempt": 2})),
        event(seq(3, 1), "chunk", json!({"offset": 0, "text": "abc"})),
        event(seq(3, 2), "chunk", json!({"offset": 3, "text": "d"})),
        event(seq(4, 0), "completed", json!({"answer": "abcd"})),
    ];
    history.views = vec![cursor_view(), legacy_view()];
    history
}

fn cursor_view() -> View {
    View {
        subscriber: "v1".to_owned(),
        kind: ViewKind::Cursor,
        owner: OWNER,
        job: JOB,
        from_start: true,
        frames: vec![
            frame(0, 0, FrameKind::Void),
            frame(0, seq(1, 1), chunk(0, "ab")),
            frame(1, seq(3, 0), FrameKind::Void),
            frame(1, seq(3, 1), chunk(0, "abc")),
            frame(1, seq(3, 2), chunk(3, "d")),
            frame(1, seq(4, 0), end("abcd")),
        ],
        stayed: true,
    }
}

fn legacy_view() -> View {
    let frames = [(0, end("abcd")), (1, end("abcd"))].map(|(connection, kind)| Frame {
        connection,
        seq: None,
        kind,
    });
    View {
        subscriber: "legacy".to_owned(),
        kind: ViewKind::Legacy,
        frames: frames.into(),
        ..cursor_view()
    }
}

/// The one breach that `damage` does, and no other invariant's.
fn breaks(expected: Invariant, part_of_evidence: &str, damage: impl FnOnce(&mut History)) {
    let mut history = healthy();
    damage(&mut history);
    let found = check(&history);
    assert!(
        found.iter().any(|violation| violation.invariant == expected
            && violation.evidence.contains(part_of_evidence)),
        "expected {expected:?} with {part_of_evidence:?}, found {found:#?}"
    );
}

#[test]
fn a_good_history_is_passed() {
    assert_eq!(check(&healthy()), []);
}

#[test]
fn a_lost_job_is_found() {
    breaks(I1, "has no row", |history| history.tables.jobs.clear());
    breaks(I1, "has 2 jobs", |history| {
        let twin = JobLine {
            id: Uuid::from_u128(9),
            ..history.tables.jobs[0].clone()
        };
        history.tables.jobs.push(twin);
    });
    breaks(I1, "the row says", |history| {
        history.tables.files[0].sha256[0] ^= 1;
    });
    breaks(I1, "are not stored", |history| history.disk.clear());
    breaks(I1, "told of a job that has no row", |history| {
        history.views[0].job = Uuid::from_u128(8);
    });
}

#[test]
fn a_job_that_does_not_end_well_is_found() {
    breaks(I2, "is running", |history| {
        history.tables.jobs[0].state = "running".to_owned();
    });
    breaks(I2, "is failed", |history| {
        history.tables.jobs[0].state = "failed".to_owned();
    });
    breaks(I2, "the last event chunk", |history| {
        history.tables.events.pop();
    });
}

#[test]
fn a_doubled_or_missing_end_is_found() {
    breaks(I3, "2 terminal events", |history| {
        let again = EventLine {
            seq: seq(5, 0),
            ..history.tables.events[5].clone()
        };
        history.tables.events.push(again);
    });
    breaks(I3, "0 terminal events", |history| {
        history.tables.events.pop();
    });
    breaks(I3, "follows the end", |history| {
        let late = event(seq(4, 1), "progress", json!({}));
        history.tables.events.push(late);
    });
    breaks(I3, "is there twice", |history| {
        let twin = history.tables.events[1].clone();
        history.tables.events.push(twin);
    });
    breaks(I3, "has events and no row", |history| {
        history.tables.jobs.clear();
    });
}

#[test]
fn a_client_that_misses_or_repeats_is_found() {
    breaks(I3, "missed events", |history| {
        history.views[0].frames.remove(3);
    });
    breaks(I3, "at the end", |history| {
        history.views[0].frames.pop();
    });
    breaks(I3, "saw event 3145729 after", |history| {
        let twin = history.views[0].frames[3].clone();
        history.views[0].frames.insert(4, twin);
    });
    breaks(I3, "which is not stored", |history| {
        history.views[0]
            .frames
            .insert(5, frame(1, seq(3, 9), FrameKind::Progress));
    });
    breaks(I3, "twice on connection 1", |history| {
        history.views[1].frames[0].connection = 1;
    });
    breaks(I3, "never told the end", |history| {
        history.views[1].frames.clear();
    });
}

#[test]
fn a_state_stands_for_what_it_replaces_and_for_nothing_more() {
    let resync = |at: i64, text: &str| {
        let state = FrameKind::Resync {
            text: text.to_owned(),
            ended: false,
        };
        frame(1, at, state)
    };
    let mut history = healthy();
    let frames = &mut history.views[0].frames;
    *frames = vec![
        resync(seq(3, 1), "abc"),
        frames[4].clone(),
        frames[5].clone(),
    ];
    assert_eq!(check(&history), []);
    breaks(I3, "missed events", |history| {
        let frames = &mut history.views[0].frames;
        *frames = vec![resync(seq(3, 0), ""), frames[4].clone(), frames[5].clone()];
    });
    breaks(I4, "has Some(\"xbcd\")", |history| {
        let frames = &mut history.views[0].frames;
        *frames = vec![
            resync(seq(3, 1), "xbc"),
            frames[4].clone(),
            frames[5].clone(),
        ];
    });
}

#[test]
fn a_step_that_was_lost_with_its_attempt_must_be_taken_back() {
    let lost = || frame(0, seq(1, 7), FrameKind::Progress);
    let mut early = healthy();
    early.limits.published_early = true;
    early.views[0].frames.insert(2, lost());
    assert_eq!(check(&early), [], "it was restarted afterwards");
    breaks(I3, "which is not stored", |history| {
        history.views[0].frames.insert(2, lost());
    });
    breaks(I3, "which is not stored", |history| {
        history.limits.published_early = true;
        let never_void = frame(1, seq(3, 7), FrameKind::Progress);
        history.views[0].frames.insert(5, never_void);
    });
}

#[test]
fn only_who_asked_for_the_beginning_must_have_it() {
    breaks(I3, "missed events [0, 1048577]", |history| {
        history.views[0].frames.drain(..2);
    });
    let mut later = healthy();
    later.views[0].from_start = false;
    later.views[0].frames.drain(..2);
    assert_eq!(
        check(&later),
        [],
        "it hears of the job when an attempt begins"
    );
    breaks(I3, "before 3145729", |history| {
        history.views[0].from_start = false;
        history.views[0].frames.drain(..3);
    });
}

#[test]
fn a_mixed_answer_is_found() {
    breaks(I4, "text of epochs", |history| {
        history.tables.events[3].seq = seq(2, 9);
        history.tables.events[2].seq = seq(2, 0);
    });
    breaks(I4, "the chunks say", |history| {
        history.tables.events[4].body = json!({"offset": 3, "text": "x"});
    });
    breaks(I4, "the text before it ends", |history| {
        history.tables.events.remove(3);
    });
    breaks(I4, "event Some(\"other\")", |history| {
        history.tables.events[5].body = json!({"answer": "other"});
    });
    breaks(I4, "was given a part at 3", |history| {
        history.views[0].frames.remove(3);
    });
    breaks(I4, "was told \"abcx\"", |history| {
        history.views[1].frames[1].kind = end("abcx");
    });
}

#[test]
fn what_reaches_another_owner_is_found() {
    let stranger = Uuid::from_u128(77);
    breaks(I5, "event 3145728", |history| {
        history.tables.events[2].owner = stranger;
    });
    breaks(I5, "its file", |history| {
        history.tables.files[0].owner = stranger;
    });
    breaks(I5, "was told of another owner's job", |history| {
        history.views[1].owner = stranger;
    });
}

#[test]
fn a_broken_budget_is_found() {
    breaks(I6, "attempts", |history| {
        history.tables.jobs[0].attempt = 99;
    });
    breaks(I6, "failures", |history| {
        history.tables.jobs[0].failures = 99;
    });
    breaks(I6, "called poison", |history| {
        history.tables.jobs[0].error_code = Some("poison".to_owned());
    });
}

#[test]
fn files_and_rows_that_disagree_are_found() {
    breaks(I7, "is half received", |history| {
        history.disk.push(DiskFile {
            incoming: true,
            ..history.disk[0].clone()
        });
    });
    breaks(I7, "has no row", |history| {
        let name = hex::encode(Sha256::digest(b"other"));
        history.disk.push(DiskFile {
            sha256: name.clone(),
            name,
            ..history.disk[0].clone()
        });
    });
    breaks(I7, "holds", |history| {
        history.disk[0].sha256 = hex::encode(Sha256::digest(b"rotten"));
    });
    breaks(I7, "has no whole file", |history| history.disk.clear());
    let mut young = healthy();
    let name = hex::encode(Sha256::digest(b"other"));
    young.limits.orphan_grace = Duration::from_hours(1);
    young.disk.push(DiskFile {
        sha256: name.clone(),
        name,
        ..young.disk[0].clone()
    });
    assert_eq!(
        check(&young),
        [],
        "a file within its grace is nobody's fault"
    );
}
