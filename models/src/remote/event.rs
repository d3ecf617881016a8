//! What a server says in one event of a streamed chat completion.

use serde::Deserialize;

use crate::engine::Usage;
use crate::ground::Ended;

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The next piece of the reply.
    Text(String),
    /// The reply is complete, and why.
    Finished(Ended),
    /// What it cost.
    Usage(Usage),
    /// Something that is no part of the reply, such as a ping or the model's thinking.
    Alive,
    /// The server gives up.
    Failed(String),
    /// Nothing more comes.
    Done,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// In a streamed reply.
    delta: Option<Delta>,
    /// In a reply that comes in one piece.
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// The news in the data of one event, at least one.
pub(super) fn events(data: &str) -> Vec<Event> {
    if data.is_empty() {
        return vec![Event::Alive];
    }
    if data.trim() == "[DONE]" {
        return vec![Event::Done];
    }
    let Ok(chunk) = serde_json::from_str::<Chunk>(data) else {
        return vec![Event::Failed(
            "it sent an event that cannot be read".to_owned(),
        )];
    };
    if let Some(error) = chunk.error {
        return vec![Event::Failed(format!(
            "it reports an error{}",
            kind(&error)
        ))];
    }
    let mut out = Vec::new();
    if let Some(choice) = chunk.choices.into_iter().next() {
        let said = choice
            .delta
            .or(choice.message)
            .and_then(|delta| delta.content);
        out.extend(said.filter(|text| !text.is_empty()).map(Event::Text));
        out.extend(choice.finish_reason.map(|reason| {
            Event::Finished(if reason == "length" {
                Ended::Length
            } else {
                Ended::Stop
            })
        }));
    }
    out.extend(chunk.usage.map(|tokens| {
        Event::Usage(Usage {
            prompt_tokens: tokens.prompt_tokens,
            completion_tokens: tokens.completion_tokens,
        })
    }));
    if out.is_empty() {
        out.push(Event::Alive);
    }
    out
}

/// The kind of an error as the server names it. Its message is left out: servers like to repeat the prompt in it.
pub(super) fn kind(error: &serde_json::Value) -> String {
    const MAX_CHARS: usize = 60;
    let name = ["type", "code"]
        .iter()
        .find_map(|key| error.get(key)?.as_str());
    match name {
        Some(name)
            if name.len() <= MAX_CHARS
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) =>
        {
            format!(" ({name})")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_dialects_are_read() {
        for (data, news) in [
            (
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
                vec![Event::Alive],
            ),
            (
                r#"{"choices":[{"delta":{"content":"Hi"}}],"usage":null}"#,
                vec![Event::Text("Hi".into())],
            ),
            // vLLM and DeepSeek stream thinking beside the content.
            (
                r#"{"choices":[{"delta":{"reasoning_content":"hm","content":null}}]}"#,
                vec![Event::Alive],
            ),
            (
                r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
                vec![Event::Finished(Ended::Length)],
            ),
            (
                r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#,
                vec![Event::Usage(Usage {
                    prompt_tokens: 7,
                    completion_tokens: 2,
                })],
            ),
            (
                r#"{"choices":[{"message":{"content":"All"},"finish_reason":"stop"}]}"#,
                vec![Event::Text("All".into()), Event::Finished(Ended::Stop)],
            ),
            ("[DONE]", vec![Event::Done]),
            ("", vec![Event::Alive]),
        ] {
            assert_eq!(events(data), news, "{data}");
        }
    }

    #[test]
    fn errors_are_named_without_their_text() {
        let said =
            events(r#"{"error":{"message":"prompt was: my secret","type":"overloaded_error"}}"#);
        assert_eq!(
            said,
            [Event::Failed(
                "it reports an error (overloaded_error)".into()
            )]
        );
        assert!(matches!(&events("{garbage")[..], [Event::Failed(_)]));
        assert_eq!(kind(&serde_json::json!({"code": "the secret text"})), "");
    }
}
