//! Batches: lists of uploads, read back in the order of the input. One file per verb.
//!
//! An item's row is written in the transaction that creates its job, so a batch never names a job that does not exist and
//! never forgets one that does. All else about a batch is read from its jobs.

mod add;
mod cancel;
mod count;
mod expire;
mod items;
mod open;
mod read;
mod types;

pub use types::{
    Added, Batch, BatchCounts, BatchItem, BatchItemCursor, BatchPage, ItemPlace, NewBatch, Opened,
    Refusal,
};
