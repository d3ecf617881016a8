//! Files with known content. The directories under `fixtures/` say what each exercises.

use std::{fmt::Write as _, path::PathBuf};

/// A question that the report answers, and what the answer must contain.
pub const PDF_QUESTION: &str = "When was the bridge opened?";
pub const PDF_ANSWER: &str = "14 May 1932";

/// Data rows of the table.
pub const CSV_ROWS: u64 = 40;
/// A question that one row answers, and what the answer must contain.
pub const CSV_QUESTION: &str = "Where was ice on the gauge?";
pub const CSV_ANSWER: &str = "Mill Weir";

/// A question that the picture's text answers.
pub const PNG_QUESTION: &str = "When will the lift be out of service?";
pub const PNG_ANSWER: &str = "17 June 2024";

fn read(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A one-page report about a bridge.
pub fn pdf() -> Vec<u8> {
    read("pdf/bridge-report/input.pdf")
}

/// The same, encrypted; with the passwords of its user and its owner.
pub fn locked_pdf() -> Vec<u8> {
    read("pdf/locked-report/input.pdf")
}

/// Password of the user of the locked report.
pub const USER_PASSWORD: &str = "mill user";

/// Password of its owner.
pub const OWNER_PASSWORD: &str = "weir-owner";

/// A file of the fixtures, by its path.
pub fn file(path: &str) -> Vec<u8> {
    read(path)
}

/// A PDF of several pages.
pub fn two_pages() -> Vec<u8> {
    read("pdf/three-pages/input.pdf")
}

/// Water levels of river gauges, some with a remark.
pub fn csv() -> Vec<u8> {
    read("csv/river-gauges/input.csv")
}

/// A picture of printed text.
pub fn png() -> Vec<u8> {
    read("image/notice/input.png")
}

/// A PDF whose page content inflates from a few kilobytes to a gigabyte of spaces.
pub fn flate_bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        deflated.write_all(&spaces).unwrap();
    }
    let content = deflated.finish().unwrap();
    document(&[stream("/Filter /FlateDecode", &content)])
}

/// A PDF whose page draws a form that draws the next one twice, 30 levels deep: 2^30 drawings.
pub fn form_bomb() -> Vec<u8> {
    const LEVELS: usize = 30;
    let mut bodies = vec![stream("", b"/F Do")];
    for level in 0..LEVELS {
        let resources = if level + 1 < LEVELS {
            format!("/XObject << /F {} 0 R >>", FIRST_BODY + 2 + level)
        } else {
            String::new()
        };
        let content: &[u8] = if level + 1 < LEVELS {
            b"/F Do /F Do"
        } else {
            b"0 0 1 1 re f"
        };
        let entries =
            format!("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << {resources} >>");
        bodies.push(stream(&entries, content));
    }
    document(&bodies)
}

/// A picture of thirty thousand signs of no script: Tesseract reads it for as long as it is let.
pub fn endless_page() -> Vec<u8> {
    const SIDE: usize = 2_500;
    const CELL: usize = 14;
    const SIGN: usize = 5;
    let mut pixels = vec![255; SIDE * SIDE];
    let mut random = 1_u64;
    for cell in 0..(SIDE / CELL).pow(2) {
        let (left, top) = (cell % (SIDE / CELL) * CELL, cell / (SIDE / CELL) * CELL);
        // Any generator will do that gives each cell another sign.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        for dot in (0..SIGN * SIGN).filter(|dot| random >> (20 + dot) & 1 == 1) {
            let (x, y) = (left + dot % SIGN * 2, top + dot / SIGN * 2);
            for at in [y * SIDE + x, y * SIDE + x + 1] {
                pixels[at] = 0;
                pixels[at + SIDE] = 0;
            }
        }
    }
    grey_png(SIDE, &pixels)
}

/// A square picture with eight bits for each pixel.
fn grey_png(side: usize, pixels: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for row in pixels.chunks(side) {
        deflated.write_all(&[0]).unwrap();
        deflated.write_all(row).unwrap();
    }
    let side = (side as u32).to_be_bytes();
    let head = [&side[..], &side, &[8, 0, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [
        (b"IHDR", head),
        (b"IDAT", deflated.finish().unwrap()),
        (b"IEND", Vec::new()),
    ] {
        let chunk = [&name[..], &data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&chunk);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&chunk);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

/// Object number of the page's content; what follows it comes after.
const FIRST_BODY: usize = 4;

fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {entries} /Length {} >>\nstream\n", content.len()).into_bytes();
    object.extend_from_slice(content);
    object.extend_from_slice(b"\nendstream");
    object
}

/// A one-page PDF whose content is the first body; `/F` is the second.
fn document(bodies: &[Vec<u8>]) -> Vec<u8> {
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents {FIRST_BODY} 0 R /Resources << /XObject << /F {} 0 R >> >> >>",
        FIRST_BODY + 1
    );
    let head = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        page,
    ];
    let objects: Vec<Vec<u8>> = head
        .into_iter()
        .map(String::into_bytes)
        .chain(bodies.iter().cloned())
        .collect();
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", pdf.len()).unwrap();
        pdf.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
        pdf.extend_from_slice(object);
        pdf.extend_from_slice(b"\nendobj\n");
    }
    let start = pdf.len();
    pdf.extend_from_slice(table.as_bytes());
    pdf.extend_from_slice(
        format!(
            "trailer << /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
            objects.len() + 1
        )
        .as_bytes(),
    );
    pdf
}
