//! What pdf-extract would have to work through for a page, measured without working through it.
//!
//! It interprets a form as often as it is drawn, on the stack. Two forms that draw each other, or thirty that each draw the next one
//! twice, would never end. Each stream is looked through once for what it draws; the walk over that is cut off at the limits.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

use super::limits::{NAMED_MAX_FORM_DEPTH, NAMED_MAX_PAGE_BYTES};

/// Deepest page tree: attributes are looked up along it by recursion.
const MAX_TREE_DEPTH: usize = 64;

/// What it takes to begin with a form, in bytes of content: an empty one is not free.
const FORM_OVERHEAD: u64 = 64;

/// The costs of the pages of one document.
#[derive(Default)]
pub(super) struct PageCosts {
    streams: BTreeMap<ObjectId, Rc<Drawing>>,
}

/// What a content stream does, as far as it costs.
struct Drawing {
    bytes: u64,
    /// Names of the forms and pictures it draws, in order.
    names: Vec<Vec<u8>>,
}

impl PageCosts {
    /// Whether pdf-extract can be trusted to come to an end with `page`.
    pub(super) fn allows(&mut self, document: &Document, page: ObjectId) -> bool {
        let Ok(dictionary) = document.get_dictionary(page) else {
            return false;
        };
        if !has_finite_ancestry(document, page) {
            return false;
        }
        let mut budget = NAMED_MAX_PAGE_BYTES;
        let resources = inherited(document, dictionary, b"Resources");
        document.get_page_contents(page).into_iter().all(|id| {
            let Ok(stream) = document.get_object(id).and_then(Object::as_stream) else {
                return true;
            };
            let drawing = self.drawing(id, stream);
            self.spend(document, &drawing, resources, 0, &mut budget)
                .is_some()
        })
    }

    fn spend(
        &mut self,
        document: &Document,
        drawing: &Drawing,
        resources: Option<&Dictionary>,
        depth: usize,
        budget: &mut u64,
    ) -> Option<()> {
        if depth > NAMED_MAX_FORM_DEPTH {
            return None;
        }
        *budget = budget.checked_sub(drawing.bytes + FORM_OVERHEAD)?;
        let Some(objects) =
            resources.and_then(|resources| dictionary(document, resources, b"XObject"))
        else {
            return Some(());
        };
        for name in &drawing.names {
            let Ok(Object::Reference(id)) = objects.get(name) else {
                continue;
            };
            let Ok(form) = document.get_object(*id).and_then(Object::as_stream) else {
                continue;
            };
            let inner = self.drawing(*id, form);
            let own = dictionary(document, &form.dict, b"Resources").or(resources);
            self.spend(document, &inner, own, depth + 1, budget)?;
        }
        Some(())
    }

    fn drawing(&mut self, id: ObjectId, form: &Stream) -> Rc<Drawing> {
        let entry = self.streams.entry(id).or_insert_with(|| {
            let content = form.decompressed_content();
            Rc::new(Drawing::of(content.as_deref().unwrap_or(&form.content)))
        });
        Rc::clone(entry)
    }
}

impl Drawing {
    /// Looks through a content stream for `/Name Do`. Strings and pictures that happen to contain it only raise the cost.
    fn of(content: &[u8]) -> Self {
        let mut names = Vec::new();
        let mut previous: &[u8] = b"";
        for token in content
            .split(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0 | b'\x0C'))
            .filter(|token| !token.is_empty())
        {
            if token.starts_with(b"Do")
                && let Some(name) = previous.rsplit(|byte| *byte == b'/').next()
            {
                names.push(name.to_vec());
            }
            previous = token;
        }
        Self {
            bytes: content.len() as u64,
            names,
        }
    }
}

fn has_finite_ancestry(document: &Document, page: ObjectId) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = Some(page);
    while let Some(id) = next {
        if !seen.insert(id) || seen.len() > MAX_TREE_DEPTH {
            return false;
        }
        let parent = document
            .get_dictionary(id)
            .and_then(|dictionary| dictionary.get(b"Parent")?.as_reference());
        next = parent.ok();
    }
    true
}

fn inherited<'d>(
    document: &'d Document,
    page: &'d Dictionary,
    key: &[u8],
) -> Option<&'d Dictionary> {
    let mut at = page;
    for _ in 0..MAX_TREE_DEPTH {
        if let Some(found) = dictionary(document, at, key) {
            return Some(found);
        }
        at = dictionary(document, at, b"Parent")?;
    }
    None
}

fn dictionary<'d>(
    document: &'d Document,
    parent: &'d Dictionary,
    key: &[u8],
) -> Option<&'d Dictionary> {
    let (_, object) = document.dereference(parent.get(key).ok()?).ok()?;
    object.as_dict().ok()
}

#[cfg(test)]
mod tests {
    use super::super::pdf_writer::{Content, PdfWriter};
    use super::*;

    /// A page that draws the first of `depth` forms, each of which draws the next one twice.
    fn doubling_forms(depth: usize) -> Vec<u8> {
        let mut writer = PdfWriter::new();
        let mut next = writer.stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", b"");
        for _ in 0..depth {
            let entries = format!(
                "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >>"
            );
            next = writer.stream(&entries, b"/X Do /X Do");
        }
        let mut content = Content::default();
        content.raw("/X Do\n");
        writer
            .page_with(&content, "", &format!("/XObject << /X {next} 0 R >>"))
            .finish()
    }

    fn allows(bytes: &[u8]) -> bool {
        let document = Document::load_mem(bytes).unwrap();
        let page = document.page_iter().next().unwrap();
        PageCosts::default().allows(&document, page)
    }

    #[test]
    fn a_few_nested_forms_are_allowed_and_a_bomb_is_not() {
        assert!(allows(&doubling_forms(4)));
        assert!(!allows(&doubling_forms(29)));
        assert!(
            !allows(&doubling_forms(NAMED_MAX_FORM_DEPTH + 1)),
            "too deep"
        );
    }

    #[test]
    fn a_form_that_draws_itself_is_not_allowed() {
        let mut writer = PdfWriter::new();
        let own_number = writer.object(Vec::new()) + 1;
        let entries = format!(
            "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {own_number} 0 R >> >>"
        );
        let form = writer.stream(&entries, b"/X Do");
        let mut content = Content::default();
        content.raw("/X Do\n");
        let bytes = writer
            .page_with(&content, "", &format!("/XObject << /X {form} 0 R >>"))
            .finish();
        assert_eq!(form, own_number);
        assert!(!allows(&bytes));
    }

    #[test]
    fn names_are_found_whatever_stands_before_them() {
        let names = Drawing::of(b"q 1 0 0 1 0 0 cm/Im1 Do Q\n/Fm0\tDo").names;
        assert_eq!(names, [b"Im1".to_vec(), b"Fm0".to_vec()]);
    }
}
