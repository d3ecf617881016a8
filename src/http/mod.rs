//! Everything that speaks HTTP, one file for each resource and one for each concern of the edge.
//!
//! Resources: `upload`, `jobs`, `result`, `stream` and `socket` (live events), `health`, `metrics`, `docs`, `page`.
//! Concerns: `edge` (request id, log line, error bodies), `origins` (which web pages may call), `linger` and `paced` (request
//! bodies), `conditional` (`ETag`), `wait` (long poll). Which path leads where is in `crate::app` and nowhere else.

pub mod conditional;
pub mod docs;
pub mod edge;
pub mod health;
pub mod job_list;
pub mod job_view;
pub mod jobs;
pub mod linger;
pub mod metrics;
pub mod origins;
pub mod paced;
pub mod page;
pub mod result;
pub mod result_text;
pub mod result_view;
pub mod socket;
pub mod stream;
pub mod upload;
pub mod upload_form;
pub mod upload_name;
pub mod upload_values;
pub mod wait;
