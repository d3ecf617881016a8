//! Clients that upload at their own pace, whatever the server does, and try again until they are told yes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use reqwest::StatusCode;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{files, plan::Work};
use crate::support::{Upload, history::Acknowledged};

/// No answer takes longer, whatever has died: beyond it the client goes elsewhere.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// A client that is refused for this long gives up, which is a failure of the run.
const PATIENCE: Duration = Duration::from_mins(3);

/// What the uploading clients saw.
#[derive(Debug, Default)]
pub struct UploadLog {
    /// Uploads that were answered 2xx.
    pub acknowledged: Vec<Acknowledged>,
    /// Answers 503.
    pub refused: u64,
    /// Connections that were refused or broke.
    pub broken: u64,
    /// Answers that the contract does not allow here, and uploads that were given up.
    pub unexpected: Vec<String>,
    /// How long each answer took, in milliseconds.
    pub answers_ms: Vec<u64>,
}

/// The clients.
#[derive(Clone)]
pub struct Uploader {
    http: reqwest::Client,
    bases: Arc<[String]>,
    /// What they saw so far.
    pub log: Arc<Mutex<UploadLog>>,
}

impl Uploader {
    /// Clients of the servers at `bases`.
    pub fn new(bases: &[String]) -> Self {
        Self {
            http: reqwest::Client::new(),
            bases: bases.into(),
            log: Arc::default(),
        }
    }

    /// Uploads until there is a job, and every tenth time once more, as a client does that did not read the reply.
    pub async fn upload(&self, work: &Work) -> Option<Uuid> {
        let job = self.insist(work).await;
        if work.index.is_multiple_of(10) && job.is_some() {
            self.insist(work).await;
        }
        job
    }

    async fn insist(&self, work: &Work) -> Option<Uuid> {
        let start = Instant::now();
        let mut turn = work.index as usize;
        while start.elapsed() < PATIENCE {
            let base = &self.bases[turn % self.bases.len()];
            turn += 1;
            if let Some(job) = self.once(work, base).await {
                return Some(job);
            }
            tokio::time::sleep(Duration::from_millis(60 + 40 * (turn as u64 % 5))).await;
        }
        self.log
            .lock()
            .unexpected
            .push(format!("{} was never accepted", work.key));
        None
    }

    async fn once(&self, work: &Work, base: &str) -> Option<Uuid> {
        let document = files::document(work);
        let sha256 = hex::encode(Sha256::digest(&document.bytes));
        let upload =
            Upload::new(document.name, document.bytes, document.prompt).idempotency_key(&work.key);
        let start = Instant::now();
        let answer = tokio::time::timeout(ANSWER_LIMIT, upload.try_send_to(&self.http, base)).await;
        let mut log = self.log.lock();
        let (status, body) = match answer {
            Err(_) => {
                let evidence = format!("no answer to {} within {ANSWER_LIMIT:?}", work.key);
                log.unexpected.push(evidence);
                return None;
            }
            Ok(Err(_)) => {
                log.broken += 1;
                return None;
            }
            Ok(Ok(answer)) => answer,
        };
        log.answers_ms.push(start.elapsed().as_millis() as u64);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            log.refused += 1;
            return None;
        }
        let job = body["data"]["job_id"]
            .as_str()
            .and_then(|id| id.parse().ok());
        let Some(job) = job.filter(|_| status == StatusCode::OK) else {
            log.unexpected
                .push(format!("{status} to {}: {body}", work.key));
            return None;
        };
        log.acknowledged.push(Acknowledged {
            key: work.key.clone(),
            job,
            sha256,
        });
        Some(job)
    }
}
