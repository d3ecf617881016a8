//! Gives up on a client that sends its body too slowly.
//!
//! A client that says a byte every few seconds would hold a connection, and for an upload a file, for as long as it likes.
//! Only time spent waiting for the client counts: a slow disk or a busy server is not its fault. A body that was
//! received quickly may rest for longer than one that never came.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Time that every body has, however slow it is: a phone that changes its network.
const GRACE: Duration = Duration::from_secs(10);

/// Bytes that buy one more second: a thousandth of a slow mobile connection.
const LEAST_RATE: f64 = 1024.0;

/// Longest silence, whatever was received before.
const IDLE: Duration = Duration::from_secs(30);

/// Whether a request's body was given up.
#[derive(Clone, Debug, Default)]
pub struct Stalled(Arc<AtomicBool>);

impl Stalled {
    /// It was: whatever the handler made of that, the client was too slow.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The request body arrived too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the request body arrives too slowly")]
pub struct TooSlow;

/// Watches the request's body, if it has one.
pub fn watch(request: Request) -> (Request, Stalled) {
    let stalled = Stalled::default();
    if request.body().is_end_stream() {
        return (request, stalled);
    }
    let (parts, inner) = request.into_parts();
    let body = Watched {
        inner,
        received: 0,
        waited: Duration::ZERO,
        waiting: None,
        stalled: stalled.clone(),
    };
    (Request::from_parts(parts, Body::new(body)), stalled)
}

/// A body that breaks off when its client is too slow.
struct Watched {
    inner: Body,
    /// Bytes so far.
    received: u64,
    /// Time so far that was spent waiting for the client.
    waited: Duration,
    /// Since when the client is being waited for, and when it is given up.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    stalled: Stalled,
}

impl Watched {
    /// How long the next wait may take.
    fn allowed(&self) -> Duration {
        let bought = Duration::from_secs_f64(self.received as f64 / LEAST_RATE);
        (GRACE + bought).saturating_sub(self.waited).min(IDLE)
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_pending() {
            let allowed = self.allowed();
            let (_, limit) = self.waiting.get_or_insert_with(|| {
                let now = Instant::now();
                (now, Box::pin(tokio::time::sleep_until(now + allowed)))
            });
            ready!(limit.as_mut().poll(cx));
            self.stalled.0.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    /// A client that sends `sizes`, each after a pause.
    fn sent(sizes: Vec<(Duration, usize)>) -> (Body, Stalled) {
        let pieces = stream::unfold(sizes.into_iter(), async |mut sizes| {
            let (pause, size) = sizes.next()?;
            tokio::time::sleep(pause).await;
            let piece = Ok::<_, Infallible>(Bytes::from(vec![b'x'; size]));
            Some((piece, sizes))
        });
        let (request, stalled) = watch(Request::new(Body::from_stream(pieces)));
        (request.into_body(), stalled)
    }

    /// When the body was given up, or how many bytes came.
    async fn outcome(sizes: Vec<(Duration, usize)>) -> Result<usize, Duration> {
        let (body, stalled) = sent(sizes);
        let started = Instant::now();
        let collected = body.collect().await;
        assert_eq!(stalled.happened(), collected.is_err());
        collected
            .map(|body| body.to_bytes().len())
            .map_err(|_| started.elapsed())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_body_at_the_least_rate_arrives() {
        assert_eq!(outcome(vec![(SECOND, 1100); 600]).await, Ok(660_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_given_up_after_the_grace() {
        let given_up = outcome(vec![(SECOND, 1); 600]).await.unwrap_err();
        assert!(
            given_up >= GRACE && given_up < GRACE + 2 * SECOND,
            "{given_up:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_given_up_even_after_much() {
        let sizes = vec![(SECOND, 10 << 20), (600 * SECOND, 1)];
        let given_up = outcome(sizes).await.unwrap_err();
        assert_eq!(given_up, SECOND + IDLE);
        let nothing = outcome(vec![(600 * SECOND, 1)]).await.unwrap_err();
        assert_eq!(nothing, GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_its_time_costs_the_client_nothing() {
        let (mut body, _) = sent(vec![(Duration::ZERO, 10); 100]);
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().into_data().unwrap().len();
            tokio::time::sleep(SECOND).await;
        }
        assert_eq!(received, 1000);
    }
}
