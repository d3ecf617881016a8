//! I3 and I4 as the clients see them.
//!
//! A client with a cursor (`quire.v1`, server-sent events) must see every event after its beginning once, in order, across all
//! its connections. A client of the upload contract has no cursor: it may be told again after a reconnect, but never twice on
//! one connection, and must be told the end.

use quire_store::history::EventLine;
use uuid::Uuid;

use super::{Book, History, Invariant, Violations, is_terminal, is_void};

/// What one subscriber saw of one job.
#[derive(Clone, Debug)]
pub struct View {
    /// Who.
    pub subscriber: String,
    /// How.
    pub kind: ViewKind,
    /// In whose name.
    pub owner: Uuid,
    /// Of which job.
    pub job: Uuid,
    /// It asked for the job's events from the first one on. Who listens to everything hears of a job when it does.
    pub from_start: bool,
    /// In the order of arrival.
    pub frames: Vec<Frame>,
    /// Whether it listened until the job had ended.
    pub stayed: bool,
}

/// How a subscriber listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViewKind {
    /// `quire.v1` or server-sent events, from the beginning or from a state it was told.
    Cursor,
    /// The upload contract.
    Legacy,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Which connection of the subscriber it came on.
    pub connection: u32,
    /// Its number, where it has one.
    pub seq: Option<i64>,
    /// What it says.
    pub kind: FrameKind,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The text so far is void.
    Void,
    /// Progress.
    Progress,
    /// A part of the answer, with its offset where the protocol has one.
    Chunk {
        /// Bytes before it.
        offset: Option<u64>,
        /// The part, or all text so far.
        text: String,
    },
    /// The end.
    End {
        /// The answer; `None` when it failed.
        answer: Option<String>,
    },
    /// A state in place of the events up to its number.
    Resync {
        /// The text so far.
        text: String,
        /// Whether the job had ended.
        ended: bool,
    },
}

pub(super) fn check(history: &History, book: &Book<'_>, found: &mut Violations) {
    for view in &history.views {
        if !book.jobs.contains_key(&view.job) {
            let evidence = format!("{} was told of a job that has no row", view.subscriber);
            found.of(Invariant::I1, view.job, evidence);
            continue;
        }
        match view.kind {
            ViewKind::Cursor => {
                order(view, found);
                gaps(history, view, book, found);
            }
            ViewKind::Legacy => legacy(view, found),
        }
        answer(view, book, found);
    }
}

/// Numbers only grow, over all connections; a state may repeat the last one.
fn order(view: &View, found: &mut Violations) {
    let mut last: Option<i64> = None;
    for frame in &view.frames {
        let Some(seq) = frame.seq else { continue };
        let is_state = matches!(frame.kind, FrameKind::Resync { .. });
        let grows = last.is_none_or(|last| seq > last || (is_state && seq == last));
        if !grows {
            let evidence = format!(
                "{} saw event {seq} after {last:?} on connection {}",
                view.subscriber, frame.connection
            );
            found.of(Invariant::I3, view.job, evidence);
        }
        last = last.max(Some(seq));
    }
}

/// Every stored event after the beginning was seen, and no other.
fn gaps(history: &History, view: &View, book: &Book<'_>, found: &mut Violations) {
    let mut expected = book.log(view.job).iter().map(|event| event.seq).peekable();
    if !view.from_start
        && let Some(first) = view.frames.first()
        && first.kind == FrameKind::Void
    {
        while expected.next_if(|next| Some(*next) < first.seq).is_some() {}
    }
    for frame in &view.frames {
        let Some(seq) = frame.seq else { continue };
        if matches!(frame.kind, FrameKind::Resync { .. }) {
            while expected.next_if(|next| *next <= seq).is_some() {}
            continue;
        }
        let mut missed = Vec::new();
        while let Some(next) = expected.next_if(|next| *next < seq) {
            missed.push(next);
        }
        if !missed.is_empty() {
            let evidence = format!("{} missed events {missed:?} before {seq}", view.subscriber);
            found.of(Invariant::I3, view.job, evidence);
        }
        // Repeats are reported by the order.
        let is_stored = expected.next_if_eq(&seq).is_some()
            || book.log(view.job).iter().any(|event| event.seq == seq);
        let is_void = history.limits.published_early
            && !matches!(frame.kind, FrameKind::End { .. })
            && voided(book.log(view.job), seq);
        if !is_stored && !is_void {
            let evidence = format!("{} saw event {seq}, which is not stored", view.subscriber);
            found.of(Invariant::I3, view.job, evidence);
        }
    }
    let rest: Vec<i64> = expected.collect();
    if view.stayed && !rest.is_empty() {
        let evidence = format!("{} missed events {rest:?} at the end", view.subscriber);
        found.of(Invariant::I3, view.job, evidence);
    }
}

/// Whether what was said at `seq` was taken back later.
fn voided(log: &[&EventLine], seq: i64) -> bool {
    log.iter()
        .any(|event| event.seq > seq && is_void(&event.kind))
}

/// One end on each connection at most, and one in all at least.
fn legacy(view: &View, found: &mut Violations) {
    let ends: Vec<u32> = view
        .frames
        .iter()
        .filter(|frame| matches!(frame.kind, FrameKind::End { .. }))
        .map(|frame| frame.connection)
        .collect();
    if let Some([twice, ..]) = ends.windows(2).find(|pair| pair[0] == pair[1]) {
        let evidence = format!(
            "{} was told the end twice on connection {twice}",
            view.subscriber
        );
        found.of(Invariant::I3, view.job, evidence);
    }
    if view.stayed && ends.is_empty() {
        let evidence = format!("{} was never told the end", view.subscriber);
        found.of(Invariant::I3, view.job, evidence);
    }
}

/// What the client has at the end is what the row has.
fn answer(view: &View, book: &Book<'_>, found: &mut Violations) {
    let row = book
        .jobs
        .get(&view.job)
        .and_then(|job| job.answer.as_deref());
    let mut text: Option<String> = None;
    for frame in &view.frames {
        match &frame.kind {
            FrameKind::Void => text = Some(String::new()),
            FrameKind::Chunk { offset, text: part } => take(view, &mut text, *offset, part, found),
            FrameKind::Resync { text: state, .. } => text = Some(state.clone()),
            FrameKind::End { answer: Some(told) } => {
                let differs = text
                    .as_ref()
                    .is_some_and(|text| view.kind == ViewKind::Cursor && text != told);
                if differs || row != Some(told) {
                    let evidence = format!(
                        "{} has {text:?}, was told {told:?}, the row has {row:?}",
                        view.subscriber
                    );
                    found.of(Invariant::I4, view.job, evidence);
                }
            }
            FrameKind::End { answer: None } if row.is_some() => {
                let evidence = format!("{} was told a failure of a completed job", view.subscriber);
                found.of(Invariant::I4, view.job, evidence);
            }
            FrameKind::End { .. } | FrameKind::Progress => {}
        }
    }
    if let Some(end) = view.frames.iter().rposition(|frame| {
        matches!(
            frame.kind,
            FrameKind::End { .. } | FrameKind::Resync { ended: true, .. }
        )
    }) && !is_terminal(last_kind(book, view.job))
    {
        let evidence = format!(
            "{} was told an end (frame {end}) that is not stored",
            view.subscriber
        );
        found.of(Invariant::I3, view.job, evidence);
    }
}

/// Adds a part. Frames of the upload contract say all of the text each time.
fn take(
    view: &View,
    text: &mut Option<String>,
    offset: Option<u64>,
    part: &str,
    found: &mut Violations,
) {
    let Some(offset) = offset else {
        *text = Some(part.to_owned());
        return;
    };
    let text = text.get_or_insert_default();
    if offset != text.len() as u64 {
        let evidence = format!(
            "{} had {} bytes and was given a part at {offset}",
            view.subscriber,
            text.len()
        );
        found.of(Invariant::I4, view.job, evidence);
    }
    text.push_str(part);
}

fn last_kind<'a>(book: &Book<'a>, job: Uuid) -> &'a str {
    book.log(job).last().map_or("", |event| &event.kind)
}
