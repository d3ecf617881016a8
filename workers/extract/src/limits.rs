//! What a document may at most consist of.
//!
//! The child keeps within these numbers and says so in a warning or an error; the parent checks them again, and a child that passes
//! one has lied and is killed.

/// Most pages of a document. Beyond it nobody reads, and a page tree can claim any number.
pub const MAX_PAGES: u32 = 10_000;

/// Most bytes of text on one page; a dense newspaper page has about 40 KiB.
pub const MAX_PAGE_TEXT: usize = 4 * 1024 * 1024;

/// Most lines with a place on one page.
pub const MAX_PAGE_LINES: usize = 100_000;

/// Most words with a place on one page.
pub const MAX_PAGE_WORDS: usize = 200_000;

/// Most tables of one page.
pub const MAX_PAGE_TABLES: usize = 256;

/// Most cells of all tables of one page.
pub const MAX_PAGE_CELLS: usize = 50_000;

/// Most entries of a table of contents.
pub const MAX_OUTLINE: usize = 10_000;

/// Most links of a document.
pub const MAX_LINKS: usize = 20_000;

/// Most fields of a form.
pub const MAX_FIELDS: usize = 10_000;

/// Most facts a file may state about itself.
pub const MAX_METADATA: usize = 256;

/// Most bytes of one such fact, of a title in the outline, of an address, of the name or value of a field.
pub const MAX_METADATA_VALUE: usize = 4 * 1024;

/// Most warnings of one document; the hundredth says nothing new.
pub const MAX_WARNINGS: usize = 100;

/// Most columns of a table: as many as a spreadsheet has.
pub const MAX_COLUMNS: usize = 16_384;

/// Most entries of one column's most frequent values.
pub const MAX_TOP: usize = 20;

/// `text` cut to at most `limit` bytes, between characters.
pub fn truncate(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_keeps_characters_whole() {
        assert_eq!(truncate("aé", 2), "a");
        assert_eq!(truncate("aé", 3), "aé");
        assert_eq!(truncate("", 3), "");
    }
}
