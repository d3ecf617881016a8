//! What the Office formats (ECMA-376) share: XML parts as a stream of marks, relationships, and the facts of `docProps`.
//!
//! Read as a stream, the depth of the XML costs nothing; neither entities nor anything outside of the container is ever resolved.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::parts::Parts;
use crate::error::ParseError;
use crate::formats::Output;

/// Something that happens while a part is read, with the local name of its element.
pub(super) enum Mark<'a> {
    /// `<name ..>`; an empty element is opened and closed.
    Open(&'a str, &'a BytesStart<'a>),
    /// `</name>`
    Close(&'a str),
    /// Characters, references resolved.
    Text(&'a str),
}

/// Reads an XML part and tells every mark in it.
pub(super) fn read(
    xml: &[u8],
    mut on: impl FnMut(Mark<'_>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    // These parts are UTF-8 by their standard.
    let xml = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(&xml);
    loop {
        match reader.read_event().map_err(damaged)? {
            Event::Start(element) => {
                on(Mark::Open(element.local_name().as_ref(), &element))?;
            }
            Event::Empty(element) => {
                let name = element.local_name();
                on(Mark::Open(name.as_ref(), &element))?;
                on(Mark::Close(name.as_ref()))?;
            }
            Event::End(element) => on(Mark::Close(element.local_name().as_ref()))?,
            Event::Text(text) => on(Mark::Text(&text))?,
            Event::CData(text) => on(Mark::Text(&text))?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(damaged)? {
                    Some(character) => character,
                    None => predefined(&reference),
                };
                on(Mark::Text(character.encode_utf8(&mut [0; 4])))?;
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The value of an attribute, by its local name.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    element
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)
        .map(|attribute| attribute.value.into_owned())
}

/// The targets of the relationships that a part has, by their ids; as paths within the container.
pub(super) fn relationships(
    parts: &mut Parts<'_>,
    part: &str,
) -> Result<HashMap<String, String>, ParseError> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let mut targets = HashMap::new();
    let Some(xml) = parts.read(&format!("{folder}/_rels/{name}.rels"))? else {
        return Ok(targets);
    };
    read(&xml, |mark| {
        if let Mark::Open("Relationship", element) = mark
            && let (Some(id), Some(target)) =
                (attribute(element, "Id"), attribute(element, "Target"))
        {
            targets.insert(id, resolve(folder, &target));
        }
        Ok(())
    })?;
    Ok(targets)
}

fn resolve(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').collect();
    for step in target.split('/') {
        match step {
            ".." => {
                path.pop();
            }
            "." => {}
            step => path.push(step),
        }
    }
    path.join("/")
}

/// Title, author and the like out of `docProps/core.xml`.
pub(super) fn metadata(parts: &mut Parts<'_>, out: &mut dyn Output) -> Result<(), ParseError> {
    const KEYS: &str = "title subject creator keywords description created modified";
    let Some(xml) = parts.read("docProps/core.xml")? else {
        return Ok(());
    };
    let mut value = String::new();
    read(&xml, |mark| {
        match mark {
            Mark::Open(..) => value.clear(),
            Mark::Text(text) => value.push_str(text),
            Mark::Close(name) => {
                let known = KEYS.split(' ').any(|key| key == name);
                let value = std::mem::take(&mut value);
                if known && !value.trim().is_empty() {
                    out.metadata(name, value.trim());
                }
            }
        }
        Ok(())
    })
}

/// The five entities that XML itself defines; those of a DTD are not resolved.
fn predefined(name: &str) -> char {
    match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => char::REPLACEMENT_CHARACTER,
    }
}

fn damaged(error: impl std::fmt::Display) -> ParseError {
    ParseError::Damaged(format!("a part is not XML: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_and_entities_are_not() {
        let xml = br#"<!DOCTYPE a [<!ENTITY x "boom">]><w:a k="v">1 &lt; 2 &#233; &x;<![CDATA[<&]]><w:b/></w:a>"#;
        let mut text = String::new();
        let mut elements = Vec::new();
        read(xml, |mark| {
            match mark {
                Mark::Open(name, element) => {
                    elements.push((name.to_owned(), attribute(element, "k")));
                }
                Mark::Text(part) => text.push_str(part),
                Mark::Close(_) => {}
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(text, "1 < 2 é \u{fffd}<&");
        assert_eq!(
            elements,
            [
                ("a".to_owned(), Some("v".to_owned())),
                ("b".to_owned(), None)
            ]
        );
    }

    #[test]
    fn targets_are_relative_to_their_part() {
        assert_eq!(resolve("ppt", "slides/slide1.xml"), "ppt/slides/slide1.xml");
        assert_eq!(resolve("ppt/slides", "../notes/n.xml"), "ppt/notes/n.xml");
        assert_eq!(resolve("ppt", "/ppt/x.xml"), "ppt/x.xml");
    }
}
