//! The store against a real Postgres: one database per test.
//!
//! Each module is one promise of the crate. "Another process" is a second [`quire_store::Store`]: it shares nothing with the
//! first but the database. Nothing here waits for time to pass; what must happen is awaited, with a deadline that only a broken
//! build meets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::excessive_nesting,
    clippy::similar_names,
    clippy::too_many_lines,
    reason = "a test is read from its beginning to its end, like the story that it tells"
)]

mod abandoned;
mod admin;
mod away;
mod batches;
mod blob;
mod create;
mod ends;
mod events;
mod housekeeping;
mod lease;
mod limits;
mod list;
mod order;
mod password;
mod queue;
mod schema;
mod support;
mod vectors;
mod workers;
