//! Follows one job over a `quire.v1` socket until it ends, through lost connections and restarts of the server.
//!
//! The cursor is the last `seq` that was heard; a new connection begins behind it, so nothing is missed. A text that arrives
//! twice after a resume is recognised by its offset, which is the listener's business.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{ClientRequestBuilder, Error, Message},
};
use uuid::Uuid;

use super::{Client, ClientError};

/// How long a server may be away before the job is given up: a restart takes some seconds, a reboot half a minute.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two attempts to connect.
const REDIAL: Duration = Duration::from_millis(500);

/// The server pings every 30 s; who is silent for three of them is gone.
const SILENCE: Duration = Duration::from_secs(90);

/// What a server says that cannot reach its database: worth another connection.
const OVERLOADED: &str = "overloaded";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Something about the job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Said {
    /// It got further.
    JobUpdate {
        /// 0..=100
        progress: u8,
        /// `extract` or `answer`.
        stage: String,
    },
    /// A part of the answer.
    AiChunk {
        /// Where it belongs, in bytes.
        offset: u64,
        /// The text.
        chunk: String,
    },
    /// The end: the answer.
    JobCompleted {
        /// All of it.
        ai_response: String,
    },
    /// The end: an error.
    JobFailed {
        /// In words.
        error: String,
        /// For programs.
        code: String,
    },
    /// The answer starts again.
    Restarted,
    /// It waits.
    QueuePosition {
        /// 1 is next.
        position: Option<i64>,
    },
    /// Its state, in place of its history.
    Resync {
        /// As the server stores it.
        status: String,
        /// The answer so far.
        partial: String,
        /// Why it failed.
        error: Option<String>,
    },
    /// The server did not understand or will not.
    Error {
        /// For programs.
        code: String,
        /// In words.
        message: String,
    },
    /// Something a newer server says.
    #[serde(other)]
    Other,
}

impl Said {
    /// Nothing follows.
    pub fn is_end(&self) -> bool {
        match self {
            Self::JobCompleted { .. } | Self::JobFailed { .. } | Self::Error { .. } => true,
            Self::Resync { status, .. } => matches!(
                status.as_str(),
                "completed" | "failed" | "cancelled" | "dead"
            ),
            _ => false,
        }
    }
}

#[derive(Deserialize)]
struct Numbered {
    seq: Option<i64>,
    #[serde(flatten)]
    said: Said,
}

impl Client {
    /// Tells `listen` everything about the job until it ends; the last thing told is its end.
    pub async fn follow(
        &self,
        job: Uuid,
        mut listen: impl FnMut(&Said),
    ) -> Result<Said, ClientError> {
        let mut since = None;
        let mut heard_at = Instant::now();
        loop {
            let reason = match self
                .listen(job, &mut since, &mut heard_at, &mut listen)
                .await
            {
                Ok(end) => return Ok(end),
                Err(error) => error.to_string(),
            };
            if heard_at.elapsed() > PATIENCE {
                return Err(ClientError::Unreachable {
                    url: self.url.clone(),
                    reason,
                });
            }
            sleep(REDIAL).await;
        }
    }

    /// One connection: from the hello to the job's end, or to the loss of the connection.
    async fn listen(
        &self,
        job: Uuid,
        since: &mut Option<i64>,
        heard_at: &mut Instant,
        listen: &mut impl FnMut(&Said),
    ) -> Result<Said, Error> {
        let mut socket = self.connect(job, *since).await?;
        loop {
            let message = match timeout(SILENCE, socket.next()).await {
                Ok(Some(message)) => message?,
                Ok(None) | Err(_) => return Err(Error::ConnectionClosed),
            };
            *heard_at = Instant::now();
            let Message::Text(text) = message else {
                continue;
            };
            // A frame that cannot be read is one of a newer server.
            let Ok(Numbered { seq, said }) = serde_json::from_str(text.as_str()) else {
                continue;
            };
            if matches!(&said, Said::Error { code, .. } if code == OVERLOADED) {
                return Err(Error::ConnectionClosed);
            }
            *since = seq.or(*since);
            listen(&said);
            if said.is_end() {
                // The end is known; whether the server hears the goodbye changes nothing.
                let _ = socket.close(None).await;
                return Ok(said);
            }
        }
    }

    async fn connect(&self, job: Uuid, since: Option<i64>) -> Result<Socket, Error> {
        let url = format!("{}/ws", self.url.replacen("http", "ws", 1));
        let uri = url.parse().map_err(|_| {
            Error::Url(tokio_tungstenite::tungstenite::error::UrlError::UnsupportedUrlScheme)
        })?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol("quire.v1");
        let (mut socket, _) = connect_async(request).await?;
        let hello = json!({"type": "hello", "topics": [format!("job:{job}")], "since": since});
        socket.send(Message::text(hello.to_string())).await?;
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_tungstenite::{
        accept_hdr_async,
        tungstenite::handshake::server::{ErrorResponse, Request, Response},
    };

    use super::*;

    fn read(text: &str) -> (Option<i64>, Said) {
        let Numbered { seq, said } = serde_json::from_str(text).unwrap();
        (seq, said)
    }

    #[test]
    fn frames_are_read() {
        let (seq, said) =
            read(r#"{"type":"ai_chunk","seq":9,"ts":"x","job_id":"y","offset":3,"chunk":"abc"}"#);
        assert_eq!(
            (seq, said),
            (
                Some(9),
                Said::AiChunk {
                    offset: 3,
                    chunk: "abc".into()
                }
            )
        );
        let (seq, said) =
            read(r#"{"type":"queue_position","ts":"x","job_id":"y","position":null}"#);
        assert_eq!((seq, said), (None, Said::QueuePosition { position: None }));
        assert_eq!(
            read(r#"{"type":"notification","seq":1,"what":{}}"#),
            (Some(1), Said::Other)
        );
        assert_eq!(
            read(r#"{"type":"restarted","seq":2,"attempt":2}"#).1,
            Said::Restarted
        );
    }

    #[test]
    fn only_ends_end() {
        assert!(
            read(r#"{"type":"job_failed","error":"no","code":"x"}"#)
                .1
                .is_end()
        );
        assert!(
            read(r#"{"type":"resync","status":"completed","partial":"42"}"#)
                .1
                .is_end()
        );
        assert!(
            !read(r#"{"type":"resync","status":"running","partial":"4"}"#)
                .1
                .is_end()
        );
        assert!(!Said::Other.is_end());
    }

    #[expect(
        clippy::result_large_err,
        clippy::unnecessary_wraps,
        reason = "the signature is tungstenite's"
    )]
    fn speaks_v1(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        response.headers_mut().insert(
            "sec-websocket-protocol",
            http::HeaderValue::from_static("quire.v1"),
        );
        Ok(response)
    }

    /// A server that breaks the connection after the first part and goes on behind the cursor on the second one.
    async fn flaky_server(listener: TcpListener) -> Vec<String> {
        let mut hellos = Vec::new();
        let frames = [
            r#"{"type":"ai_chunk","seq":7,"offset":0,"chunk":"4"}"#,
            r#"{"type":"job_completed","seq":8,"ai_response":"42"}"#,
        ];
        for frame in frames {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_hdr_async(stream, speaks_v1).await.unwrap();
            hellos.push(
                socket
                    .next()
                    .await
                    .unwrap()
                    .unwrap()
                    .into_text()
                    .unwrap()
                    .to_string(),
            );
            socket.send(Message::text(frame)).await.unwrap();
        }
        hellos
    }

    #[tokio::test]
    async fn a_lost_connection_is_resumed_behind_the_last_frame() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let job = Uuid::nil();
        let mut told = Vec::new();
        let (hellos, end) = tokio::join!(
            flaky_server(listener),
            client.follow(job, |said| told.push(said.clone()))
        );
        assert_eq!(
            end.unwrap(),
            Said::JobCompleted {
                ai_response: "42".into()
            }
        );
        assert_eq!(told.len(), 2);
        let hello = |since: Option<u64>| {
            let topics = ["job:00000000-0000-0000-0000-000000000000"];
            json!({"type": "hello", "topics": topics, "since": since})
        };
        let hellos: Vec<serde_json::Value> = hellos
            .iter()
            .map(|hello| serde_json::from_str(hello).unwrap())
            .collect();
        assert_eq!(hellos, [hello(None), hello(Some(7))]);
    }
}
