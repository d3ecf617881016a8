//! Says in a sentence what a picture shows.
//!
//! Pixels come in, already decoded and upright: formats of pictures are the business of the extraction and its sandbox. What a model
//! says of a picture is a guess, and is shown as one.

mod blip;
mod picture;

use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::catalog::{Architecture, Catalog, ModelKind, ModelSpec};
use crate::error::ModelError;
use crate::model_dir::ModelDir;

pub use blip::Blip;

/// A picture: red, green and blue, row by row from the top left.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub rgb: &'a [u8],
}

/// Describes pictures. Blocks; runs on a thread that may wait.
pub trait Captioner: Send + Sync {
    /// Id of the model in the catalog.
    fn id(&self) -> &str;

    /// Width in pixels from which more detail makes no difference.
    fn width(&self) -> u32;

    /// One line about the picture; none when the model has nothing to say. Stops between two words when `cancel` is set.
    fn caption(
        &self,
        picture: Pixels<'_>,
        cancel: &CancelFlag,
    ) -> Result<Option<String>, ModelError>;
}

/// Verifies and loads the catalog's captioner, when it is installed. Takes seconds; run it off the async threads.
pub fn open_default_captioner(dir: &ModelDir) -> Result<Arc<dyn Captioner>, ModelError> {
    let model = Catalog::builtin()
        .default_of(ModelKind::Caption)
        .expect("the catalog has a default captioner, as its test shows");
    open_captioner(dir, model)
}

/// Verifies and loads one captioner of the catalog.
pub fn open_captioner(dir: &ModelDir, model: &ModelSpec) -> Result<Arc<dyn Captioner>, ModelError> {
    dir.verify(model)?;
    let Architecture::Blip = model.arch else {
        return Err(ModelError::Unsupported {
            path: dir.folder(model),
            what: "another engine than the one that describes pictures".to_owned(),
        });
    };
    Ok(Arc::new(Blip::open(&model.id, &dir.folder(model))?))
}
