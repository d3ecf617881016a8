//! The fields of a form and what was put into them.
//!
//! A field is a dictionary with a name, or a tree of such; what it inherits stands further up. Its places on pages (widgets) are
//! dictionaries of their own or the field itself.

use std::collections::{HashMap, HashSet};

use hayro_syntax::Pdf;
use hayro_syntax::object::{
    Array, Dict, MaybeRef, Name, Object, ObjectIdentifier, String as PdfString,
};

use super::destinations::{Destinations, catalog, dictionaries};
use super::strings::decode_text_string;
use crate::formats::Output;
use crate::limits::MAX_FIELDS;
use crate::structure::{FieldKind, FormField, Structure};

/// Deepest tree of fields.
const MAX_DEPTH: usize = 32;

/// Most bytes of a long text that is put into a field.
const MAX_VALUE: usize = 64 << 10;

/// `/Ff` of one mark of several (ISO 32000-1, table 226).
const RADIO: u32 = 1 << 15;
/// `/Ff` of a button that is pressed.
const PUSH: u32 = 1 << 16;

/// Hands the fields of `pdf` to `out`.
pub(super) fn send(pdf: &Pdf, destinations: &Destinations<'_>, out: &mut dyn Output) {
    let Some(form) = form(pdf) else { return };
    let mut reader = FieldReader {
        pdf,
        destinations,
        widgets: widget_pages(pdf),
        seen: HashSet::new(),
        out,
    };
    let fields = form.get::<Array<'_>>(b"Fields").unwrap_or_default();
    for (id, field) in dictionaries(pdf, &fields) {
        reader.read(&field, id, &Inherited::default(), 0);
    }
}

fn form(pdf: &Pdf) -> Option<Dict<'_>> {
    catalog(pdf)?.get::<Dict<'_>>(b"AcroForm")
}

/// Which page a widget is on, by its object.
fn widget_pages(pdf: &Pdf) -> HashMap<ObjectIdentifier, u32> {
    let mut pages = HashMap::new();
    for (page, number) in pdf.pages().iter().zip(1..) {
        let all = page.raw().get::<Array<'_>>(b"Annots");
        for annotation in all.iter().flat_map(Array::raw_iter).take(MAX_FIELDS) {
            if let MaybeRef::Ref(id) = annotation {
                pages.entry(id.into()).or_insert(number);
            }
        }
    }
    pages
}

/// What a field takes over from the fields that it is a part of.
#[derive(Clone, Default)]
struct Inherited<'a> {
    name: String,
    kind: Option<Vec<u8>>,
    flags: u32,
    value: Option<Object<'a>>,
    options: Option<Array<'a>>,
}

impl<'a> Inherited<'a> {
    fn with(&self, field: &Dict<'a>) -> Self {
        let own = field
            .get::<PdfString<'_>>(b"T")
            .map(|name| decode_text_string(name.as_bytes()));
        let name = match own {
            Some(own) if self.name.is_empty() => own,
            Some(own) => format!("{}.{own}", self.name),
            None => self.name.clone(),
        };
        Self {
            name,
            kind: field
                .get::<Name<'_>>(b"FT")
                .map(|kind| kind.to_vec())
                .or_else(|| self.kind.clone()),
            flags: field.get::<u32>(b"Ff").unwrap_or(self.flags),
            value: field.get::<Object<'a>>(b"V").or_else(|| self.value.clone()),
            options: field
                .get::<Array<'a>>(b"Opt")
                .or_else(|| self.options.clone()),
        }
    }

    fn kind(&self) -> Option<FieldKind> {
        match self.kind.as_deref()? {
            b"Tx" => Some(FieldKind::Text),
            b"Ch" => Some(FieldKind::Choice),
            b"Sig" => Some(FieldKind::Signature),
            b"Btn" if self.flags & PUSH != 0 => Some(FieldKind::Button),
            b"Btn" if self.flags & RADIO != 0 => Some(FieldKind::Radio),
            b"Btn" => Some(FieldKind::Checkbox),
            _ => None,
        }
    }

    fn value(&self, kind: FieldKind) -> Option<String> {
        let value = self.value.as_ref()?;
        match kind {
            FieldKind::Button => None,
            FieldKind::Checkbox | FieldKind::Radio => state(value),
            FieldKind::Signature => signer(value),
            FieldKind::Text => text(value),
            FieldKind::Choice => Some(self.choices(value).join("\n")),
        }
    }

    fn choices(&self, value: &Object<'_>) -> Vec<String> {
        let chosen: Vec<String> = match value {
            Object::Array(all) => all
                .iter::<Object<'_>>()
                .filter_map(|one| text(&one))
                .take(MAX_FIELDS)
                .collect(),
            one => text(one).into_iter().collect(),
        };
        chosen
            .into_iter()
            .map(|one| self.label(&one).unwrap_or(one))
            .collect()
    }

    /// What the reader of the form sees instead of the value that is exported.
    fn label(&self, value: &str) -> Option<String> {
        let options = self.options.as_ref()?;
        options
            .iter::<Object<'_>>()
            .take(MAX_FIELDS)
            .find_map(|option| {
                let pair = option.into_array()?;
                let mut pair = pair.iter::<Object<'_>>();
                let (export, label) = (text(&pair.next()?)?, text(&pair.next()?)?);
                (export == value).then_some(label)
            })
    }
}

/// The text that a widget should show, when the file leaves it to the reader to draw it.
pub(super) fn undrawn_text(widget: &Dict<'_>) -> Option<String> {
    if widget
        .get::<Dict<'_>>(b"AP")
        .is_some_and(|drawn| drawn.contains_key(b"N"))
    {
        return None;
    }
    let mut chain = vec![widget.clone()];
    while let Some(parent) = chain
        .last()
        .and_then(|last| last.get::<Dict<'_>>(b"Parent"))
    {
        if chain.len() > MAX_DEPTH {
            return None;
        }
        chain.push(parent);
    }
    let field = chain
        .iter()
        .rev()
        .fold(Inherited::default(), |above, part| above.with(part));
    match field.kind()? {
        kind @ (FieldKind::Text | FieldKind::Choice) => field.value(kind),
        _ => None,
    }
}

/// The name of the mark that is set.
fn state(value: &Object<'_>) -> Option<String> {
    let name = match value {
        Object::Name(name) => String::from_utf8_lossy(name).into_owned(),
        other => text(other)?,
    };
    (!name.is_empty() && name != "Off").then_some(name)
}

fn signer(value: &Object<'_>) -> Option<String> {
    let Object::Dict(signature) = value else {
        return None;
    };
    let name = signature.get::<PdfString<'_>>(b"Name");
    name.map(|name| decode_text_string(name.as_bytes()))
}

fn text(value: &Object<'_>) -> Option<String> {
    let text = match value {
        Object::String(text) => decode_text_string(text.as_bytes()),
        Object::Name(name) => String::from_utf8_lossy(name).into_owned(),
        Object::Stream(stream) => {
            let data = stream.raw_data();
            let plain = (data.len() <= MAX_VALUE && stream.filters().is_empty()).then_some(data);
            decode_text_string(&plain?)
        }
        _ => return None,
    };
    (!text.is_empty()).then(|| text.replace("\r\n", "\n").replace('\r', "\n"))
}

struct FieldReader<'r, 'a> {
    pdf: &'a Pdf,
    destinations: &'r Destinations<'a>,
    widgets: HashMap<ObjectIdentifier, u32>,
    seen: HashSet<ObjectIdentifier>,
    out: &'r mut dyn Output,
}

impl<'a> FieldReader<'_, 'a> {
    fn read(
        &mut self,
        field: &Dict<'a>,
        id: Option<ObjectIdentifier>,
        above: &Inherited<'a>,
        depth: usize,
    ) {
        let is_new = id.is_none_or(|id| self.seen.insert(id));
        if !is_new || depth > MAX_DEPTH || self.seen.len() > 4 * MAX_FIELDS {
            return;
        }
        let all = above.with(field);
        let kids = field.get::<Array<'a>>(b"Kids").unwrap_or_default();
        let (parts, widgets): (Vec<_>, Vec<_>) = dictionaries(self.pdf, &kids)
            .take(MAX_FIELDS)
            .partition(|(_, kid)| kid.contains_key(b"T"));
        for (id, part) in &parts {
            self.read(part, *id, &all, depth + 1);
        }
        if let Some(kind) = all.kind().filter(|_| parts.is_empty()) {
            let page = self
                .page(field)
                .or_else(|| widgets.iter().find_map(|(_, widget)| self.page(widget)));
            let value = all.value(kind).filter(|value| !value.is_empty());
            self.out.structure(Structure::Field(FormField {
                name: all.name,
                kind,
                value,
                page,
            }));
        }
    }

    fn page(&self, widget: &Dict<'_>) -> Option<u32> {
        let stated = widget
            .get_ref(b"P")
            .and_then(|page| self.destinations.page(page.into()));
        stated.or_else(|| self.widgets.get(&widget.obj_id()?).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pdf_writer::{Content, PdfWriter};
    use super::super::tests::read_bytes;
    use super::*;

    fn form(fields: &[&str]) -> Vec<u8> {
        let mut writer = PdfWriter::new();
        let numbers: Vec<usize> = fields
            .iter()
            .map(|field| writer.object(field.as_bytes().to_vec()))
            .collect();
        let references: Vec<String> = numbers
            .iter()
            .map(|number| format!("{number} 0 R"))
            .collect();
        let list = references.join(" ");
        writer.page_with(&Content::default(), &format!("/Annots [{list}]"), "");
        writer.catalog(&format!("/AcroForm << /Fields [{list}] >>"));
        writer.finish()
    }

    fn fields(bytes: &[u8]) -> Vec<FormField> {
        let parts = read_bytes(bytes).unwrap().structure;
        let field = |part| match part {
            Structure::Field(field) => Some(field),
            Structure::Outline(_) | Structure::Link(_) => None,
        };
        parts.into_iter().filter_map(field).collect()
    }

    fn values(bytes: &[u8]) -> Vec<(String, FieldKind, Option<String>)> {
        let all = fields(bytes).into_iter();
        all.map(|field| (field.name, field.kind, field.value))
            .collect()
    }

    #[test]
    fn every_kind_of_field_gives_its_value() {
        let read = values(&form(&[
            "<< /T (name) /FT /Tx /V (Ada \\(L\\)) /Rect [0 0 9 9] /Subtype /Widget >>",
            "<< /T (empty) /FT /Tx >>",
            "<< /T (agreed) /FT /Btn /V /Yes >>",
            "<< /T (refused) /FT /Btn /V /Off >>",
            "<< /T (size) /FT /Btn /Ff 32768 /V /large /Kids [ << /AS /large >> << /AS /Off >> ] >>",
            "<< /T (send) /FT /Btn /Ff 65536 >>",
            "<< /T (town) /FT /Ch /V (2) /Opt [[(1) (Ulm)] [(2) (Bern)]] >>",
            "<< /T (days) /FT /Ch /V [(Mon) (Fri)] >>",
        ]));
        let owed = [
            ("name", FieldKind::Text, Some("Ada (L)")),
            ("empty", FieldKind::Text, None),
            ("agreed", FieldKind::Checkbox, Some("Yes")),
            ("refused", FieldKind::Checkbox, None),
            ("size", FieldKind::Radio, Some("large")),
            ("send", FieldKind::Button, None),
            ("town", FieldKind::Choice, Some("Bern")),
            ("days", FieldKind::Choice, Some("Mon\nFri")),
        ];
        let owed =
            owed.map(|(name, kind, value)| (name.to_owned(), kind, value.map(str::to_owned)));
        assert_eq!(read, owed);
    }

    #[test]
    fn parts_of_a_field_inherit_and_are_named_in_full() {
        let read = fields(&form(&[
            "<< /T (person) /FT /Tx /Kids [ << /T (first) /V (Ada) >> << /T (last) >> ] >>",
        ]));
        let names: Vec<&str> = read.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["person.first", "person.last"]);
        assert_eq!(read[0].value.as_deref(), Some("Ada"));
    }

    #[test]
    fn a_field_knows_its_page() {
        let read = fields(&form(&["<< /T (name) /FT /Tx /Subtype /Widget >>"]));
        assert_eq!(read[0].page, Some(1));
    }

    #[test]
    fn a_value_that_nobody_has_drawn_is_part_of_the_text_of_the_page() {
        let out = read_bytes(&form(&[
            "<< /T (name) /FT /Tx /V (Ada Lovelace) /Rect [72 700 272 716] /Subtype /Widget >>",
        ]));
        assert_eq!(out.unwrap().pages[0].text, "Ada Lovelace");
    }

    #[test]
    fn a_field_that_is_part_of_itself_ends() {
        let mut writer = PdfWriter::new();
        let own = writer.next_number();
        writer.object(format!("<< /T (a) /FT /Tx /V (x) /Kids [{own} 0 R] >>").into());
        writer
            .page(&Content::default())
            .catalog(&format!("/AcroForm << /Fields [{own} 0 R] >>"));
        assert!(read_bytes(&writer.finish()).is_ok());
    }
}
