//! What stays stable in stored documents.

use super::*;

#[test]
fn nul_becomes_the_replacement_character() {
    assert_eq!(clean_text("a\0b"), "a\u{FFFD}b");
    assert!(matches!(clean_text("ab"), Cow::Borrowed("ab")));
}

#[test]
fn cells_have_the_names_that_people_write() {
    let sheet = Sheet {
        name: "Tolls".into(),
        first_row: 4,
        first_column: 2,
    };
    assert_eq!(sheet.cell(1, 0), "B4");
    assert_eq!(sheet.cell(10, 24), "Z13");
    assert_eq!(sheet.cell(1, 25), "AA4");
    assert_eq!(column_letters(16_384), "XFD");
}

#[test]
fn names_on_the_wire_are_stable() {
    assert_eq!(
        serde_json::to_string(&TextEngine::PdfExtract).unwrap(),
        "\"pdf_extract\""
    );
    assert_eq!(
        serde_json::to_string(&EmptyReason::OcrUnavailable).unwrap(),
        "\"ocr_unavailable\""
    );
    assert_eq!(
        serde_json::to_string(&ColumnKind::Boolean).unwrap(),
        "\"boolean\""
    );
    assert_eq!(
        serde_json::to_string(&LineRole::Heading2).unwrap(),
        "\"heading_2\""
    );
}

#[test]
fn a_document_of_version_2_is_read_and_plain_pages_are_no_longer_than_they_were() {
    let stored = r#"{"version":2,"media":"pdf","pages":[{"number":1,"width":595.0,"height":842.0,"text":"a","engine":"hayro","score":1.0,"confidence":null,"lines":[{"start":0,"end":1,"bbox":[0.0,0.0,1.0,1.0]}],"empty_reason":null}],"table":null,"image":null,"metadata":{},"warnings":[]}"#;
    let document: Document = serde_json::from_str(stored).unwrap();
    assert_eq!(document.pages[0].lines[0].role, LineRole::Body);
    assert!(document.outline.is_empty() && document.pages[0].tables.is_empty());
    assert_eq!(serde_json::to_string(&document).unwrap(), stored);
}
