//! Extraction of PDF, CSV, images, office documents, mail and text.
//!
//! Untrusted bytes are read only by the child process `quire-parse` ([`child`]), which locks itself in before it looks at the
//! first one. The parent side ([`sandbox`]) keeps a pool of such children, believes nothing they say without checking it, and kills
//! them on a deadline, on silence, on too much output or on a cancel. [`formats`] holds the parsers themselves; they run in the
//! child only. Optical character recognition ([`ocr`]) is the one tool that needs another program, so it runs beside the parent.
//!
//! What came out is a [`Document`]: JSON as it is, Markdown and text by [`markdown`], pieces for retrieval by [`chunks`]. [`Many`] reads
//! many files at a time; its documentation is the example to begin with.
//!
//! This crate knows no database, no network and no async runtime: [`ParserPool::parse`] blocks and belongs on its own thread.

pub mod child;
pub mod chunks;
pub mod document;
pub mod error;
pub mod export;
pub mod formats;
pub mod frame;
pub mod limits;
pub mod many;
pub mod markdown;
pub mod media;
pub mod ocr;
pub mod picture;
pub mod query;
pub mod request;
mod roles;
pub mod sandbox;
pub mod structure;

pub use chunks::{Budget, Chunk, ChunkOptions, chunks};
pub use document::{
    Caption, Column, ColumnKind, Document, EXTRACTOR_VERSION, EmptyReason, ImageInfo, Line,
    LineRole, Page, Row, Sheet, Table, TextEngine, Warning,
};
pub use error::ParseError;
pub use many::{Many, Update};
pub use media::{MediaType, SNIFF_BYTES, sniff};
pub use picture::{PICTURE_WIDTHS, Picture, PictureRequest};
pub use request::{CancelFlag, ParseProgress, ParseRequest};
pub use sandbox::{ParserPool, PoolConfig, SandboxStatus, find_program};
pub use structure::{CellSpan, FieldKind, FormField, Link, OutlineItem, PageTable, WordBox};
