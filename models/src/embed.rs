//! Sentence embeddings: the interface that the ranking code sees.
//!
//! The trait knows texts and vectors only. Which network computes them, and from which file, is the business of [`crate::bert`] and
//! [`crate::model_dir`].

use std::fmt;
use std::sync::Arc;

use crate::bert::BertEmbedder;
use crate::cancel::CancelFlag;
use crate::catalog::{Architecture, Catalog, ModelKind, ModelSpec};
use crate::error::ModelError;
use crate::model_dir::ModelDir;

/// Turns texts into vectors whose dot product says how alike their meanings are.
pub trait Embedder: Send + Sync {
    /// Id of the model in the catalog; vectors of different ids must not be compared.
    fn id(&self) -> &str;

    /// Length of every vector.
    fn dimensions(&self) -> usize;

    /// One L2-normalised vector per text, in the order of the texts. Stops between two batches when `cancel` is set.
    fn embed(&self, texts: &[&str], cancel: &CancelFlag) -> Result<Vec<Vec<f32>>, ModelError>;
}

/// The vectors of one document's texts, kept between requests. What cannot be found or kept is only computed again.
pub trait KnownVectors: fmt::Debug + Send + Sync {
    /// For each text its vector by this model, if it is known: of this length, and at unit length.
    fn find(&self, model: &str, dimensions: usize, texts: &[&str]) -> Vec<Option<Vec<f32>>>;

    /// Keeps the vectors of these texts.
    fn keep(&self, model: &str, texts: &[&str], vectors: &[Vec<f32>]);
}

/// Verifies and loads the catalog's default embedder. Takes a fraction of a second; run it off the async threads.
pub fn open_default_embedder(dir: &ModelDir) -> Result<Arc<dyn Embedder>, ModelError> {
    let model = Catalog::builtin()
        .default_of(ModelKind::Embed)
        .expect("the catalog has a default embedder, as its test shows");
    open_embedder(dir, model)
}

/// Verifies and loads one embedder of the catalog.
pub fn open_embedder(dir: &ModelDir, model: &ModelSpec) -> Result<Arc<dyn Embedder>, ModelError> {
    dir.verify(model)?;
    match model.arch {
        Architecture::Bert => Ok(Arc::new(BertEmbedder::open(
            &model.id,
            &dir.folder(model),
            model.context_tokens,
        )?)),
        Architecture::Decoder | Architecture::Blip => Err(ModelError::Unsupported {
            path: dir.folder(model),
            what: "another engine than the embedder".to_owned(),
        }),
    }
}
