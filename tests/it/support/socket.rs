//! A WebSocket client that only listens, as the client of the contract does, and one that speaks `quire.v1`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

use super::client::PATIENCE;

/// A connected socket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What came next on a socket.
#[derive(Debug)]
pub enum Received {
    /// A text frame with its exact bytes.
    Frame(String),
    /// The server closed.
    Closed(Option<CloseCode>),
}

impl Socket {
    /// Connects and negotiates nothing.
    pub async fn connect(address: std::net::SocketAddr, path: &str) -> Self {
        let (stream, _) = connect_async(format!("ws://{address}{path}"))
            .await
            .unwrap();
        Self { stream }
    }

    /// Connects with subprotocol `quire.v1`.
    pub async fn connect_v1(address: std::net::SocketAddr) -> Self {
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", "quire.v1".parse().unwrap());
        let (stream, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "quire.v1");
        Self { stream }
    }

    /// Sends a JSON message.
    pub async fn send(&mut self, message: &Value) {
        self.stream
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// Sends any message; false when the connection is over.
    pub async fn send_message(&mut self, message: Message) -> bool {
        self.stream.send(message).await.is_ok()
    }

    /// The next frame or close.
    pub async fn next(&mut self) -> Received {
        self.next_within(PATIENCE)
            .await
            .expect("the socket stayed silent")
    }

    /// The next frame or close, if it comes in time.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Received> {
        let waiting = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => return Received::Frame(text.to_string()),
                    Some(Ok(Message::Close(frame))) => {
                        return Received::Closed(frame.map(|f| f.code));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Received::Closed(None),
                }
            }
        };
        tokio::time::timeout(limit, waiting).await.ok()
    }

    /// The next frame as JSON.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Received::Frame(text) => serde_json::from_str(&text).unwrap(),
            Received::Closed(code) => panic!("socket closed: {code:?}"),
        }
    }

    /// Exact frames of one job up to its end; frames of other jobs are left out.
    pub async fn until_end(&mut self, job: &str) -> Vec<String> {
        let mut frames = Vec::new();
        loop {
            let Received::Frame(text) = self.next().await else {
                panic!("socket closed after {frames:?}")
            };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["job_id"] != job {
                continue;
            }
            let end = matches!(frame["type"].as_str(), Some("job_completed" | "job_failed"));
            frames.push(text);
            if end {
                return frames;
            }
        }
    }
}
