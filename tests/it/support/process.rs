//! The real program as a child process, for everything that must survive its death.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// A cold start with initdb on a loaded machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A `quire serve` process with its own data directory.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts `quire serve` with a fixed port and waits until `/health` answers.
    pub fn serve(data: &Path, port: u16) -> Self {
        let mut command = command(data);
        command.args(["--port", &port.to_string(), "serve"]);
        Self::start(command, port)
    }

    /// Starts a command that serves on `port`, and waits until it is ready.
    pub fn start(mut command: Command, port: u16) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let ready = lines(child.stdout.take().unwrap());
        let start = Instant::now();
        loop {
            match ready.recv_timeout(START_LIMIT.saturating_sub(start.elapsed())) {
                Ok(line) if line.contains("quire is ready") => break,
                Ok(_) => {}
                Err(silence) => panic!("quire did not start: {silence}, {:?}", child.try_wait()),
            }
        }
        Self {
            child,
            address: ([127, 0, 0, 1], port).into(),
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end; returns the exit code.
    pub fn terminate(self) -> Option<i32> {
        signal(self.pid(), "TERM");
        self.wait()
    }

    /// Waits for the end; returns the exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone after `kill` and `terminate`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with a clean environment of settings.
pub fn command(data: &Path) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_quire")), data)
}

/// Another build of the program, likewise.
pub fn command_of(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUIRE_"))
    {
        command.env_remove(name);
    }
    command
        .env_remove("DATABASE_URL")
        .arg("--data-dir")
        .arg(data);
    command
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Lines of a pipe, read to its end so that the child never blocks on it.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens after the start; reading goes on.
            let _ = sender.send(line);
        }
    });
    receiver
}
