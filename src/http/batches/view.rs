//! A batch and its items as the API shows them. Whole replies are built from these and nowhere else.

use chrono::{DateTime, TimeDelta, Utc};
use quire_models::{Citation, Locator};
use quire_store::{Added, Batch, BatchCounts, BatchItem, ItemPlace, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::job_view::{seconds, status_of};

/// One batch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BatchView {
    /// The batch's id.
    #[schema(example = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11")]
    pub batch_id: String,
    /// What the client calls it; null when it did not say.
    #[schema(required = true)]
    pub name: Option<String>,
    /// `pending`: no job has started; `processing`; `completed`: every job has ended, well or not; `cancelled`.
    #[schema(example = "processing")]
    pub status: &'static str,
    /// 0 to 100.
    #[schema(example = 42)]
    pub progress: i64,
    /// The items by what became of them.
    pub counts: CountsView,
    /// When the batch was opened.
    #[schema(example = "2024-01-01T00:00:00Z")]
    pub created_at: String,
    /// When the last job will have ended, if it goes on as in the last minute; null when that cannot be said.
    #[schema(example = "2024-01-01T00:05:00Z", required = true)]
    pub eta: Option<String>,
}

/// The items of a batch by what became of them. All but `total` and `extracted` add up to `total`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct CountsView {
    /// All of them.
    pub total: i64,
    /// Wait in the queue or for their time.
    pub pending: i64,
    /// Are being worked on.
    pub processing: i64,
    /// Have an answer.
    pub completed: i64,
    /// Failed.
    pub failed: i64,
    /// Were cancelled.
    pub cancelled: i64,
    /// Never became a job: the file was refused.
    pub refused: i64,
    /// Had a job that was deleted since.
    pub deleted: i64,
    /// Have been read, whatever came after.
    pub extracted: i64,
}

impl BatchView {
    /// The batch at `now`.
    pub fn new(batch: Batch, counts: &BatchCounts, now: DateTime<Utc>) -> Self {
        let live = counts.pending + counts.processing;
        let status = match () {
            () if batch.cancelled_at.is_some() => "cancelled",
            () if counts.total == counts.pending => "pending",
            () if live > 0 => "processing",
            () => "completed",
        };
        Self {
            batch_id: batch.id.to_string(),
            name: batch.name,
            status,
            progress: counts.progress / counts.total.max(1),
            counts: CountsView::from(counts),
            created_at: seconds(batch.created_at),
            eta: eta(counts, now).map(seconds),
        }
    }
}

impl From<&BatchCounts> for CountsView {
    fn from(counts: &BatchCounts) -> Self {
        Self {
            total: counts.total,
            pending: counts.pending,
            processing: counts.processing,
            completed: counts.completed,
            failed: counts.failed,
            cancelled: counts.cancelled,
            refused: counts.refused,
            deleted: counts.deleted,
            extracted: counts.extracted,
        }
    }
}

/// What is left at the rate of the last minute; not before the last time that a job waits for.
fn eta(counts: &BatchCounts, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let live = counts.pending + counts.processing;
    if live == 0 || counts.ended_lately == 0 {
        return None;
    }
    let seconds = counts.lately_seconds * live as f64 / counts.ended_lately as f64;
    let end = now + TimeDelta::milliseconds((seconds * 1000.0) as i64);
    Some(counts.last_due.map_or(end, |due| due.max(end)))
}

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ItemView {
    /// Its place in the input, from 0.
    pub index: i64,
    /// What makes sending it again harmless: the manifest's key, else its index.
    pub key: String,
    /// The client's own name for it; null when it did not say.
    #[schema(required = true)]
    pub reference: Option<String>,
    /// Name of the file.
    #[schema(example = "document.pdf")]
    pub file_name: String,
    /// Its job; null when there is none.
    #[schema(required = true)]
    pub job_id: Option<String>,
    /// The job's status, or `refused`, or `deleted`.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// Why it was refused or failed; null otherwise.
    #[schema(required = true)]
    pub error: Option<String>,
    /// The same as a stable word.
    #[schema(required = true, example = "unsupported_type")]
    pub error_code: Option<String>,
}

impl ItemView {
    /// An item that was just sent.
    pub fn added(place: ItemPlace, added: &Added) -> Self {
        match added {
            Added::New(job) | Added::Replayed(job) => Self {
                job_id: Some(job.id.to_string()),
                status: status_of(job.state),
                ..Self::at(place)
            },
            Added::Mismatch | Added::Closed => Self::refused(
                place,
                Refusal {
                    code: "idempotency_mismatch".to_owned(),
                    message: "the key was used before for a different upload".to_owned(),
                },
            ),
        }
    }

    /// An item without a job.
    pub fn refused(place: ItemPlace, refusal: Refusal) -> Self {
        Self {
            status: "refused",
            error: Some(refusal.message),
            error_code: Some(refusal.code),
            ..Self::at(place)
        }
    }

    fn at(place: ItemPlace) -> Self {
        Self {
            index: place.position,
            key: place.key,
            reference: place.reference,
            file_name: place.file_name,
            job_id: None,
            status: "deleted",
            error: None,
            error_code: None,
        }
    }
}

/// One line of the results.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultLine {
    /// The item.
    #[serde(flatten)]
    pub item: ItemView,
    /// The answer; null until there is one. Left out with `answers=false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub answer: Option<Option<String>>,
    /// The places that the answer quotes. Left out with `answers=false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Vec<LineCitation>>,
}

/// One place that an answer quotes. Where it stands on the page is told by the job's own result, which reads the document.
#[derive(Debug, Serialize, ToSchema)]
pub struct LineCitation {
    /// The marker in the answer.
    #[schema(example = "[p. 2]")]
    pub marker: String,
    /// The page, from 1; null when the place is not on a page.
    #[schema(required = true)]
    pub page: Option<u32>,
    /// The data row, from 1; null when the place is not in a table.
    #[schema(required = true)]
    pub row: Option<u64>,
    /// The document's own characters.
    pub quote: String,
}

impl From<Citation> for LineCitation {
    fn from(citation: Citation) -> Self {
        let (page, row) = match citation.locator {
            Locator::Page { page, .. } => (Some(page), None),
            Locator::Row { row } => (None, Some(row)),
            Locator::Image { .. } => (None, None),
        };
        Self {
            marker: citation.marker,
            page,
            row,
            quote: citation.quote,
        }
    }
}

impl ResultLine {
    /// The line of an item, with its answer if wanted.
    pub fn new(item: BatchItem, answers: bool) -> Result<Self, serde_json::Error> {
        let citations: Option<Vec<Citation>> =
            item.citations.map(serde_json::from_value).transpose()?;
        let citations = citations.unwrap_or_default();
        let mut view = match (item.state, item.error) {
            (Some(state), error) => ItemView {
                job_id: item.job.map(|id| id.to_string()),
                status: status_of(state),
                error: error.as_ref().map(|error| error.message.clone()),
                error_code: error.map(|error| error.code),
                ..ItemView::at(item.place)
            },
            (None, Some(refusal)) => ItemView::refused(item.place, refusal),
            (None, None) => ItemView::at(item.place),
        };
        if view.status == "failed" && view.error.is_none() {
            view.error = Some("the job failed".to_owned());
        }
        Ok(Self {
            item: view,
            answer: answers.then_some(item.answer),
            citations: answers.then(|| citations.into_iter().map(LineCitation::from).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use quire_store::{BatchId, JobId, JobState};
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn view(counts: &BatchCounts, cancelled: bool) -> BatchView {
        let batch = Batch {
            id: BatchId(Uuid::nil()),
            name: None,
            created_at: at("2024-01-01T00:00:00Z"),
            cancelled_at: cancelled.then(|| at("2024-01-01T00:00:01Z")),
        };
        BatchView::new(batch, counts, at("2024-01-01T01:00:00Z"))
    }

    #[test]
    fn the_status_follows_from_the_counts() {
        let counts = |total, pending, processing| BatchCounts {
            total,
            pending,
            processing,
            ..BatchCounts::default()
        };
        assert_eq!(view(&counts(0, 0, 0), false).status, "pending");
        assert_eq!(view(&counts(3, 3, 0), false).status, "pending");
        assert_eq!(view(&counts(3, 1, 0), false).status, "processing");
        assert_eq!(view(&counts(3, 0, 1), false).status, "processing");
        assert_eq!(view(&counts(3, 0, 0), false).status, "completed");
        assert_eq!(view(&counts(3, 1, 1), true).status, "cancelled");
    }

    #[test]
    fn the_end_is_estimated_from_the_last_minute() {
        let mut counts = BatchCounts {
            total: 100,
            pending: 50,
            progress: 5_000,
            ended_lately: 20,
            lately_seconds: 60.0,
            ..BatchCounts::default()
        };
        let shown = view(&counts, false);
        assert_eq!(shown.eta.as_deref(), Some("2024-01-01T01:02:30Z"));
        assert_eq!(shown.progress, 50);
        counts.last_due = Some(at("2024-01-02T00:00:00Z"));
        assert_eq!(
            view(&counts, false).eta.as_deref(),
            Some("2024-01-02T00:00:00Z")
        );
        counts.ended_lately = 0;
        assert_eq!(view(&counts, false).eta, None, "nothing to go by");
        assert_eq!(view(&BatchCounts::default(), false).progress, 0);
    }

    #[test]
    fn a_line_has_the_same_keys_whatever_became_of_the_item() {
        let place = ItemPlace {
            key: "0".into(),
            position: 0,
            reference: None,
            file_name: "a.pdf".into(),
        };
        let item = |state, answer: Option<&str>| BatchItem {
            place: place.clone(),
            job: Some(JobId(Uuid::nil())),
            state,
            answer: answer.map(str::to_owned),
            citations: None,
            error: None,
        };
        let line = |item, answers| {
            serde_json::to_string(&ResultLine::new(item, answers).unwrap()).unwrap()
        };
        assert_eq!(
            line(item(Some(JobState::Completed), Some("42")), true),
            r#"{"index":0,"key":"0","reference":null,"file_name":"a.pdf","job_id":"00000000-0000-0000-0000-000000000000","status":"completed","error":null,"error_code":null,"answer":"42","citations":[]}"#
        );
        assert_eq!(
            line(item(Some(JobState::Queued), None), true),
            r#"{"index":0,"key":"0","reference":null,"file_name":"a.pdf","job_id":"00000000-0000-0000-0000-000000000000","status":"pending","error":null,"error_code":null,"answer":null,"citations":[]}"#
        );
        let mut gone = item(None, None);
        gone.job = None;
        assert!(
            line(gone.clone(), false)
                .ends_with(r#""job_id":null,"status":"deleted","error":null,"error_code":null}"#)
        );
        gone.error = Some(Refusal {
            code: "empty".into(),
            message: "the file is empty".into(),
        });
        assert!(
            line(gone, false).ends_with(
                r#""status":"refused","error":"the file is empty","error_code":"empty"}"#
            )
        );
        assert!(line(item(Some(JobState::Dead), None), false).contains("the job failed"));
    }
}
