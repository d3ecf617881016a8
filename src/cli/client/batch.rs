//! Batches, as `quire ingest` needs them: open, fill, watch, and read the results line by line.

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use quire_store::Password;
use reqwest::{
    Response,
    header::HeaderValue,
    multipart::{Form, Part},
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Client, ClientError, REPLY_LIMIT, Reply, part};

/// Longest line of results that is read: an answer with its citations has some KB.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// A batch as the server shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct BatchState {
    /// Its id.
    pub batch_id: Uuid,
    /// `pending`, `processing`, `completed`, `cancelled`.
    pub status: String,
    /// Its items by what became of them.
    pub counts: Counts,
}

/// The items of a batch by what became of them.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Counts {
    /// Wait.
    pub pending: u64,
    /// Are worked on.
    pub processing: u64,
    /// Have an answer.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Were cancelled.
    pub cancelled: u64,
    /// Never became a job.
    pub refused: u64,
    /// Have been read.
    pub extracted: u64,
}

/// A file to be sent, and what is asked about it: the line of the manifest.
#[derive(Clone, Debug, Serialize)]
pub struct Outgoing {
    /// Name of the part.
    pub file: String,
    /// The question.
    pub prompt: String,
    /// Larger goes first.
    pub priority: Option<i32>,
    /// Not before this time.
    pub scheduled_at: Option<String>,
    /// Opens the file, if it is encrypted.
    #[serde(serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// Our name for it.
    pub reference: String,
    /// Makes sending it again harmless.
    pub key: String,
    /// Its place in the input.
    pub index: usize,
    /// Where it lies.
    #[serde(skip)]
    pub path: PathBuf,
}

/// The line goes to the server and nowhere else.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn exposed<S: Serializer>(password: &Option<Password>, serializer: S) -> Result<S::Ok, S::Error> {
    password
        .as_ref()
        .map(Password::expose)
        .serialize(serializer)
}

/// One item as the server shows it, in results and in replies.
#[derive(Debug, Deserialize, Serialize)]
pub struct Line {
    /// Its place in the input.
    pub index: u64,
    /// The key it was sent with.
    pub key: String,
    /// Our name for it.
    pub reference: Option<String>,
    /// Name of the file.
    pub file_name: String,
    /// Its job.
    pub job_id: Option<Uuid>,
    /// The job's status, `refused` or `deleted`.
    pub status: String,
    /// Why it was refused or failed.
    pub error: Option<String>,
    /// The same as a word.
    pub error_code: Option<String>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<RawValue>>,
    /// The places that it quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citations: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Added {
    items: Vec<Line>,
}

impl Client {
    /// Opens the batch with this key, or finds it.
    pub async fn open_batch(&self, name: &str, key: &str) -> Result<BatchState, ClientError> {
        let request = self
            .http
            .post(format!("{}/api/batches", self.url))
            .header("Idempotency-Key", key)
            .multipart(Form::new().text("name", name.to_owned()))
            .timeout(REPLY_LIMIT);
        let reply: Reply<BatchState> = self.read(request.send().await).await?;
        Ok(reply.data)
    }

    /// Sends files into a batch; `sent` is told how many bytes went out.
    pub async fn add_files(
        &self,
        batch: Uuid,
        files: &[Outgoing],
        sent: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<Vec<Line>, ClientError> {
        let mut manifest = Vec::new();
        for file in files {
            serde_json::to_writer(&mut manifest, file)
                .map_err(|error| ClientError::Refused(error.to_string()))?;
            manifest.push(b'\n');
        }
        // Parts of the same name stand in the order of their lines, which is how the server tells them apart.
        let mut form = Form::new().part("manifest", Part::bytes(manifest));
        for file in files {
            let part = part(&file.path, sent.clone()).await?;
            form = form.part("file", part.file_name(file.file.clone()));
        }
        let response = self
            .http
            .post(format!("{}/api/batches/{batch}/files", self.url))
            .multipart(form)
            .send()
            .await;
        let reply: Reply<Added> = self.read(response).await?;
        Ok(reply.data.items)
    }

    /// How far the batch is.
    pub async fn batch(&self, batch: Uuid) -> Result<BatchState, ClientError> {
        let request = self
            .http
            .get(format!("{}/api/batches/{batch}", self.url))
            .timeout(REPLY_LIMIT);
        let reply: Reply<BatchState> = self.read(request.send().await).await?;
        Ok(reply.data)
    }

    /// Queues a failed job again.
    pub async fn retry(&self, job: Uuid) -> Result<(), ClientError> {
        let request = self
            .http
            .post(format!("{}/api/jobs/{job}/retry", self.url))
            .header("Content-Type", HeaderValue::from_static("application/json"))
            .body("{}")
            .timeout(REPLY_LIMIT);
        self.read::<serde::de::IgnoredAny>(request.send().await)
            .await
            .map(drop)
    }

    /// The items of a batch, one after the other, with their answers if wanted.
    pub async fn results(&self, batch: Uuid, answers: bool) -> Result<Lines<'_>, ClientError> {
        let response = self
            .http
            .get(format!(
                "{}/api/batches/{batch}/results?answers={answers}",
                self.url
            ))
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        Ok(Lines {
            client: self,
            response: self.accepted(response).await?,
            buffer: BytesMut::new(),
        })
    }
}

/// Results that are being received.
pub struct Lines<'a> {
    client: &'a Client,
    response: Response,
    buffer: BytesMut,
}

impl Lines<'_> {
    /// The next item; `None` behind the last one. A reply that breaks off is an error.
    pub async fn next(&mut self) -> Result<Option<Line>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return self.line(&line).map(Some);
            }
            match self.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(self.stranger()),
            }
            if self.buffer.len() > MAX_LINE {
                return Err(self.stranger());
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let chunk = tokio::time::timeout(REPLY_LIMIT, self.response.chunk()).await;
        match chunk {
            Ok(chunk) => chunk.map_err(|error| self.client.unreachable(&error)),
            Err(silence) => Err(self.client.unreachable(&silence)),
        }
    }

    fn line(&self, line: &[u8]) -> Result<Line, ClientError> {
        serde_json::from_slice(line).map_err(|_| self.stranger())
    }

    fn stranger(&self) -> ClientError {
        ClientError::Stranger(self.client.url.clone())
    }
}
