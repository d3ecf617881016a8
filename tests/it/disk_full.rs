//! Full disks, real ones: a small file system under the files, under the database, and a log that cannot be written.
//!
//! Only root can mount; elsewhere the tests say that they were left out, and the one about the log still runs.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Upload, fixtures,
    process::{Process, command, free_port, signal},
};

/// Only a broken build waits this long.
const DEADLINE: Duration = Duration::from_mins(2);

/// A file system of its own, unmounted when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Memory, for what needs no durability. `None` when it cannot be mounted here.
    fn memory(at: &Path, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes},mode=0755");
        Self::mount(at, &["-t", "tmpfs", "-o", &size, "tmpfs"])
    }

    /// An ext4 file system in the file `image`.
    fn ext4(at: &Path, image: &Path, bytes: u64) -> Option<Self> {
        File::create(image).unwrap().set_len(bytes).unwrap();
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-m", "0"])
            .arg(image)
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("left out: mkfs.ext4 does not work here");
            return None;
        }
        Self::mount(at, &["-o", "loop", image.to_str().unwrap()])
    }

    fn mount(at: &Path, arguments: &[&str]) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(arguments).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { at: at.to_owned() }),
            _ => {
                eprintln!("left out: this user cannot mount file systems");
                None
            }
        }
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = File::create(self.at.join("filler")).unwrap();
        let piece = vec![1; 64 << 10];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&[1; 512]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.at.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is still ending must not keep the directory from being removed.
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// A running program with its directory, its log and a client.
struct Service {
    // Ended first.
    process: Option<Process>,
    port: u16,
    data: TempDir,
    http: reqwest::Client,
}

impl Service {
    fn new() -> Self {
        let data = TempDir::new().unwrap();
        fs::set_permissions(
            data.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        Self {
            process: None,
            port: free_port(),
            data,
            http: reqwest::Client::new(),
        }
    }

    /// Starts it, without the reserve of free space that would keep the disk from ever being full.
    async fn start(&mut self) {
        let log = File::create(self.log_path()).unwrap();
        self.start_with(log).await;
    }

    async fn start_with(&mut self, log: File) {
        let mut command = command(&self.data.path().join("data"));
        command
            .args(["--port", &self.port.to_string(), "serve"])
            .env("QUIRE_MIN_FREE_BYTES", "0")
            .stderr(log);
        let port = self.port;
        let process = tokio::task::spawn_blocking(move || Process::start(command, port));
        self.process = Some(process.await.unwrap());
    }

    fn log_path(&self) -> PathBuf {
        self.data.path().join("log")
    }

    /// How often something stands in the log.
    fn logged(&self, what: &str) -> usize {
        fs::read_to_string(self.log_path())
            .unwrap()
            .matches(what)
            .count()
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn upload(&self, bytes: Vec<u8>) -> (StatusCode, Value) {
        let base = self.url("");
        let upload = Upload::new("report.pdf", bytes, fixtures::PDF_QUESTION);
        let response = tokio::time::timeout(DEADLINE, upload.send_to(&self.http, &base)).await;
        let response = response.expect("an upload is always answered");
        (response.status(), response.json().await.unwrap())
    }

    /// Uploads until it is taken.
    async fn accepted(&self, bytes: &[u8]) -> String {
        let begun = Instant::now();
        loop {
            let (status, body) = self.upload(bytes.to_vec()).await;
            if status == StatusCode::OK {
                return body["data"]["job_id"].as_str().unwrap().to_owned();
            }
            assert!(begun.elapsed() < DEADLINE, "{body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self, path: &str) -> StatusCode {
        self.http.get(self.url(path)).send().await.unwrap().status()
    }

    /// Waits until the job has its answer.
    async fn answered(&self, id: &str) {
        let begun = Instant::now();
        loop {
            let path = format!("/api/jobs/{id}?wait=5");
            let response = self.http.get(self.url(&path)).send().await.unwrap();
            let body: Value = response.json().await.unwrap();
            if body["data"]["status"] == "completed" {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "{body}");
            assert_ne!(body["data"]["status"], "failed", "{body}");
        }
    }

    async fn end(mut self) {
        let process = self.process.take().unwrap();
        let code = tokio::task::spawn_blocking(move || process.terminate()).await;
        assert_eq!(code.unwrap(), Some(0));
    }
}

fn count_files(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| {
            if entry.path().is_dir() {
                count_files(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

/// A PDF of this size, different from others.
fn large_pdf(bytes: usize, salt: u8) -> Vec<u8> {
    let mut pdf = fixtures::pdf();
    pdf.resize(bytes, salt);
    pdf
}

#[tokio::test]
async fn a_full_disk_under_the_files_refuses_uploads_and_nothing_else() {
    let mut service = Service::new();
    let files = service.data.path().join("data/files");
    let Some(disk) = SmallDisk::memory(&files, 2 << 20) else {
        return;
    };
    service.start().await;
    let before = service.accepted(&fixtures::pdf()).await;
    service.answered(&before).await;
    let stored = count_files(&files);

    // Too large for what is left: the disk fills up in the middle of the file.
    let (status, body) = service.upload(large_pdf(8 << 20, 1)).await;
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{body}");
    assert_eq!(body["code"], "storage_full", "{body}");
    assert_eq!(count_files(&files), stored, "no partial file");
    disk.fill();
    let (status, body) = service.upload(large_pdf(1 << 16, 2)).await;
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{body}");
    assert_eq!(count_files(&files), stored + 1, "only the filler");
    for path in ["/health", "/readyz", "/api/jobs"] {
        assert_eq!(service.get(path).await, StatusCode::OK, "{path}");
    }
    assert_eq!(
        service.get(&format!("/api/jobs/{before}/result")).await,
        StatusCode::OK
    );

    disk.make_room();
    let after = service.accepted(&large_pdf(1 << 16, 3)).await;
    service.answered(&after).await;
    service.end().await;
}

#[tokio::test]
async fn a_full_disk_under_the_database_heals_by_itself() {
    let mut service = Service::new();
    let home = service.data.path().join("data/postgres");
    let image = service.data.path().join("image");
    // A fresh cluster takes 46 MB.
    let Some(disk) = SmallDisk::ext4(&home, &image, 112 << 20) else {
        return;
    };
    service.start().await;
    let before = service.accepted(&fixtures::pdf()).await;
    service.answered(&before).await;

    disk.fill();
    let mut refused = 0;
    let mut taken = Vec::new();
    // What the server still has room for, in files that it has, is taken in.
    while refused < 3 {
        let (status, body) = service.upload(fixtures::pdf()).await;
        match status {
            StatusCode::OK => taken.push(body["data"]["job_id"].as_str().unwrap().to_owned()),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => refused += 1,
            _ => panic!("{status}: {body}"),
        }
    }
    assert_eq!(service.get("/health").await, StatusCode::OK);

    // The worst of it: the server dies and cannot come up again.
    let state = fs::read_to_string(home.join("cluster/postmaster.pid")).unwrap();
    signal(state.lines().next().unwrap().parse().unwrap(), "KILL");
    let begun = Instant::now();
    while service.logged("the disk under") == 0 {
        assert!(begun.elapsed() < DEADLINE, "the full disk is named");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (status, _) = service.upload(fixtures::pdf()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.get("/health").await, StatusCode::OK);
    // Time in which a crash loop would go round and round.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let starts = service.logged("starting it again");
    assert!(starts <= 2, "{starts} starts on a full disk");

    disk.make_room();
    let after = service.accepted(&fixtures::two_pages()).await;
    for id in taken.iter().chain([&before, &after]) {
        service.answered(id).await;
    }
    service.end().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("left out: this system has no /dev/full");
        return;
    }
    let mut service = Service::new();
    let log = File::options().write(true).open(full).unwrap();
    service.start_with(log).await;
    let id = service.accepted(&fixtures::pdf()).await;
    service.answered(&id).await;
    service.end().await;
}
