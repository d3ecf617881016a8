//! The first stage: the content of the file, from the cache or out of the sandboxed parser.

use std::{fs::File, sync::Arc};

use quire_extract::{EXTRACTOR_VERSION, MediaType, ParseProgress, ParseRequest};
use quire_store::{Lease, Password, Stage};

use crate::{caption, context::Context, failure::Failure, persist::persist, running::Entered};

/// Share of the whole progress that extraction has, in percent: answering has the rest.
const EXTRACT_SHARE: u64 = 50;
/// Shown as soon as the file is open.
const EXTRACT_START: u8 = 5;

/// Extracts the file of `lease` and queues the answer stage.
pub(crate) async fn run(
    lease: &Lease,
    context: &Arc<Context>,
    entered: &Entered,
) -> Result<(), Failure> {
    let writer = context.store.writer(lease);
    writer.progress(EXTRACT_START, Stage::Extract, 0, None);
    let version = EXTRACTOR_VERSION.cast_signed();
    let known = context.store.extraction(lease, version).await?;
    if let Some(document) = known.document {
        return finish(lease, context, entered, &document).await;
    }
    let request = request(lease, context, known.password.as_ref())?;
    let file = open(lease, context, entered).await?;
    let (parser, cancel, pulse) = (
        Arc::clone(&context.parser),
        entered.stop().parser.clone(),
        entered.pulse().clone(),
    );
    let (captioner, model_stop) = (context.engines.captioner(), entered.stop().engine.clone());
    let parsed = tokio::task::spawn_blocking(move || {
        let mut document = parser.parse(&file, &request, &cancel, &mut |progress| {
            pulse.beat();
            writer.progress(
                percent(progress),
                Stage::Extract,
                progress.done,
                progress.total,
            );
        })?;
        if let Some(captioner) = captioner {
            let mut draw = |picture| parser.draw(&file, &picture, &cancel);
            caption::add(&mut document, captioner.as_ref(), &mut draw, &model_stop)?;
        }
        Ok::<_, Failure>(document)
    });
    let document = parsed
        .await
        .map_err(|_| Failure::internal("the extraction thread stopped unexpectedly"))??;
    let document = serde_json::to_value(&document)
        .map_err(|e| Failure::internal(format!("extracted document cannot be encoded: {e}")))?;
    finish(lease, context, entered, &document).await
}

/// The file, when it still is what was uploaded.
async fn open(lease: &Lease, context: &Context, entered: &Entered) -> Result<File, Failure> {
    let (cancel, pulse) = (entered.stop().parser.clone(), entered.pulse().clone());
    let stop = move || {
        pulse.beat();
        cancel.is_cancelled()
    };
    Ok(context.files.open_whole(&lease.job.sha256, stop).await?)
}

async fn finish(
    lease: &Lease,
    context: &Context,
    entered: &Entered,
    document: &serde_json::Value,
) -> Result<(), Failure> {
    let store = &context.store;
    let write = || store.finish_extract(lease, document, EXTRACTOR_VERSION.cast_signed());
    if !persist(store, lease, entered, write).await? {
        tracing::info!(job.id = %lease.job.id, "extraction of a job that has another owner was dropped");
    }
    Ok(())
}

fn request(
    lease: &Lease,
    context: &Context,
    password: Option<&Password>,
) -> Result<ParseRequest, Failure> {
    let media = MediaType::from_name(&lease.job.media).ok_or_else(|| Failure::Fail {
        code: "unsupported_type",
        message: format!(
            "this version of quire does not read files of type {:?}",
            lease.job.media
        ),
    })?;
    Ok(ParseRequest {
        password: password.map(|password| password.expose().to_owned()),
        ocr_languages: context.ocr_languages.clone(),
        ..ParseRequest::new(media)
    })
}

/// Monotone share of the extraction: pages known in advance count exactly, others approach the end.
fn percent(progress: ParseProgress) -> u8 {
    let done = u64::from(progress.done);
    let total = progress.total.map_or(done + 10, u64::from).max(done).max(1);
    let start = u64::from(EXTRACT_START);
    (start + (EXTRACT_SHARE - start) * done / total) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_of_extraction_is_monotone_and_ends_at_its_share() {
        let known: Vec<u8> = (0..=20)
            .map(|done| {
                percent(ParseProgress {
                    done,
                    total: Some(20),
                })
            })
            .collect();
        assert!(known.is_sorted());
        assert_eq!((known[0], known[20]), (EXTRACT_START, EXTRACT_SHARE as u8));
        let unknown: Vec<u8> = (0..5000)
            .map(|done| percent(ParseProgress { done, total: None }))
            .collect();
        assert!(unknown.is_sorted());
        assert!(*unknown.last().unwrap() <= EXTRACT_SHARE as u8);
    }
}
