//! The media types that quire reads, and how to tell them apart.
//!
//! Content decides. Images, PDF and containers have magic numbers; a table is text whose rows agree on a delimiter; markup and mail
//! begin as such. A file name may only break a tie between texts (a `.csv` with one column looks like prose) or between containers;
//! it never turns binary bytes into text. Whether the rest of the file keeps what its beginning promises is for the format to find
//! out.

use serde::{Deserialize, Serialize};

use crate::formats::{csv, encoding};

/// Bytes at the beginning of a file that [`sniff`] wants to see; fewer will do for a shorter file.
pub const SNIFF_BYTES: usize = 64 * 1024;

/// Where the header of a PDF may begin: readers have always accepted junk before it.
const PDF_HEADER_WITHIN: usize = 1024;

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaType {
    /// Portable Document Format.
    Pdf,
    /// Text with a delimiter, most often a comma.
    Csv,
    /// Text with tabs between cells.
    Tsv,
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
    /// Graphics Interchange Format.
    Gif,
    /// Tagged Image File Format.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// Windows icon or cursor.
    Ico,
    /// Truevision TGA.
    Tga,
    /// Portable anymap: PBM, PGM, PPM, PAM.
    Pnm,
    /// AV1 image: told apart so that its refusal can name the remedy.
    Avif,
    /// Excel workbook.
    Xlsx,
    /// Word document.
    Docx,
    /// `PowerPoint` presentation.
    Pptx,
    /// `HyperText` Markup Language.
    Html,
    /// Markdown.
    Markdown,
    /// E-mail.
    Eml,
    /// Archive of files.
    Zip,
    /// Any other text.
    Text,
}

impl MediaType {
    /// Every media type.
    pub const ALL: &[Self] = &[
        Self::Pdf,
        Self::Csv,
        Self::Tsv,
        Self::Png,
        Self::Jpeg,
        Self::Webp,
        Self::Gif,
        Self::Tiff,
        Self::Bmp,
        Self::Ico,
        Self::Tga,
        Self::Pnm,
        Self::Avif,
        Self::Xlsx,
        Self::Docx,
        Self::Pptx,
        Self::Html,
        Self::Markdown,
        Self::Eml,
        Self::Zip,
        Self::Text,
    ];

    /// The registered MIME type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
            Self::Ico => "image/x-icon",
            Self::Tga => "image/x-tga",
            Self::Pnm => "image/x-portable-anymap",
            Self::Avif => "image/avif",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pptx => {
                "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            }
            Self::Html => "text/html",
            Self::Markdown => "text/markdown",
            Self::Eml => "message/rfc822",
            Self::Zip => "application/zip",
            Self::Text => "text/plain",
        }
    }

    /// Short lower-case name, as on the wire and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
            Self::Ico => "ico",
            Self::Tga => "tga",
            Self::Pnm => "pnm",
            Self::Avif => "avif",
            Self::Xlsx => "xlsx",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Eml => "eml",
            Self::Zip => "zip",
            Self::Text => "text",
        }
    }

    /// The media type with this [`MediaType::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|media| media.name() == name)
    }

    /// Whether it is one of the image types.
    pub fn is_image(self) -> bool {
        matches!(
            self,
            Self::Png
                | Self::Jpeg
                | Self::Webp
                | Self::Gif
                | Self::Tiff
                | Self::Bmp
                | Self::Ico
                | Self::Tga
                | Self::Pnm
                | Self::Avif
        )
    }
}

/// What a file is, judged by its first [`SNIFF_BYTES`]; `None` when it is nothing that quire reads.
pub fn sniff(head: &[u8], file_name: &str) -> Option<MediaType> {
    let head = &head[..head.len().min(SNIFF_BYTES)];
    magic(head)
        .or_else(|| is_tga(head, file_name).then_some(MediaType::Tga))
        .or_else(|| container(head, file_name))
        .or_else(|| text(head, file_name))
}

fn magic(head: &[u8]) -> Option<MediaType> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if starts(b"\x89PNG\r\n\x1a\n") {
        return Some(MediaType::Png);
    }
    if starts(b"\xff\xd8\xff") {
        return Some(MediaType::Jpeg);
    }
    if starts(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some(MediaType::Webp);
    }
    if starts(b"GIF87a") || starts(b"GIF89a") {
        return Some(MediaType::Gif);
    }
    if starts(b"II*\0")
        || starts(b"MM\0*")
        || starts(b"II+\0\x08\0\0\0")
        || starts(b"MM\0+\0\x08\0\0")
    {
        return Some(MediaType::Tiff);
    }
    if is_bmp(head) {
        return Some(MediaType::Bmp);
    }
    if is_icon(head) {
        return Some(MediaType::Ico);
    }
    if is_anymap(head) {
        return Some(MediaType::Pnm);
    }
    if is_avif(head) {
        return Some(MediaType::Avif);
    }
    let window = &head[..head.len().min(PDF_HEADER_WITHIN)];
    window
        .windows(5)
        .any(|bytes| bytes == b"%PDF-")
        .then_some(MediaType::Pdf)
}

/// "BM" begins many a text, so the size of the second header must also be one of those that exist.
fn is_bmp(head: &[u8]) -> bool {
    const HEADER_SIZES: [u32; 9] = [12, 16, 40, 52, 56, 64, 108, 124, 240];
    let size = head
        .get(14..18)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    head.starts_with(b"BM") && size.is_some_and(|size| HEADER_SIZES.contains(&size))
}

/// A directory of at least one picture, whose reserved bytes are zero and whose first entry lies behind it (icons and cursors).
fn is_icon(head: &[u8]) -> bool {
    let Some(&[0, 0, 1 | 2, 0, count, 0]) = head.first_chunk::<6>() else {
        return false;
    };
    let number = |at: usize| {
        let bytes = head.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let behind = 6 + 16 * u32::from(count);
    count > 0 && head.get(9) == Some(&0) && number(18).is_some_and(|offset| offset >= behind)
}

/// `P1` to `P7`, white space or a comment, and a size.
fn is_anymap(head: &[u8]) -> bool {
    let [b'P', kind @ b'1'..=b'7', rest @ ..] = head else {
        return false;
    };
    if *kind == b'7' {
        return rest.starts_with(b"\n") && rest.windows(5).take(512).any(|part| part == b"WIDTH");
    }
    let mut rest = rest;
    if !rest.first().is_some_and(u8::is_ascii_whitespace) {
        return false;
    }
    loop {
        rest = rest.trim_ascii_start();
        if !rest.starts_with(b"#") {
            break;
        }
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return false;
        };
        rest = &rest[end..];
    }
    // Width and height: a line of prose that begins with `P1 ` has none.
    let mut numbers = rest
        .split(u8::is_ascii_whitespace)
        .filter(|part| !part.is_empty());
    let is_size = |part: Option<&[u8]>| {
        part.is_some_and(|part| part.len() <= 6 && part.iter().all(u8::is_ascii_digit))
    };
    is_size(numbers.next()) && is_size(numbers.next())
}

/// A file type box (ISO 14496-12) that names one of the brands of AVIF.
fn is_avif(head: &[u8]) -> bool {
    let Some(length) = head
        .first_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes))
    else {
        return false;
    };
    let brands = head
        .get(8..(length as usize).min(head.len()))
        .unwrap_or_default();
    let (brands, _) = brands.as_chunks::<4>();
    head.get(4..8) == Some(b"ftyp")
        && brands
            .iter()
            .any(|brand| matches!(brand, b"avif" | b"avis"))
}

/// TGA has no magic number, so the name must say it and the header must not speak against it.
fn is_tga(head: &[u8], file_name: &str) -> bool {
    let Some(header) = head.first_chunk::<18>() else {
        return false;
    };
    let (has_map, kind, depth) = (header[1], header[2], header[16]);
    let side = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    extension(file_name).as_deref() == Some("tga")
        && has_map <= 1
        && matches!(kind, 1..=3 | 9..=11)
        && matches!(depth, 8 | 15 | 16 | 24 | 32)
        && side(12) > 0
        && side(14) > 0
}

/// Office files are ZIP containers whose parts lie in a folder of their own.
fn container(head: &[u8], file_name: &str) -> Option<MediaType> {
    if !head.starts_with(b"PK\x03\x04") && !head.starts_with(b"PK\x05\x06") {
        return None;
    }
    let holds = |name: &[u8]| head.windows(name.len()).any(|bytes| bytes == name);
    let office = [
        (MediaType::Docx, b"word/".as_slice(), "docx"),
        (MediaType::Xlsx, b"xl/", "xlsx"),
        (MediaType::Pptx, b"ppt/", "pptx"),
    ];
    let extension = extension(file_name);
    let by_part = office.iter().find(|(_, folder, _)| holds(folder));
    let by_name = office
        .iter()
        .find(|(_, _, name)| extension.as_deref() == Some(name));
    let found = if holds(b"[Content_Types].xml") {
        // The first part may be so large that the next name is out of sight.
        by_part.or(by_name)
    } else {
        // Some programs write the list of types last: then part and name have to agree.
        by_part.filter(|part| by_name == Some(part))
    };
    Some(found.map_or(MediaType::Zip, |(media, _, _)| *media))
}

fn text(head: &[u8], file_name: &str) -> Option<MediaType> {
    let text = encoding::decode_head(head, head.len() >= SNIFF_BYTES)?;
    let named = extension(file_name);
    let named = named.as_deref().unwrap_or_default();
    let is_table = matches!(named, "csv" | "tsv" | "tab");
    if !is_table && is_html(&text, named) {
        return Some(MediaType::Html);
    }
    if !is_table && is_mail(&text) {
        return Some(MediaType::Eml);
    }
    if matches!(named, "md" | "markdown") {
        return Some(MediaType::Markdown);
    }
    table(head, named).or(Some(MediaType::Text))
}

fn extension(file_name: &str) -> Option<String> {
    let (_, extension) = file_name.rsplit_once('.')?;
    Some(extension.to_ascii_lowercase())
}

/// A document type or a root element, after comments and processing instructions.
fn is_html(text: &[u8], extension: &str) -> bool {
    /// Comments before it may be long, but not endless.
    const WITHIN: usize = 4 * 1024;
    let start = text.trim_ascii_start();
    if !start.starts_with(b"<") {
        return false;
    }
    let start = start[..start.len().min(WITHIN)].to_ascii_lowercase();
    let holds = |tag: &[u8]| start.windows(tag.len()).any(|bytes| bytes == tag);
    matches!(extension, "html" | "htm" | "xhtml") || holds(b"<!doctype html") || holds(b"<html")
}

/// Header fields (RFC 5322) from the first line on, two of them such as only mail has.
fn is_mail(text: &[u8]) -> bool {
    const FIELDS: [&[u8]; 9] = [
        b"from:",
        b"to:",
        b"subject:",
        b"date:",
        b"received:",
        b"message-id:",
        b"mime-version:",
        b"return-path:",
        b"delivered-to:",
    ];
    let lines = text
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let mut known = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        let is_folded = line.starts_with(b" ") || line.starts_with(b"\t");
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        let is_field = name.len() < line.len() && name.iter().all(u8::is_ascii_graphic);
        if !is_folded && !is_field {
            return false;
        }
        let lower = line[..line.len().min(16)].to_ascii_lowercase();
        known += usize::from(FIELDS.iter().any(|field| lower.starts_with(field)));
    }
    known >= 2
}

fn table(head: &[u8], extension: &str) -> Option<MediaType> {
    let guess = csv::guess(head)?;
    let named = matches!(extension, "csv" | "tsv" | "tab");
    if !named && !guess.is_table {
        return None;
    }
    let tabs = match guess.delimiter {
        Some(delimiter) => delimiter == '\t',
        None => matches!(extension, "tsv" | "tab"),
    };
    Some(if tabs { MediaType::Tsv } else { MediaType::Csv })
}

#[cfg(test)]
mod tests;
