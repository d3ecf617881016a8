//! Extraction of PDF, CSV, images, office documents, mail and text.
//!
//! Untrusted bytes are read only by the child process `quire-parse` ([`child`]), which locks itself in before it looks at the
//! first one. The parent side ([`sandbox`]) keeps a pool of such children, believes nothing they say without checking it, and kills
//! them on a deadline, on silence, on too much output or on a cancel. [`formats`] holds the parsers themselves; they run in the
//! child only. Optical character recognition ([`ocr`]) is the one tool that needs another program, so it runs beside the parent.
//!
//! This crate knows no database, no network and no async runtime: [`ParserPool::parse`] blocks and belongs on its own thread.

pub mod child;
pub mod document;
pub mod error;
pub mod export;
pub mod formats;
pub mod frame;
pub mod limits;
pub mod media;
pub mod ocr;
pub mod query;
pub mod request;
pub mod sandbox;

pub use document::{
    Column, ColumnKind, Document, EXTRACTOR_VERSION, EmptyReason, ImageInfo, Line, Page, Row,
    Table, TextEngine, Warning,
};
pub use error::ParseError;
pub use media::{MediaType, SNIFF_BYTES, sniff};
pub use request::{CancelFlag, ParseProgress, ParseRequest};
pub use sandbox::{ParserPool, PoolConfig, SandboxStatus, find_program};
