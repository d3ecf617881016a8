//! The engine around a generator.

use std::sync::Arc;

use serde_json::Value;

use crate::cancel::CancelFlag;
use crate::cite::Sources;
use crate::embed::Embedder;
use crate::engine::{Answer, AnswerEngine, AnswerRequest, AnswerSink, Record};
use crate::error::ModelError;
use crate::extractive::Extractive;
use crate::extractive::select::{Budget, Scope, Selection, select};
use crate::passage::Passage;
use crate::schema::Schema;

use super::generator::{Ended, Generation, Generator, Message, Shape};
use super::prompt;
use super::sections;
use super::thinking::Thinking;
use super::writer::{Written, write};

/// Tokens kept for rules, markers and question beside passages and reply.
pub(super) const OVERHEAD: usize = 512;
/// A window smaller than this cannot show a passage; what does not fit then is the server's to refuse.
pub(super) const MIN_PASSAGES: usize = 256;
/// Note of a reply that could not be held to its schema.
const NOT_HELD: &str =
    "the schema is too complex for the model to be held to it; its reply was checked afterwards";
/// Longest list of places in a note.
const MAX_PLACES: usize = 12;

/// Answers with a model that reads the best passages and cites them.
pub struct Grounded {
    generator: Arc<dyn Generator>,
    /// Helps to choose what the model reads.
    embedder: Option<Arc<dyn Embedder>>,
    /// Computes what tables are asked.
    tables: Extractive,
}

impl Grounded {
    /// An engine around `generator`; without an embedder passages are chosen by their words only.
    pub fn new(generator: Arc<dyn Generator>, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self {
            tables: Extractive::new(embedder.clone()),
            generator,
            embedder,
        }
    }

    /// The passages that are shown for one question.
    fn read(
        &self,
        request: &AnswerRequest<'_>,
        cancel: &CancelFlag,
    ) -> Result<Selection, ModelError> {
        let limits = self.generator.limits();
        let room = limits.context.saturating_sub(limits.reply + OVERHEAD);
        let measure = |text: &str| self.generator.count_tokens(text);
        let budget = Budget {
            limit: room.min(limits.passages).max(MIN_PASSAGES),
            measure: &measure,
        };
        select(request, self.embedder.as_deref(), &budget, cancel)
    }

    /// What the table itself answers, exactly.
    fn compute(
        &self,
        request: &AnswerRequest<'_>,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Option<Answer>, ModelError> {
        if request.table.is_none() {
            return Ok(None);
        }
        let mut answer = self.tables.answer(request, cancel, &mut Silent)?;
        if !answer.answered {
            return Ok(None);
        }
        sink.chunk(&answer.text);
        answer.notes.push(format!(
            "computed from the table; {} was not asked",
            self.generator.model()
        ));
        Ok(Some(answer))
    }

    fn answer_of(&self, written: Written, notes: Vec<String>) -> Answer {
        let mut answer = Answer {
            answered: !written.text.trim_start().starts_with(prompt::NOT_ANSWERED),
            text: written.text,
            engine: self.generator.engine().to_owned(),
            model: Some(self.generator.model()),
            notes,
            usage: written.usage,
            ..Answer::default()
        };
        answer.notes.extend(written.cited.notes());
        if written.ended == Ended::Length {
            answer
                .notes
                .push("the reply was cut at its longest length".to_owned());
        }
        answer.citations = written.cited.citations;
        answer
    }
}

impl AnswerEngine for Grounded {
    fn name(&self) -> &'static str {
        self.generator.engine()
    }

    fn answer(
        &self,
        request: &AnswerRequest<'_>,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        cancel.check()?;
        if let Some(answer) = self.compute(request, cancel, sink)? {
            return Ok(answer);
        }
        let read = self.read(request, cancel)?;
        let is_long = !read.is_whole && Scope::of(request.prompt) == Scope::Whole;
        let mut answer = if is_long {
            let sink = std::cell::RefCell::new(sink);
            let reduced = sections::summarise(
                self.generator.as_ref(),
                request,
                cancel,
                &mut |done, total| sink.borrow_mut().progress(done, total),
                &mut |text| sink.borrow_mut().chunk(text),
            )?;
            self.answer_of(reduced.written, reduced.notes)
        } else {
            let messages = prompt::question(request, &read.passages);
            let mut emit = |text: &str| sink.chunk(text);
            let written = write(
                self.generator.as_ref(),
                &messages,
                &read.passages,
                cancel,
                &mut emit,
            )?;
            self.answer_of(written, unread(request, &read).into_iter().collect())
        };
        answer.notes.extend(request.left_out.map(str::to_owned));
        Ok(answer)
    }

    fn record(
        &self,
        request: &AnswerRequest<'_>,
        schema: &Schema,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        let read = self.read(request, cancel)?;
        let messages = prompt::record(request, &read.passages, schema);
        let (value, shape) = self.valid(messages, schema, cancel)?;
        let record = Record::found_in(value, &read.passages);
        let text = record.text();
        sink.chunk(&text);
        let mut notes: Vec<String> = unread(request, &read).into_iter().collect();
        notes.extend(record.unsourced_note());
        if shape == Shape::TooComplex {
            notes.push(NOT_HELD.to_owned());
        }
        notes.extend(request.left_out.map(str::to_owned));
        Ok(Answer {
            text,
            answered: true,
            citations: record.sources.values().cloned().collect(),
            engine: self.generator.engine().to_owned(),
            model: Some(self.generator.model()),
            notes,
            record: Some(record),
            ..Answer::default()
        })
    }
}

impl Grounded {
    /// A reply that fits the schema: asked for once more with what was wrong, then refused.
    fn valid(
        &self,
        mut messages: Vec<Message>,
        schema: &Schema,
        cancel: &CancelFlag,
    ) -> Result<(Value, Shape), ModelError> {
        let (mut text, shape) = self.ask(&messages, schema, cancel)?;
        let reason = match schema.read(&text) {
            Ok(value) => return Ok((value, shape)),
            Err(mismatch) => mismatch.to_string(),
        };
        tracing::warn!(
            model.id = self.generator.model(),
            reason,
            "reply does not fit its schema; asking once more"
        );
        messages.push(Message::assistant(std::mem::take(&mut text)));
        messages.push(Message::user(format!(
            "That does not fit the schema: {reason}. Reply with the corrected JSON object only."
        )));
        let (text, shape) = self.ask(&messages, schema, cancel)?;
        schema
            .read(&text)
            .map(|value| (value, shape))
            .map_err(|mismatch| ModelError::Schema(mismatch.to_string()))
    }

    fn ask(
        &self,
        messages: &[Message],
        schema: &Schema,
        cancel: &CancelFlag,
    ) -> Result<(String, Shape), ModelError> {
        let request = Generation {
            messages,
            max_tokens: self.generator.limits().reply,
            schema: Some(schema),
        };
        let mut text = String::new();
        let generated = self
            .generator
            .generate(&request, cancel, &mut |piece| text.push_str(piece))?;
        // What was held to its schema holds no thinking: a tag in it stands in a value.
        if generated.shape != Shape::Held {
            text = Thinking::taken_out(&text);
        }
        Ok((text, generated.shape))
    }
}

/// Says which places were read when not all were.
fn unread(request: &AnswerRequest<'_>, read: &Selection) -> Option<String> {
    if read.is_whole {
        return None;
    }
    let mut places: Vec<String> = Vec::new();
    for marker in read.passages.iter().map(|p| p.locator.marker()) {
        let place = marker.trim_matches(['[', ']']).to_owned();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let more = places.len().saturating_sub(MAX_PLACES);
    places.truncate(MAX_PLACES);
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(format!(
        "the model read {} of {} passages, those that fit the prompt best: {}{tail}",
        read.passages.len(),
        request.passages.len(),
        places.join(", ")
    ))
}

/// Hears an answer that may not be used.
struct Silent;

impl AnswerSink for Silent {
    fn progress(&mut self, _done: u32, _total: u32) {}
    fn chunk(&mut self, _text: &str) {}
}

impl Record {
    /// A record whose values are looked up in what the model was shown.
    fn found_in(value: Value, shown: &[Passage]) -> Self {
        let sources = Sources::new(shown);
        let mut record = Self {
            value: Value::Null,
            sources: std::collections::BTreeMap::new(),
        };
        collect(&value, "", &sources, &mut record);
        record.value = value;
        record
    }

    /// Says which values stand nowhere as they are.
    fn unsourced_note(&self) -> Option<String> {
        let mut missing = Vec::new();
        leaves(&self.value, "", &mut |pointer, value| {
            if !value.is_null() && !self.sources.contains_key(pointer) {
                missing.push(pointer.to_owned());
            }
        });
        (!missing.is_empty()).then(|| {
            format!(
                "no place in the document says exactly what stands in {}",
                missing.join(", ")
            )
        })
    }
}

fn collect(value: &Value, pointer: &str, sources: &Sources<'_>, record: &mut Record) {
    leaves(value, pointer, &mut |pointer, value| {
        if let Some(citation) = written_forms(value)
            .iter()
            .find_map(|form| sources.cite(form))
        {
            record.sources.insert(pointer.to_owned(), citation);
        }
    });
}

/// How a document may write a value.
fn written_forms(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => {
            let plain = number.to_string();
            let mut forms = vec![plain.clone()];
            forms.extend(crate::schema::grouped(&plain));
            forms
        }
        _ => Vec::new(),
    }
}

/// Visits every value that is no object and no list, with its JSON pointer.
fn leaves(value: &Value, pointer: &str, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{pointer}/{name}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                leaves(value, &format!("{pointer}/{index}"), visit);
            }
        }
        leaf => visit(pointer, leaf),
    }
}
