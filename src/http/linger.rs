//! Lets a client read an error that was sent before its request body was.
//!
//! A server that answers 413 and closes while the client is still sending makes the client's kernel throw the answer away
//! (TCP reset), and a browser then shows "network error" instead of the reason. So the error goes out at once and the
//! connection goes on reading, and forgetting, what the client sends, for a short while. A client that waits for
//! `100 Continue` has sent nothing yet and is not waited for.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

/// Longest time given to a client to finish sending: several GB over loopback, and short enough to bound an attacker.
const LINGER: Duration = Duration::from_secs(5);

/// A client that sends nothing for this long has read the answer or is gone.
const LINGER_IDLE: Duration = Duration::from_secs(1);

/// The rest of a request body, held beside the handler that reads it.
#[derive(Debug)]
pub struct Rest(Arc<Mutex<Shared>>);

/// A request body with two readers, one after the other: the handler, then [`Rest::linger`].
#[derive(Debug)]
struct Shared {
    /// The body as the server gave it.
    body: Body,
    /// Somebody has asked for data, so a client that waited for `100 Continue` sends by now.
    started: bool,
    /// The end, or an error, was seen.
    ended: bool,
    /// The client waits for `100 Continue`.
    expects: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, axum::Error>>>;

impl Shared {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        self.started = true;
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(&polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

/// Keeps a second handle on the request's body; `None` when there is no body.
pub fn share(request: Request) -> (Request, Option<Rest>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let expects = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let shared = Arc::new(Mutex::new(Shared {
        body,
        started: false,
        ended: false,
        expects,
    }));
    let request = Request::from_parts(parts, Body::new(Half(shared.clone())));
    (request, Some(Rest(shared)))
}

impl Rest {
    /// Sends the response and then reads on, unless the request body has been received whole.
    pub fn linger(self, response: Response) -> Response {
        if self.nothing_to_come() {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        // With a known length the server would close as soon as the last byte is out.
        parts.headers.remove(CONTENT_LENGTH);
        let now = Instant::now();
        let lingering = Lingering {
            reply: Some(body),
            rest: self.0,
            idle: Box::pin(tokio::time::sleep_until(now + LINGER_IDLE)),
            end: now + LINGER,
        };
        Response::from_parts(parts, Body::new(lingering))
    }

    fn nothing_to_come(&self) -> bool {
        let mut shared = self.0.lock();
        if shared.expects && !shared.started {
            return true;
        }
        let mut cx = Context::from_waker(Waker::noop());
        while !shared.ended {
            if shared.poll(&mut cx).is_pending() {
                return false;
            }
        }
        true
    }
}

/// The handler's end of a shared body.
struct Half(Arc<Mutex<Shared>>);

impl HttpBody for Half {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        self.0.lock().poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

/// A response body that ends when the request body has ended, or the client was given long enough.
struct Lingering {
    /// What the client is told; `None` once it has been handed to the server.
    reply: Option<Body>,
    /// What the client still sends.
    rest: Arc<Mutex<Shared>>,
    /// Runs out when nothing was received for a while.
    idle: Pin<Box<Sleep>>,
    /// When lingering ends at the latest.
    end: Instant,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        if let Some(reply) = &mut self.reply {
            match Pin::new(reply).poll_frame(cx) {
                Poll::Ready(None) => self.reply = None,
                polled => return polled,
            }
        }
        loop {
            let polled = self.rest.lock().poll(cx);
            match polled {
                Poll::Ready(Some(Ok(_))) => {
                    let quiet = (Instant::now() + LINGER_IDLE).min(self.end);
                    self.idle.as_mut().reset(quiet);
                }
                Poll::Ready(None | Some(Err(_))) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        self.idle.as_mut().poll(cx).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware::from_fn, response::IntoResponse, routing::post};
    use http::StatusCode;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// More than the buffers of both ends of a connection hold.
    const LARGE: usize = 32 * 1024 * 1024;

    /// A server that answers 413 without reading.
    async fn connect() -> TcpStream {
        async fn edge(request: Request, next: axum::middleware::Next) -> Response {
            let (request, rest) = share(request);
            let response = next.run(request).await;
            match rest {
                Some(rest) => rest.linger(response),
                None => response,
            }
        }
        let refuse = || async { (StatusCode::PAYLOAD_TOO_LARGE, "too large").into_response() };
        let app = Router::new().route("/", post(refuse)).layer(from_fn(edge));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        TcpStream::connect(address).await.unwrap()
    }

    async fn read_until(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        let mut buffer = [0; 1024];
        while !text.contains(end) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        text
    }

    #[tokio::test]
    async fn a_client_that_sends_everything_first_reads_the_answer() {
        let mut stream = connect().await;
        stream
            .write_all(
                format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes(),
            )
            .await
            .unwrap();
        stream
            .write_all(&vec![b'x'; LARGE])
            .await
            .expect("the server keeps reading");
        let answer = read_until(&mut stream, "\r\n0\r\n\r\n").await;
        assert!(
            answer.starts_with("HTTP/1.1 413 ") && answer.contains("too large"),
            "{answer}"
        );
        // The connection is still good for the next request.
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        assert!(
            read_until(&mut stream, "\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 405 ")
        );
    }

    #[tokio::test]
    async fn the_answer_does_not_wait_for_the_body() {
        let mut stream = connect().await;
        stream
            .write_all(
                format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes(),
            )
            .await
            .unwrap();
        assert!(
            read_until(&mut stream, "too large")
                .await
                .starts_with("HTTP/1.1 413 ")
        );
    }

    #[tokio::test]
    async fn a_client_that_asked_first_is_not_told_to_send() {
        let mut stream = connect().await;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {LARGE}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "too large").await;
        assert!(
            answer.starts_with("HTTP/1.1 413 ") && answer.contains("content-length: 9"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn a_body_that_was_received_changes_nothing() {
        let mut stream = connect().await;
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
            .await
            .unwrap();
        assert!(
            read_until(&mut stream, "too large")
                .await
                .contains("content-length: 9")
        );
    }
}
