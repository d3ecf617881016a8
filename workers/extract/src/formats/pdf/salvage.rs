//! The last resort for files that are damaged beyond what hayro repairs: a new document around the content that can still be decoded.
//!
//! Damage of a few bytes can hide a whole page, when it hits the page tree or a compressed stream. Here every object of the file is
//! looked at by itself: streams that decode to page content, even in part, each become a page of a new file, and the fonts that are
//! left are offered to them by name. The order of pages is that of the file, their sizes are lost, and nothing of this is tried on
//! encrypted files.

use std::fmt::Write as _;
use std::io::Read;
use std::ops::Range;

use flate2::read::{DeflateDecoder, ZlibDecoder};

/// Largest file that is looked through.
const MAX_FILE_BYTES: usize = 32 << 20;
/// Most bytes that one stream is decoded to.
const MAX_STREAM_BYTES: u64 = 4 << 20;
/// Most pages of the new document.
const MAX_PAGES: usize = 500;
/// Largest object number that is believed: that of ISO 32000-1, annex C.
const MAX_OBJECT_NUMBER: u32 = 8_388_607;

/// A document made of what is left of `bytes`; `None` when no page content is left.
pub(super) fn salvage(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > MAX_FILE_BYTES || find(bytes, b"/Encrypt").is_some() {
        return None;
    }
    let objects = objects(bytes);
    let pages: Vec<Vec<u8>> = objects
        .iter()
        .filter_map(|object| page_content(&bytes[object.body.clone()]))
        .take(MAX_PAGES)
        .collect();
    if pages.is_empty() {
        return None;
    }
    Some(document(bytes, &objects, &pages))
}

/// `12 0 obj` and what follows, up to the next object.
struct Found {
    number: u32,
    body: Range<usize>,
}

fn objects(bytes: &[u8]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut from = 0;
    while let Some(at) = find(&bytes[from..], b"obj").map(|at| at + from) {
        from = at + 3;
        let Some((number, start)) = number_before(bytes, at) else {
            continue;
        };
        if let Some(last) = found.last_mut() {
            last.body.end = start;
        }
        found.push(Found {
            number,
            body: from..bytes.len(),
        });
    }
    for object in &mut found {
        let body = &bytes[object.body.clone()];
        let end = [&b"endobj"[..], b"startxref", b"trailer"]
            .into_iter()
            .filter_map(|word| find(body, word))
            .min();
        object.body.end = object.body.start + end.unwrap_or(body.len());
    }
    found
}

/// The object number in front of `obj`, and where it starts.
fn number_before(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    /// Object and generation number with the spaces between them.
    const LONGEST: usize = 20;
    let head = &bytes[at.saturating_sub(LONGEST)..at];
    let mut parts = head
        .rsplit(u8::is_ascii_whitespace)
        .filter(|part| !part.is_empty());
    let generation = parts.next()?;
    let number = parts.next()?;
    // Whatever damage stands in front of the digits is not part of the number.
    let digits = number
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let number = &number[number.len() - digits..];
    let is_generation = generation.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(number).ok()?.parse().ok()?;
    let is_believed = is_generation && value <= MAX_OBJECT_NUMBER;
    is_believed.then_some((value, at.saturating_sub(LONGEST) + find(head, number)?))
}

/// What an object draws, if it is a stream of page content that can be decoded at least in part.
fn page_content(body: &[u8]) -> Option<Vec<u8>> {
    let start = find(body, b"stream")?;
    let header = &body[..start];
    let is_other = [&b"/Image"[..], b"/Length1", b"/ObjStm", b"/XRef", b"/Form"]
        .into_iter()
        .any(|word| find(header, word).is_some());
    if is_other {
        return None;
    }
    let data = body[start + b"stream".len()..].trim_ascii_start();
    let data = &data[..find(data, b"endstream").unwrap_or(data.len())];
    let mut content = if find(header, b"85").is_some() || data.trim_ascii_end().ends_with(b"~>") {
        ascii_85(data)
    } else {
        data.to_vec()
    };
    if find(header, b"Flate").is_some() || content.starts_with(&[0x78]) {
        content = inflated(&content);
    }
    let shows_text = find(&content, b" Tf").is_some()
        && (find(&content, b"Tj").is_some() || find(&content, b"TJ").is_some());
    shows_text.then_some(content)
}

/// Decodes ASCII-85; a byte that cannot stand there counts as one that can, so that those after it keep their places.
fn ascii_85(data: &[u8]) -> Vec<u8> {
    const DIGITS: usize = 5;
    let data = &data[..find(data, b"~>").unwrap_or(data.len())];
    let mut decoded = Vec::with_capacity(data.len());
    let mut group = Vec::with_capacity(DIGITS);
    for &byte in data.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'z' if group.is_empty() => decoded.extend([0; 4]),
            _ => group.push(u32::from(byte.clamp(b'!', b'u') - b'!')),
        }
        if group.len() == DIGITS {
            decoded.extend(value_of(&group).to_be_bytes());
            group.clear();
        }
    }
    let kept = group.len().saturating_sub(1);
    group.resize(DIGITS, 84);
    decoded.extend(&value_of(&group).to_be_bytes()[..kept]);
    decoded
}

fn value_of(group: &[u32]) -> u32 {
    group.iter().fold(0u32, |value, digit| {
        value.wrapping_mul(85).wrapping_add(*digit)
    })
}

/// As much as can be inflated.
fn inflated(data: &[u8]) -> Vec<u8> {
    let with_header = read_until_error(ZlibDecoder::new(data));
    if !with_header.is_empty() || data.len() < 2 {
        return with_header;
    }
    read_until_error(DeflateDecoder::new(&data[2..]))
}

fn read_until_error(reader: impl Read) -> Vec<u8> {
    let mut reader = reader.take(MAX_STREAM_BYTES);
    let mut content = Vec::new();
    // What was decoded in the same call as the error is lost, so the calls are small.
    let mut chunk = [0; 16];
    while let Ok(count @ 1..) = reader.read(&mut chunk) {
        content.extend_from_slice(&chunk[..count]);
    }
    content
}

/// All objects of the old file and the new pages, without cross-references: readers find the objects by themselves.
fn document(bytes: &[u8], objects: &[Found], pages: &[Vec<u8>]) -> Vec<u8> {
    let mut next = objects
        .iter()
        .map(|object| object.number)
        .max()
        .unwrap_or(0)
        + 1;
    let mut file = b"%PDF-1.7\n".to_vec();
    for object in objects {
        push_object(&mut file, object.number, &bytes[object.body.clone()]);
    }
    let resources = format!("<< /Font << {} >> >>", fonts(bytes, objects));
    let (catalog, tree) = (next, next + 1);
    next += 2;
    let mut kids = String::new();
    for content in pages {
        let mut stream = format!("<< /Length {} >>\nstream\n", content.len()).into_bytes();
        stream.extend_from_slice(content);
        stream.extend_from_slice(b"\nendstream");
        push_object(&mut file, next, &stream);
        let page = format!(
            "<< /Type /Page /Parent {tree} 0 R /MediaBox {} /Resources {resources} /Contents {next} 0 R >>",
            page_size(bytes)
        );
        push_object(&mut file, next + 1, page.as_bytes());
        let _ = write!(kids, "{} 0 R ", next + 1);
        next += 2;
    }
    let count = pages.len();
    push_object(
        &mut file,
        tree,
        format!("<< /Type /Pages /Count {count} /Kids [ {kids}] >>").as_bytes(),
    );
    push_object(
        &mut file,
        catalog,
        format!("<< /Type /Catalog /Pages {tree} 0 R >>").as_bytes(),
    );
    file.extend_from_slice(format!("trailer\n<< /Root {catalog} 0 R >>\n%%EOF\n").as_bytes());
    file
}

fn push_object(file: &mut Vec<u8>, number: u32, body: &[u8]) {
    file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
    file.extend_from_slice(body.trim_ascii());
    file.extend_from_slice(b"\nendobj\n");
}

/// The names under which the file speaks of its fonts, such as `/F1 2 0 R`.
fn fonts(bytes: &[u8], objects: &[Found]) -> String {
    let is_font = |object: &&Found| {
        let body = &bytes[object.body.clone()];
        find(body, b"stream").is_none() && find(body, b"/BaseFont").is_some()
    };
    let numbers: Vec<u32> = objects
        .iter()
        .filter(is_font)
        .map(|object| object.number)
        .collect();
    let mut entries = String::new();
    for object in objects {
        let body = &bytes[object.body.clone()];
        let text = String::from_utf8_lossy(&body[..find(body, b"stream").unwrap_or(body.len())]);
        let words: Vec<&str> = text
            .split(|c: char| c.is_ascii_whitespace() || matches!(c, '<' | '>' | '[' | ']'))
            .filter(|word| !word.is_empty())
            .collect();
        for window in words.windows(4) {
            let name = window[0].rsplit('/').next().unwrap_or_default();
            let is_reference = window[0].contains('/') && window[3].starts_with('R');
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let target = window[1]
                .parse()
                .ok()
                .filter(|number| numbers.contains(number));
            if let Some(number) =
                target.filter(|_| is_reference && is_name && name != "DescendantFonts")
            {
                let _ = write!(entries, "/{name} {number} 0 R ");
            }
        }
    }
    entries
}

/// The first page size that the file speaks of, else that of A4.
fn page_size(bytes: &[u8]) -> String {
    let numbers = find(bytes, b"MediaBox").and_then(|at| {
        let rest = &bytes[at + b"MediaBox".len()..][..bytes.len().saturating_sub(at + 8).min(80)];
        let inner = &rest[find(rest, b"[")? + 1..];
        let inner = &inner[..find(inner, b"]")?];
        let numbers: Vec<f32> = std::str::from_utf8(inner)
            .ok()?
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        (numbers.len() == 4).then(|| {
            numbers
                .iter()
                .map(f32::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        })
    });
    format!(
        "[ {} ]",
        numbers.unwrap_or_else(|| "0 0 595 842".to_owned())
    )
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use hayro_syntax::Pdf;

    use super::super::pdf_writer::{Content, PdfWriter};
    use super::*;

    fn file() -> Vec<u8> {
        let mut content = Content::default();
        content.text(72.0, 700.0, 12.0, "What is left of it");
        PdfWriter::new().page(&content).finish()
    }

    fn damaged(word: &str, by: &str) -> Vec<u8> {
        let text = file()
            .iter()
            .map(|&byte| char::from(byte))
            .collect::<String>()
            .replace(word, by);
        text.chars().map(|c| c as u8).collect()
    }

    #[test]
    fn a_page_whose_tree_is_lost_is_found() {
        let mut without_trailer = damaged("/Type /Page ", "/Tyqe\u{0} Page ");
        without_trailer.truncate(find(&without_trailer, b"xref").unwrap());
        for bytes in [damaged("/Kids", "/Kidz"), without_trailer] {
            let pdf = Pdf::new(salvage(&bytes).unwrap()).ok().unwrap();
            let content = pdf.pages()[0].page_stream().unwrap();
            assert!(find(content, b"What is left of it").is_some());
            assert!(
                pdf.pages()[0]
                    .resources()
                    .fonts
                    .contains_key(b"F1".as_slice())
            );
        }
    }

    #[test]
    fn files_without_content_and_encrypted_files_are_left() {
        assert_eq!(salvage(b"%PDF-1.7 1 0 obj << >> endobj"), None);
        assert_eq!(salvage(&damaged("/Type /Catalog", "/Encrypt 9 0 R")), None);
        assert_eq!(salvage(b""), None);
    }

    #[test]
    fn broken_ascii_85_keeps_what_stands_before_and_after() {
        assert_eq!(ascii_85(b"87cURD]j7BEbo80~>"), b"Hello world!");
        let broken = ascii_85(b"87c\x80RD]j7BEbo80~>");
        assert_eq!(&broken[4..], b"o world!");
    }

    #[test]
    fn a_page_size_between_wrong_brackets_is_not_taken() {
        for (by, size) in [
            ("/MediaBox ] [0 0 300 200]", "[ 0 0 300 200 ]"),
            ("/MediaBox ] ", "[ 0 0 595 842 ]"),
            ("/MediaBox", "[ 0 0 595 842 ]"),
        ] {
            assert_eq!(page_size(by.as_bytes()), size, "{by}");
        }
    }

    #[test]
    fn an_object_number_beyond_all_limits_is_not_taken() {
        let mut bytes = file();
        bytes.extend_from_slice(b"\n4294967295 0 obj << >> endobj");
        assert!(salvage(&bytes).is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), at in 0usize..900) {
            let mut file = file();
            let at = at.min(file.len());
            file.splice(at..at, bytes);
            salvage(&file);
        }
    }
}
