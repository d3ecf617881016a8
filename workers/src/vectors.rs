//! The vectors of a document's texts, from the database: an engine computes only what no earlier job on the document has computed.

use std::{future::Future, time::Duration};

use quire_models::{KnownVectors, passage::SPLITTING_VERSION};
use quire_store::{Owner, Store, StoreError, VectorSet};
use tokio::{runtime::Handle, time};

/// Waiting longer than this is worse than computing.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The known vectors of one document. Its methods block: they are for the thread of an engine.
#[derive(Debug)]
pub(crate) struct DocumentVectors {
    pub(crate) store: Store,
    pub(crate) owner: Owner,
    pub(crate) sha256: [u8; 32],
    /// Version of the extractor.
    pub(crate) version: i32,
}

impl DocumentVectors {
    fn set<'a>(&'a self, model: &'a str) -> VectorSet<'a> {
        VectorSet {
            owner: self.owner,
            sha256: &self.sha256,
            version: self.version,
            model,
            splitting: SPLITTING_VERSION,
        }
    }
}

impl KnownVectors for DocumentVectors {
    fn find(&self, model: &str, dimensions: usize, texts: &[&str]) -> Vec<Option<Vec<f32>>> {
        let set = self.set(model);
        wait(self.store.known_vectors(&set, dimensions, texts)).unwrap_or_default()
    }

    fn keep(&self, model: &str, texts: &[&str], vectors: &[Vec<f32>]) {
        let set = self.set(model);
        wait(self.store.keep_vectors(&set, texts, vectors));
    }
}

/// What the database says in time. A cache that fails fails no job.
fn wait<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    let asked = async { time::timeout(LONGEST_WAIT, asked).await };
    match Handle::current().block_on(asked) {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "vectors of a document are computed again");
            None
        }
        Err(_) => {
            tracing::warn!("vectors of a document are computed again, as the database is slow");
            None
        }
    }
}
