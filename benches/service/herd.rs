//! Ten thousand listeners as a process of their own: this program started again with `herd PORT COUNT PATH`.
//!
//! A library client would need more memory for its ten thousand sockets than the server is allowed, so a listener here is a
//! TCP connection that has asked for the upgrade and looks for a word in what comes. Commands come on standard input,
//! one line each, and every one is answered with one line.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::{Semaphore, mpsc},
};

/// Connections that are being opened at once in the beginning; a storm has no such limit.
const OPENING: usize = 256;

/// Pause of a listener before it dials again, as long as nobody answers.
const REDIAL: Duration = Duration::from_millis(250);

/// What every listener waits for after it came back.
const END: &[u8] = b"job_completed";

/// The listeners, seen from the benchmark.
pub struct Herd {
    child: Child,
    commands: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Herd {
    /// Opens the sockets; with `hello` they speak `quire.v1`.
    pub fn open(port: u16, count: usize, hello: bool) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .args([
                "herd",
                &port.to_string(),
                &count.to_string(),
                &hello.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let replies = BufReader::new(child.stdout.take().unwrap());
        let mut herd = Self {
            child,
            commands,
            replies,
        };
        assert_eq!(herd.reply(), "open");
        herd
    }

    /// Waits until every listener has heard the end of a job since the last call; milliseconds since the epoch of each, in
    /// their order.
    pub fn heard(&mut self) -> Vec<u64> {
        writeln!(self.commands, "heard").unwrap();
        let times = self.reply();
        times
            .split_whitespace()
            .map(|time| time.parse().unwrap())
            .collect()
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Milliseconds since the epoch, to be compared between processes.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_millis() as u64
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    let status = status.unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// The process of the listeners; returns when its standard input ends.
#[expect(
    clippy::disallowed_methods,
    reason = "waits off the async threads for the sockets to open"
)]
pub fn run(runtime: &Runtime, arguments: &[String]) {
    let [port, count, hello] = arguments else {
        panic!("herd PORT COUNT HELLO, not {arguments:?}")
    };
    let (port, count) = (
        port.parse::<u16>().unwrap(),
        count.parse::<usize>().unwrap(),
    );
    let (heard, mut times) = mpsc::unbounded_channel();
    let (opened, opening) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Semaphore::new(OPENING)),
    );
    for number in 0..count {
        let listener = Listener {
            port,
            number,
            hello: hello == "true",
            heard: heard.clone(),
            opened: Arc::clone(&opened),
        };
        runtime.spawn(listener.live(Arc::clone(&opening)));
    }
    while opened.load(Ordering::Relaxed) < count {
        std::thread::sleep(Duration::from_millis(5));
    }
    say("open");
    for command in std::io::stdin().lines() {
        assert_eq!(command.unwrap(), "heard");
        // One report a listener; what a listener says twice is its next answer.
        let mut last = vec![VecDeque::new(); count];
        let mut missing = count;
        while missing > 0 {
            let (number, at): (usize, u64) = times.blocking_recv().unwrap();
            missing -= usize::from(last[number].is_empty());
            last[number].push_back(at);
        }
        let mut all: Vec<u64> = last.iter().map(|times| times[0]).collect();
        all.sort_unstable();
        let texts: Vec<String> = all.iter().map(u64::to_string).collect();
        say(&texts.join(" "));
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

struct Listener {
    port: u16,
    number: usize,
    hello: bool,
    heard: mpsc::UnboundedSender<(usize, u64)>,
    opened: Arc<AtomicUsize>,
}

impl Listener {
    /// Comes back for ever.
    async fn live(self, opening: Arc<Semaphore>) {
        let mut first = Some(opening.acquire_owned().await.unwrap());
        loop {
            if let Ok((stream, begun)) = self.dial().await {
                if first.take().is_some() {
                    self.opened.fetch_add(1, Ordering::Relaxed);
                }
                self.listen(stream, begun).await;
            }
            tokio::time::sleep(REDIAL).await;
        }
    }

    async fn dial(&self) -> std::io::Result<(TcpStream, Vec<u8>)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let path = if self.hello { "/ws?v=1" } else { "/ws" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut buffer = [0; 512];
            match stream.read(&mut buffer).await? {
                0 => return Err(std::io::Error::other("closed")),
                length => head.extend_from_slice(&buffer[..length]),
            }
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(std::io::Error::other("no socket"));
        }
        // The first frame may have come with the head.
        let frames = head.windows(4).position(|end| end == b"\r\n\r\n");
        head.drain(..frames.unwrap_or_default());
        if self.hello {
            let hello = br#"{"type":"hello"}"#;
            // A text frame with the mask 0, which leaves the text as it is.
            let frame = [&[0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0][..], hello].concat();
            stream.write_all(&frame).await?;
        }
        Ok((stream, head))
    }

    /// Reports every end of a job until the connection ends; `text` has come already.
    async fn listen(&self, mut stream: TcpStream, mut text: Vec<u8>) {
        let end = if self.hello { &b"resync"[..] } else { END };
        loop {
            if text.windows(end.len()).any(|part| part == end) {
                // Fails only when the benchmark is over.
                let _ = self.heard.send((self.number, now_ms()));
                text.clear();
            }
            let kept = text.len().min(END.len());
            text.drain(..text.len() - kept);
            text.shrink_to(64);
            let mut buffer = [0; 512];
            match stream.read(&mut buffer).await {
                Ok(length @ 1..) => text.extend_from_slice(&buffer[..length]),
                Ok(0) | Err(_) => return,
            }
        }
    }
}
