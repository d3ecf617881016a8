//! The extractive engine: answers with the document's own sentences and the numbers of its tables, not with its own
//! words.
//!
//! A prompt is read (`intent`), the document is cut into sentences (`corpus`), and they are ranked by their words and,
//! when an embedding model is there, by their meaning (`rank`). Every kind of prompt has a file that turns the ranking
//! into an answer: `question`, `summary`, `listing`, `keywords`, `counting`, `table`. It needs no model and no
//! network; with a model it finds answers that share no word with the question.
//!
//! Not here: rephrasing, translating, reasoning over several sentences. Those need an engine that generates.

mod answer_type;
mod bm25;
mod central;
mod context;
mod corpus;
mod counting;
mod display;
mod embedding;
mod evidence;
mod fit;
mod focus;
pub(crate) mod fold;
mod fuse;
mod intent;
mod keywords;
mod language;
mod lexicon;
mod listing;
mod mmr;
mod phrase;
mod prompt;
mod query;
mod question;
mod rank;
mod record;
mod reply;
mod running;
pub(crate) mod select;
pub(crate) mod sentences;
mod stopwords;
mod summary;
mod synonyms;
mod table;
mod wordlist;

use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::embed::Embedder;
use crate::engine::{Answer, AnswerEngine, AnswerRequest, AnswerSink};
use crate::error::ModelError;
use crate::schema::Schema;

use corpus::Corpus;
use embedding::Embedding;
use focus::Focus;
use intent::{Intent, Length};
use prompt::Prompt;
use query::Query;
use rank::{Ranking, rank_lexically, rank_with};
use reply::Reply;

/// Said when only words were compared.
const NO_MODEL: &str =
    "no embedding model is installed, so sentences were found by their words only";

/// A prompt of common words only, such as `What must I not do?`, means something from this many words on.
const MIN_WORDS_OF_MEANING: usize = 3;

/// Answers prompts with quotes.
pub struct Extractive {
    /// Compares meanings; without it only words are compared.
    embedder: Option<Arc<dyn Embedder>>,
}

impl Extractive {
    /// An engine that ranks with `embedder`, or by words alone without one.
    pub fn new(embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { embedder }
    }

    fn write(
        &self,
        request: &AnswerRequest<'_>,
        asked: &Asked,
        cancel: &CancelFlag,
        reply: &mut Reply<'_>,
    ) -> Result<bool, ModelError> {
        if let Some(facts) = request.table {
            let subject = table::Subject {
                facts,
                passages: request.passages,
                query: request.query,
            };
            if table::answer(subject, &asked.prompt, &asked.intent, reply)? {
                return Ok(false);
            }
        }
        let corpus = Corpus::build(request.passages, cancel)?;
        if corpus.sentences.is_empty() {
            say_empty(request, &asked.intent, reply);
            return Ok(false);
        }
        if corpus.truncated {
            reply.note(format!(
                "only the first {} sentences were searched",
                corpus.sentences.len()
            ));
        }
        let embedder = self.embedder.as_deref();
        Task {
            embedder,
            corpus: &corpus,
            prompt: &asked.prompt,
            request,
            cancel,
        }
        .run(&asked.intent, reply)
    }
}

impl AnswerEngine for Extractive {
    fn name(&self) -> &'static str {
        reply::ENGINE
    }

    fn answer(
        &self,
        request: &AnswerRequest<'_>,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        cancel.check()?;
        let asked = Asked::new(request.prompt);
        let mut reply = Reply::new(sink);
        let ranked = self.write(request, &asked, cancel, &mut reply)?;
        if let Some(left_out) = request.left_out.filter(|text| !text.trim().is_empty())
            && !reply.rests_on_all()
        {
            say_left_out(left_out, &asked.intent, &mut reply);
        }
        let model = self
            .embedder
            .as_ref()
            .map(|embedder| embedder.id().to_owned());
        if ranked && model.is_none() {
            reply.note(NO_MODEL);
        }
        Ok(reply.finish(model.filter(|_| ranked)))
    }

    fn record(
        &self,
        request: &AnswerRequest<'_>,
        schema: &Schema,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        record::fill(request, schema, self.embedder.as_deref(), cancel, sink)
    }
}

/// A prompt and what it asks for.
struct Asked {
    prompt: Prompt,
    intent: Intent,
}

impl Asked {
    fn new(text: &str) -> Self {
        let prompt = Prompt::new(text);
        let intent = Intent::of(&prompt);
        Self { prompt, intent }
    }
}

/// One prompt over one document with text.
struct Task<'a> {
    embedder: Option<&'a dyn Embedder>,
    corpus: &'a Corpus<'a>,
    prompt: &'a Prompt,
    request: &'a AnswerRequest<'a>,
    cancel: &'a CancelFlag,
}

impl Task<'_> {
    /// Answers by intent. True when sentences were ranked, which is where a model makes a difference.
    fn run(&self, intent: &Intent, reply: &mut Reply<'_>) -> Result<bool, ModelError> {
        let corpus = self.corpus;
        match intent {
            Intent::Question => return self.question(reply),
            Intent::Summary(length) => return self.summarise(*length, reply),
            Intent::List(None) => {
                let ranking = self.rank(&self.query(), reply)?;
                listing::fitting(corpus, &ranking, reply);
                return Ok(true);
            }
            Intent::List(Some(entity)) => listing::entities(corpus, *entity, self.prompt, reply),
            Intent::Keywords { count } => keywords::answer(corpus, *count, reply),
            Intent::Occurrences => counting::occurrences(corpus, self.prompt, reply),
            Intent::Pages => counting::pages(corpus, reply),
            Intent::CannotDo(verb) => {
                reply.not_answered();
                reply.say(&format!(
                    "This engine answers with quotes from the document; it cannot {verb} text."
                ));
            }
        }
        Ok(false)
    }

    fn query(&self) -> Query {
        Query::new(self.request.prompt, self.prompt, self.corpus)
    }

    fn question(&self, reply: &mut Reply<'_>) -> Result<bool, ModelError> {
        let query = self.query();
        let by_meaning =
            self.embedder.is_some() && self.prompt.words().len() >= MIN_WORDS_OF_MEANING;
        if query.is_empty() && !by_meaning {
            reply.say("The prompt names nothing to look for. This is a summary of the document:");
            return self.summarise_all(Length::Usual, reply);
        }
        let ranking = self.rank(&query, reply)?;
        question::answer(self.corpus, &query, &ranking, reply);
        Ok(true)
    }

    fn summarise(&self, length: Length, reply: &mut Reply<'_>) -> Result<bool, ModelError> {
        if let Some(image) = self.request.image {
            reply.say(&format!(
                "The document is an image ({image}) with this text:"
            ));
        }
        let (query, known) = match focus::focus(self.corpus, self.prompt) {
            Focus::Whole => return self.summarise_all(length, reply),
            Focus::Known(query) => (query, true),
            Focus::Unknown(query) => (query, false),
        };
        let ranking = self.rank(&query, reply)?;
        if known || focus::is_near(&ranking) {
            focus::answer(self.corpus, &ranking, length, reply);
            return Ok(true);
        }
        reply.paragraph();
        reply.say(&format!(
            "The document does not seem to speak of “{}”. This is a summary of all of it:",
            query.text
        ));
        self.summarise_all(length, reply)
    }

    fn summarise_all(&self, length: Length, reply: &mut Reply<'_>) -> Result<bool, ModelError> {
        let mut embedding = self
            .embedder
            .map(|embedder| Embedding::new(embedder, self.request.vectors, self.cancel));
        summary::answer(self.corpus, length, embedding.as_mut(), reply)?;
        Ok(true)
    }

    fn rank(&self, query: &Query, reply: &mut Reply<'_>) -> Result<Ranking, ModelError> {
        self.cancel.check()?;
        match self.embedder {
            None => Ok(rank_lexically(self.corpus, query)),
            Some(embedder) => rank_with(
                &mut Embedding::new(embedder, self.request.vectors, self.cancel),
                self.corpus,
                query,
                reply,
            ),
        }
    }
}

/// Says what was not read: always in a note, and in the text when the answer speaks for the whole document or found
/// nothing.
fn say_left_out(left_out: &str, intent: &Intent, reply: &mut Reply<'_>) {
    let left_out = left_out.trim();
    reply.note(left_out);
    let matters = !reply.is_answered() || !matches!(intent, Intent::Question);
    if matters {
        reply.paragraph();
        let stop = if left_out.ends_with('.') { "" } else { "." };
        reply.say(&format!("Not everything was read: {left_out}{stop}"));
    }
}

/// A document without text: says what it is.
fn say_empty(request: &AnswerRequest<'_>, intent: &Intent, reply: &mut Reply<'_>) {
    let describes = matches!(intent, Intent::Summary(_));
    match (request.image, request.table) {
        (Some(image), _) => {
            if !describes {
                reply.not_answered();
            }
            reply.say(&format!(
                "The document is an image ({image}). No text was found in it."
            ));
        }
        (None, Some(facts)) => {
            reply.not_answered();
            reply.say(&format!(
                "The table has {} columns and no rows.",
                facts.columns.len()
            ));
        }
        (None, None) => {
            reply.not_answered();
            reply.say("No text was found in the document, so there is nothing to answer from.");
        }
    }
}
