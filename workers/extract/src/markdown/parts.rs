//! What a document has beside its text, in Markdown: the table of contents, where it leads, the fields of a form.

use std::fmt::Write;

use super::comment;
use super::escape::escaped;
use crate::structure::{FormField, Link, OutlineItem};

/// The table of contents as a list.
pub(super) fn outline(items: &[OutlineItem]) -> String {
    let mut out = begun("contents", items.is_empty());
    for item in items {
        let indent = "  ".repeat(usize::from(item.level.saturating_sub(1)));
        let title = escaped(&item.title);
        // Writing to a string cannot fail.
        let _ = match item.page {
            Some(page) => writeln!(out, "{indent}- {title} (page {page})"),
            None => writeln!(out, "{indent}- {title}"),
        };
    }
    out
}

/// Where the document leads, as comments: nobody who renders the text is led there.
pub(super) fn links(links: &[Link]) -> String {
    let mut out = String::new();
    for link in links {
        let _ = writeln!(
            out,
            "<!-- link on page {}: {} -->",
            link.page,
            comment(&link.uri)
        );
    }
    out
}

/// The fields of a form with what was put into them.
pub(super) fn fields(fields: &[FormField]) -> String {
    let mut out = begun("form", fields.is_empty());
    for field in fields {
        let name = escaped(&field.name);
        let value = field.value.as_deref().map(escaped).unwrap_or_default();
        let _ = writeln!(out, "- {name}: {value}");
    }
    out
}

fn begun(what: &str, nothing: bool) -> String {
    if nothing {
        String::new()
    } else {
        format!("<!-- {what} -->\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::FieldKind;

    #[test]
    fn contents_links_and_fields_are_told_and_bring_in_nothing() {
        let item = |title: &str, level, page| OutlineItem {
            title: title.to_owned(),
            level,
            page,
        };
        let items = [item("Of ships", 1, Some(2)), item("[x](y)", 2, None)];
        assert_eq!(
            outline(&items),
            "<!-- contents -->\n\n- Of ships (page 2)\n  - \\[x\\](y)\n"
        );
        let link = Link {
            page: 3,
            bbox: [0.0; 4],
            uri: "javascript:x--><script>".to_owned(),
        };
        assert_eq!(
            links(&[link]),
            "<!-- link on page 3: javascript:x- -\u{203a}<script\u{203a} -->\n"
        );
        let field = FormField {
            name: "name_of.ship".to_owned(),
            kind: FieldKind::Text,
            value: Some("Anna\n*Maria*".to_owned()),
            page: None,
        };
        assert_eq!(
            fields(&[field]),
            "<!-- form -->\n\n- name_of.ship: Anna \\*Maria\\*\n"
        );
        assert_eq!((outline(&[]), links(&[]), fields(&[])), Default::default());
    }
}
