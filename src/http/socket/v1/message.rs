//! What a `quire.v1` client may say, read from JSON.
//!
//! Unknown keys are ignored so that a newer client can talk to an older server; an unknown `type` is answered with an error,
//! because silence would leave that client waiting.

use std::{collections::HashMap, str::FromStr};

use quire_store::JobId;
use serde::Deserialize;

/// Topics in one `hello`, and jobs in its `since`.
const MOST_TOPICS: usize = 256;

/// A client's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// What it wants to hear, in place of what it wanted before.
    Hello(Hello),
    /// It has everything up to some event. The cursor stays with the client, so there is nothing to do.
    Ack,
    /// A job is not wanted any more.
    Cancel(JobId),
    /// Is anybody there?
    Ping,
}

/// What a client wants to hear, and what it has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// Every job of the principal.
    pub(super) all: bool,
    /// Single jobs.
    pub(super) jobs: Vec<JobId>,
    /// The whole queue.
    pub(super) admin: bool,
    /// The last event the client has, by job.
    pub(super) since: HashMap<JobId, i64>,
}

/// Why a message was not understood: a code for programs, words for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadMessage {
    pub(super) code: &'static str,
    pub(super) message: String,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct RawHello {
    since: Option<Since>,
    topics: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Since {
    /// One cursor for the jobs named as topics.
    One(i64),
    /// A cursor for each job.
    Each { jobs: HashMap<JobId, i64> },
}

#[derive(Deserialize)]
struct RawCancel {
    job_id: JobId,
}

impl FromStr for ClientMessage {
    type Err = BadMessage;

    fn from_str(text: &str) -> Result<Self, BadMessage> {
        let Kind { kind } = read(text)?;
        match kind.as_str() {
            "hello" => hello(read(text)?).map(Self::Hello),
            "ack" => Ok(Self::Ack),
            "cancel" => Ok(Self::Cancel(read::<RawCancel>(text)?.job_id)),
            "ping" => Ok(Self::Ping),
            _ => Err(BadMessage {
                code: "unknown_type",
                message: "type is not one of hello, ack, cancel, ping".to_owned(),
            }),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BadMessage> {
    serde_json::from_str(text).map_err(|error| bad(error.to_string()))
}

fn bad(message: String) -> BadMessage {
    BadMessage {
        code: "bad_message",
        message,
    }
}

fn hello(raw: RawHello) -> Result<Hello, BadMessage> {
    let mut hello = Hello::default();
    match raw.topics {
        None => hello.all = true,
        Some(topics) if topics.len() > MOST_TOPICS => {
            return Err(bad(format!("more than {MOST_TOPICS} topics")));
        }
        Some(topics) => {
            for topic in topics {
                add_topic(&mut hello, &topic)?;
            }
        }
    }
    match raw.since {
        None => {}
        Some(Since::One(_)) if hello.all => {
            let hint = r#"a single since is for topics like job:<id>; give {"jobs":{"<id>":seq}}"#;
            return Err(bad(hint.to_owned()));
        }
        Some(Since::One(seq)) => hello.since = hello.jobs.iter().map(|job| (*job, seq)).collect(),
        Some(Since::Each { jobs }) if jobs.len() > MOST_TOPICS => {
            return Err(bad(format!("more than {MOST_TOPICS} jobs in since")));
        }
        Some(Since::Each { jobs }) => hello.since = jobs,
    }
    if hello.since.values().any(|seq| *seq < 0) {
        return Err(bad("since is negative".to_owned()));
    }
    Ok(hello)
}

fn add_topic(hello: &mut Hello, topic: &str) -> Result<(), BadMessage> {
    if topic == "jobs" {
        hello.all = true;
        return Ok(());
    }
    if topic == "admin" {
        hello.admin = true;
        return Ok(());
    }
    let job = topic.strip_prefix("job:").and_then(|id| id.parse().ok());
    let Some(job) = job else {
        return Err(BadMessage {
            code: "unknown_topic",
            message: "a topic is jobs, job:<id> or admin".to_owned(),
        });
    };
    hello.jobs.push(job);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::socket::sample::JOB;

    const ID: &str = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11";

    fn parse(text: &str) -> Result<ClientMessage, BadMessage> {
        text.replace("ID", ID).parse()
    }

    fn code(text: &str) -> &'static str {
        parse(text).unwrap_err().code
    }

    #[test]
    fn a_hello_names_topics_and_cursor() {
        let hello = |all, jobs: &[JobId], since: &[(JobId, i64)]| {
            Ok(ClientMessage::Hello(Hello {
                all,
                jobs: jobs.to_vec(),
                admin: false,
                since: since.iter().copied().collect(),
            }))
        };
        assert_eq!(parse(r#"{"type":"hello"}"#), hello(true, &[], &[]));
        assert_eq!(
            parse(r#"{"type":"hello","topics":[]}"#),
            hello(false, &[], &[])
        );
        assert_eq!(
            parse(r#"{"type":"hello","topics":["job:ID"]}"#),
            hello(false, &[JOB], &[])
        );
        assert_eq!(
            parse(r#"{"type":"hello","topics":["job:ID"],"since":7}"#),
            hello(false, &[JOB], &[(JOB, 7)])
        );
        assert_eq!(
            parse(r#"{"type":"hello","since":{"jobs":{"ID":7}},"new":1}"#),
            hello(true, &[], &[(JOB, 7)])
        );
        assert_eq!(
            parse(r#"{"topics":["jobs","job:ID"],"type":"hello"}"#),
            hello(true, &[JOB], &[])
        );
        let Ok(ClientMessage::Hello(admin)) = parse(r#"{"type":"hello","topics":["admin"]}"#)
        else {
            panic!("not understood");
        };
        assert!(admin.admin && !admin.all && admin.jobs.is_empty());
    }

    #[test]
    fn the_other_messages() {
        assert_eq!(parse(r#"{"type":"ack","seq":5}"#), Ok(ClientMessage::Ack));
        assert_eq!(parse(r#"{"type":"ping"}"#), Ok(ClientMessage::Ping));
        assert_eq!(
            parse(r#"{"type":"cancel","job_id":"ID"}"#),
            Ok(ClientMessage::Cancel(JOB))
        );
    }

    #[test]
    fn nonsense_is_refused_with_a_code() {
        for text in [
            "",
            "hello",
            "[]",
            "null",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"cancel"}"#,
            r#"{"type":"cancel","job_id":"job-123"}"#,
            r#"{"type":"hello","topics":"jobs"}"#,
            r#"{"type":"hello","since":"5"}"#,
            r#"{"type":"hello","since":5}"#,
            r#"{"type":"hello","topics":["job:ID"],"since":-1}"#,
            r#"{"type":"hello","since":{"jobs":{"x":1}}}"#,
        ] {
            assert_eq!(code(text), "bad_message", "{text}");
        }
        assert_eq!(code(r#"{"type":"send"}"#), "unknown_type");
        assert_eq!(
            code(r#"{"type":"hello","topics":["administrator"]}"#),
            "unknown_topic"
        );
        assert_eq!(
            code(r#"{"type":"hello","topics":["job:"]}"#),
            "unknown_topic"
        );
        let many = format!(
            r#"{{"type":"hello","topics":[{}"jobs"]}}"#,
            r#""jobs","#.repeat(MOST_TOPICS)
        );
        assert_eq!(code(&many), "bad_message");
        let deep = format!("{}{}", r#"{"type":"hello","x":"#, "[".repeat(60_000));
        assert_eq!(code(&deep), "bad_message");
    }
}
