//! HTTP written by hand, for what no client library sends: broken framing, cut bodies, slow senders.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::client::PATIENCE;

/// A TCP connection to the server.
pub struct Raw {
    stream: TcpStream,
    /// Read, and not yet part of a reply.
    unread: Vec<u8>,
}

/// A reply as it came.
#[derive(Debug)]
pub struct Reply {
    /// Status code; 100 for an interim reply.
    pub status: u16,
    /// Status line and headers.
    #[expect(dead_code, reason = "shown when a test fails")]
    pub head: String,
    /// Body, still in chunks if it was sent so.
    pub body: String,
}

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            unread: Vec::new(),
        }
    }

    /// Sends bytes; false when the server has closed.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Says that nothing more will be sent, and reads on.
    pub async fn finish(&mut self) {
        // Fails when the server was first.
        let _ = self.stream.shutdown().await;
    }

    /// Ends the connection with a reset, as the death of the client's machine or program does.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// The next reply; `None` when the server closes without one.
    pub async fn reply(&mut self) -> Option<Reply> {
        loop {
            if let Some(reply) = self.take() {
                return Some(reply);
            }
            let mut buffer = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .expect("the server stayed silent");
            match read {
                Ok(length @ 1..) => self.unread.extend_from_slice(&buffer[..length]),
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> String {
        let mut text = std::mem::take(&mut self.unread);
        let reading = self.stream.read_to_end(&mut text);
        // A reset ends it like a close.
        let _ = timeout(PATIENCE, reading)
            .await
            .expect("the server did not close");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A whole reply from what was read.
    fn take(&mut self) -> Option<Reply> {
        let text = String::from_utf8_lossy(&self.unread).into_owned();
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let status: u16 = head.split(' ').nth(1)?.parse().unwrap();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
        };
        let length = if status == 100 {
            0
        } else if let Some(length) = header("content-length") {
            length.parse().unwrap()
        } else if header("transfer-encoding").is_some() {
            rest.find("0\r\n\r\n")? + 5
        } else {
            0
        };
        let body = rest.get(..length)?.to_owned();
        let head = head.to_owned();
        self.unread.drain(..head.len() + 4 + length);
        Some(Reply { status, head, body })
    }
}

/// The body of an upload: a file and a prompt, with the boundary `B`.
pub fn form(name: &str, file: &[u8], prompt: &str) -> Vec<u8> {
    let mut body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n{prompt}\r\n\
         --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--B--\r\n");
    body
}

/// The head of an upload with such a body. `more` are further header lines, each with its end.
pub fn head(more: &str) -> String {
    format!(
        "POST /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n{more}\r\n"
    )
}

/// The head of an upload whose body has this length.
pub fn sized(length: usize, more: &str) -> String {
    head(&format!("Content-Length: {length}\r\n{more}"))
}
