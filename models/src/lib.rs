//! Models of quire: the catalog and its files, sentence embeddings computed with candle, lexical ranking, and the engines that
//! answer.
//!
//! No SQL, no HTTP server and no async runtime: calls block, and are stopped through a [`CancelFlag`].

pub mod bert;
pub mod cancel;
pub mod caption;
pub mod catalog;
pub mod choice;
pub mod cite;
pub mod digest;
pub mod embed;
pub mod engine;
pub mod error;
pub mod extractive;
pub mod fallback;
pub mod generate;
pub mod ground;
mod kernels;
pub mod model_dir;
pub mod passage;
pub mod pull;
pub mod remote;
mod safetensors;
pub mod schema;
#[cfg(debug_assertions)]
pub mod scripted;
pub mod table_query;
mod tokenizer;
mod weights;

pub use cancel::CancelFlag;
pub use caption::{Captioner, Pixels, open_captioner, open_default_captioner};
pub use catalog::{Catalog, ModelKind, ModelSpec};
pub use choice::EngineChoice;
pub use cite::{CitationStream, Cited, Sources};
pub use embed::{Embedder, KnownVectors, open_default_embedder, open_embedder};
pub use engine::{Answer, AnswerEngine, AnswerRequest, AnswerSink, Citation, Record, Usage};
pub use error::ModelError;
pub use extractive::Extractive;
pub use fallback::Fallback;
pub use generate::{Generate, GenerateOptions};
pub use ground::{Generator, Grounded};
pub use model_dir::{ModelDir, ModelStatus};
pub use passage::{ColumnFacts, Locator, Passage, PassageKind, TableFacts};
pub use pull::{PullOptions, PullProgress};
pub use remote::{Remote, RemoteSettings};
pub use schema::Schema;
pub use table_query::{QueryTable, TableAnswer, TableQuery};
