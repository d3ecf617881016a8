//! Receives the files of a batch's form, one after the other, each as a job as soon as it is whole.
//!
//! What is wrong with one file is noted as an item and the next one is read. What is wrong with the request or the server
//! (no room, the database away, a form that breaks off) ends the reading; what came before stays, and is written out first.

use std::{mem, pin::pin, time::Duration};

use axum::extract::{
    Request,
    multipart::{Field, Multipart},
};
use quire_store::{
    Added, Batch, Idempotency, ItemPlace, NewBatch, NewUpload, Opened, Owner, Refusal,
};
use tokio::time::{Instant, timeout};

use super::{
    form::{self, Fields, FieldsDraft},
    plan::{Asked, Plan},
    view::ItemView,
};
use crate::{
    app::AppState,
    error::{ApiError, FieldError},
    http::{
        intake::Announced,
        metrics,
        upload::new_upload,
        upload_form::UploadForm,
        upload_name,
        upload_part::{self, Part, Reader, Received},
    },
};

/// Files that are written out together: their commit costs about as much as that of one.
const TOGETHER: usize = 32;

/// Files do not wait for others longer than this: their jobs could run.
const WAIT: Duration = Duration::from_millis(200);

/// Which batch is filled.
pub(super) enum Target {
    /// A new one, with its idempotency key.
    New(Option<String>),
    /// One that is there.
    Known(Batch),
}

/// A batch with what became of the files of one request.
pub(super) struct Filled {
    pub(super) batch: Batch,
    /// It was opened by an earlier request.
    pub(super) replayed: bool,
    pub(super) items: Vec<ItemView>,
}

/// Reads a whole form. `errors` are those found before, in the headers.
pub(super) async fn receive(
    state: &AppState,
    request: Request,
    target: Target,
    errors: Vec<FieldError>,
) -> Result<Filled, ApiError> {
    let limit = state.config.max_batch_bytes;
    let too_large = |limit| ApiError::BatchTooLarge { limit };
    let (mut multipart, reader) = upload_part::open(request, too_large, limit).await?;
    let mut form = Form {
        state,
        reader: &reader,
        stage: Stage::Fields(FieldsDraft::new(errors), target),
    };
    let read = form.read(&mut multipart).await;
    form.finish(read).await
}

struct Form<'a> {
    state: &'a AppState,
    reader: &'a Reader,
    stage: Stage,
}

/// The fields come first, then the files.
enum Stage {
    Fields(FieldsDraft, Target),
    Files(Filling),
    /// Checking the fields or opening the batch failed.
    Failed,
}

impl Form<'_> {
    async fn read(&mut self, multipart: &mut Multipart) -> Result<(), ApiError> {
        while let Some(mut field) = self.reader.next(multipart).await? {
            if field.name() == Some("file") {
                self.begin(true).await?;
            }
            match &mut self.stage {
                Stage::Fields(draft, _) => draft.read(&mut field, self.reader).await?,
                Stage::Files(filling) => filling.read(self.state, self.reader, field).await?,
                Stage::Failed => return Ok(()),
            }
        }
        Ok(())
    }

    /// Checks the fields and opens the batch, unless that is done. `must_ask`: a file follows.
    async fn begin(&mut self, must_ask: bool) -> Result<(), ApiError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Failed);
        let (draft, target) = match stage {
            Stage::Fields(draft, target) => (draft, target),
            done => {
                self.stage = done;
                return Ok(());
            }
        };
        let fields = draft.finish(self.state.config.max_batch_files, must_ask)?;
        let (batch, replayed, behind) = match target {
            Target::New(key) => {
                let (batch, replayed) = open(self.state, key, &fields).await?;
                (batch, replayed, 0)
            }
            Target::Known(batch) => {
                let behind = self.state.store.batch_end(batch.id).await?;
                (batch, false, behind)
            }
        };
        self.stage = Stage::Files(Filling::new(batch, replayed, Plan::new(fields, behind)));
        Ok(())
    }

    async fn finish(mut self, read: Result<(), ApiError>) -> Result<Filled, ApiError> {
        if read.is_ok() {
            self.begin(false).await?;
        }
        match self.stage {
            Stage::Files(filling) => filling.end(self.state, read).await,
            Stage::Fields(..) | Stage::Failed => Err(read.err().unwrap_or_else(|| {
                ApiError::Malformed("the form ended before its first part".into())
            })),
        }
    }
}

async fn open(
    state: &AppState,
    key: Option<String>,
    fields: &Fields,
) -> Result<(Batch, bool), ApiError> {
    let idempotency = key.map(|key| Idempotency {
        key,
        request_hash: fields.hash,
    });
    let new = NewBatch {
        owner: Owner::LOCAL,
        name: fields.name.clone(),
        idempotency,
    };
    match state.answered(state.store.open_batch(new)).await? {
        Opened::New(batch) => Ok((batch, false)),
        Opened::Replayed(batch) => Ok((batch, true)),
        Opened::Mismatch => Err(ApiError::IdempotencyMismatch),
    }
}

/// A batch that is being filled.
struct Filling {
    batch: Batch,
    replayed: bool,
    plan: Plan,
    /// Files received, good or not.
    files: usize,
    /// Received and not written out, and where they stand.
    uploads: Vec<NewUpload>,
    places: Vec<ItemPlace>,
    /// Since when the first of them waits.
    since: Instant,
    /// What became of the files.
    items: Vec<ItemView>,
}

impl Filling {
    fn new(batch: Batch, replayed: bool, plan: Plan) -> Self {
        Self {
            batch,
            replayed,
            plan,
            files: 0,
            uploads: Vec::new(),
            places: Vec::new(),
            since: Instant::now(),
            items: Vec::new(),
        }
    }

    /// Reads one part.
    async fn read(
        &mut self,
        state: &AppState,
        reader: &Reader,
        mut field: Field<'_>,
    ) -> Result<(), ApiError> {
        if field.name() != Some("file") {
            form::is_late(&field)?;
            return reader.skip(&mut field).await;
        }
        self.count(state.config.max_batch_files)?;
        if state.shutdown.is_cancelled() {
            return Err(ApiError::Overloaded(None));
        }
        self.admit(state).await?;
        let given = field.file_name().unwrap_or_default().to_owned();
        let limit = state.config.max_upload_bytes;
        let part = {
            let mut receiving = pin!(reader.file(&mut field, &state.files, limit));
            if let Ok(part) = timeout(WAIT, &mut receiving).await {
                part
            } else {
                // The others do not wait for a large file.
                self.write_out(state).await?;
                receiving.await
            }
        };
        match part {
            Ok(Part::Blank) => Ok(()),
            Ok(Part::File(received)) => {
                let asked = self.plan.take(&given);
                self.take(state, asked, *received).await
            }
            Ok(Part::Empty) => {
                let place = self.place(&given);
                self.refuse(state, place, "empty", "the file is empty")
                    .await
            }
            Err(error @ (ApiError::TooLarge { .. } | ApiError::UnsupportedType(_))) => {
                reader.skip(&mut field).await?;
                let place = self.place(&given);
                let code = error.status_and_code().1;
                self.refuse(state, place, code, &error.to_string()).await
            }
            Err(error) => Err(error),
        }
    }

    async fn admit(&mut self, state: &AppState) -> Result<(), ApiError> {
        let ahead = self.uploads.len() as u64;
        if state.admit(Announced { bytes: 0, ahead }).await.is_ok() {
            return Ok(());
        }
        // Those that were received may be there from an earlier request, and then take no room.
        self.write_out(state).await?;
        state.admit(Announced::default()).await
    }

    /// Where a file stands that becomes no job.
    fn place(&mut self, given: &str) -> ItemPlace {
        ItemPlace {
            file_name: upload_name::clean(given),
            ..self.plan.take(given).place
        }
    }

    fn count(&mut self, most: usize) -> Result<(), ApiError> {
        self.files += 1;
        if self.files > most {
            return Err(ApiError::field(
                "file",
                "too_many",
                format!("is given more than {most} times in one request"),
            ));
        }
        Ok(())
    }

    async fn take(
        &mut self,
        state: &AppState,
        asked: Asked,
        received: Received,
    ) -> Result<(), ApiError> {
        let key = asked.job_key(self.batch.id);
        let place = ItemPlace {
            file_name: received.name.clone(),
            ..asked.place
        };
        let Some(prompt) = asked.prompt else {
            return self
                .refuse(state, place, "validation_failed", "prompt is required")
                .await;
        };
        let finishing = state.intake.finishing().await;
        let file = received.writer.finish().await?;
        drop(finishing);
        metrics::count_upload(received.media.name(), file.bytes);
        let form = UploadForm {
            file,
            file_name: received.name,
            media: received.media,
            prompt,
            priority: asked.priority,
            scheduled_at: asked.scheduled_at,
            password: asked.password,
            options: asked.options,
        };
        if self.uploads.is_empty() {
            self.since = Instant::now();
        }
        self.uploads.push(new_upload(form, Some(key)));
        self.places.push(place);
        if self.uploads.len() >= TOGETHER || self.since.elapsed() >= WAIT {
            self.write_out(state).await?;
        }
        Ok(())
    }

    /// Makes what was received items and jobs.
    async fn write_out(&mut self, state: &AppState) -> Result<(), ApiError> {
        let uploads = mem::take(&mut self.uploads);
        let places = mem::take(&mut self.places);
        if uploads.is_empty() {
            return Ok(());
        }
        let adding = state.store.add_to_batch(self.batch.id, &places, &uploads);
        let added = state.answered(adding).await?;
        if added.contains(&Added::Closed) {
            return Err(ApiError::BatchCancelled);
        }
        let new = added.iter().filter(|added| matches!(added, Added::New(_)));
        state.intake.count(new.count() as u64);
        for (place, added) in places.into_iter().zip(&added) {
            self.items.push(ItemView::added(place, added));
        }
        Ok(())
    }

    async fn refuse(
        &mut self,
        state: &AppState,
        place: ItemPlace,
        code: &str,
        message: &str,
    ) -> Result<(), ApiError> {
        let refusal = Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let noting = state.store.refuse_in_batch(self.batch.id, &place, &refusal);
        if !state.answered(noting).await? {
            return Err(ApiError::BatchCancelled);
        }
        self.items.push(ItemView::refused(place, refusal));
        Ok(())
    }

    /// Ends the request, which was read well or not.
    async fn end(
        mut self,
        state: &AppState,
        read: Result<(), ApiError>,
    ) -> Result<Filled, ApiError> {
        // Also after an error: what was received whole need not be sent again.
        let written = self.write_out(state).await;
        read.and(written)?;
        for asked in self.plan.missing() {
            let why = "the manifest names this file, and the request did not hold it";
            self.refuse(state, asked.place, "file_missing", why).await?;
        }
        self.items.sort_by_key(|item| item.index);
        Ok(Filled {
            batch: self.batch,
            replayed: self.replayed,
            items: self.items,
        })
    }
}
