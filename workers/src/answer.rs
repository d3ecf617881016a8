//! The second stage: the prompt is answered from the extracted document.

use std::sync::Arc;

use quire_extract::{Document, EXTRACTOR_VERSION};
use quire_models::{Answer, AnswerRequest, AnswerSink, ModelError, QueryTable, Schema};
use quire_store::{Answering, AttemptWriter, Lease, Stage};

use crate::{
    context::Context, failure::Failure, passages, persist::persist, pulse::Pulse, running::Entered,
    vectors::DocumentVectors, whole_table::WholeTable,
};

/// Where the progress of answering begins and ends, in percent; extraction is before it, the final write after it.
const ANSWER_RANGE: (u64, u64) = (50, 95);

/// Answers the prompt of `lease` and completes the job.
pub(crate) async fn run(
    lease: &Lease,
    context: &Arc<Context>,
    entered: &Entered,
) -> Result<(), Failure> {
    let version = EXTRACTOR_VERSION.cast_signed();
    let Answering { document, options } = context.store.answering(lease, version).await?;
    let document =
        document.ok_or_else(|| Failure::internal("the extracted document is no longer stored"))?;
    let writer = context.store.writer(lease);
    writer.progress(ANSWER_RANGE.0 as u8, Stage::Answer, 0, None);
    let schema = options.schema.map(Schema::from_value).transpose();
    let schema = schema
        .map_err(|e| ModelError::Schema(format!("the stored schema is not known here: {e}")))?;
    let (engine, cancel, prompt) = (
        context.engines.for_job(options.model.as_deref()),
        entered.stop().engine.clone(),
        lease.job.prompt.clone(),
    );
    let pulse = entered.pulse().clone();
    let (sha256, parser_stop, whole) = (
        lease.job.sha256,
        entered.stop().parser.clone(),
        Arc::clone(context),
    );
    let vectors = DocumentVectors {
        store: context.store.clone(),
        owner: lease.job.owner,
        sha256: lease.job.sha256,
        version,
    };
    let answered = tokio::task::spawn_blocking(move || {
        let document: Document = serde_json::from_value(document)
            .map_err(|e| ModelError::Inference(format!("stored document does not decode: {e}")))?;
        let material = passages::Material::of(&document);
        let whole = WholeTable::of(&document, sha256, &whole, (parser_stop, pulse.clone()));
        let request = AnswerRequest {
            prompt: &prompt,
            passages: &material.passages,
            table: material.table.as_ref(),
            image: material.image.as_deref(),
            left_out: material.left_out.as_deref(),
            query: whole.as_ref().map(|whole| whole as &dyn QueryTable),
            vectors: Some(&vectors),
        };
        let mut sink = EventSink { writer, pulse };
        match &schema {
            None => engine.answer(&request, &cancel, &mut sink),
            Some(schema) => engine.record(&request, schema, &cancel, &mut sink),
        }
    });
    let answer = answered
        .await
        .map_err(|_| Failure::internal("the answering thread stopped unexpectedly"))??;
    complete(lease, context, entered, answer).await
}

async fn complete(
    lease: &Lease,
    context: &Context,
    entered: &Entered,
    answer: Answer,
) -> Result<(), Failure> {
    let result = serde_json::to_value(&answer)
        .map_err(|e| Failure::internal(format!("answer cannot be encoded: {e}")))?;
    let store = &context.store;
    let write = || store.complete(lease, &answer.text, result.clone());
    if !persist(store, lease, entered, write).await? {
        tracing::info!(job.id = %lease.job.id, "answer of a job that has another owner was dropped");
    }
    Ok(())
}

/// Turns what the engine says into events of the attempt.
struct EventSink {
    writer: AttemptWriter,
    pulse: Pulse,
}

impl AnswerSink for EventSink {
    fn progress(&mut self, done: u32, total: u32) {
        self.pulse.beat();
        let (from, to) = ANSWER_RANGE;
        let percent = from + (to - from) * u64::from(done.min(total)) / u64::from(total.max(1));
        self.writer
            .progress(percent as u8, Stage::Answer, done, Some(total));
    }

    fn chunk(&mut self, text: &str) {
        self.pulse.beat();
        self.writer.chunk(text);
    }
}
