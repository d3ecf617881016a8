//! Pulls from a hub, over a real socket.

use std::fs;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use quire_models::pull::{FetchError, HubOptions};
use quire_models::{ModelError, ModelStatus};

use super::server::{Reply, Request, Server};
use super::{CLOSED_HUB, Scene, WEIGHTS_BYTES, weights};

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
    Server::start(move |request| {
        special
            .lock()
            .unwrap()
            .take()
            .map_or_else(|| good(request), |special| special(request))
    })
}

#[test]
fn a_pull_installs_all_files_and_reports_every_byte() {
    let server = Server::start(good);
    let mut scene = Scene::new(&server.url, None);
    assert_eq!(scene.dir.status(&scene.model), ModelStatus::Missing);
    scene.pull().unwrap();
    scene.assert_installed();
    let last = scene
        .progress
        .iter()
        .rfind(|step| step.file == "model.safetensors")
        .unwrap();
    assert_eq!(
        (last.source.as_str(), last.done, last.total),
        (
            "hf:owner/tiny@abc",
            WEIGHTS_BYTES as u64,
            WEIGHTS_BYTES as u64
        )
    );
    scene.pull().unwrap();
    assert_eq!(
        server.asked().len(),
        2,
        "an installed model is not fetched again"
    );
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
    assert!(
        server
            .asked()
            .iter()
            .all(|request| request.path.ends_with("config.json"))
    );
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
        assert_eq!(
            server
                .asked()
                .iter()
                .rfind(|request| request.path.ends_with("safetensors"))
                .unwrap()
                .start,
            None
        );
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
    assert!(
        matches!(reasons[..], [FetchError::Interrupted { got: 400_000, .. }]),
        "{reasons:?}"
    );
    assert!(
        text.contains("broke off after 400000 of 700001 bytes"),
        "{text}"
    );
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
    assert!(
        matches!(&reasons[..], [FetchError::WrongContent { file, .. }] if file == "model.safetensors"),
        "{reasons:?}"
    );
    assert!(text.contains("SHA-256"), "{text}");
    assert!(
        !scene.path("model.safetensors").exists() && !scene.path("model.safetensors.part").exists()
    );
}

#[test]
fn a_longer_file_is_cut_off() {
    let server = Server::start(|_| Reply::whole(&vec![0; WEIGHTS_BYTES * 3]));
    let mut scene = Scene::new(&server.url, None);
    let (reasons, _) = scene.failures();
    assert!(
        matches!(&reasons[..], [FetchError::WrongContent { reason, .. }] if reason.contains("longer")),
        "{reasons:?}"
    );
    assert!(!scene.path("model.safetensors.part").exists());
}

#[test]
fn the_error_says_why_and_what_to_do() {
    let server = Server::start(|_| Reply::status(403));
    let mut scene = Scene::new(&server.url, None);
    let (reasons, text) = scene.failures();
    assert!(matches!(
        reasons[..],
        [FetchError::Status { status: 403, .. }]
    ));
    assert!(
        text.contains("hf:owner/tiny@abc: ") && text.contains("put its files into "),
        "{text}"
    );
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
    scene.options.hub = HubOptions {
        offline: true,
        cache: Some(cache.path().to_owned()),
        ..scene.options.hub
    };
    assert!(matches!(scene.failures().0[..], [FetchError::Offline]));
    let snapshot = cache.path().join("models--owner--tiny/snapshots/abc");
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join("model.safetensors"), weights()).unwrap();
    fs::write(snapshot.join("config.json"), "[]").unwrap();
    assert!(
        matches!(scene.failures().0[..], [FetchError::Offline]),
        "a wrong file in the cache is no file"
    );
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
    let (dir, model, options) = (
        scene.dir.clone(),
        scene.model.clone(),
        scene.options.clone(),
    );
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| scene.pull());
        wait_entered.recv().unwrap();
        assert!(matches!(
            dir.pull(&model, &options, &mut |_| {}),
            Err(ModelError::PullRunning { .. })
        ));
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
    let outcome = scene
        .dir
        .pull(&scene.model, &scene.options, &mut |_| cancel.cancel());
    assert!(matches!(outcome, Err(ModelError::Cancelled)));
    let kept = fs::metadata(scene.path("model.safetensors.part"))
        .unwrap()
        .len();
    assert!(kept > 0 && kept < WEIGHTS_BYTES as u64);
}
