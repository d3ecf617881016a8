//! The media types that quire reads, and how to tell them apart.
//!
//! Content decides. Images and PDF have magic numbers; a table is text whose rows agree on a delimiter. A file name may only break
//! a tie between texts (a `.csv` with one column looks like prose); it never turns binary bytes into a table. Whether the rest of
//! the file keeps what its beginning promises is for the format to find out.

use serde::{Deserialize, Serialize};

use crate::formats::csv;

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
            Self::Png | Self::Jpeg | Self::Webp | Self::Gif | Self::Tiff | Self::Bmp
        )
    }
}

/// What a file is, judged by its first [`SNIFF_BYTES`]; `None` when it is nothing that quire reads.
pub fn sniff(head: &[u8], file_name: &str) -> Option<MediaType> {
    let head = &head[..head.len().min(SNIFF_BYTES)];
    magic(head).or_else(|| table(head, file_name))
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

fn table(head: &[u8], file_name: &str) -> Option<MediaType> {
    let guess = csv::guess(head)?;
    let extension = file_name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    let named = matches!(extension.as_deref(), Some("csv" | "tsv" | "tab"));
    if !named && !guess.is_table {
        return None;
    }
    let tabs = match guess.delimiter {
        Some(delimiter) => delimiter == '\t',
        None => matches!(extension.as_deref(), Some("tsv" | "tab")),
    };
    Some(if tabs { MediaType::Tsv } else { MediaType::Csv })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for &media in MediaType::ALL {
            assert_eq!(MediaType::from_name(media.name()), Some(media));
            assert_eq!(
                serde_json::to_string(&media).unwrap(),
                format!("{:?}", media.name())
            );
        }
        assert_eq!(MediaType::from_name("docx"), None);
    }

    #[test]
    fn magic_numbers_win_over_names() {
        assert_eq!(
            sniff(b"\x89PNG\r\n\x1a\n....", "table.csv"),
            Some(MediaType::Png)
        );
        assert_eq!(sniff(b"\xff\xd8\xff\xe0", "x"), Some(MediaType::Jpeg));
        assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 ", "x"), Some(MediaType::Webp));
        assert_eq!(sniff(b"GIF89a..", "x.png"), Some(MediaType::Gif));
        assert_eq!(sniff(b"MM\0*\0\0\0\x08", "x"), Some(MediaType::Tiff));
        assert_eq!(sniff(b"junk\n%PDF-1.4\n", "x.csv"), Some(MediaType::Pdf));
    }

    #[test]
    fn tables_are_known_by_their_rows() {
        assert_eq!(sniff(b"a,b\n1,2\n3,4\n", "upload"), Some(MediaType::Csv));
        assert_eq!(
            sniff(b"a\tb\n1\t2\n3\t4\n", "upload.csv"),
            Some(MediaType::Tsv)
        );
        assert_eq!(sniff(b"a;b\n1;2\n3;4\n", "upload"), Some(MediaType::Csv));
    }

    #[test]
    fn a_name_only_breaks_a_tie_between_texts() {
        assert_eq!(
            sniff(b"name\nanna\nbert\n", "one.csv"),
            Some(MediaType::Csv)
        );
        assert_eq!(
            sniff(b"name\nanna\nbert\n", "one.tsv"),
            Some(MediaType::Tsv)
        );
        assert_eq!(sniff(b"name\nanna\nbert\n", "one.txt"), None);
        assert_eq!(
            sniff(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0", "one.csv"),
            None
        );
        assert_eq!(sniff(b"", "one.csv"), None);
    }

    #[test]
    fn prose_and_markup_are_no_tables() {
        let prose = b"It was the best of times, it was the worst of times.\nIt was the age of wisdom.\nIt was foolish, and dark.\n";
        assert_eq!(sniff(prose, "x.txt"), None);
        assert_eq!(
            sniff(b"{\"a\": 1, \"b\": 2}\n{\"a\": 2, \"b\": 3}\n", "x"),
            None
        );
        assert_eq!(
            sniff(b"<html>\n<p>a, b</p>\n<p>c, d</p>\n</html>", "x"),
            None
        );
    }

    #[test]
    fn text_that_begins_with_bm_is_no_bitmap() {
        assert_eq!(
            sniff(b"BMW,VW\n1,2\n3,4\n5,6\n7,8\n9,10\n", "x"),
            Some(MediaType::Csv)
        );
    }
}
