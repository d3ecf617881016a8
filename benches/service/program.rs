//! The release program as a child process with a data directory of its own.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A running `quire serve` or `quire worker`.
pub struct Program {
    child: Child,
    /// Port of the API.
    pub port: u16,
}

/// A data directory that the server's user can reach.
pub fn data_dir() -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

impl Program {
    /// Starts `quire ARGS` and waits until it says that it is ready.
    pub fn serve(data: &Path, args: &[&str]) -> Self {
        Self::serve_on(data, args, free_port())
    }

    /// The same on a port that clients know already.
    pub fn serve_on(data: &Path, args: &[&str], port: u16) -> Self {
        let mut command = command(data, port);
        command.args(args);
        Self::start(command, port)
    }

    /// Starts a command that serves on `port` and waits until it says that it is ready.
    pub fn start(mut command: Command, port: u16) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines
            .next()
            .expect("quire ended before it was ready")
            .unwrap()
            .contains("quire is ready")
        {}
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    /// Starts `quire worker` and waits for its line in the log.
    pub fn worker(data: &Path) -> Self {
        let mut child = command(data, free_port())
            .arg("worker")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while !lines
            .next()
            .expect("the worker ended early")
            .unwrap()
            .contains("workers take jobs")
        {}
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: 0 }
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Base URL.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let stopped = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(stopped.unwrap().success());
        self.child.wait().unwrap();
    }
}

/// The program with its settings; logs are off, they would cost what is measured.
pub fn command(data: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quire"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUIRE_"))
    {
        command.env_remove(name);
    }
    command
        .args(["--data-dir"])
        .arg(data)
        .args(["--port", &port.to_string()]);
    command
        .env("QUIRE_LOG", "warn,quire_workers=info")
        .env("QUIRE_MODELS_DIR", models_dir())
        .env_remove("DATABASE_URL");
    command.stderr(Stdio::null());
    command
}

/// Where `make test` and `make bench` keep the model.
pub fn models_dir() -> PathBuf {
    std::env::var_os("QUIRE_TEST_MODELS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/models"),
        PathBuf::from,
    )
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
