//! Why a file could not be read.
//!
//! Every way a job can end without a document is one variant with a stable code. Messages name the place in the file or the limit,
//! never the file's content. The child sends an error as its code and text; [`ParseError::from_wire`] makes it one again.

use std::io;

/// Longest message taken over from a child or a parser, in characters: enough for a reason, too short for content.
const MAX_MESSAGE_CHARS: usize = 300;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The bytes are not what they claim to be, or are broken beyond repair.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// A valid file that uses something we do not read.
    #[error("not supported: {0}")]
    NotSupported(String),
    /// The file is encrypted and no password was given.
    #[error("the file is encrypted and needs a password")]
    PasswordNeeded,
    /// The given password does not open the file.
    #[error("the password does not open the file")]
    WrongPassword,
    /// The file has fewer pages than that.
    #[error("the file has no page {0}")]
    PageMissing(u32),
    /// A query that does not fit its table.
    #[error("the query does not fit the table: {0}")]
    InvalidQuery(String),
    /// Reading on would have passed a limit.
    #[error("limit exceeded: {0}")]
    LimitExceeded(String),
    /// The parser ran past its deadline or fell silent.
    #[error("the parser ran out of time")]
    Timeout,
    /// The parser needed more memory than it may have.
    #[error("the parser ran out of memory")]
    OutOfMemory,
    /// The parser panicked, died or broke the protocol.
    #[error("the parser crashed: {0}")]
    Crashed(String),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// No parser could be started; trying again later may help.
    #[error("the parser cannot be started: {0}")]
    Unavailable(String),
    /// Reading the stored file failed.
    #[error("cannot read the file: {0}")]
    Io(#[from] io::Error),
}

impl ParseError {
    /// Stable name of the variant, for the wire and the database.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "damaged",
            Self::NotSupported(_) => "not_supported",
            Self::PasswordNeeded => "password_needed",
            Self::WrongPassword => "wrong_password",
            Self::PageMissing(_) => "page_missing",
            Self::InvalidQuery(_) => "invalid_query",
            Self::LimitExceeded(_) => "limit_exceeded",
            Self::Timeout => "parser_timeout",
            Self::OutOfMemory => "parser_memory",
            Self::Crashed(_) => "parser_crash",
            Self::Cancelled => "cancelled",
            Self::Unavailable(_) => "parser_unavailable",
            Self::Io(_) => "file_unreadable",
        }
    }

    /// Whether the same file may well be readable later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Io(_))
    }

    /// The part of the message that [`ParseError::from_wire`] needs beside the code.
    pub fn detail(&self) -> String {
        match self {
            Self::Damaged(text)
            | Self::NotSupported(text)
            | Self::InvalidQuery(text)
            | Self::LimitExceeded(text)
            | Self::Crashed(text)
            | Self::Unavailable(text) => text.clone(),
            Self::PageMissing(page) => page.to_string(),
            Self::Io(error) => error.to_string(),
            Self::PasswordNeeded
            | Self::WrongPassword
            | Self::Timeout
            | Self::OutOfMemory
            | Self::Cancelled => String::new(),
        }
    }

    /// The error that a child named by `code` and `detail`. A code that a child has no business with counts as a crash.
    pub fn from_wire(code: &str, detail: &str) -> Self {
        let detail = short_message(detail);
        match code {
            "damaged" => Self::Damaged(detail),
            "not_supported" => Self::NotSupported(detail),
            "password_needed" => Self::PasswordNeeded,
            "wrong_password" => Self::WrongPassword,
            "page_missing" => Self::PageMissing(detail.parse().unwrap_or_default()),
            "invalid_query" => Self::InvalidQuery(detail),
            "limit_exceeded" => Self::LimitExceeded(detail),
            "parser_memory" => Self::OutOfMemory,
            "parser_crash" => Self::Crashed(detail),
            "file_unreadable" => Self::Io(io::Error::other(detail)),
            other => Self::Crashed(format!("unknown error code {}", short_message(other))),
        }
    }
}

/// `text` on one line, without control characters, at most `MAX_MESSAGE_CHARS` long.
pub fn short_message(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        let errors = [
            ParseError::Damaged("no end".into()),
            ParseError::NotSupported("CMYK".into()),
            ParseError::PasswordNeeded,
            ParseError::WrongPassword,
            ParseError::PageMissing(7),
            ParseError::InvalidQuery("no column".into()),
            ParseError::LimitExceeded("pages".into()),
            ParseError::OutOfMemory,
            ParseError::Crashed("panic".into()),
        ];
        for error in errors {
            let back = ParseError::from_wire(error.code(), &error.detail());
            assert_eq!(back.to_string(), error.to_string());
        }
    }

    #[test]
    fn a_child_cannot_claim_what_only_the_parent_decides() {
        for code in ["cancelled", "parser_unavailable", "parser_timeout", "root"] {
            assert!(
                matches!(ParseError::from_wire(code, ""), ParseError::Crashed(_)),
                "{code}"
            );
        }
    }

    #[test]
    fn messages_are_short_and_on_one_line() {
        let message = short_message(&"a\nb\u{1b}".repeat(1_000));
        assert_eq!(message.chars().count(), MAX_MESSAGE_CHARS);
        assert!(message.chars().all(|c| !c.is_control()));
    }
}
