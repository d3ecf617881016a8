//! The body of a request, as the chat completions of the OpenAI API have it.

use serde_json::{Value, json};

use crate::ground::Generation;

/// Reading values out of a document needs no invention.
const TEMPERATURE: f32 = 0.0;

/// The JSON text that is sent.
pub(super) fn body(model: &str, request: &Generation<'_>) -> String {
    let mut body = json!({
        "model": model,
        "messages": request.messages,
        "max_tokens": request.max_tokens,
        "temperature": TEMPERATURE,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if let Some(schema) = request.schema {
        body["response_format"] = json!({
            "type": "json_schema",
            "json_schema": {"name": "record", "strict": true, "schema": Value::clone(schema.as_json())},
        });
    }
    body.to_string()
}
