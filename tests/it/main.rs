//! The integration tests: one binary, the whole service, a real Postgres, real parser processes, real sockets.
//!
//! Each test has a database, a data directory and a port of its own. Clients are written from the contract alone and
//! share no type with the server, so that a change of the wire fails here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::excessive_nesting,
    clippy::similar_names,
    clippy::too_many_lines,
    reason = "a test is read from its beginning to its end, like the story that it tells"
)]
#![expect(
    clippy::print_stdout,
    reason = "tests that measure say what they found"
)]

#[expect(
    unreachable_pub,
    reason = "the binary of the tests has no callers outside"
)]
mod support;

mod admin;
mod batches;
mod cancel;
mod cancel_stages;
#[expect(
    unreachable_pub,
    reason = "the binary of the tests has no callers outside"
)]
mod chaos;
mod cli;
mod cors;
mod deadline;
mod disk_full;
mod doctor;
mod engines;
mod extract;
mod faults;
mod ingest;
mod jobs;
mod meta;
mod order;
mod pages;
mod password;
mod pipeline;
mod process;
mod restart;
mod retention;
mod schedule;
mod shortage;
mod socket;
mod socket_v1;
mod stream;
mod upload;
mod whole_table;
mod wire_jobs;
mod wire_process;
mod wire_socket;
mod wire_upload;
