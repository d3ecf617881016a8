//! The fixtures of formats that hold their text as text: each is kept as the Markdown of its document, or as its error.

use std::fs::{self, File};
use std::path::Path;

use quire_extract::{Document, ParseError, ParserPool, SNIFF_BYTES, markdown, sniff};

use crate::support::{files_of, fixture, name_of, parse_file, pool};

/// Set to write the snapshots anew; look at the difference before you commit it.
const UPDATE: &str = "UPDATE_FIXTURES";

const KINDS: [&str; 8] = [
    "docx", "eml", "html", "markdown", "pptx", "text", "xlsx", "zip",
];

/// Reads what is in the file of a case, by its content.
fn read(pool: &ParserPool, folder: &Path) -> Result<Document, ParseError> {
    let input = files_of(folder)
        .into_iter()
        .find(|path| name_of(path).starts_with("input."))
        .unwrap();
    let bytes = fs::read(&input).unwrap();
    let media = sniff(&bytes[..bytes.len().min(SNIFF_BYTES)], &name_of(&input));
    let media = media.unwrap_or_else(|| panic!("{}: of no known type", input.display()));
    parse_file(pool, media, &File::open(&input).unwrap())
}

#[test]
fn fixtures_read_as_they_did() {
    let pool = pool();
    let mut different = Vec::new();
    let mut cases = 0;
    for folder in KINDS.iter().flat_map(|kind| files_of(&fixture(kind))) {
        cases += 1;
        let outcome = match read(&pool, &folder) {
            Ok(document) => {
                let json = serde_json::to_string(&document).unwrap();
                let again: Document = serde_json::from_str(&json).unwrap();
                assert_eq!(again, document, "JSON holds all of {}", folder.display());
                markdown::document(&document)
            }
            Err(error) => format!("{}: {error}\n", error.code()),
        };
        let expected = folder.join("expected.md");
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&expected, &outcome).unwrap();
        }
        let known = fs::read_to_string(&expected).unwrap_or_default();
        if outcome != known {
            different.push(format!("{}:\n{outcome}", folder.display()));
        }
    }
    assert!(cases >= 19, "{cases} cases");
    assert!(
        different.is_empty(),
        "{} of {cases} differ; {UPDATE}=1 writes them anew\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn the_same_bytes_give_the_same_output() {
    let (first, second) = (pool(), pool());
    for folder in [
        "zip/parcel",
        "docx/lease",
        "xlsx/accounts",
        "pdf/two-columns",
        "image/notice",
        "csv/river-gauges",
    ] {
        let folder = fixture(folder);
        let one = read(&first, &folder).unwrap();
        let two = read(&second, &folder).unwrap();
        let json = |document: &Document| serde_json::to_vec(document).unwrap();
        assert!(json(&one) == json(&two), "{}", folder.display());
        assert_eq!(markdown::document(&one), markdown::document(&two));
    }
}

#[test]
fn headings_tables_contents_links_and_forms_of_a_pdf_are_written() {
    let document = read(&pool(), &fixture("pdf/order-form")).unwrap();
    let text = markdown::document(&document);
    for part in [
        "<!-- contents -->\n\n- Order of materials (page 1)\n",
        "<!-- header: Alder Works -->\n",
        "# Order of materials\n",
        "| Item | Pieces | Price |\n",
        "| Copper nails | 600 | 48.00 |\n",
        "<!-- footer: Page 2 of 2 -->\n",
        "<!-- link on page 1: https://example.org/prices -->\n",
        "- customer: Ines Brandt\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}
