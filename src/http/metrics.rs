//! `/metrics` in Prometheus's text format: what the edge of this process counts itself, and what the database knows.
//!
//! Labels are bounded: a route's pattern, a known method, a status, a queue, a state. The recorder is the process's own, because
//! the `metrics` facade has one slot; the queue's numbers are asked for when somebody reads them (`stored`). `docs/metrics.md`
//! lists every name, and a test compares the two.

mod exposition;
pub mod stored;

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use axum::extract::State;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use crate::app::AppState;

/// Requests by method, route and status.
const REQUESTS: &str = "quire_http_requests_total";

/// Time from the request's head to the response's head, in seconds.
const DURATION: &str = "quire_http_request_duration_seconds";

/// Uploads accepted into the file store, by media type.
const UPLOADS: &str = "quire_uploads_total";

/// Readings of the jobs that run or have just ended, each for one or many sockets.
const SOCKET_READINGS: &str = "quire_socket_readings_total";

/// Bytes of those uploads.
const UPLOAD_BYTES: &str = "quire_upload_bytes_total";

/// Open sockets, by protocol.
const SOCKETS: &str = "quire_sockets_open";

/// Upper bounds in seconds of every histogram: from a cached read to a long poll.
const BUCKETS: [f64; 11] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0,
];

/// How often the observations of a histogram are folded into its buckets; until then each costs 8 bytes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The text format's version that Prometheus asks for.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process's recorder and when it was last tidied.
struct Recorder {
    handle: PrometheusHandle,
    tidied: Mutex<Instant>,
}

/// Shows the numbers of this process and of the queue.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn show(
    State(state): State<AppState>,
) -> ([(http::HeaderName, &'static str); 1], String) {
    // Without the database the process's own numbers are worth the more.
    let queue = state.queue_numbers.text(&state.store).await;
    let mut text = recorder().handle.render();
    text.push_str(&stored::process(&state.store.process_numbers()));
    text.push_str(&queue);
    ([(CONTENT_TYPE, TEXT_FORMAT)], text)
}

/// Takes the process's slot for a recorder; before that, nothing is counted.
pub fn install() {
    recorder();
}

/// Counts one answered request.
pub fn count_request(method: &'static str, route: &str, status: u16, elapsed: Duration) {
    let recorder = recorder();
    let route = route.to_owned();
    metrics::counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string()).increment(1);
    metrics::histogram!(DURATION, "method" => method, "route" => route).record(elapsed);
    recorder.tidy();
}

/// Counts one reading of the jobs that run or have just ended.
pub fn count_socket_reading() {
    metrics::counter!(SOCKET_READINGS).increment(1);
}

/// Counts one upload that reached the file store.
pub fn count_upload(media: &'static str, bytes: u64) {
    metrics::counter!(UPLOADS, "media" => media).increment(1);
    metrics::counter!(UPLOAD_BYTES, "media" => media).increment(bytes);
}

/// A socket that is counted as open for as long as this lives.
#[derive(Debug)]
pub struct OpenSocket(&'static str);

impl OpenSocket {
    /// Counts a socket; `protocol` is `contract` or the name of a subprotocol.
    pub fn new(protocol: &'static str) -> Self {
        metrics::gauge!(SOCKETS, "protocol" => protocol).increment(1.0);
        Self(protocol)
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        metrics::gauge!(SOCKETS, "protocol" => self.0).decrement(1.0);
    }
}

/// The recorder, installed at first use.
fn recorder() -> &'static Recorder {
    static RECORDER: OnceLock<Recorder> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .expect("the buckets are not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::error!("another metrics recorder is installed, /metrics stays empty");
        }
        describe();
        Recorder {
            handle,
            tidied: Mutex::new(Instant::now()),
        }
    })
}

fn describe() {
    metrics::describe_counter!(
        SOCKET_READINGS,
        "Readings of the jobs that run or have just ended, each for one or many sockets."
    );
    metrics::describe_counter!(REQUESTS, "Requests by method, route and status.");
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time to the head of the response."
    );
    metrics::describe_counter!(UPLOADS, "Uploads that reached the file store.");
    metrics::describe_counter!(
        UPLOAD_BYTES,
        metrics::Unit::Bytes,
        "Bytes of uploads that reached the file store."
    );
    metrics::describe_gauge!(SOCKETS, "Open WebSockets, by protocol.");
}

impl Recorder {
    /// Keeps histograms small in a process that nobody scrapes.
    fn tidy(&self) {
        let Some(mut tidied) = self.tidied.try_lock() else {
            return;
        };
        if tidied.elapsed() >= UPKEEP {
            *tidied = Instant::now();
            self.handle.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        install();
        count_request("GET", "/test/{id}", 418, Duration::from_millis(3));
        count_request("GET", "/test/{id}", 418, Duration::from_millis(70));
        count_upload("tsv", 1234);
        let text = recorder().handle.render();
        for line in [
            r#"quire_http_requests_total{method="GET",route="/test/{id}",status="418"} 2"#,
            r#"quire_http_request_duration_seconds_bucket{method="GET",route="/test/{id}",le="0.005"} 1"#,
            r#"quire_http_request_duration_seconds_bucket{method="GET",route="/test/{id}",le="0.1"} 2"#,
            r#"quire_upload_bytes_total{media="tsv"} 1234"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
