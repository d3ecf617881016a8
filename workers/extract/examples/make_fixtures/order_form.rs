//! A form of two pages with everything that a document has beside its text: running heads and feet, a table with borders and a merged
//! cell, a field that is filled in but not drawn, an outline, a link.

use super::Case;
use super::pdf_writer::{Content, PdfWriter};

/// Rows of the table; the first one is a cell across all columns.
const ROWS: [[&str; 3]; 4] = [
    ["Materials", "", ""],
    ["Item", "Pieces", "Price"],
    ["Oak planks,|planed", "24", "310.80"],
    ["Copper nails", "600", "48.00"],
];

const LEFT: f32 = 64.0;
const COLUMNS: [f32; 4] = [LEFT, 264.0, 364.0, 464.0];
/// Upper and lower edges of the rows.
const EDGES: [f32; 5] = [640.0, 616.0, 592.0, 552.0, 528.0];
const BODY: f32 = 11.0;
const SMALL: f32 = 9.0;

const AFTER: &str = "Prices hold until the end of the month.";
const DELIVERY: [&str; 2] = [
    "The planks are brought to the yard on Friday morning.",
    "Nails are kept at the counter.",
];

/// The form.
pub(super) fn order_form() -> Case {
    let mut writer = PdfWriter::new();
    writer.info("Order 2041", "Quire fixtures");
    let field = writer.object(
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (customer) /V (Ines Brandt) /DA (/Helv 11 Tf) /Rect [134 660 364 678] /F 4 >>"
            .to_vec(),
    );
    let link = writer.object(
        b"<< /Type /Annot /Subtype /Link /Rect [64 494 264 508] /A << /S /URI /URI (https://example.org/prices) >> >>".to_vec(),
    );
    let annotations = format!("/Annots [{field} 0 R {link} 0 R]");
    writer.page_with(&first_page(), &annotations, "");
    writer.page(&second_page());
    add_outline(&mut writer);
    writer.catalog(&format!(
        "/AcroForm << /Fields [{field} 0 R] /NeedAppearances true >>"
    ));
    Case {
        folder: "pdf/order-form",
        extension: "pdf",
        exercises: "a table with borders, running heads and feet, a form field without a picture, an outline, a link",
        input: writer.finish(),
        expected: Some(expected()),
    }
}

fn first_page() -> Content {
    let mut content = with_edges(1);
    content.text(LEFT, 720.0, 18.0, "Order of materials");
    content.text(LEFT, 664.0, BODY, "Ordered by:");
    for (edge, y) in EDGES.into_iter().enumerate() {
        content.raw(&format!("{LEFT} {y} m {} {y} l S\n", COLUMNS[3]));
        let Some(row) = ROWS.get(edge) else { continue };
        for (cell, x) in row.iter().zip(COLUMNS) {
            for (line, text) in cell.split('|').enumerate() {
                content.text(x + 4.0, y - 16.0 - 14.0 * line as f32, BODY, text);
            }
        }
    }
    for (index, x) in COLUMNS.into_iter().enumerate() {
        // The first row is not divided.
        let top = if index == 0 || index == 3 {
            EDGES[0]
        } else {
            EDGES[1]
        };
        content.raw(&format!("{x} {top} m {x} {} l S\n", EDGES[4]));
    }
    content.text(LEFT, 498.0, BODY, AFTER);
    content
}

fn second_page() -> Content {
    let mut content = with_edges(2);
    content.text(LEFT, 720.0, 18.0, "Delivery");
    for (line, text) in DELIVERY.into_iter().enumerate() {
        content.text(LEFT, 680.0 - 15.0 * line as f32, BODY, text);
    }
    content
}

fn with_edges(page: u32) -> Content {
    let mut content = Content::default();
    content.text(LEFT, 800.0, SMALL, "Alder Works");
    content.text(LEFT, 40.0, SMALL, &format!("Page {page} of 2"));
    content
}

fn add_outline(writer: &mut PdfWriter) {
    let pages = writer.page_numbers().to_vec();
    let first = writer.next_number();
    let entries = [("Order of materials", pages[0]), ("Delivery", pages[1])];
    for (index, (title, page)) in entries.into_iter().enumerate() {
        let next = if index == 0 {
            format!("/Next {} 0 R", first + 1)
        } else {
            String::new()
        };
        writer
            .object(format!("<< /Title ({title}) /Dest [{page} 0 R /Fit] {next} >>").into_bytes());
    }
    writer.catalog(&format!("/Outlines << /First {first} 0 R /Count 2 >>"));
}

fn expected() -> String {
    let rows: Vec<String> = ROWS
        .iter()
        .map(|row| row.join(" ").replace('|', " ").trim_end().to_owned())
        .collect();
    format!(
        "Alder Works\n\nOrder of materials\n\nOrdered by: Ines Brandt\n\n{}\n\n{AFTER}\n\nPage 1 of 2\n\u{c}\n\
         Alder Works\n\nDelivery\n\n{}\n\nPage 2 of 2\n",
        rows.join("\n"),
        DELIVERY.join("\n")
    )
}
