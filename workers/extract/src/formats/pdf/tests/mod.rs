//! Whole files: the committed fixtures, and what every reader of a file relies on.

mod corpus;
mod metrics;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::Pdf;
use super::pdf_writer::{Content, PdfWriter};
use crate::document::{EmptyReason, ImageInfo, Page, Table, TextEngine, Warning};
use crate::error::ParseError;
use crate::formats::{Format, Input, Output, PageImage};
use crate::media::MediaType;
use crate::request::ParseRequest;
use crate::structure::Structure;
use metrics::{order_similarity, word_f1};

/// Keeps everything, in the order in which it came.
#[derive(Default)]
pub(super) struct Collector {
    pub(super) pages: Vec<Page>,
    images: Vec<(u32, PageImage)>,
    parts: Vec<(u32, [f32; 4])>,
    metadata: BTreeMap<String, String>,
    pub(super) structure: Vec<Structure>,
    warnings: Vec<Warning>,
    /// Pages that were there when progress was reported, and the progress.
    progress: Vec<(usize, u32)>,
}

impl Output for Collector {
    fn page(&mut self, page: Page) -> Result<(), ParseError> {
        self.pages.push(page);
        Ok(())
    }

    fn page_image(&mut self, number: u32, image: PageImage) -> Result<(), ParseError> {
        self.images.push((number, image));
        Ok(())
    }

    fn page_part(&mut self, number: u32, place: [f32; 4], _: PageImage) -> Result<(), ParseError> {
        self.parts.push((number, place));
        Ok(())
    }

    fn table(&mut self, _: Table) -> Result<(), ParseError> {
        unreachable!("a PDF is no table")
    }

    fn image(&mut self, _: ImageInfo) -> Result<(), ParseError> {
        unreachable!("a PDF is no image")
    }

    fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.to_owned());
    }

    fn structure(&mut self, part: Structure) {
        self.structure.push(part);
    }

    fn warning(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    fn progress(&mut self, done: u32, _: Option<u32>) -> Result<(), ParseError> {
        self.progress
            .push((self.pages.len() + self.images.len(), done));
        Ok(())
    }
}

impl Collector {
    fn text(&self) -> String {
        self.pages
            .iter()
            .map(|page| page.text.as_str())
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    fn codes(&self) -> Vec<&str> {
        self.warnings
            .iter()
            .map(|warning| warning.code.as_str())
            .collect()
    }
}

fn read(path: &Path, password: Option<&str>) -> Result<Collector, ParseError> {
    let password = password.map(str::to_owned);
    let request = ParseRequest {
        password,
        ..ParseRequest::new(MediaType::Pdf)
    };
    read_with(path, &request)
}

fn read_with(path: &Path, request: &ParseRequest) -> Result<Collector, ParseError> {
    let mut out = Collector::default();
    let mut input = Input::new(File::open(path).unwrap()).unwrap();
    Pdf.parse(&mut input, request, &mut out).map(|()| out)
}

pub(super) fn read_bytes(bytes: &[u8]) -> Result<Collector, ParseError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read(file.path(), None)
}

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/pdf")
        .join(case)
}

/// A fixture's text and what is owed.
fn read_fixture(case: &str) -> (Collector, String) {
    let folder = fixture(case);
    let expected = std::fs::read_to_string(folder.join("expected.txt")).unwrap();
    (read(&folder.join("input.pdf"), None).unwrap(), expected)
}

#[test]
fn fixtures_are_read_word_for_word_and_in_order() {
    for case in [
        "bridge-report",
        "three-pages",
        "two-columns",
        "rotated-page",
        "order-form",
    ] {
        let (out, expected) = read_fixture(case);
        let (f1, order) = (
            word_f1(&expected, &out.text()),
            order_similarity(&expected, &out.text()),
        );
        assert!(
            f1 > 0.999 && order > 0.999,
            "{case}: F1 {f1}, order {order}\n{}",
            out.text()
        );
        assert!(out.warnings.is_empty(), "{case}: {:?}", out.warnings);
    }
}

#[test]
fn paragraphs_of_a_report_are_kept_apart() {
    let (out, expected) = read_fixture("bridge-report");
    let paragraphs = |text: &str| text.trim().split("\n\n").count();
    assert_eq!(paragraphs(&out.text()), paragraphs(&expected));
}

#[test]
fn each_page_is_handed_out_before_the_next_is_read() {
    let (out, expected) = read_fixture("three-pages");
    assert_eq!(out.progress, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    for (page, owed) in out.pages.iter().zip(expected.split('\u{c}')) {
        assert!(word_f1(owed, &page.text) > 0.999, "page {}", page.number);
    }
}

#[test]
fn title_author_and_pages_are_told() {
    let (out, _) = read_fixture("three-pages");
    let told = |key: &str| out.metadata.get(key).map(String::as_str);
    assert_eq!(told("title"), Some("Keeping bees on city roofs"));
    assert_eq!(told("author"), Some("Quire fixtures"));
    assert_eq!(
        (told("pages"), told("pdf_version")),
        (Some("3"), Some("1.7"))
    );
}

#[test]
fn a_title_outside_of_ascii_is_decoded() {
    let mut writer = PdfWriter::new();
    writer.info("Größe (1)", " ").page(&Content::default());
    let out = read_bytes(&writer.finish()).unwrap();
    assert_eq!(
        out.metadata.get("title").map(String::as_str),
        Some("Größe (1)")
    );
    assert!(
        !out.metadata.contains_key("author"),
        "an empty one is not told"
    );
}

#[test]
fn every_line_has_its_characters_and_its_place_on_the_page() {
    for case in ["bridge-report", "two-columns", "rotated-page"] {
        for page in &read_fixture(case).0.pages {
            let characters: Vec<char> = page.text.chars().collect();
            assert!(page.lines.len() > 3 && page.engine == TextEngine::Hayro);
            for line in &page.lines {
                let text: String = characters[line.start as usize..line.end as usize]
                    .iter()
                    .collect();
                assert!(!text.trim().is_empty() && !text.contains('\n'), "{text:?}");
                let [x0, y0, x1, y1] = line.bbox;
                assert!(0.0 <= x0 && x0 < x1 && x1 <= page.width, "{line:?}");
                assert!(0.0 <= y0 && y0 < y1 && y1 <= page.height, "{line:?}");
            }
        }
    }
}

#[test]
fn a_scanned_page_goes_out_as_a_picture() {
    let (out, _) = read_fixture("scanned-notice");
    let [(1, image)] = &out.images[..] else {
        panic!("one picture of page 1 is meant")
    };
    assert!(out.pages.is_empty());
    assert_eq!((image.width, image.height), (1652, 2338));
    assert!(image.data.contains(&0) && image.data.contains(&255));
}

#[test]
fn an_empty_page_is_blank_and_a_page_with_a_drawing_is_not() {
    let mut drawing = Content::default();
    drawing.raw("100 100 m 300 500 l S\n");
    let mut white = Content::default();
    white.raw("1 g 0 0 595 842 re f\n");
    let mut writer = PdfWriter::new();
    writer.page(&Content::default()).page(&drawing).page(&white);
    let out = read_bytes(&writer.finish()).unwrap();
    let blank: Vec<(u32, Option<EmptyReason>)> = out
        .pages
        .iter()
        .map(|page| (page.number, page.empty_reason))
        .collect();
    assert_eq!(
        blank,
        [(1, Some(EmptyReason::Blank)), (3, Some(EmptyReason::Blank))]
    );
    assert_eq!(out.images[0].0, 2);
}

#[test]
fn text_that_is_not_drawn_is_text_all_the_same() {
    let mut content = Content::default();
    content
        .raw("3 Tr\n")
        .text(72.0, 700.0, 12.0, "found by the scanner");
    let out = read_bytes(&PdfWriter::new().page(&content).finish()).unwrap();
    assert_eq!(out.text(), "found by the scanner");
}

#[test]
fn a_page_that_draws_without_end_is_left_at_a_limit() {
    let mut writer = PdfWriter::new();
    let mut next = writer.stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", b"");
    for _ in 0..30 {
        let entries = format!(
            "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >>"
        );
        next = writer.stream(&entries, b"/X Do /X Do");
    }
    let mut content = Content::default();
    content
        .text(72.0, 700.0, 12.0, "before the bomb")
        .raw("/X Do\n");
    let resources = format!("/XObject << /X {next} 0 R >>");
    let bytes = writer
        .page_with(&content, "", &resources)
        .page(&Content::default())
        .finish();
    let out = read_bytes(&bytes).unwrap();
    assert_eq!(out.pages[0].text, "before the bomb");
    assert_eq!(out.codes(), ["page_limit"]);
    assert_eq!(
        out.pages[1].empty_reason,
        Some(EmptyReason::Blank),
        "the next page is read"
    );
}

#[test]
fn a_document_whose_page_tree_is_lost_is_salvaged_and_says_so() {
    let mut content = Content::default();
    content.text(72.0, 700.0, 12.0, "what is left of it");
    let mut bytes = PdfWriter::new().page(&content).finish();
    for word in [&b"/Pages"[..], b"/Kids"] {
        while let Some(at) = bytes.windows(word.len()).position(|window| window == word) {
            bytes[at + 1] = b'~';
        }
    }
    let out = read_bytes(&bytes).unwrap();
    assert_eq!(out.text(), "what is left of it");
    assert!(
        out.codes().contains(&"document_damaged"),
        "{:?}",
        out.codes()
    );
}

#[test]
fn what_is_no_pdf_is_damaged() {
    for bytes in [&b""[..], b"plain text", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n"] {
        assert!(matches!(read_bytes(bytes), Err(ParseError::Damaged(_))));
    }
}

#[test]
fn a_table_with_borders_is_read_cell_by_cell() {
    let (out, _) = read_fixture("order-form");
    let page = &out.pages[0];
    let [table] = &page.tables[..] else {
        panic!("one table is meant: {:?}", page.tables)
    };
    let owed = [
        ["Materials", "", ""],
        ["Item", "Pieces", "Price"],
        ["Oak planks, planed", "24", "310.80"],
        ["Copper nails", "600", "48.00"],
    ];
    assert_eq!(table.rows, owed);
    let span = table.spans[0];
    assert_eq!(
        (span.row, span.column, span.rows, span.columns),
        (0, 0, 1, 3)
    );
    let text: String = page
        .text
        .chars()
        .skip(table.start as usize)
        .take((table.end - table.start) as usize)
        .collect();
    assert!(
        text.starts_with("Materials") && text.ends_with("48.00"),
        "{text:?}"
    );
    assert!(
        page.text.contains("Oak planks, planed 24 310.80\n"),
        "{}",
        page.text
    );
    let [x0, y0, x1, y1] = table.bbox.unwrap();
    assert_eq!(
        [x0, y0, x1, y1].map(|edge| edge.round() as u32),
        [64, 202, 464, 314]
    );
}

#[test]
fn words_have_their_places_when_they_are_asked_for() {
    for case in ["bridge-report", "two-columns", "rotated-page", "order-form"] {
        assert!(
            read_fixture(case)
                .0
                .pages
                .iter()
                .all(|page| page.words.is_empty())
        );
        let request = ParseRequest {
            word_boxes: true,
            ..ParseRequest::new(MediaType::Pdf)
        };
        let out = read_with(&fixture(case).join("input.pdf"), &request).unwrap();
        for page in &out.pages {
            assert_eq!(
                page.words.len(),
                page.text.split_whitespace().count(),
                "{case}"
            );
            let characters: Vec<char> = page.text.chars().collect();
            for (word, owed) in page.words.iter().zip(page.text.split_whitespace()) {
                let text: String = characters[word.start as usize..word.end as usize]
                    .iter()
                    .collect();
                assert_eq!(text, owed, "{case}");
                let [x0, y0, x1, y1] = word.bbox;
                assert!(0.0 <= x0 && x0 < x1 && x1 <= page.width, "{word:?}");
                assert!(0.0 <= y0 && y0 < y1 && y1 <= page.height, "{word:?}");
            }
        }
    }
}

#[test]
fn some_pages_are_read_when_only_they_are_asked_for() {
    let request = ParseRequest {
        pages: Some((2, 2)),
        ..ParseRequest::new(MediaType::Pdf)
    };
    let out = read_with(&fixture("three-pages").join("input.pdf"), &request).unwrap();
    let numbers: Vec<u32> = out.pages.iter().map(|page| page.number).collect();
    assert_eq!(numbers, [2]);
}
