//! E-mail (RFC 5322 with MIME): who, when and about what, the text, then the attachments that can be read.

use mail_parser::{Address, DateTime, Message, MessageParser, MimeHeaders};

use super::flow::Flow;
use super::html;
use super::nested::Nested;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::request::ParseRequest;

/// Largest message.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Most attachments that are read; more are named as left out.
const MAX_ATTACHMENTS: usize = 100;

/// Reads e-mail.
#[derive(Debug)]
pub(super) struct Eml;

impl Format for Eml {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Eml]
    }

    fn parse(
        &self,
        input: &mut Input,
        request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let bytes = input.read_all(MAX_BYTES)?;
        let message = MessageParser::default()
            .parse(&bytes)
            .ok_or_else(|| ParseError::Damaged("this is not an e-mail".to_owned()))?;
        let pages = {
            let mut flow = Flow::new(out);
            let head = head(&message, flow.out());
            flow.paragraph(&head)?;
            body(&message, &mut flow)?;
            flow.end_page()?;
            flow.pages()
        };
        let mut nested = Nested::new(out, pages);
        for (index, part) in message.attachments().enumerate() {
            let name = part.attachment_name().unwrap_or("attachment");
            if index >= MAX_ATTACHMENTS {
                nested.skip(
                    name,
                    &format!("only {MAX_ATTACHMENTS} attachments are read"),
                );
                continue;
            }
            nested.file(name, part.contents().to_vec(), request)?;
        }
        nested.finish();
        Ok(())
    }
}

/// The header fields that people see, also as facts.
fn head(message: &Message<'_>, out: &mut dyn Output) -> String {
    let fields = [
        ("from", "From", message.from().map(people)),
        ("to", "To", message.to().map(people)),
        ("cc", "Cc", message.cc().map(people)),
        ("date", "Date", message.date().map(DateTime::to_rfc3339)),
        ("subject", "Subject", message.subject().map(str::to_owned)),
    ];
    let mut lines = Vec::new();
    for (key, label, value) in fields {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            out.metadata(key, &value);
            lines.push(format!("{label}: {value}"));
        }
    }
    lines.join("\n")
}

fn people(address: &Address<'_>) -> String {
    let people: Vec<String> = address
        .iter()
        .map(|one| match (one.name(), one.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (name, address) => name.or(address).unwrap_or_default().to_owned(),
        })
        .collect();
    people.join(", ")
}

/// The plain text, or the HTML of a message that has no other.
fn body(message: &Message<'_>, flow: &mut Flow<'_>) -> Result<(), ParseError> {
    let has_plain = message
        .text_bodies()
        .any(|part| !part.is_text_html() && part.text_contents().is_some());
    if has_plain {
        for part in message.text_bodies() {
            let text = part
                .text_contents()
                .unwrap_or_default()
                .replace("\r\n", "\n");
            for paragraph in text.split("\n\n") {
                flow.paragraph(paragraph)?;
            }
        }
        return Ok(());
    }
    for part in message.html_bodies() {
        html::write(part.text_contents().unwrap_or_default(), flow)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    const MESSAGE: &str = "From: =?utf-8?q?J=C3=B6rg?= <j@example.org>\r\nTo: a@example.org, b@example.org\r\n\
        Subject: Tolls\r\nDate: Fri, 20 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nFour cro=\r\nwns.\r\n\r\nBye\r\n--x\r\nContent-Type: text/csv\r\n\
        Content-Disposition: attachment; filename=\"tolls.csv\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        c2hpcCx0b2xsCmNvZyw0Cmh1bGssNwo=\r\n--x--\r\n";

    #[test]
    fn head_text_and_attachments() {
        let out = Collected::of(MediaType::Eml, MESSAGE.as_bytes());
        assert_eq!(
            out.texts(),
            [
                "From: Jörg <j@example.org>\nTo: a@example.org, b@example.org\nDate: 2026-11-20T10:00:00+01:00\nSubject: Tolls\n\nFour crowns.\n\nBye"
            ]
        );
        assert_eq!(out.table.as_ref().unwrap().rows, 2);
        assert_eq!(out.metadata["files"], "tolls.csv");
        assert_eq!(out.metadata["subject"], "Tolls");
    }

    #[test]
    fn html_alone_is_read_as_html() {
        let message = "From: a@example.org\r\nSubject: x\r\nContent-Type: text/html\r\n\r\n<p>Four <b>crowns</b></p><script>no</script>";
        let out = Collected::of(MediaType::Eml, message.as_bytes());
        assert_eq!(
            out.texts(),
            ["From: a@example.org\nSubject: x\n\nFour crowns"]
        );
    }
}
