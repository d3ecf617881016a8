//! The client against a server that does what servers do: stream, break off, refuse, fall silent, send garbage.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::engine::Usage;
use crate::ground::{Ended, Message, Shape};
use crate::schema::Schema;

/// What was asked: the head in lower case, and the body.
struct Asked {
    head: String,
    body: serde_json::Value,
}

/// A server that answers its requests one after another, each as its script says.
struct Server {
    url: String,
    asked: Receiver<Asked>,
}

type Script = Box<dyn FnOnce(&mut TcpStream) + Send>;

impl Server {
    fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (sender, asked) = channel();
        std::thread::spawn(move || {
            for script in scripts {
                let (mut stream, _) = listener.accept().unwrap();
                sender.send(read_request(&stream)).ok();
                script(&mut stream);
            }
        });
        Self { url, asked }
    }
}

fn read_request(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line.to_lowercase());
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Asked {
        head,
        body: serde_json::from_slice(&body).unwrap(),
    }
}

/// Sends these bytes as the body of a stream, then closes.
fn streams(body: impl Into<Vec<u8>>) -> Script {
    let body = body.into();
    Box::new(move |stream| {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).ok();
    })
}

fn status(code: u16, more: &'static str) -> Script {
    Box::new(move |stream| {
        let body = r#"{"error":{"message":"you said: a secret","type":"some_error"}}"#;
        write!(
            stream,
            "HTTP/1.1 {code} X\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    })
}

/// Waits until the client hangs up.
fn waits_for_hangup(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).ok();
}

fn text(piece: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":{}}}}}]}}\n\n",
        serde_json::json!(piece)
    )
}

const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

fn remote(server: &Server) -> Remote {
    let settings = RemoteSettings::new(&server.url, "tiny", Key::new("s3cret")).unwrap();
    // Long enough never to pass by accident; tests of silence set their own.
    Remote::new(
        settings
            .with_tries(3)
            .with_patience(Duration::from_mins(1), Duration::from_mins(1)),
    )
}

fn ask(
    remote: &Remote,
    schema: Option<&Schema>,
    cancel: &CancelFlag,
) -> (String, Result<Generated, ModelError>) {
    let messages = [Message::system("rules"), Message::user("hello")];
    let request = Generation {
        messages: &messages,
        max_tokens: 16,
        schema,
    };
    let mut said = String::new();
    let outcome = remote.generate(&request, cancel, &mut |piece| said.push_str(piece));
    (said, outcome)
}

#[test]
fn a_streamed_reply_is_handed_over_with_its_usage() {
    let server = Server::start(vec![streams(
        [": ping\n\n", &text("Hel"), &text("lo"), END].concat(),
    )]);
    let (said, outcome) = ask(&remote(&server), None, &CancelFlag::default());
    assert_eq!(said, "Hello");
    let usage = Usage {
        prompt_tokens: 5,
        completion_tokens: 2,
    };
    assert_eq!(
        outcome.unwrap(),
        Generated {
            ended: Ended::Stop,
            usage: Some(usage),
            shape: Shape::Free,
        }
    );
    let asked = server.asked.recv().unwrap();
    assert!(asked.head.starts_with("post /v1/chat/completions http/1.1"));
    assert!(asked.head.contains("authorization: bearer s3cret"));
    assert_eq!(asked.body["model"], "tiny");
    assert_eq!(
        asked.body["messages"][1],
        serde_json::json!({"role": "user", "content": "hello"})
    );
    assert_eq!(asked.body["stream"], true);
    assert!(asked.body.get("response_format").is_none());
}

#[test]
fn a_schema_is_sent_along() {
    let schema =
        Schema::parse(r#"{"type":"object","properties":{"a":{"type":"string"}}}"#).unwrap();
    let server = Server::start(vec![streams([&text("{}"), END].concat())]);
    ask(&remote(&server), Some(&schema), &CancelFlag::default())
        .1
        .unwrap();
    let asked = server.asked.recv().unwrap();
    assert_eq!(
        asked.body["response_format"]["json_schema"]["schema"],
        *schema.as_json()
    );
}

#[test]
fn a_server_that_does_not_stream_is_understood() {
    let body = r#"{"choices":[{"message":{"content":"All at once"},"finish_reason":"stop"}]}"#;
    let whole: Script = Box::new(move |stream| {
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    });
    let server = Server::start(vec![whole]);
    let (said, outcome) = ask(&remote(&server), None, &CancelFlag::default());
    assert_eq!(said, "All at once");
    outcome.unwrap();
}

#[test]
fn what_fails_before_the_first_word_is_tried_again() {
    let server = Server::start(vec![
        status(429, "Retry-After: 0\r\n"),
        status(500, ""),
        streams([&text("third time"), END].concat()),
    ]);
    let (said, outcome) = ask(&remote(&server), None, &CancelFlag::default());
    assert_eq!(said, "third time");
    outcome.unwrap();
}

#[test]
fn a_reply_that_breaks_off_is_not_begun_again() {
    let server = Server::start(vec![
        streams(text("half a rep")),
        streams([&text("another"), END].concat()),
    ]);
    let (said, outcome) = ask(&remote(&server), None, &CancelFlag::default());
    assert_eq!(said, "half a rep");
    assert!(matches!(outcome, Err(ModelError::Remote(_))), "{outcome:?}");
}

#[test]
fn a_server_that_cannot_be_used_says_so_without_the_users_words() {
    for (script, tries) in [(401, 1), (404, 1), (503, 3), (301, 1)] {
        let server = Server::start(
            (0..tries)
                .map(|_| status(script, "Location: http://127.0.0.1:9/\r\n"))
                .collect(),
        );
        let (said, outcome) = ask(&remote(&server), None, &CancelFlag::default());
        let Err(error @ ModelError::Unavailable { .. }) = outcome else {
            panic!("{script}: {outcome:?}")
        };
        let text = error.to_string();
        assert!(
            text.contains(&script.to_string()) && !text.contains("secret"),
            "{text}"
        );
        assert!(said.is_empty());
        assert_eq!(server.asked.iter().count(), tries);
    }
    let server = Server::start(vec![status(400, "")]);
    let refused = ask(&remote(&server), None, &CancelFlag::default()).1;
    assert!(
        matches!(refused, Err(ModelError::Refused(_))),
        "{refused:?}"
    );
}

#[test]
fn nobody_at_the_address_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = RemoteSettings::new(&format!("http://{free}"), "m", None)
        .unwrap()
        .with_tries(1);
    let outcome = ask(&Remote::new(settings), None, &CancelFlag::default()).1;
    assert!(
        matches!(outcome, Err(ModelError::Unavailable { .. })),
        "{outcome:?}"
    );
}

#[test]
fn garbage_and_endless_lines_are_failures() {
    for body in [
        b"data: {\"choices\": [{]\n\n".to_vec(),
        vec![b'x'; 600_000],
        b"\xff\xfe\n\n".to_vec(),
        b"data: [DONE]\n\n".to_vec(),
        Vec::new(),
    ] {
        let server = Server::start(vec![streams(body)]);
        let settings = RemoteSettings::new(&server.url, "m", None)
            .unwrap()
            .with_tries(1);
        let (said, outcome) = ask(&Remote::new(settings), None, &CancelFlag::default());
        assert!(
            matches!(outcome, Err(ModelError::Unavailable { .. })),
            "{outcome:?}"
        );
        assert!(said.is_empty());
    }
}

#[test]
fn a_silent_server_is_given_up_at_its_limit() {
    let first: Script = Box::new(waits_for_hangup);
    let server = Server::start(vec![first]);
    let settings = RemoteSettings::new(&server.url, "m", None)
        .unwrap()
        .with_tries(1);
    let impatient = settings.with_patience(Duration::from_millis(50), Duration::from_millis(50));
    let outcome = ask(&Remote::new(impatient), None, &CancelFlag::default()).1;
    assert!(
        matches!(outcome, Err(ModelError::Unavailable { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_cancelled_request_closes_its_connection() {
    let (hung_up, seen) = channel();
    let script: Script = Box::new(move |stream| {
        streams(text("a word"))(stream);
        waits_for_hangup(stream);
        hung_up.send(()).unwrap();
    });
    let server = Server::start(vec![script]);
    let remote = remote(&server);
    let cancel = CancelFlag::default();
    let messages = [Message::user("x")];
    let request = Generation {
        messages: &messages,
        max_tokens: 1,
        schema: None,
    };
    let outcome = remote.generate(&request, &cancel, &mut |_| cancel.cancel());
    assert!(matches!(outcome, Err(ModelError::Cancelled)), "{outcome:?}");
    seen.recv().unwrap();
    assert_eq!(remote.state(), BreakerState::Closed);
}

#[test]
fn a_server_that_keeps_failing_is_left_alone() {
    let server = Server::start((0..3).map(|_| status(500, "")).collect());
    let settings = RemoteSettings::new(&server.url, "m", None)
        .unwrap()
        .with_tries(1);
    let remote = Remote::new(settings);
    for _ in 0..3 {
        ask(&remote, None, &CancelFlag::default()).1.unwrap_err();
    }
    assert_eq!(remote.state(), BreakerState::Open);
    // The server would not accept a fourth connection: this one is refused without asking.
    let text = ask(&remote, None, &CancelFlag::default())
        .1
        .unwrap_err()
        .to_string();
    assert!(text.contains("left alone"), "{text}");
}
