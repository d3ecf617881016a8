//! `quire openapi`: the OpenAPI document, for generating clients.

use std::process::ExitCode;

use super::{report, say};

/// Prints the document as JSON.
pub(super) fn run() -> ExitCode {
    match serde_json::to_string_pretty(&crate::app::openapi()) {
        Ok(document) => {
            say(document);
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}
