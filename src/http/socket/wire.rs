//! One WebSocket connection: writes that cannot hang, a heartbeat, and the reasons why it ends.
//!
//! It does not buffer. A frame is written before the next one is taken from the ring of frames, and that ring is the
//! bounded queue of a slow client: who falls out of it is brought up to date from the table.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// Largest message that a client may send.
pub(super) const MESSAGE_LIMIT: usize = 64 * 1024;

/// Largest message that is read in order to be refused with a close code instead of a broken connection.
pub(super) const READ_LIMIT: usize = 1024 * 1024;

/// What one read of a socket takes in: clients say little, and every idle socket keeps this.
pub(super) const READ_BUFFER: usize = 1024;

/// Longest time for one write: the client's side has been full for so long.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Pause between two pings.
const PING_EVERY: Duration = Duration::from_secs(30);

/// A client that was silent for three pings is gone.
const DEAD_AFTER: Duration = Duration::from_secs(90);

/// How long the other side gets to read the close frame and answer it.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Close code of this API for a client that does not read fast enough.
const TOO_SLOW: u16 = 4408;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client went away, or said goodbye.
    Gone,
    /// It did not read for [`WRITE_LIMIT`].
    TooSlow,
    /// It sent more than [`MESSAGE_LIMIT`] at once.
    TooBig,
    /// The server stops: come back at once, to whoever answers then.
    Restart,
    /// The events cannot be read.
    Broken,
}

impl End {
    /// Code and reason of the close frame; a client that is gone gets none.
    fn close_frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::TooSlow => (TOO_SLOW, "the client reads too slowly"),
            Self::TooBig => (close_code::SIZE, "messages may have 65536 bytes"),
            Self::Restart => (close_code::RESTART, "the server restarts"),
            Self::Broken => (close_code::ERROR, "internal error"),
        };
        Some(CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        })
    }
}

/// What a client sent.
#[derive(Debug)]
pub(super) enum Heard {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message, which no protocol here uses.
    Binary,
}

/// A connection with its heartbeat.
pub(super) struct Wire {
    socket: WebSocket,
    heard_at: Instant,
    ping: Interval,
}

impl Wire {
    /// Takes over an upgraded socket.
    pub(super) fn new(socket: WebSocket) -> Self {
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            heard_at: Instant::now(),
            ping,
        }
    }

    /// The next message; pings and answers pings meanwhile. May be dropped and called again.
    pub(super) async fn hear(&mut self) -> Result<Heard, End> {
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    if let Some(heard) = self.take(message)? {
                        return Ok(heard);
                    }
                }
                _ = self.ping.tick() => self.check_pulse().await?,
            }
        }
    }

    /// Writes a frame.
    pub(super) async fn say(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.write(Message::Text(text)).await
    }

    /// Says why and waits a moment for the client to hear it: a socket that is closed with unread input
    /// would be reset, and the close frame lost.
    pub(super) async fn close(mut self, end: End) {
        let Some(frame) = end.close_frame() else {
            return;
        };
        let goodbye = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // A client that does not answer is left to the kernel.
        let _ = timeout(CLOSE_LIMIT, goodbye).await;
    }

    fn take(
        &mut self,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<Option<Heard>, End> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) if is_capacity(&error) => return Err(End::TooBig),
            Some(Err(_)) | None => return Err(End::Gone),
        };
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) if text.len() > MESSAGE_LIMIT => Err(End::TooBig),
            Message::Binary(bytes) if bytes.len() > MESSAGE_LIMIT => Err(End::TooBig),
            Message::Text(text) => Ok(Some(Heard::Text(text))),
            Message::Binary(_) => Ok(Some(Heard::Binary)),
            Message::Ping(_) | Message::Pong(_) => Ok(None),
            Message::Close(_) => Err(End::Gone),
        }
    }

    async fn check_pulse(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() >= DEAD_AFTER {
            return Err(End::Gone);
        }
        self.write(Message::Ping(axum::body::Bytes::new())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        match timeout(WRITE_LIMIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::TooSlow),
        }
    }
}

/// The message was larger than [`READ_LIMIT`]. The error's type belongs to a version of tungstenite that only axum knows.
fn is_capacity(error: &axum::Error) -> bool {
    error.to_string().contains("too long")
}
