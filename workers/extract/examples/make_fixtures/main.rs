//! Writes the fixtures of the end-to-end tests: small files with known text, always the same bytes.
//!
//! `cargo run -p quire-extract --example make_fixtures` fills `fixtures/` at the root of the workspace (or the folder given as the
//! first argument). Each case is a folder `fixtures/<kind>/<case>/` with `input.*`, `about.toml`, and `expected.txt` (the text that is
//! owed, in reading order) or `expected.md` (the whole document as Markdown, written by the test `fixtures_read_as_they_did`);
//! `about.toml` says where it comes from, its licence and what it exercises. The files are committed; this program is how they came to be and how
//! a new one is added. It is no part of the product.

mod layout;
mod office;
mod order_form;
mod package;
mod pdf_writer;
mod plain;
mod raster;
mod texts;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use lopdf::{Document, EncryptionState, EncryptionVersion, Object, Permissions};

use layout::wrap;
use pdf_writer::{A4, Content, PdfWriter};

/// Distance of text from the edge of a page, in points.
const MARGIN: f32 = 64.0;
/// Font size of running text, in points.
const BODY: f32 = 11.0;
/// Distance between baselines of running text.
const LEADING: f32 = 15.0;
/// Distance between the last baseline of a paragraph and the first of the next.
const PARAGRAPH: f32 = 24.0;

/// One fixture.
struct Case {
    folder: &'static str,
    extension: &'static str,
    exercises: &'static str,
    input: Vec<u8>,
    /// The text that is owed; none where the test keeps the document as Markdown.
    expected: Option<String>,
}

fn main() -> io::Result<()> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let root = env::args_os().nth(1).map_or(default, PathBuf::from);
    let mut cases = vec![
        bridge_report(),
        locked_report(),
        three_pages(),
        two_columns(),
        rotated_page(),
        order_form::order_form(),
        scanned_notice(),
        gauges(),
        notice(),
    ];
    cases.extend(office::cases());
    cases.extend(plain::cases());
    for case in cases {
        case.write(&root)?;
    }
    Ok(())
}

impl Case {
    /// A case whose document the test keeps.
    fn snapshot(
        folder: &'static str,
        extension: &'static str,
        exercises: &'static str,
        input: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            folder,
            extension,
            exercises,
            input: input.into(),
            expected: None,
        }
    }

    fn write(&self, root: &Path) -> io::Result<()> {
        let folder = root.join(self.folder);
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join(format!("input.{}", self.extension)),
            &self.input,
        )?;
        if let Some(expected) = &self.expected {
            fs::write(folder.join("expected.txt"), expected)?;
        }
        let about = format!(
            "origin = \"written for this project by workers/extract/examples/make_fixtures\"\nlicence = \"MIT OR Apache-2.0\"\n\
             exercises = \"{}\"\n",
            self.exercises
        );
        fs::write(folder.join("about.toml"), about)
    }
}

fn bridge_report() -> Case {
    let mut content = Content::default();
    let top = heading(&mut content, "Report on the Alder Bridge");
    paragraphs(
        &mut content,
        texts::BRIDGE_REPORT,
        MARGIN,
        top,
        A4.0 - 2.0 * MARGIN,
    );
    let input = PdfWriter::new()
        .info("Report on the Alder Bridge", "Quire fixtures")
        .page(&content)
        .finish();
    let expected = format!(
        "Report on the Alder Bridge\n\n{}\n",
        texts::BRIDGE_REPORT.join("\n\n")
    );
    Case {
        folder: "pdf/bridge-report",
        extension: "pdf",
        exercises: "one page of prose with facts to ask for",
        input,
        expected: Some(expected),
    }
}

/// The bridge report under a user's and an owner's password. RC4 with 128 bits, as other methods draw their keys by chance.
fn locked_report() -> Case {
    let plain = bridge_report();
    let mut document = Document::load_mem(&plain.input).expect("our own file is a PDF");
    let id = Object::string_literal("quire fixture 01");
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "weir-owner",
        user_password: "mill user",
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).expect("the passwords are short");
    document.encrypt(&state).expect("it is not encrypted yet");
    make_repeatable(&mut document);
    let mut input = Vec::new();
    document
        .save_to(&mut input)
        .expect("a vector takes everything");
    Case {
        folder: "pdf/locked-report",
        extension: "pdf",
        exercises: "the bridge report, encrypted: user's password 'mill user', owner's 'weir-owner'",
        input,
        expected: plain.expected,
    }
}

/// The second half of the user's entry is arbitrary (ISO 32000-1, algorithm 5), and lopdf draws it by chance.
fn make_repeatable(document: &mut Document) {
    let entry = document
        .trailer
        .get(b"Encrypt")
        .and_then(Object::as_reference);
    let entry = document
        .get_dictionary_mut(entry.expect("it is encrypted"))
        .expect("the entry is a dictionary");
    if let Ok(Object::String(user, _)) = entry.get_mut(b"U") {
        user[16..].fill(0);
    }
}

fn three_pages() -> Case {
    let mut writer = PdfWriter::new();
    writer.info("Keeping bees on city roofs", "Quire fixtures");
    let mut pages = Vec::new();
    for (title, text) in texts::ROOF_BEES {
        let mut content = Content::default();
        let top = heading(&mut content, title);
        paragraphs(&mut content, text, MARGIN, top, A4.0 - 2.0 * MARGIN);
        writer.page(&content);
        pages.push(format!("{title}\n\n{}", text.join("\n\n")));
    }
    let expected = format!("{}\n", pages.join("\n\u{c}\n"));
    let exercises = "three pages; expected.txt separates them by a form feed";
    Case {
        folder: "pdf/three-pages",
        extension: "pdf",
        exercises,
        input: writer.finish(),
        expected: Some(expected),
    }
}

/// Both columns on the same baselines, drawn line by line across the page: only the gap between them tells the order.
fn two_columns() -> Case {
    const GUTTER: f32 = 24.0;
    let width = (A4.0 - 2.0 * MARGIN - GUTTER) / 2.0;
    let mut content = Content::default();
    let top = heading(&mut content, texts::NEWSLETTER_TITLE);
    let left = column_lines(texts::NEWSLETTER_LEFT, width);
    let right = column_lines(texts::NEWSLETTER_RIGHT, width);
    for row in 0..left.len().max(right.len()) {
        let y = top - row as f32 * LEADING;
        for (column, x) in [(&left, MARGIN), (&right, MARGIN + width + GUTTER)] {
            if let Some(line) = column.get(row) {
                content.text(x, y, BODY, line);
            }
        }
    }
    let input = PdfWriter::new().page(&content).finish();
    let expected = format!(
        "{}\n\n{}\n\n{}\n",
        texts::NEWSLETTER_TITLE,
        texts::NEWSLETTER_LEFT.join("\n\n"),
        texts::NEWSLETTER_RIGHT.join("\n\n")
    );
    Case {
        folder: "pdf/two-columns",
        extension: "pdf",
        exercises: "reading order of two columns drawn interleaved",
        input,
        expected: Some(expected),
    }
}

/// A page stored sideways and turned upright by `/Rotate`.
fn rotated_page() -> Case {
    let mut content = Content::default();
    let text = &texts::ROOF_BEES[1].1[..2];
    let mut x = MARGIN;
    for line in text
        .iter()
        .flat_map(|paragraph| wrap(paragraph, BODY, A4.1 - 2.0 * MARGIN))
    {
        content.text_matrix([0.0, 1.0, -1.0, 0.0, x, MARGIN], BODY, &line);
        x += LEADING;
    }
    let input = PdfWriter::new()
        .page_with(&content, "/Rotate 90", "")
        .finish();
    let expected = format!("{}\n", text.join("\n"));
    Case {
        folder: "pdf/rotated-page",
        extension: "pdf",
        exercises: "a page with /Rotate 90",
        input,
        expected: Some(expected),
    }
}

fn scanned_notice() -> Case {
    /// What office scanners produce.
    const DPI: f32 = 200.0;
    let grey = raster::first_page(notice_page(), DPI);
    let mut writer = PdfWriter::new();
    raster::add_picture_page(&mut writer, &raster::black_and_white(&grey));
    let input = writer.finish();
    let exercises = "a page without a text layer: needs character recognition";
    Case {
        folder: "pdf/scanned-notice",
        extension: "pdf",
        exercises,
        input,
        expected: Some(notice_text()),
    }
}

fn notice() -> Case {
    const DPI: f32 = 100.0;
    let grey = raster::first_page(notice_page(), DPI);
    // The lower half of the page is empty.
    let height = grey.height / 2;
    let mut input = Vec::new();
    PngEncoder::new(&mut input)
        .write_image(
            &grey.pixels[..(grey.width * height) as usize],
            grey.width,
            height,
            image::ExtendedColorType::L8,
        )
        .expect("the buffer has the size that is named");
    let exercises = "a picture of printed text: needs character recognition";
    Case {
        folder: "image/notice",
        extension: "png",
        exercises,
        input,
        expected: Some(notice_text()),
    }
}

/// Forty readings, one of them missing, one with a comma in quotes.
fn gauges() -> Case {
    let mut csv = String::from("reading,gauge,bank,kilometre,date,level_cm,flow_m3s,remark\n");
    for number in 1..=40usize {
        let (gauge, bank, kilometre) = texts::GAUGES[(number - 1) % texts::GAUGES.len()];
        let level = 180 + (number * 37) % 211;
        let flow = 40.0 + (number * 13 % 97) as f32 / 2.0;
        let flow = if number == 23 {
            String::new()
        } else {
            format!("{flow:.1}")
        };
        let remark = match number {
            7 => "\"ice on the gauge, read by hand\"",
            31 => "highest level of the year",
            _ => "",
        };
        let level = if number == 31 { 612 } else { level };
        let day = 1 + (number - 1) % 28;
        let month = 1 + (number - 1) / 28;
        let _ = writeln!(
            csv,
            "{number},{gauge},{bank},{kilometre},2024-{month:02}-{day:02},{level},{flow},{remark}"
        );
    }
    let exercises = "a table of 40 rows with integers, decimals, dates, text, one missing value and one quoted comma";
    Case {
        folder: "csv/river-gauges",
        extension: "csv",
        exercises,
        input: csv.clone().into_bytes(),
        expected: Some(csv),
    }
}

fn notice_page() -> Vec<u8> {
    const SIZE: f32 = 20.0;
    let mut content = Content::default();
    for (row, line) in texts::NOTICE.iter().enumerate() {
        content.text(MARGIN, A4.1 - 100.0 - 40.0 * row as f32, SIZE, line);
    }
    PdfWriter::new().page(&content).finish()
}

fn notice_text() -> String {
    format!("{}\n", texts::NOTICE.join("\n"))
}

/// Draws a heading and returns the first baseline of the text below it.
fn heading(content: &mut Content, text: &str) -> f32 {
    const SIZE: f32 = 18.0;
    let baseline = A4.1 - MARGIN - SIZE;
    content.text(MARGIN, baseline, SIZE, text);
    baseline - 2.0 * PARAGRAPH
}

fn paragraphs(content: &mut Content, text: &[&str], x: f32, top: f32, width: f32) {
    let mut y = top;
    for paragraph in text {
        for line in wrap(paragraph, BODY, width) {
            content.text(x, y, BODY, &line);
            y -= LEADING;
        }
        y -= PARAGRAPH - LEADING;
    }
}

fn column_lines(text: &[&str], width: f32) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, paragraph) in text.iter().enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        lines.extend(wrap(paragraph, BODY, width));
    }
    lines
}
