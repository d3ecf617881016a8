//! The pool with real children, over misbehaving parsers, generated files and, where it is present, the shared corpus.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod support;

mod corpus;
mod csv_files;
mod fixtures;
mod hostile_files;
mod hostile_parser;
mod hostile_replies;
mod images;
mod many;
mod pictures;
