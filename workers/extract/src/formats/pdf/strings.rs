//! Text strings of a PDF: UTF-16 with a byte order mark, UTF-8 with one, or `PDFDocEncoding`.

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};

/// The text of a PDF text string (ISO 32000-2, 7.9.2.2).
pub(super) fn decode_text_string(bytes: &[u8]) -> String {
    match bytes {
        [0xFE, 0xFF, rest @ ..] => UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xFF, 0xFE, rest @ ..] => UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => UTF_8.decode_without_bom_handling(rest).0.into_owned(),
        _ => bytes.iter().map(|&byte| pdf_doc_encoding(byte)).collect(),
    }
}

/// `PDFDocEncoding` is Latin-1 with typographic characters in the places of its control characters.
fn pdf_doc_encoding(byte: u8) -> char {
    /// 0x18 to 0x1F.
    const ACCENTS: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    /// 0x80 to 0xA0.
    const TYPOGRAPHY: [char; 33] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚',
        '™', 'ﬁ', 'ﬂ', 'Ł', 'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', '\u{FFFD}', '€',
    ];
    match byte {
        0x18..=0x1F => ACCENTS[usize::from(byte - 0x18)],
        0x80..=0xA0 => TYPOGRAPHY[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_text_string_is_decoded() {
        assert_eq!(decode_text_string(b"\xFE\xFF\x00H\x20\xAC"), "H€");
        assert_eq!(decode_text_string(b"\xFF\xFEH\x00\xAC\x20"), "H€");
        assert_eq!(decode_text_string(b"\xEF\xBB\xBFH\xE2\x82\xAC"), "H€");
        assert_eq!(decode_text_string(b"H\xA0\xE4"), "H€ä");
    }

    #[test]
    fn an_odd_number_of_bytes_is_no_panic() {
        assert_eq!(decode_text_string(b"\xFE\xFF\x00H\x20"), "H\u{FFFD}");
        assert_eq!(decode_text_string(b""), "");
    }
}
