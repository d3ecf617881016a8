//! The table of contents that a document brings.

use std::collections::HashSet;

use hayro_syntax::Pdf;
use hayro_syntax::object::{Dict, String as PdfString};

use super::destinations::{Destinations, catalog};
use super::strings::decode_text_string;
use crate::formats::Output;
use crate::limits::MAX_OUTLINE;
use crate::structure::{OutlineItem, Structure};

/// Deepest level that is told apart; what is deeper counts as this deep.
const MAX_LEVEL: u8 = 32;

/// Hands the outline of `pdf` to `out`. Its entries are a list of lists; one that leads back to an entry that was read ends there.
pub(super) fn send(pdf: &Pdf, destinations: &Destinations<'_>, out: &mut dyn Output) {
    let first = catalog(pdf)
        .and_then(|catalog| catalog.get::<Dict<'_>>(b"Outlines"))
        .and_then(|outlines| outlines.get::<Dict<'_>>(b"First"));
    let mut waiting: Vec<(Dict<'_>, u8)> = first.map(|first| (first, 1)).into_iter().collect();
    let mut seen = HashSet::new();
    while let Some((entry, level)) = waiting.pop() {
        let is_new = entry.obj_id().is_some_and(|id| seen.insert(id));
        if !is_new || seen.len() > MAX_OUTLINE {
            continue;
        }
        if let Some(title) = entry.get::<PdfString<'_>>(b"Title") {
            let title = one_line(&decode_text_string(title.as_bytes()));
            let page = destinations.of(&entry);
            out.structure(Structure::Outline(OutlineItem { title, level, page }));
        }
        // The last one put down is the next one read: first what is inside this entry, then what follows it.
        waiting.extend(entry.get::<Dict<'_>>(b"Next").map(|next| (next, level)));
        let inside = level.saturating_add(1).min(MAX_LEVEL);
        waiting.extend(entry.get::<Dict<'_>>(b"First").map(|first| (first, inside)));
    }
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::pdf_writer::{Content, PdfWriter};
    use super::super::tests::read_bytes;
    use super::*;

    fn outline(bytes: &[u8]) -> Vec<(String, u8, Option<u32>)> {
        let parts = read_bytes(bytes).unwrap().structure;
        let item = |part| match part {
            Structure::Outline(item) => Some((item.title, item.level, item.page)),
            Structure::Link(_) | Structure::Field(_) => None,
        };
        parts.into_iter().filter_map(item).collect()
    }

    #[test]
    fn entries_come_in_order_with_their_levels_and_pages() {
        let mut writer = PdfWriter::new();
        writer.page(&Content::default()).page(&Content::default());
        let next = writer.next_number();
        let pages = writer.page_numbers().to_vec();
        let (a, inside, b) = (next, next + 1, next + 2);
        writer.object(
            format!(
                "<< /Title (One) /Dest [{} 0 R /Fit] /First {inside} 0 R /Next {b} 0 R >>",
                pages[0]
            )
            .into(),
        );
        writer.object(b"<< /Title (Inside\\nof it) /A << /S /GoTo /D (there) >> >>".to_vec());
        // The last entry leads back to the first.
        writer.object(format!("<< /Title <FEFF00C9> /Dest /Named /Next {a} 0 R >>").into());
        writer.catalog(&format!(
            "/Outlines << /First {a} 0 R >> /Names << /Dests << /Names [(there) [{} 0 R /XYZ 0 0 0]] >> >> \
             /Dests << /Named << /D [0 /Fit] >> >>",
            pages[1]
        ));
        let owed = [
            ("One", 1, Some(1)),
            ("Inside of it", 2, Some(2)),
            ("É", 1, Some(1)),
        ];
        assert_eq!(
            outline(&writer.finish()),
            owed.map(|(title, level, page)| (title.to_owned(), level, page))
        );
    }

    #[test]
    fn most_documents_have_none() {
        assert!(outline(&PdfWriter::new().page(&Content::default()).finish()).is_empty());
    }
}
