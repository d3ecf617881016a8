//! Everything that speaks HTTP, one file for each resource and one for each concern of the edge.
//!
//! Resources: `admin`, `upload`, `batches`, `jobs`, `result`, `document`, `pages` (as pictures), `stream` and `socket` (live events), `health`, `metrics`, `docs`, `page`.
//! Concerns: `edge` (request id, log line, error bodies), `head` (host and end of a request), `origins` (which web pages may
//! call), `linger`, `paced` and `stalled` (request bodies), `intake` (backpressure), `away` (no database), `conditional` (`ETag`), `wait` (long
//! poll). Which path leads where is in `crate::app` and nowhere else.

pub mod admin;
pub mod away;
pub mod batches;
pub mod conditional;
pub mod delete;
pub mod docs;
pub mod document;
pub mod edge;
pub mod format;
pub mod head;
pub mod health;
pub mod intake;
pub mod job_list;
pub mod job_view;
pub mod jobs;
pub mod json_body;
pub mod linger;
pub mod metrics;
pub mod origins;
pub mod paced;
pub mod page;
pub mod pages;
pub mod position;
pub mod prioritize;
pub mod query;
pub mod reschedule;
pub mod result;
pub mod result_text;
pub mod result_view;
pub mod socket;
pub mod stalled;
pub mod stream;
pub mod upload;
pub mod upload_form;
pub mod upload_name;
pub mod upload_part;
pub mod upload_values;
pub mod wait;
