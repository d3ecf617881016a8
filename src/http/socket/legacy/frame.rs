//! The four frames of the upload contract: these keys, in this order, and nothing else.
//!
//! A frame is serialised once and shared by every socket. It keeps beside its text what a socket needs to fit it behind what
//! that socket already has.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use quire_store::{JobId, Owner};
use serde::Serialize;

/// A rendered frame.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Only sockets of this owner may have it.
    pub(super) owner: Owner,
    /// The job it is about.
    pub(super) job_id: JobId,
    /// Everything up to this event is in this frame and those before it.
    pub(super) seq: i64,
    /// The event with which the run began: an answer told before it is void.
    pub(super) begun: i64,
    /// What it says.
    pub(super) body: Body,
    /// The JSON.
    pub(super) text: Utf8Bytes,
}

/// What a frame says, as far as a socket cares.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// How far the job is.
    Update,
    /// More of the answer.
    Chunk {
        /// Bytes of `partial` that earlier frames had.
        start: usize,
        /// All of the answer so far.
        partial: Arc<str>,
    },
    /// Completed or failed.
    End,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Json<'a> {
    JobUpdate {
        job_id: JobId,
        progress: u8,
    },
    AiChunk {
        job_id: JobId,
        chunk: &'a str,
        partial: &'a str,
    },
    JobCompleted {
        job_id: JobId,
        ai_response: &'a str,
    },
    JobFailed {
        job_id: JobId,
        error: &'a str,
    },
}

impl Json<'_> {
    fn text(&self) -> Utf8Bytes {
        serde_json::to_string(self)
            .expect("strings and integers always serialise")
            .into()
    }
}

/// `job_update`
pub(super) fn update(job_id: JobId, progress: u8) -> Utf8Bytes {
    Json::JobUpdate { job_id, progress }.text()
}

/// `ai_chunk`: `partial` is everything, `chunk` what comes after its first `start` bytes.
pub(super) fn chunk(job_id: JobId, start: usize, partial: &str) -> Utf8Bytes {
    Json::AiChunk {
        job_id,
        chunk: partial.get(start..).unwrap_or_default(),
        partial,
    }
    .text()
}

/// `job_completed`
pub(super) fn completed(job_id: JobId, answer: &str) -> Utf8Bytes {
    Json::JobCompleted {
        job_id,
        ai_response: answer,
    }
    .text()
}

/// `job_failed`
pub(super) fn failed(job_id: JobId, error: &str) -> Utf8Bytes {
    Json::JobFailed { job_id, error }.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::socket::sample::JOB;

    /// The contract's examples, with their white space taken out and an id of ours.
    #[test]
    fn the_frames_are_those_of_the_contract_byte_for_byte() {
        let id = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11";
        let contract = |text: &str| text.replace("job-123", id);
        assert_eq!(
            update(JOB, 45).as_str(),
            contract(r#"{"type":"job_update","job_id":"job-123","progress":45}"#)
        );
        assert_eq!(
            chunk(JOB, 24, "accumulated text so far partial response text").as_str(),
            contract(
                r#"{"type":"ai_chunk","job_id":"job-123","chunk":"partial response text","partial":"accumulated text so far partial response text"}"#
            )
        );
        assert_eq!(
            completed(JOB, "Final complete AI response text").as_str(),
            contract(
                r#"{"type":"job_completed","job_id":"job-123","ai_response":"Final complete AI response text"}"#
            )
        );
        assert_eq!(
            failed(JOB, "Error message").as_str(),
            contract(r#"{"type":"job_failed","job_id":"job-123","error":"Error message"}"#)
        );
    }

    #[test]
    fn the_keys_stand_in_the_order_of_the_contract_and_text_is_escaped() {
        let text = failed(JOB, "line \"1\"\n\u{1}\u{2028}€");
        assert_eq!(
            text.as_str(),
            "{\"type\":\"job_failed\",\"job_id\":\"01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11\",\"error\":\"line \\\"1\\\"\\n\\u0001\u{2028}€\"}"
        );
    }
}
