//! Fills a flat record by looking each field up in the document: no field without a place, and none that is guessed.
//!
//! A field is a small question made of its name and description. The sentences that fit it best are read for a value of
//! its type, nearest to the words of the field first. Nothing found is `null`, or absent where the schema allows that;
//! where it allows neither, the record is refused with the name of the field.

mod label;
mod values;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::cancel::CancelFlag;
use crate::embed::{Embedder, KnownVectors};
use crate::engine::{Answer, AnswerRequest, AnswerSink, Citation, Record};
use crate::error::ModelError;
use crate::schema::{Field, Schema};

use super::corpus::Corpus;
use super::embedding::Embedding;
use super::prompt::Prompt;
use super::query::Query;
use super::question::is_convincing;
use super::rank::{Ranking, rank_lexically, rank_with};
use super::reply::{ENGINE, Reply};
use super::select::Quiet;
use label::Label;

/// Sentences that are read for one field.
const MAX_READ: usize = 12;

/// Fills the record, or says why that cannot be.
pub(super) fn fill(
    request: &AnswerRequest<'_>,
    schema: &Schema,
    embedder: Option<&dyn Embedder>,
    cancel: &CancelFlag,
    sink: &mut dyn AnswerSink,
) -> Result<Answer, ModelError> {
    let fields = schema.flat().ok_or(ModelError::SchemaUnsupported {
        engine: ENGINE,
        needs: "the generate or remote engine, because it has more than plain values side by side",
    })?;
    let corpus = Corpus::build(request.passages, cancel)?;
    let mut values = Map::new();
    let mut sources = BTreeMap::new();
    for (done, field) in fields.iter().enumerate() {
        cancel.check()?;
        sink.progress(done as u32, fields.len() as u32);
        let finder = Finder {
            corpus: &corpus,
            embedder,
            known: request.vectors,
            cancel,
            schema,
        };
        match finder.find(field)? {
            Some((value, citation)) => {
                sources.insert(pointer(&field.name), citation);
                values.insert(field.name.clone(), value);
            }
            None if field.nullable => {
                values.insert(field.name.clone(), Value::Null);
            }
            None if field.optional => {}
            None => {
                return Err(ModelError::Schema(format!(
                    "{} was not found, and may be neither null nor absent",
                    pointer(&field.name)
                )));
            }
        }
    }
    let value = Value::Object(values);
    schema
        .check(&value)
        .map_err(|wrong| ModelError::Schema(wrong.to_string()))?;
    let record = Record { value, sources };
    let text = record.text();
    sink.chunk(&text);
    Ok(Answer {
        text,
        answered: !record.sources.is_empty(),
        citations: record.sources.values().cloned().collect(),
        engine: ENGINE.to_owned(),
        model: embedder.map(|embedder| embedder.id().to_owned()),
        notes: request.left_out.map(str::to_owned).into_iter().collect(),
        record: Some(record),
        ..Answer::default()
    })
}

fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Looks fields up in one document.
struct Finder<'a> {
    corpus: &'a Corpus<'a>,
    embedder: Option<&'a dyn Embedder>,
    known: Option<&'a dyn KnownVectors>,
    cancel: &'a CancelFlag,
    schema: &'a Schema,
}

impl Finder<'_> {
    fn find(&self, field: &Field) -> Result<Option<(Value, Citation)>, ModelError> {
        let label = Label::of(field);
        let prompt = Prompt::new(&label.question);
        let query = Query::new(&label.question, &prompt, self.corpus);
        if query.is_empty() {
            return Ok(None);
        }
        let ranking = self.rank(&query)?;
        for hit in ranking.hits.iter().take(MAX_READ) {
            let text = self.corpus.text(hit.sentence);
            let is_sure = is_convincing(&query, hit, 0.0);
            let found = values::read(&label, &field.kind, text, is_sure)
                .into_iter()
                .find(|value| self.schema.fits(&field.name, value));
            if let Some(value) = found {
                let sentence = &self.corpus.sentences[hit.sentence];
                let passage = &self.corpus.passages[sentence.passage];
                return Ok(Some((
                    value,
                    passage.cite(sentence.range.clone(), hit.score),
                )));
            }
        }
        Ok(None)
    }

    fn rank(&self, query: &Query) -> Result<Ranking, ModelError> {
        match self.embedder {
            None => Ok(rank_lexically(self.corpus, query)),
            Some(embedder) => {
                let mut embedding = Embedding::new(embedder, self.known, self.cancel);
                rank_with(
                    &mut embedding,
                    self.corpus,
                    query,
                    &mut Reply::new(&mut Quiet),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
