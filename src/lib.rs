//! The edge of quire: command line, settings, HTTP, WebSocket and server-sent events.
//!
//! This is the only crate that knows HTTP. Jobs live in `quire-store`, their execution in `quire-workers`; the two meet
//! only in Postgres, so nothing here ever calls a job handler.

pub mod app;
pub mod cli;
pub mod config;
pub mod error;
pub mod http;
pub mod manifest;
pub mod serve;
pub mod telemetry;
