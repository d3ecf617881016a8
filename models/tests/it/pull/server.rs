//! A web server for the tests of downloads: answers each request as a closure says, and remembers what was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Path of the address.
    pub(super) path: String,
    /// First position that is wanted, when the request has a range.
    pub(super) start: Option<usize>,
}

/// What to answer.
pub(super) struct Reply {
    status: u16,
    content_range: Option<String>,
    body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    cut: usize,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            content_range: None,
            body: Vec::new(),
            cut: usize::MAX,
        }
    }

    /// The whole content, whatever part was asked for.
    pub(super) fn whole(body: &[u8]) -> Self {
        Self {
            body: body.to_vec(),
            ..Self::status(200)
        }
    }

    /// The part that was asked for, as a good server answers.
    pub(super) fn part(body: &[u8], request: &Request) -> Self {
        match request.start {
            None => Self::whole(body),
            Some(start) if start >= body.len() => Self::status(416),
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
                Self {
                    content_range: Some(range),
                    body: body[start..].to_vec(),
                    ..Self::status(206)
                }
            }
        }
    }

    /// The same answer, broken off after some bytes of the body.
    pub(super) fn cut_after(self, bytes: usize) -> Self {
        Self { cut: bytes, ..self }
    }

    fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let range = self
            .content_range
            .as_ref()
            .map_or_else(String::new, |range| format!("Content-Range: {range}\r\n"));
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n{range}\r\n",
            self.status,
            self.body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body[..self.body.len().min(self.cut)])?;
        stream.shutdown(Shutdown::Both)
    }
}

/// A server on a free port, until it is dropped.
pub(super) struct Server {
    /// Its address, for `HF_ENDPOINT`.
    pub(super) url: String,
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let (log, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        let serve = move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let request = read_request(&stream);
                log.lock().unwrap().push(request.clone());
                // The client may hang up early; that is its business.
                answer(&request).send(&mut stream).ok();
            }
        };
        Self {
            url: format!("http://{address}"),
            address,
            asked,
            stop,
            thread: Some(std::thread::spawn(serve)),
        }
    }

    /// All requests so far.
    pub(super) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread out of its wait for a connection.
        TcpStream::connect(self.address).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut lines = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    let path = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let range = lines.find_map(|line| {
        line.to_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    Request {
        path,
        start: range.map(|range| range.trim_end_matches('-').parse().unwrap()),
    }
}
