//! An HTTP client of the contract: uploads, job views, waiting for an end.

use std::time::Duration;

use reqwest::{Response, StatusCode, multipart};
use serde_json::Value;

use super::TestApp;

/// No job of these tests takes longer; one that does is stuck.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A multipart upload under construction. Fields are sent in the order they are added.
#[derive(Default)]
pub struct Upload {
    form: multipart::Form,
    idempotency_key: Option<String>,
}

impl Upload {
    /// A file and a prompt.
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>, prompt: &str) -> Self {
        Self::default().file(name, bytes).text("prompt", prompt)
    }

    /// Adds the file.
    pub fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.form = self.form.part(
            "file",
            multipart::Part::bytes(bytes.into()).file_name(name.to_owned()),
        );
        self
    }

    /// Adds a text field.
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.form = self.form.text(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a part as it is.
    pub fn part(mut self, name: &str, part: multipart::Part) -> Self {
        self.form = self.form.part(name.to_owned(), part);
        self
    }

    /// Sends `Idempotency-Key`.
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.to_owned());
        self
    }

    /// Sends it.
    pub async fn send(self, app: &TestApp) -> Response {
        self.send_to(&app.http, &app.base).await
    }

    /// Sends it to another server.
    pub async fn send_to(self, http: &reqwest::Client, base: &str) -> Response {
        let mut request = http.post(format!("{base}/api/upload")).multipart(self.form);
        if let Some(key) = self.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        request.send().await.unwrap()
    }

    /// Sends it to a server that may die meanwhile; status and JSON of an answer that came whole.
    pub async fn try_send_to(
        self,
        http: &reqwest::Client,
        base: &str,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request = http.post(format!("{base}/api/upload")).multipart(self.form);
        if let Some(key) = self.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await?;
        Ok((response.status(), response.json().await?))
    }

    /// Sends it, expects success, returns the job id.
    pub async fn accepted(self, app: &TestApp) -> String {
        let response = self.send(app).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body["data"]["job_id"].as_str().unwrap().to_owned()
    }
}

impl TestApp {
    /// GET.
    pub async fn get(&self, path: &str) -> Response {
        self.http
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap()
    }

    /// POST of an empty JSON object.
    pub async fn post(&self, path: &str) -> Response {
        self.http
            .post(format!("{}{path}", self.base))
            .json(&serde_json::json!({}))
            .send()
            .await
            .unwrap()
    }

    /// GET, expects 200 and JSON.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The `data` of a job's view.
    pub async fn job(&self, id: &str) -> Value {
        self.json(&format!("/api/jobs/{id}")).await["data"].clone()
    }

    /// Waits by long poll until the job has ended; returns its view.
    pub async fn ended(&self, id: &str) -> Value {
        let waiting = async {
            loop {
                let job = self.json(&format!("/api/jobs/{id}?wait=20")).await["data"].clone();
                if matches!(
                    job["status"].as_str(),
                    Some("completed" | "failed" | "cancelled")
                ) {
                    return job;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("job {id} did not end"))
    }

    /// Waits until the job has completed; returns its answer.
    pub async fn answer(&self, id: &str) -> String {
        let job = self.ended(id).await;
        assert_eq!(job["status"], "completed", "{job}");
        job["ai_response"].as_str().unwrap().to_owned()
    }
}
