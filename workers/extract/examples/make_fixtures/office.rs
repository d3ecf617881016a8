//! Word, Excel and `PowerPoint` files, written part by part.

use std::fmt::Write as _;

use super::Case;
use super::package::container;

const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const DOCUMENT_RELATIONSHIPS: &str =
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

/// The list of types of a container, as short as it may be.
const TYPES: &str =
    "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";

/// Rows of the huge table.
const HUGE_ROWS: usize = 3_000;

pub(super) fn cases() -> Vec<Case> {
    vec![lease(), huge_table(), accounts(), one_sheet(), council()]
}

fn paragraph(style: &str, text: &str) -> String {
    let style = match style {
        "" => String::new(),
        "list" => "<w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"1\"/></w:numPr></w:pPr>"
            .to_owned(),
        style => format!("<w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr>"),
    };
    format!("<w:p>{style}<w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>")
}

fn word_table(rows: &[&[&str]]) -> String {
    let mut xml = String::from("<w:tbl>");
    for row in rows {
        xml.push_str("<w:tr>");
        for cell in *row {
            let _ = write!(xml, "<w:tc>{}</w:tc>", paragraph("", cell));
        }
        xml.push_str("</w:tr>");
    }
    xml.push_str("</w:tbl>");
    xml
}

fn docx(body: &str, extra: &[(&str, String)]) -> Vec<u8> {
    let word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    let mut parts = vec![
        ("[Content_Types].xml", "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>".to_owned()),
        ("_rels/.rels", root_relationship("word/document.xml")),
        ("word/document.xml", format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"{word}\"><w:body>{body}</w:body></w:document>")),
        ("docProps/core.xml", "<cp:coreProperties xmlns:cp=\"http://schemas.openxmlformats.org/package/2006/metadata/core-properties\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>Lease of the mill &amp; its weir</dc:title><dc:creator>Quire fixtures</dc:creator></cp:coreProperties>".to_owned()),
    ];
    parts.extend(extra.iter().cloned());
    container(&parts)
}

fn root_relationship(target: &str) -> String {
    format!(
        "<Relationships xmlns=\"{RELATIONSHIPS}\"><Relationship Id=\"rId1\" Type=\"{DOCUMENT_RELATIONSHIPS}/officeDocument\" Target=\"{target}\"/></Relationships>"
    )
}

/// Everything that a letter of a lawyer has.
fn lease() -> Case {
    let body = [
        paragraph("Heading1", "Lease of the mill"),
        paragraph("", "The tenant pays 320 crowns a year &lt;in two halves&gt; &amp; keeps the weir in repair."),
        paragraph("Heading2", "Duties"),
        paragraph("list", "Clear the rack after every flood."),
        paragraph("list", "Grease the bearings weekly."),
        paragraph("", "Rates:"),
        word_table(&[&["Half", "Due", "Crowns"], &["first", "1 May", "160"], &["second", "1 November", "160 | or in kind"]]),
        "<w:p><w:r><w:t>Signed in </w:t></w:r><w:del><w:r><w:delText>Ulm</w:delText></w:r></w:del><w:ins><w:r><w:t>Basel</w:t></w:r></w:ins><w:r><w:t>.</w:t></w:r></w:p>".to_owned(),
        "<w:p><w:r><w:br w:type=\"page\"/></w:r></w:p>".to_owned(),
        paragraph("", "Annex: the mill has three pairs of stones."),
    ]
    .concat();
    let notes = "<w:footnotes xmlns:w=\"x\"><w:footnote><w:p><w:r><w:t>The crown is that of 1790.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    Case::snapshot(
        "docx/lease",
        "docx",
        "headings, a list, a table with a bar in a cell, tracked changes, a page break, a footnote, a title",
        docx(&body, &[("word/footnotes.xml", notes.to_owned())]),
    )
}

/// A table longer than any page, in whose last cell there is another table.
fn huge_table() -> Case {
    let mut body = String::from("<w:tbl>");
    for row in 1..=HUGE_ROWS {
        let _ = write!(
            body,
            "<w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>",
            paragraph("", &format!("row {row}")),
            paragraph("", &format!("{}", row * 7 % 1000))
        );
    }
    let inner = word_table(&[&["inner", "table"]]);
    let _ = write!(
        body,
        "<w:tr><w:tc>{}</w:tc><w:tc>{inner}{}</w:tc></w:tr></w:tbl>",
        paragraph("", "last"),
        paragraph("", "")
    );
    Case::snapshot(
        "docx/huge-table",
        "docx",
        "a table of 3000 rows, and one within its last cell",
        docx(&body, &[]),
    )
}

/// `sheets` as (name, content of the worksheet element).
fn xlsx(sheets: &[(&str, String)]) -> Vec<u8> {
    let mut list = String::new();
    let mut targets = String::new();
    let mut parts = Vec::new();
    for (index, (name, content)) in sheets.iter().enumerate() {
        let number = index + 1;
        let _ = write!(
            list,
            "<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>"
        );
        let _ = write!(
            targets,
            "<Relationship Id=\"rId{number}\" Type=\"{DOCUMENT_RELATIONSHIPS}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        );
        parts.push((
            format!("xl/worksheets/sheet{number}.xml"),
            format!("<worksheet xmlns=\"{SHEET}\">{content}</worksheet>"),
        ));
    }
    let _ = write!(
        targets,
        "<Relationship Id=\"rId99\" Type=\"{DOCUMENT_RELATIONSHIPS}/styles\" Target=\"styles.xml\"/>"
    );
    let fixed = [
        // Last, as some programs have it.
        ("[Content_Types].xml", TYPES.to_owned()),
        ("_rels/.rels", root_relationship("xl/workbook.xml")),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{SHEET}\" xmlns:r=\"{DOCUMENT_RELATIONSHIPS}\"><sheets>{list}</sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!("<Relationships xmlns=\"{RELATIONSHIPS}\">{targets}</Relationships>"),
        ),
        // The second format of cells is a date, the third a date with a time.
        (
            "xl/styles.xml",
            format!(
                "<styleSheet xmlns=\"{SHEET}\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"22\"/></cellXfs></styleSheet>"
            ),
        ),
    ];
    parts.extend(fixed.map(|(name, text)| (name.to_owned(), text)));
    container(&parts)
}

/// A cell; what begins with `=` is a formula and its result, parted by a bar.
fn cell(place: &str, value: &str) -> String {
    if let Some((formula, result)) = value
        .strip_prefix('=')
        .and_then(|rest| rest.split_once('|'))
    {
        return format!("<c r=\"{place}\"><f>{formula}</f><v>{result}</v></c>");
    }
    if let Some(date) = value.strip_prefix("date ") {
        return format!("<c r=\"{place}\" s=\"1\"><v>{date}</v></c>");
    }
    if let Some(time) = value.strip_prefix("time ") {
        return format!("<c r=\"{place}\" s=\"2\"><v>{time}</v></c>");
    }
    match value {
        "TRUE" => format!("<c r=\"{place}\" t=\"b\"><v>1</v></c>"),
        "#DIV/0!" => format!("<c r=\"{place}\" t=\"e\"><v>#DIV/0!</v></c>"),
        number if number.parse::<f64>().is_ok() => format!("<c r=\"{place}\"><v>{number}</v></c>"),
        text => format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>"),
    }
}

/// Rows of cells from column B, row 3 on: a sheet seldom begins in its corner.
fn rows(first_row: usize, first_column: u8, rows: &[&[&str]]) -> String {
    let mut xml = String::from("<sheetData>");
    for (index, row) in rows.iter().enumerate() {
        let number = first_row + index;
        let _ = write!(xml, "<row r=\"{number}\">");
        for (column, value) in row.iter().enumerate() {
            let letter = char::from(first_column + column as u8);
            xml.push_str(&cell(&format!("{letter}{number}"), value));
        }
        xml.push_str("</row>");
    }
    xml.push_str("</sheetData>");
    xml
}

fn accounts() -> Case {
    let tolls = rows(
        3,
        b'B',
        &[
            &["ship", "passed", "length m", "toll", "paid"],
            &["cog", "date 45413", "18.5", "=D4*2|37", "TRUE"],
            &["hulk", "date 45414", "30", "=D5*2|60", "TRUE"],
            &["barge", "time 45415.5", "12", "=D6/0|24", "#DIV/0!"],
            &["total", "", "", "=SUM(E4:E6)|121", ""],
        ],
    );
    let merged = format!(
        "{}<mergeCells count=\"1\"><mergeCell ref=\"A1:C1\"/></mergeCells>",
        rows(
            1,
            b'A',
            &[
                &["Tolls of the year 2024", "", ""],
                &["quarter", "crowns", "ships"],
                &["first", "121", "3"]
            ]
        )
    );
    let notes = rows(
        1,
        b'A',
        &[&["Read me: tolls are in crowns &amp; rounded up."]],
    );
    Case::snapshot(
        "xlsx/accounts",
        "xlsx",
        "three sheets, formulas with results, dates, a time, an error, a boolean, merged cells, a table that begins at B3",
        xlsx(&[("Notes", notes), ("Tolls 2024", tolls), ("Summary", merged)]),
    )
}

fn one_sheet() -> Case {
    let content = rows(
        1,
        b'A',
        &[
            &["gauge", "level"],
            &["Mill Weir", "212"],
            &["Alder Bridge", "184"],
        ],
    );
    Case::snapshot(
        "xlsx/one-sheet",
        "xlsx",
        "one sheet that begins in its corner",
        xlsx(&[("Levels", content)]),
    )
}

fn council() -> Case {
    let text = |text: &str| format!("<a:p><a:r><a:t>{text}</a:t></a:r></a:p>");
    let slide = |content: String| {
        format!(
            "<p:sld xmlns:p=\"p\" xmlns:a=\"a\"><p:cSld><p:spTree>{content}</p:spTree></p:cSld></p:sld>"
        )
    };
    let table = "<a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>street</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>lamps</a:t></a:r></a:p></a:txBody></a:tc></a:tr><a:tr><a:tc><a:txBody><a:p><a:r><a:t>Weir Lane</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>14</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl>";
    let first = slide(format!(
        "{}{}",
        text("Street lamps"),
        text("Proposal to the council")
    ));
    let second = slide(format!(
        "{}{table}<a:p><a:fld type=\"slidenum\"><a:t>2</a:t></a:fld></a:p>",
        text("Where they go")
    ));
    let input = container(&[
        ("[Content_Types].xml", TYPES.to_owned()),
        ("ppt/presentation.xml", "<p:presentation xmlns:p=\"p\" xmlns:r=\"r\"><p:sldIdLst><p:sldId id=\"256\" r:id=\"rId2\"/><p:sldId id=\"257\" r:id=\"rId1\"/></p:sldIdLst></p:presentation>".to_owned()),
        ("ppt/_rels/presentation.xml.rels", "<Relationships><Relationship Id=\"rId1\" Target=\"slides/slide1.xml\"/><Relationship Id=\"rId2\" Target=\"slides/slide2.xml\"/></Relationships>".to_owned()),
        ("ppt/slides/slide1.xml", second),
        ("ppt/slides/slide2.xml", first),
        ("ppt/slides/_rels/slide1.xml.rels", "<Relationships><Relationship Id=\"rId1\" Target=\"../notesSlides/notesSlide1.xml\"/></Relationships>".to_owned()),
        ("ppt/notesSlides/notesSlide1.xml", format!("<p:notes xmlns:p=\"p\" xmlns:a=\"a\">{}</p:notes>", text("Say that they are paid for."))),
    ]);
    Case::snapshot(
        "pptx/council",
        "pptx",
        "slides out of the order of their files, a table, notes, a slide number that is none of the text",
        input,
    )
}
