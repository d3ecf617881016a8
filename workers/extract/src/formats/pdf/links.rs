//! Links that lead out of the document.

use hayro_interpret::hayro_syntax::object::{
    Array, Dict, Name, Rect as PdfRect, String as PdfString,
};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::kurbo::Rect;
use hayro_interpret::util::TransformExt;

use super::strings::decode_text_string;
use crate::formats::Output;
use crate::structure::{Link, Structure};

/// Most annotations of a page that are looked at.
pub(super) const MAX_ANNOTATIONS: usize = 5_000;

/// Hands the links of page `number` to `out`.
pub(super) fn send(page: &Page<'_>, number: u32, out: &mut dyn Output) {
    for annotation in annotations(page) {
        if let Some(uri) = address(&annotation)
            && let Some(bbox) = place(page, &annotation)
        {
            out.structure(Structure::Link(Link {
                page: number,
                bbox,
                uri,
            }));
        }
    }
}

/// What is laid over a page: links, fields, notes.
pub(super) fn annotations<'a>(page: &Page<'a>) -> impl Iterator<Item = Dict<'a>> + use<'a> {
    page.raw()
        .get::<Array<'a>>(b"Annots")
        .map(|all| all.iter::<Dict<'a>>().take(MAX_ANNOTATIONS))
        .into_iter()
        .flatten()
}

fn address(annotation: &Dict<'_>) -> Option<String> {
    let is = |dictionary: &Dict<'_>, key: &[u8], wanted: &[u8]| {
        dictionary
            .get::<Name<'_>>(key)
            .is_some_and(|name| *name == *wanted)
    };
    let action = annotation.get::<Dict<'_>>(b"A")?;
    if !is(annotation, b"Subtype", b"Link") || !is(&action, b"S", b"URI") {
        return None;
    }
    let uri = action.get::<PdfString<'_>>(b"URI")?;
    // The specification wants ASCII; writers put in UTF-8 all the same.
    let text = match str::from_utf8(uri.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => decode_text_string(uri.as_bytes()),
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The place of an annotation on its page, from the top left.
pub(super) fn place(page: &Page<'_>, annotation: &Dict<'_>) -> Option<[f32; 4]> {
    let PdfRect { x0, y0, x1, y1 } = annotation.get::<PdfRect>(b"Rect")?;
    let transform = page.initial_transform(true).to_kurbo();
    let place = transform.transform_rect_bbox(Rect::new(x0, y0, x1, y1));
    let edges = [place.x0, place.y0, place.x1, place.y1].map(|edge| edge as f32);
    edges.iter().all(|edge| edge.is_finite()).then_some(edges)
}

#[cfg(test)]
mod tests {
    use super::super::pdf_writer::{Content, PdfWriter};
    use super::super::tests::read_bytes;
    use super::*;

    #[test]
    fn a_link_has_its_page_its_place_and_its_address() {
        let annots = "/Annots [ << /Type /Annot /Subtype /Link /Rect [72 700 172 712] /A << /S /URI /URI (https://example.org/a) >> >> \
                      << /Subtype /Link /Rect [0 0 9 9] /A << /S /GoTo /D [0 /Fit] >> >> << /Subtype /Text /Rect [0 0 9 9] >> ]";
        let mut writer = PdfWriter::new();
        writer
            .page(&Content::default())
            .page_with(&Content::default(), annots, "");
        let out = read_bytes(&writer.finish()).unwrap();
        let [Structure::Link(link)] = &out.structure[..] else {
            panic!("one link is meant: {:?}", out.structure)
        };
        assert_eq!((link.page, link.uri.as_str()), (2, "https://example.org/a"));
        assert_eq!(
            link.bbox.map(|edge| edge.round() as u32),
            [72, 130, 172, 142]
        );
    }
}
