//! A request body in small pieces, so that the multipart parser needs constant memory whatever a client sends.
//!
//! The parser takes everything that is ready into its buffer, and looks for the end of a part's header through as much as
//! it is given. Two rules bound it: after each piece the body pauses once, and it breaks off when more than
//! `MAX_UNPARSED` bytes went in and nothing came out.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Size of a piece; as large as what the server reads at once, so that pacing costs nothing.
const PIECE: usize = 64 * 1024;

/// Bytes that may go into the parser before something comes out: a preamble or a part's header, with room to spare.
const MAX_UNPARSED: usize = 1024 * 1024;

/// How much went into the parser since something last came out.
#[derive(Clone, Debug, Default)]
pub struct Unparsed(Arc<AtomicUsize>);

impl Unparsed {
    /// To be called for everything that comes out.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// A part's header has no end.
#[derive(Debug, thiserror::Error)]
#[error("the form has {MAX_UNPARSED} bytes without a part")]
pub struct NoPart;

/// A body in pieces; see the module.
#[derive(Debug)]
pub struct PacedBody {
    /// The request's body.
    inner: Body,
    /// What is left of a frame larger than a piece.
    left: Bytes,
    /// A piece was handed out since the last pause.
    busy: bool,
    /// Shared with whoever reads the parser.
    unparsed: Unparsed,
}

impl PacedBody {
    /// The body in pieces, and the counter to reset.
    pub fn new(inner: Body) -> (Self, Unparsed) {
        let unparsed = Unparsed::default();
        (
            Self {
                inner,
                left: Bytes::new(),
                busy: false,
                unparsed: unparsed.clone(),
            },
            unparsed,
        )
    }

    fn piece(&mut self) -> Result<Frame<Bytes>, axum::Error> {
        let piece = self.left.split_to(self.left.len().min(PIECE));
        self.busy = true;
        if self.unparsed.0.fetch_add(piece.len(), Ordering::Relaxed) > MAX_UNPARSED {
            return Err(axum::Error::new(NoPart));
        }
        Ok(Frame::data(piece))
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if std::mem::take(&mut self.busy) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.left.is_empty() {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => self.left = frame.into_data().unwrap_or_default(),
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Some(self.piece()))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_bytes_are_the_same_in_pieces() {
        let whole: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        let (mut body, unparsed) = PacedBody::new(Body::from(whole.clone()));
        let mut received = Vec::new();
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE);
            received.extend_from_slice(&piece);
            unparsed.reset();
        }
        assert_eq!(received, whole);
    }

    #[tokio::test]
    async fn a_body_that_nothing_is_parsed_from_breaks_off() {
        let (mut body, _unparsed) = PacedBody::new(Body::from(vec![b'x'; 4 * MAX_UNPARSED]));
        let mut received = 0;
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(frame) => received += frame.into_data().unwrap().len(),
                Err(error) => break error,
            }
        };
        assert!(received <= MAX_UNPARSED + PIECE, "{received}");
        assert!(error.to_string().contains("without a part"), "{error}");
    }
}
