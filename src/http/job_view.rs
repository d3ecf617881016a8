//! A job as the API shows it: the seven keys of the upload contract, in their order, and what is added on demand.
//!
//! Stored states are finer than the contract's statuses; [`status_of`] and [`states_of`] are the two directions of one
//! table. Times are whole seconds in UTC, because that is what the contract's clients parse.

use chrono::{DateTime, SecondsFormat, Utc};
use quire_store::{Job, JobState};
use serde::Serialize;
use utoipa::ToSchema;

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobView {
    /// The job's id.
    #[schema(example = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11")]
    pub job_id: String,
    /// `pending`, `processing`, `completed`, `failed` or `cancelled`.
    #[schema(example = "completed")]
    pub status: &'static str,
    /// 0 to 100.
    #[schema(example = 100, minimum = 0, maximum = 100)]
    pub progress: i16,
    /// Name of the uploaded file.
    #[schema(example = "document.pdf")]
    pub file_name: String,
    /// When the upload was accepted.
    #[schema(example = "2024-01-01T00:00:00Z")]
    pub created_at: String,
    /// When the job ended; null until then.
    #[schema(example = "2024-01-01T00:05:00Z", required = true)]
    pub completed_at: Option<String>,
    /// The answer; null until the job is completed.
    #[schema(example = "AI response text", required = true)]
    pub ai_response: Option<String>,
    /// Why the job failed; there only when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same as a stable word, such as `password_needed`, `wrong_password`, `damaged`; there only with `expand=error`, when it
    /// failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "wrong_password")]
    pub error_code: Option<String>,
    /// Place in the queue, 1 is next; there only with `expand=position`, null when the job does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub position: Option<Option<i64>>,
    /// What happened to the job; there only with `expand=timeline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<TimelineEntry>>,
}

/// One thing that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimelineEntry {
    /// Sequence number of the event.
    pub seq: i64,
    /// When.
    #[schema(example = "2024-01-01T00:00:00.125Z")]
    pub at: String,
    /// What, such as `queued`, `restarted`, `completed`.
    #[schema(example = "queued")]
    pub event: &'static str,
}

/// `{success, data}` around one job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobReply {
    /// Always true.
    pub success: bool,
    /// The job.
    pub data: JobView,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let failed = matches!(job.state, JobState::Failed | JobState::Dead);
        Self {
            job_id: job.id.to_string(),
            status: status_of(job.state),
            progress: job.progress.clamp(0, 100),
            file_name: job.file_name,
            created_at: seconds(job.created_at),
            completed_at: job
                .finished_at
                .filter(|_| job.state.is_terminal())
                .map(seconds),
            ai_response: job.answer.filter(|_| job.state == JobState::Completed),
            error: failed.then(|| {
                job.error_message
                    .unwrap_or_else(|| "the job failed".to_owned())
            }),
            error_code: None,
            position: None,
            timeline: None,
        }
    }
}

impl JobReply {
    /// The reply about one job.
    pub fn new(data: impl Into<JobView>) -> Self {
        Self {
            success: true,
            data: data.into(),
        }
    }
}

/// The contract's word for a stored state.
pub fn status_of(state: JobState) -> &'static str {
    match state {
        JobState::Queued | JobState::Scheduled => "pending",
        JobState::Running | JobState::Streaming => "processing",
        JobState::Completed => "completed",
        JobState::Failed | JobState::Dead => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// The stored states that a word stands for: a status of the contract or, finer, a state; empty for any other word.
pub fn states_of(word: &str) -> Vec<JobState> {
    let by_status: Vec<_> = JobState::ALL
        .iter()
        .copied()
        .filter(|state| status_of(*state) == word)
        .collect();
    if by_status.is_empty() {
        word.parse().into_iter().collect()
    } else {
        by_status
    }
}

/// `2024-01-01T00:00:00Z`
pub fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use quire_store::{FileId, JobId, Owner, Stage};
    use uuid::Uuid;

    use super::*;

    fn job(state: JobState) -> Job {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        Job {
            id: JobId(Uuid::nil()),
            owner: Owner::LOCAL,
            file_id: FileId(Uuid::nil()),
            file_name: "document.pdf".into(),
            media: "pdf".into(),
            sha256: [0; 32],
            bytes: 1,
            prompt: "why?".into(),
            priority: 0,
            state,
            stage: Stage::Extract,
            progress: 0,
            attempt: 0,
            scheduled_at: None,
            created_at: at("2024-01-01T00:00:00.987654Z"),
            started_at: None,
            finished_at: None,
            answer: None,
            result: None,
            error_code: None,
            error_message: None,
        }
    }

    fn json(job: Job) -> String {
        serde_json::to_string(&JobReply::new(job)).unwrap()
    }

    #[test]
    fn a_new_job_has_exactly_the_seven_keys_of_the_contract() {
        assert_eq!(
            json(job(JobState::Scheduled)),
            r#"{"success":true,"data":{"job_id":"00000000-0000-0000-0000-000000000000","status":"pending","progress":0,"file_name":"document.pdf","created_at":"2024-01-01T00:00:00Z","completed_at":null,"ai_response":null}}"#
        );
    }

    #[test]
    fn a_completed_job_shows_its_answer() {
        let mut job = job(JobState::Completed);
        job.progress = 100;
        job.finished_at = Some("2024-01-01T00:05:00Z".parse().unwrap());
        job.answer = Some("AI response text".into());
        // A failure that was overcome is not shown.
        job.error_message = Some("the parser crashed".into());
        assert_eq!(
            json(job),
            r#"{"success":true,"data":{"job_id":"00000000-0000-0000-0000-000000000000","status":"completed","progress":100,"file_name":"document.pdf","created_at":"2024-01-01T00:00:00Z","completed_at":"2024-01-01T00:05:00Z","ai_response":"AI response text"}}"#
        );
    }

    #[test]
    fn only_a_failed_job_has_an_error() {
        for state in JobState::ALL {
            let mut job = job(*state);
            job.error_message = Some("the file is damaged".into());
            let failed = matches!(state, JobState::Failed | JobState::Dead);
            assert_eq!(JobView::from(job).error.is_some(), failed, "{state}");
        }
        let view = JobView::from(job(JobState::Dead));
        assert_eq!(view.status, "failed");
        assert!(
            view.error.is_some_and(|error| !error.is_empty()),
            "a failed job says so even without a stored reason"
        );
    }

    #[test]
    fn what_is_asked_for_is_appended() {
        let mut view = JobView::from(job(JobState::Queued));
        view.position = Some(None);
        assert!(
            serde_json::to_string(&view)
                .unwrap()
                .ends_with(r#""ai_response":null,"position":null}"#)
        );
        view.position = Some(Some(3));
        assert!(
            serde_json::to_string(&view)
                .unwrap()
                .ends_with(r#""ai_response":null,"position":3}"#)
        );
    }

    #[test]
    fn both_vocabularies_name_states() {
        assert_eq!(
            states_of("pending"),
            [JobState::Queued, JobState::Scheduled]
        );
        assert_eq!(
            states_of("processing"),
            [JobState::Running, JobState::Streaming]
        );
        assert_eq!(states_of("failed"), [JobState::Failed, JobState::Dead]);
        assert_eq!(states_of("dead"), [JobState::Dead]);
        assert_eq!(states_of("PENDING"), []);
        for state in JobState::ALL {
            assert!(states_of(status_of(*state)).contains(state));
        }
    }
}
