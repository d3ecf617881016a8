//! The pool with real children, over misbehaving parsers, generated files and, where it is present, the shared corpus.

mod support;

mod corpus;
mod csv_files;
mod hostile_parser;
mod images;
