//! The frames of `quire.v1`, on the socket and in the event stream.
//!
//! Every frame that stands for an event carries `seq`, `ts` and `job_id`: `seq` is the client's cursor. A part of the answer
//! says where it belongs (`offset`, in bytes) instead of repeating all of it. Frames without `seq` say something about now
//! and move no cursor.

use axum::extract::ws::Utf8Bytes;
use chrono::{DateTime, Utc};
use quire_store::{Event, EventRecord, Job, JobId, JobState, Stage};
use serde::Serialize;

use crate::http::socket::CANCELLED;

/// `code` of the `job_failed` frame of a cancelled job.
const CANCELLED_CODE: &str = "cancelled";

/// A frame. The names of the first four are those of the upload contract.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Frame<'a> {
    /// How far the job is.
    JobUpdate {
        seq: i64,
        ts: DateTime<Utc>,
        job_id: JobId,
        progress: u8,
        stage: Stage,
        done: u32,
        total: Option<u32>,
    },
    /// A part of the answer.
    AiChunk {
        seq: i64,
        ts: DateTime<Utc>,
        job_id: JobId,
        offset: u64,
        chunk: &'a str,
    },
    /// The end: the answer.
    JobCompleted {
        seq: i64,
        ts: DateTime<Utc>,
        job_id: JobId,
        ai_response: &'a str,
    },
    /// The end: an error, or `cancelled`.
    JobFailed {
        seq: i64,
        ts: DateTime<Utc>,
        job_id: JobId,
        error: &'a str,
        code: &'a str,
    },
    /// Another attempt began: the answer starts again.
    Restarted {
        seq: i64,
        ts: DateTime<Utc>,
        job_id: JobId,
        attempt: i32,
    },
    /// The job waits, `position` jobs from its turn; null when that is not known or it waits no more.
    QueuePosition {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
        ts: DateTime<Utc>,
        job_id: JobId,
        position: Option<i64>,
    },
    /// The state of a job, in place of its history up to `seq`.
    Resync {
        seq: i64,
        ts: DateTime<Utc>,
        job_id: JobId,
        status: JobState,
        progress: i16,
        partial: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    },
    /// The server stops and will be back: the client should come again after this time, which differs from client to client.
    Restarting { retry_after_ms: u64 },
    /// Answer to a client's `ping`.
    Pong { ts: DateTime<Utc> },
    /// A client's message was not understood or cannot be obeyed; the socket stays open.
    Error {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        job_id: Option<JobId>,
    },
}

impl<'a> Frame<'a> {
    /// The frame of an event; `position` is looked up for a job that is queued.
    pub(crate) fn of(record: &'a EventRecord, position: Option<i64>) -> Self {
        let (seq, ts, job_id) = (record.seq, record.at, record.job_id);
        match &record.event {
            Event::Queued => Self::QueuePosition {
                seq: Some(seq),
                ts,
                job_id,
                position,
            },
            Event::Progress {
                progress,
                stage,
                done,
                total,
            } => Self::JobUpdate {
                seq,
                ts,
                job_id,
                progress: *progress,
                stage: *stage,
                done: *done,
                total: *total,
            },
            Event::Restarted { attempt } => Self::Restarted {
                seq,
                ts,
                job_id,
                attempt: *attempt,
            },
            Event::Chunk { offset, text } => Self::AiChunk {
                seq,
                ts,
                job_id,
                offset: *offset,
                chunk: text,
            },
            Event::Completed { answer } => Self::JobCompleted {
                seq,
                ts,
                job_id,
                ai_response: answer,
            },
            Event::Failed { code, message } => Self::JobFailed {
                seq,
                ts,
                job_id,
                error: message,
                code,
            },
            Event::Cancelled => Self::JobFailed {
                seq,
                ts,
                job_id,
                error: CANCELLED,
                code: CANCELLED_CODE,
            },
        }
    }

    /// The state of a job at `ts`: with its answer so far and the last event that is in it.
    pub(crate) fn resync((job, partial, seq): (&'a Job, &'a str, i64), ts: DateTime<Utc>) -> Self {
        Self::Resync {
            seq,
            ts,
            job_id: job.id,
            status: job.state,
            progress: job.progress,
            partial: job.answer.as_deref().unwrap_or(partial),
            error: if job.state.is_terminal() {
                job.error_message.as_deref()
            } else {
                None
            },
        }
    }

    /// The value of `type`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::JobUpdate { .. } => "job_update",
            Self::AiChunk { .. } => "ai_chunk",
            Self::JobCompleted { .. } => "job_completed",
            Self::JobFailed { .. } => "job_failed",
            Self::Restarted { .. } => "restarted",
            Self::QueuePosition { .. } => "queue_position",
            Self::Resync { .. } => "resync",
            Self::Restarting { .. } => "restarting",
            Self::Pong { .. } => "pong",
            Self::Error { .. } => "error",
        }
    }

    /// The JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and times always serialise")
    }

    /// The JSON as a message.
    pub(super) fn text(&self) -> Utf8Bytes {
        self.json().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::socket::sample::{JOB, chunk, failed, progress, record, seq, snapshot};

    fn json(event: Event) -> String {
        Frame::of(&record(seq(1, 7), event), Some(3)).json()
    }

    #[test]
    fn every_event_has_its_frame() {
        let head = r#""seq":1048583,"ts":"1970-01-01T00:00:00Z","job_id":"01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11""#;
        let frames = [
            (
                Event::Queued,
                r#"{"type":"queue_position",HEAD,"position":3}"#,
            ),
            (
                progress(45),
                r#"{"type":"job_update",HEAD,"progress":45,"stage":"extract","done":1,"total":null}"#,
            ),
            (
                chunk(5, "a\"b"),
                r#"{"type":"ai_chunk",HEAD,"offset":5,"chunk":"a\"b"}"#,
            ),
            (
                Event::Restarted { attempt: 2 },
                r#"{"type":"restarted",HEAD,"attempt":2}"#,
            ),
            (
                Event::Completed {
                    answer: "42".into(),
                },
                r#"{"type":"job_completed",HEAD,"ai_response":"42"}"#,
            ),
            (
                failed("no"),
                r#"{"type":"job_failed",HEAD,"error":"no","code":"damaged"}"#,
            ),
            (
                Event::Cancelled,
                r#"{"type":"job_failed",HEAD,"error":"job was cancelled","code":"cancelled"}"#,
            ),
        ];
        for (event, expected) in frames {
            assert_eq!(json(event), expected.replace("HEAD", head));
        }
    }

    #[test]
    fn a_frame_without_an_event_moves_no_cursor() {
        let ts = DateTime::UNIX_EPOCH;
        let moved = Frame::QueuePosition {
            seq: None,
            ts,
            job_id: JOB,
            position: None,
        }
        .json();
        assert_eq!(
            moved,
            r#"{"type":"queue_position","ts":"1970-01-01T00:00:00Z","job_id":"01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11","position":null}"#
        );
        let error = Frame::Error {
            code: "bad_message",
            message: "not JSON",
            job_id: None,
        }
        .json();
        assert_eq!(
            error,
            r#"{"type":"error","code":"bad_message","message":"not JSON"}"#
        );
    }

    #[test]
    fn a_resync_is_the_whole_state() {
        let failed = snapshot(JobState::Failed, 30, "half", 9);
        assert_eq!(
            Frame::resync((&failed.job, "half", 9), DateTime::UNIX_EPOCH).json(),
            r#"{"type":"resync","seq":9,"ts":"1970-01-01T00:00:00Z","job_id":"01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11","status":"failed","progress":30,"partial":"half","error":"it broke"}"#
        );
    }

    #[test]
    fn the_name_is_the_type() {
        let events = [
            Event::Queued,
            progress(1),
            chunk(0, ""),
            Event::Cancelled,
            Event::Restarted { attempt: 2 },
        ];
        for event in events {
            let record = record(1, event);
            let frame = Frame::of(&record, None);
            let value: serde_json::Value = serde_json::from_str(&frame.json()).unwrap();
            assert_eq!(value["type"], frame.name());
        }
    }
}
