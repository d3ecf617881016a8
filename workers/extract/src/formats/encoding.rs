//! From the bytes of a file to UTF-8.
//!
//! A byte order mark decides; next, the pattern of zero bytes that UTF-16 text has; next, whether the bytes are UTF-8. Only then is a
//! legacy encoding guessed. All encodings but UTF-16 agree on ASCII, so the guess waits for the first chunk that holds anything
//! else and costs pure ASCII files nothing. What cannot be decoded becomes U+FFFD.

use std::io::{self, Read, Seek, SeekFrom};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::formats::Input;

/// Bytes read at a time. Larger chunks fall out of the second-level cache between reading and splitting.
const CHUNK: usize = 256 * 1024;

/// Bytes at the beginning that decide on UTF-16.
const HEAD: usize = 4 * 1024;

/// Valid sequences for each invalid byte from which text still counts as UTF-8: a few bytes went wrong, not the encoding.
const UTF8_TOLERANCE: usize = 20;

/// Share of control bytes (in percent) from which something is not text.
const MAX_CONTROL_PERCENT: usize = 2;

/// A file as UTF-8.
pub(super) struct TextSource<'a> {
    input: &'a mut Input,
    state: State,
    raw: Vec<u8>,
}

enum State {
    /// Nothing but ASCII so far.
    Ascii,
    /// UTF-8, passed on as it is.
    Utf8,
    Decoding(Box<Decoder>),
}

impl<'a> TextSource<'a> {
    /// Starts at the beginning of `input`.
    pub(super) fn new(input: &'a mut Input) -> io::Result<Self> {
        let mut head = Vec::with_capacity(HEAD);
        input.seek(SeekFrom::Start(0))?;
        input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        let (encoding, skip) = match Encoding::for_bom(&head) {
            Some((encoding, length)) => (Some(encoding), length),
            None => (utf16_by_zeros(&head), 0),
        };
        input.seek(SeekFrom::Start(skip as u64))?;
        let state = match encoding {
            None => State::Ascii,
            Some(encoding) if encoding == UTF_8 => State::Utf8,
            Some(encoding) => {
                State::Decoding(Box::new(encoding.new_decoder_without_bom_handling()))
            }
        };
        Ok(Self {
            input,
            state,
            raw: Vec::new(),
        })
    }

    /// Name of the encoding, as far as it is known by now.
    pub(super) fn encoding(&self) -> &'static str {
        match &self.state {
            State::Ascii | State::Utf8 => UTF_8.name(),
            State::Decoding(decoder) => decoder.encoding().name(),
        }
    }

    /// Bytes of the file that were read, and bytes in all.
    pub(super) fn position(&mut self) -> (u64, u64) {
        (self.input.stream_position().unwrap_or(0), self.input.size())
    }

    /// Appends the next chunk to `text`; false at the end of the file.
    pub(super) fn read_into(&mut self, text: &mut Vec<u8>) -> io::Result<bool> {
        self.raw.resize(CHUNK, 0);
        let count = self.input.read(&mut self.raw)?;
        self.raw.truncate(count);
        let last = count == 0;
        if matches!(self.state, State::Ascii) && !self.raw.is_ascii() {
            self.state = legacy_or_utf8(&self.raw, count == CHUNK);
        }
        match &mut self.state {
            State::Ascii | State::Utf8 => text.extend_from_slice(&self.raw),
            State::Decoding(decoder) => decode(decoder, &self.raw, last, text),
        }
        Ok(!last)
    }
}

fn decode(decoder: &mut Decoder, raw: &[u8], last: bool, text: &mut Vec<u8>) {
    let start = text.len();
    let room = decoder
        .max_utf8_buffer_length(raw.len())
        .unwrap_or(raw.len() * 4);
    text.resize(start + room, 0);
    let (_, _, written, _) = decoder.decode_to_utf8(raw, &mut text[start..], last);
    text.truncate(start + written);
}

/// UTF-16 without a mark: nearly every other byte of Western text is zero.
fn utf16_by_zeros(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.len() / 2;
    let zeros = |offset: usize| {
        head.iter()
            .skip(offset)
            .step_by(2)
            .filter(|&&byte| byte == 0)
            .count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    // A third, so that text of which half is not Western is still seen; the other side must have next to none.
    let many = pairs / 3 + 1;
    let few = pairs / 50;
    match (even, odd) {
        (even, odd) if odd >= many && even <= few => Some(UTF_16LE),
        (even, odd) if even >= many && odd <= few => Some(UTF_16BE),
        _ => None,
    }
}

/// Decides by the first chunk with bytes beyond ASCII. `cut` says that the chunk may end within a character.
fn legacy_or_utf8(chunk: &[u8], cut: bool) -> State {
    let whole = std::str::from_utf8(chunk)
        .map_or_else(|error| cut && error.error_len().is_none(), |_| true);
    if whole || is_mostly_utf8(chunk) {
        return State::Utf8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(chunk, false);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    State::Decoding(Box::new(encoding.new_decoder_without_bom_handling()))
}

fn is_mostly_utf8(chunk: &[u8]) -> bool {
    let (mut valid, mut invalid) = (0, 0);
    for part in chunk.utf8_chunks() {
        valid += part.valid().chars().filter(|c| !c.is_ascii()).count();
        invalid += part.invalid().len();
    }
    valid >= invalid * UTF8_TOLERANCE
}

/// The beginning of a file as UTF-8; `None` when it is not text. `cut` says that the file goes on.
pub(crate) fn decode_head(head: &[u8], cut: bool) -> Option<Vec<u8>> {
    let (marked, length) =
        Encoding::for_bom(head).map_or((None, 0), |(encoding, length)| (Some(encoding), length));
    let body = &head[length..];
    let wide = marked
        .filter(|&encoding| encoding != UTF_8)
        .or_else(|| utf16_by_zeros(body));
    let mut text = Vec::new();
    match wide {
        Some(encoding) => decode(
            &mut encoding.new_decoder_without_bom_handling(),
            body,
            !cut,
            &mut text,
        ),
        None => match legacy_or_utf8(body, cut) {
            State::Decoding(mut decoder) if !body.is_ascii() => {
                decode(&mut decoder, body, !cut, &mut text);
            }
            _ => text.extend_from_slice(body),
        },
    }
    let control = text
        .iter()
        .filter(|&&byte| byte < b' ' && !byte.is_ascii_whitespace())
        .count();
    let is_text =
        !text.trim_ascii().is_empty() && control * 100 <= text.len() * MAX_CONTROL_PERCENT;
    is_text.then_some(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> (String, &'static str) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut input = Input::new(file).unwrap();
        let mut source = TextSource::new(&mut input).unwrap();
        let mut text = Vec::new();
        while source.read_into(&mut text).unwrap() {}
        (
            String::from_utf8_lossy(&text).into_owned(),
            source.encoding(),
        )
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    const TEXT: &str = "name,city\nJosé,Köln\nÅsa,Malmö\nChloé,Besançon\n";

    #[test]
    fn marks_and_zero_bytes_tell_utf_16() {
        for (to_bytes, name) in [
            (u16::to_le_bytes as fn(u16) -> [u8; 2], "UTF-16LE"),
            (u16::to_be_bytes, "UTF-16BE"),
        ] {
            assert_eq!(read(&utf16(TEXT, to_bytes)), (TEXT.to_owned(), name));
            assert_eq!(
                read(&utf16(&format!("\u{FEFF}{TEXT}"), to_bytes)),
                (TEXT.to_owned(), name)
            );
        }
    }

    #[test]
    fn utf_8_stays_with_and_without_a_mark() {
        assert_eq!(read(TEXT.as_bytes()), (TEXT.to_owned(), "UTF-8"));
        assert_eq!(
            read(format!("\u{FEFF}{TEXT}").as_bytes()),
            (TEXT.to_owned(), "UTF-8")
        );
        assert_eq!(read(b"a,b\n1,2\n"), ("a,b\n1,2\n".to_owned(), "UTF-8"));
    }

    #[test]
    fn a_few_bad_bytes_do_not_change_the_encoding() {
        let mut bytes = TEXT.repeat(20).into_bytes();
        bytes.extend(b"\xff\n");
        let (text, encoding) = read(&bytes);
        assert_eq!(encoding, "UTF-8");
        assert!(text.ends_with("\u{FFFD}\n"));
    }

    #[test]
    fn western_legacy_text_is_decoded() {
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(TEXT);
        assert_eq!(read(&bytes), (TEXT.to_owned(), "windows-1252"));
    }

    #[test]
    fn the_encoding_is_found_behind_megabytes_of_ascii_and_across_chunks() {
        let ascii = "a,b\n".repeat(CHUNK);
        assert_eq!(read(format!("{ascii}{TEXT}").as_bytes()).1, "UTF-8");
        let (legacy, _, _) = encoding_rs::WINDOWS_1252.encode(TEXT);
        let (text, encoding) = read(&[ascii.as_bytes(), &legacy].concat());
        assert_eq!(encoding, "windows-1252");
        assert!(text.ends_with(TEXT));
        // A two-byte character across the border of a chunk.
        let split = format!("{}é\n", "x".repeat(CHUNK - 1));
        assert_eq!(read(split.as_bytes()), (split, "UTF-8"));
    }

    #[test]
    fn binary_is_not_text() {
        assert!(decode_head(b"\x7fELF\x02\x01\x01\0\0\0\0\0", false).is_none());
        assert!(decode_head(b"PK\x03\x04\x14\0\0\0\x08\0a", false).is_none());
        assert!(decode_head(b" \n", false).is_none());
        assert_eq!(decode_head(b"a,b\n", false).unwrap(), b"a,b\n");
    }
}
