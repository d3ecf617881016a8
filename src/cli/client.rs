//! A client of quire's own API, as `quire ask` and `quire ingest` need it: upload, follow, cancel, fetch the result, batches.
//!
//! It speaks plain HTTP to a server on this machine or a trusted network; TLS is for a proxy in front. Proxies named in the
//! environment are not used, because the socket could not follow.

pub mod batch;
pub mod follow;

use std::{io, path::Path, time::Duration};

use futures_util::TryStreamExt as _;
use http::{HeaderMap, header::RETRY_AFTER};
use reqwest::{
    Body, Response,
    multipart::{Form, Part},
};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// Longest wait for a connection: on a machine that is up it takes a millisecond, across a slow network a second.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Longest wait for a reply that needs no work.
const REPLY_LIMIT: Duration = Duration::from_secs(30);

/// How long a server may take to say that it is there.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Bytes of the file that are read at once.
const READ_SIZE: usize = 256 * 1024;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be used.
    #[error("{0} is not an address this program can use: it looks like http://host:port")]
    BadUrl(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers at the address, or no longer.
    #[error("no quire server answers at {url}: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why, from the network.
        reason: String,
    },
    /// The server cannot take this now.
    #[error("{reason}")]
    Busy {
        /// In words.
        reason: String,
        /// When it wants to be asked again, if it said.
        after: Option<Duration>,
    },
    /// The server said no.
    #[error("{0}")]
    Refused(String),
    /// Something answers, but not as a quire server does.
    #[error("the server at {0} does not answer like quire")]
    Stranger(String),
}

/// A server, by its address.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// `http://host:port`, without a slash at the end.
    url: String,
}

/// What is asked about a file.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The question or instruction.
    pub prompt: String,
    /// -100 to 100, larger goes first.
    pub priority: i32,
    /// Opens an encrypted file.
    pub password: Option<String>,
    /// Who answers, as the server names its engines.
    pub model: Option<String>,
    /// JSON Schema of the record that is wanted in place of a text.
    pub schema: Option<String>,
}

impl Question {
    /// The fields of the upload beside the file.
    fn form(&self) -> Form {
        let form = Form::new()
            .text("prompt", self.prompt.clone())
            .text("priority", self.priority.to_string());
        let optional = [
            ("password", &self.password),
            ("model", &self.model),
            ("schema", &self.schema),
        ];
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .fold(form, |form, (name, value)| form.text(name, value))
    }
}

#[derive(Deserialize)]
struct Reply<T> {
    data: T,
}

#[derive(Deserialize)]
struct Uploaded {
    job_id: Uuid,
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

impl Client {
    /// A client of the server at `url`.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadUrl(url.to_owned());
        let parsed: http::Uri = url.parse().map_err(|_| bad())?;
        if parsed.scheme_str() != Some("http")
            || parsed.host().is_none()
            || parsed.query().is_some()
        {
            return Err(bad());
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .build()
            .map_err(|_| bad())?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fails when nobody is there or it is not quire.
    pub async fn probe(&self) -> Result<(), ClientError> {
        let request = self
            .http
            .get(format!("{}/health", self.url))
            .timeout(PROBE_LIMIT);
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let health: Value = response
            .json()
            .await
            .map_err(|_| ClientError::Stranger(self.url.clone()))?;
        if health["status"] == "healthy" {
            Ok(())
        } else {
            Err(ClientError::Stranger(self.url.clone()))
        }
    }

    /// Uploads a file with a question; `sent` is told how many bytes went out. With the same `key`, a try whose outcome is not known may
    /// be repeated.
    pub async fn upload(
        &self,
        key: Uuid,
        file: &Path,
        question: &Question,
        sent: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Uuid, ClientError> {
        let form = question.form().part("file", part(file, sent).await?);
        let response = self
            .http
            .post(format!("{}/api/upload", self.url))
            .header("Idempotency-Key", key.to_string())
            .multipart(form)
            .send()
            .await;
        let reply: Reply<Uploaded> = self.read(response).await?;
        Ok(reply.data.job_id)
    }

    /// Ends a job.
    pub async fn cancel(&self, job: Uuid) -> Result<(), ClientError> {
        let request = self
            .http
            .post(format!("{}/api/jobs/{job}/cancel", self.url))
            .timeout(REPLY_LIMIT);
        self.read::<Value>(request.send().await).await.map(drop)
    }

    /// The result of a completed job.
    pub async fn result(&self, job: Uuid) -> Result<Value, ClientError> {
        let request = self
            .http
            .get(format!("{}/api/jobs/{job}/result?format=json", self.url))
            .timeout(REPLY_LIMIT);
        self.read::<Reply<Value>>(request.send().await)
            .await
            .map(|reply| reply.data)
    }

    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        response: Result<Response, reqwest::Error>,
    ) -> Result<T, ClientError> {
        let response = response.map_err(|error| self.unreachable(&error))?;
        let response = self.accepted(response).await?;
        let body = response
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|_| ClientError::Stranger(self.url.clone()))
    }

    /// The response if it is a success, else why it is not.
    async fn accepted(&self, response: Response) -> Result<Response, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = retry_after(response.headers());
        let body = response
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        if after.is_some() || status.is_server_error() {
            let reason = problem.map_or_else(|| status.to_string(), |problem| problem.error);
            return Err(ClientError::Busy { reason, after });
        }
        match problem {
            Some(problem) => Err(ClientError::Refused(problem.error)),
            None => Err(ClientError::Stranger(self.url.clone())),
        }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> ClientError {
        let mut cause = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        ClientError::Unreachable {
            url: self.url.clone(),
            reason: cause.to_string(),
        }
    }
}

/// When the server wants to be asked again.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Fails when the path is not a file that can be read.
pub fn check_file(path: &Path) -> Result<(), ClientError> {
    let metadata = std::fs::File::open(path).and_then(|file| file.metadata());
    match metadata {
        Ok(metadata) if metadata.is_dir() => {
            Err(unreadable(path, io::ErrorKind::IsADirectory.into()))
        }
        Ok(_) => Ok(()),
        Err(source) => Err(unreadable(path, source)),
    }
}

/// The file as a part of the form, read while it is sent.
async fn part(
    path: &Path,
    sent: impl Fn(u64) + Send + Sync + 'static,
) -> Result<Part, ClientError> {
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|source| unreadable(path, source))?;
    let metadata = file
        .metadata()
        .await
        .map_err(|source| unreadable(path, source))?;
    let name = path
        .file_name()
        .map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    let stream = ReaderStream::with_capacity(file, READ_SIZE)
        .inspect_ok(move |bytes| sent(bytes.len() as u64));
    Ok(Part::stream_with_length(Body::wrap_stream(stream), metadata.len()).file_name(name))
}

fn unreadable(path: &Path, source: io::Error) -> ClientError {
    ClientError::File {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_http() {
        for url in [
            "http://127.0.0.1:8000",
            "http://localhost:8000/",
            "http://[::1]:80",
            "http://host/quire",
        ] {
            assert!(!Client::new(url).unwrap().url().ends_with('/'), "{url}");
        }
        for url in [
            "https://host",
            "localhost:8000",
            "ftp://host",
            "http://",
            "",
            "http://host/?a=1",
        ] {
            assert!(
                matches!(Client::new(url), Err(ClientError::BadUrl(_))),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable_and_named() {
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let error = Client::new(&format!("http://{free}"))
            .unwrap()
            .probe()
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ClientError::Unreachable { url, .. } if url.contains(&free.to_string())),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_and_a_directory_are_named() {
        for path in ["/does/not/exist.pdf", "/"] {
            let error = check_file(Path::new(path)).unwrap_err();
            assert!(
                matches!(&error, ClientError::File { path: named, .. } if named == path),
                "{error}"
            );
        }
    }
}
