//! What a document says about itself: title, author, dates, version, number of pages.

use std::fmt::Write as _;

use hayro_syntax::object::DateTime;
use hayro_syntax::{Pdf, PdfVersion};

use super::strings::decode_text_string;
use crate::formats::Output;

/// Hands the metadata of `pdf` to `out`.
pub(super) fn send(pdf: &Pdf, out: &mut dyn Output) {
    let info = pdf.metadata();
    let texts = [
        ("title", &info.title),
        ("author", &info.author),
        ("subject", &info.subject),
        ("keywords", &info.keywords),
        ("creator", &info.creator),
        ("producer", &info.producer),
    ];
    for (key, value) in texts {
        if let Some(bytes) = value {
            let text = decode_text_string(bytes);
            if !text.trim().is_empty() {
                out.metadata(key, text.trim());
            }
        }
    }
    for (key, date) in [
        ("created", info.creation_date),
        ("modified", info.modification_date),
    ] {
        if let Some(date) = date {
            out.metadata(key, &rfc3339(&date));
        }
    }
    out.metadata("pdf_version", version(pdf.version()));
    out.metadata("pages", &pdf.pages().len().to_string());
}

fn rfc3339(date: &DateTime) -> String {
    let DateTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        utc_offset_hour,
        utc_offset_minute,
    } = date;
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if (*utc_offset_hour, *utc_offset_minute) == (0, 0) {
        text.push('Z');
    } else {
        let _ = write!(text, "{utc_offset_hour:+03}:{utc_offset_minute:02}");
    }
    text
}

fn version(version: PdfVersion) -> &'static str {
    match version {
        PdfVersion::Pdf10 => "1.0",
        PdfVersion::Pdf11 => "1.1",
        PdfVersion::Pdf12 => "1.2",
        PdfVersion::Pdf13 => "1.3",
        PdfVersion::Pdf14 => "1.4",
        PdfVersion::Pdf15 => "1.5",
        PdfVersion::Pdf16 => "1.6",
        PdfVersion::Pdf17 => "1.7",
        PdfVersion::Pdf20 => "2.0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_rfc_3339() {
        let mut date = DateTime {
            year: 2024,
            month: 6,
            day: 1,
            hour: 9,
            minute: 5,
            second: 0,
            utc_offset_hour: 0,
            utc_offset_minute: 0,
        };
        assert_eq!(rfc3339(&date), "2024-06-01T09:05:00Z");
        (date.utc_offset_hour, date.utc_offset_minute) = (-3, 30);
        assert_eq!(rfc3339(&date), "2024-06-01T09:05:00-03:30");
    }
}
