//! Whole sockets against the whole service, with an engine that speaks on cue: what only the meeting of broadcast, table and
//! connection can show. What one part decides alone is tested in its own file.

mod rig;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message};

use self::rig::{Client, Rig};

/// The texts of the frames of one type under one key.
fn texts(frames: &[Value], kind: &str, key: &str) -> Vec<String> {
    let of_kind = frames.iter().filter(|frame| frame["type"] == kind);
    of_kind
        .map(|frame| frame[key].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_listener_who_comes_in_the_middle_is_told_the_state_and_then_the_rest() {
    let rig = Rig::start().await;
    let mut first = Client::legacy(rig.address).await;
    let job = rig.upload().await;
    rig.say("one ");
    assert_eq!(first.frame_of("ai_chunk").await["partial"], "one ");

    let mut second = Client::legacy(rig.address).await;
    assert_eq!(second.frame().await["type"], "job_update");
    let so_far = second.frame().await;
    assert_eq!(
        so_far,
        json!({"type": "ai_chunk", "job_id": job, "chunk": "one ", "partial": "one "})
    );

    rig.say("two");
    rig.finish();
    for client in [&mut first, &mut second] {
        let frames = client.until_end().await;
        assert_eq!(texts(&frames, "ai_chunk", "chunk").concat(), "two");
        assert_eq!(texts(&frames, "job_completed", "ai_response"), ["one two"]);
    }
    rig.stop().await;
}

#[tokio::test]
async fn the_first_listener_of_a_running_job_gets_it_whole() {
    let rig = Rig::start().await;
    let mut early = Client::legacy(rig.address).await;
    rig.upload().await;
    rig.say("begun ");
    early.frame_of("ai_chunk").await;
    drop(early);

    // The renderer has ended with its last listener, or does so any moment: this one must not depend on it.
    let mut late = Client::legacy(rig.address).await;
    late.frame_of("ai_chunk").await;
    rig.say("and ended");
    rig.finish();
    let frames = late.until_end().await;
    assert_eq!(texts(&frames, "ai_chunk", "chunk").concat(), "and ended");
    assert_eq!(
        texts(&frames, "job_completed", "ai_response"),
        ["begun and ended"]
    );
    rig.stop().await;
}

#[tokio::test]
async fn the_sockets_of_another_process_tell_the_same_story() {
    let rig = Rig::start().await;
    let second = rig.second().await;
    let (mut here, mut there) = (
        Client::legacy(rig.address).await,
        Client::legacy(second).await,
    );
    rig.upload().await;
    for part in ["a", "b", "ß", "d"] {
        rig.say(part);
    }
    rig.finish();
    for client in [&mut here, &mut there] {
        let frames = client.until_end().await;
        assert_eq!(texts(&frames, "ai_chunk", "chunk").concat(), "abßd");
        assert_eq!(
            texts(&frames, "ai_chunk", "partial").last().unwrap(),
            "abßd"
        );
        assert_eq!(texts(&frames, "job_completed", "ai_response"), ["abßd"]);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_is_cut_off_gets_exactly_the_rest() {
    let rig = Rig::start().await;
    let job = rig.upload().await;
    let topics = json!([format!("job:{job}")]);
    let mut client = Client::v1(rig.address, json!({"type": "hello", "topics": topics})).await;
    let mut frames = Vec::new();
    for part in ["It ", "was ", "opened "] {
        rig.say(part);
        loop {
            let frame = client.frame().await;
            let told = frame["chunk"] == part;
            frames.push(frame);
            if told {
                break;
            }
        }
    }
    drop(client);
    rig.say("in 1932");
    let since = frames.last().unwrap()["seq"].clone();
    let mut client = Client::v1(
        rig.address,
        json!({"type": "hello", "topics": topics, "since": since}),
    )
    .await;
    frames.push(client.frame_of("ai_chunk").await);
    rig.say(".");
    rig.finish();
    frames.extend(client.until_end().await);

    let numbers: Vec<_> = frames
        .iter()
        .map(|frame| frame["seq"].as_i64().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let mut text = String::new();
    for frame in frames.iter().filter(|frame| frame["type"] == "ai_chunk") {
        assert_eq!(frame["offset"], text.len());
        text.push_str(frame["chunk"].as_str().unwrap());
    }
    assert_eq!(text, "It was opened in 1932.");
    assert_eq!(texts(&frames, "job_completed", "ai_response"), [text]);
    rig.stop().await;
}

#[tokio::test]
async fn a_client_of_all_jobs_gets_the_state_first() {
    let rig = Rig::start().await;
    let job = rig.upload().await;
    rig.say("half");
    let mut first = Client::v1(rig.address, json!({"type": "hello"})).await;
    // Whether the part came before or after the hello, it is told exactly once.
    let mut told = String::new();
    while told != "half" {
        let frame = first.frame().await;
        let text = frame["partial"]
            .as_str()
            .or(frame["chunk"].as_str())
            .unwrap_or_default();
        told.push_str(text);
    }
    let mut client = Client::v1(rig.address, json!({"type": "hello"})).await;
    let state = client.frame().await;
    assert_eq!(
        (&state["type"], &state["status"], &state["partial"]),
        (&json!("resync"), &json!("streaming"), &json!("half"))
    );
    assert_eq!(state["job_id"], job);
    rig.say(" and half");
    rig.finish();
    for client in [&mut first, &mut client] {
        let frames = client.until_end().await;
        assert_eq!(texts(&frames, "ai_chunk", "chunk").concat(), " and half");
        assert_eq!(
            texts(&frames, "job_completed", "ai_response"),
            ["half and half"]
        );
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_ends_for_both_kinds_of_client() {
    let rig = Rig::start().await;
    let mut legacy = Client::legacy(rig.address).await;
    let job = rig.upload().await;
    let mut v1 = Client::v1(
        rig.address,
        json!({"type": "hello", "topics": [format!("job:{job}")]}),
    )
    .await;
    rig.say("never to be finished");
    v1.frame_of("ai_chunk").await;
    let cancel = Message::text(json!({"type": "cancel", "job_id": job}).to_string());
    v1.send(cancel.clone()).await;
    let end = v1.frame_of("job_failed").await;
    assert_eq!(
        (&end["code"], &end["error"]),
        (&json!("cancelled"), &json!("job was cancelled"))
    );
    let end = legacy.until_end().await.pop().unwrap();
    assert_eq!(
        end,
        json!({"type": "job_failed", "job_id": job, "error": "job was cancelled"})
    );
    v1.send(cancel).await;
    assert_eq!(v1.frame().await["code"], "invalid_state");
    rig.stop().await;
}

#[tokio::test]
async fn what_a_client_must_not_send_is_answered_or_closes_the_socket() {
    let rig = Rig::start().await;
    let unknown = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11";
    let mut client = Client::v1(
        rig.address,
        json!({"type": "hello", "topics": [format!("job:{unknown}")]}),
    )
    .await;
    let error = client.frame().await;
    assert_eq!(
        (&error["code"], &error["job_id"]),
        (&json!("not_found"), &json!(unknown))
    );
    client.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(client.frame().await["code"], "bad_message");
    client.send(Message::text(r#"{"type":"ping"}"#)).await;
    assert_eq!(client.frame().await["type"], "pong");
    client.send(Message::text("x".repeat(64 * 1024 + 1))).await;
    assert_eq!(client.close_code().await, 1009);

    let mut legacy = Client::legacy(rig.address).await;
    legacy
        .send(Message::text("a client of the contract may say anything"))
        .await;
    legacy.send(Message::binary(vec![0; 2 * 1024 * 1024])).await;
    assert_eq!(legacy.close_code().await, 1009);
    rig.stop().await;
}

#[tokio::test]
async fn both_kinds_of_socket_are_told_when_the_server_stops() {
    let rig = Rig::start().await;
    let mut legacy = Client::legacy(rig.address).await;
    let mut v1 = Client::v1(rig.address, json!({"type": "hello"})).await;
    rig.shutdown.cancel();
    assert_eq!(
        (legacy.close_code().await, v1.close_code().await),
        (1012, 1012)
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_gets_no_socket() {
    let rig = Rig::start().await;
    let request = |origin: &str| {
        let uri = format!("ws://{}/ws", rig.address).parse().unwrap();
        ClientRequestBuilder::new(uri).with_header("Origin", origin)
    };
    let refused = tokio_tungstenite::connect_async(request("https://evil.example"))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Http(response) if response.status() == 403));
    assert!(
        tokio_tungstenite::connect_async(request("http://localhost:3000"))
            .await
            .is_ok()
    );
    rig.stop().await;
}

#[tokio::test]
async fn an_event_stream_ends_with_the_job_and_resumes_behind_any_event() {
    let rig = Rig::start().await;
    let job = rig.upload().await;
    rig.say("forty-");
    rig.say("two");
    rig.finish();
    let (status, whole) = rig.stream(&job, None).await;
    assert_eq!(status, 200);
    let ids = |body: &str| -> Vec<i64> {
        body.lines()
            .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
            .collect()
    };
    let all = ids(&whole);
    assert!(all.len() >= 4 && all.is_sorted_by(|a, b| a < b), "{whole}");
    assert!(
        whole.contains("event: ai_chunk\n") && whole.contains("event: job_completed\n"),
        "{whole}"
    );
    for (index, last) in all.iter().enumerate().take(all.len() - 1) {
        let (status, rest) = rig.stream(&job, Some(*last)).await;
        assert_eq!((status, ids(&rest)), (200, all[index + 1..].to_vec()));
    }
    assert_eq!(rig.stream(&job, all.last().copied()).await.0, 204);
    assert_eq!(
        rig.stream("01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11", None)
            .await
            .0,
        404
    );
    assert_eq!(rig.stream("job-123", None).await.0, 404);
    rig.stop().await;
}
