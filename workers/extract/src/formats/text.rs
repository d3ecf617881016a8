//! Plain text in any encoding. Paragraphs are parted by empty lines, pages by form feeds.

use super::encoding::TextSource;
use super::flow::Flow;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::request::ParseRequest;

/// Largest text file that is read as a document: some 10,000 printed pages.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Reads plain text.
#[derive(Debug)]
pub(super) struct Text;

impl Format for Text {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Text]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let text = read(input, MAX_BYTES)?;
        let mut flow = Flow::new(out);
        let mut pages = text.split('\u{c}').peekable();
        while let Some(page) = pages.next() {
            for paragraph in paragraphs(page) {
                flow.paragraph(&paragraph)?;
            }
            if pages.peek().is_some() {
                flow.end_page()?;
            }
        }
        flow.finish()
    }
}

/// The whole file as text with `\n` at the ends of lines.
pub(super) fn read(input: &mut Input, limit: u64) -> Result<String, ParseError> {
    if input.size() > limit {
        return Err(ParseError::LimitExceeded(format!(
            "the file has {} bytes, the limit for text is {limit}",
            input.size()
        )));
    }
    let mut source = TextSource::new(input)?;
    let mut bytes = Vec::new();
    while source.read_into(&mut bytes)? {}
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    if text.contains('\r') {
        Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Ok(text)
    }
}

/// Runs of lines that are not empty.
fn paragraphs(page: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    let runs: Vec<String> = lines
        .split(|line| line.is_empty())
        .filter(|run| !run.is_empty())
        .map(|run| run.join("\n"))
        .collect();
    runs.into_iter()
}

#[cfg(test)]
mod tests {
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    #[test]
    fn paragraphs_stay_and_form_feeds_end_pages() {
        let out = Collected::of(
            MediaType::Text,
            b"One.\r\nStill one.\r\n\r\n\r\nTwo.\n\x0c\nPage 2\n",
        );
        assert_eq!(out.texts(), ["One.\nStill one.\n\nTwo.", "Page 2"]);
    }

    #[test]
    fn other_encodings_and_nul_are_text() {
        let wide: Vec<u8> = std::iter::once(0xfeff_u16)
            .chain("Grüße\0!".encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(
            Collected::of(MediaType::Text, &wide).texts(),
            ["Grüße\u{fffd}!"]
        );
    }

    #[test]
    fn a_file_without_any_break_is_cut() {
        let long = "x".repeat(3 * 1024 * 1024);
        let texts = Collected::of(MediaType::Text, long.as_bytes()).texts();
        assert_eq!(texts.concat(), long);
        assert!(texts.len() >= 3);
    }
}
