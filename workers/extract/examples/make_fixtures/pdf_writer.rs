//! A PDF writer, just large enough for fixtures and tests.
//!
//! It writes uncompressed objects, one after the other, with a correct cross-reference table: a person can read the result, and the
//! same calls always give the same bytes. Text is Helvetica (one of the fonts every reader has), WinAnsi-encoded. It knows nothing
//! of layout: the caller says where each line goes.

use std::fmt::Write as _;

/// Width and height of an A4 page in points.
pub(crate) const A4: (f32, f32) = (595.0, 842.0);

/// The drawing instructions of one page.
#[derive(Default)]
pub(crate) struct Content {
    code: String,
}

impl Content {
    /// Draws `text` with its baseline starting at `x`, `y` (points, origin at the bottom left).
    pub(crate) fn text(&mut self, x: f32, y: f32, size: f32, text: &str) -> &mut Self {
        self.text_matrix([1.0, 0.0, 0.0, 1.0, x, y], size, text)
    }

    /// Draws `text` with any text matrix: rotated, scaled, mirrored.
    pub(crate) fn text_matrix(&mut self, matrix: [f32; 6], size: f32, text: &str) -> &mut Self {
        let matrix = matrix.map(|number| number.to_string()).join(" ");
        let text = escape(text);
        self.raw(&format!("BT /F1 {size} Tf {matrix} Tm ({text}) Tj ET\n"))
    }

    /// Adds instructions as they are.
    pub(crate) fn raw(&mut self, code: &str) -> &mut Self {
        self.code.push_str(code);
        self
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '(' | ')' | '\\' => escaped.extend(['\\', c]),
            ' '..='~' => escaped.push(c),
            other => {
                // Latin-1 letters have the same code in WinAnsi.
                let _ = write!(escaped, "\\{:03o}", u32::from(other) & 0xFF);
            }
        }
    }
    escaped
}

/// A document under construction.
pub(crate) struct PdfWriter {
    objects: Vec<Vec<u8>>,
    pages: Vec<usize>,
    info: Option<usize>,
    catalog: String,
}

/// Object numbers of the parts that every document has.
const CATALOG: usize = 1;
const PAGE_TREE: usize = 2;
const FONT: usize = 3;

impl Default for PdfWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl PdfWriter {
    /// An empty document.
    pub(crate) fn new() -> Self {
        let font =
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
                .to_vec();
        Self {
            objects: vec![Vec::new(), Vec::new(), font],
            pages: Vec::new(),
            info: None,
            catalog: String::new(),
        }
    }

    /// Sets title and author.
    pub(crate) fn info(&mut self, title: &str, author: &str) -> &mut Self {
        let dictionary = format!(
            "<< /Title ({}) /Author ({}) >>",
            escape(title),
            escape(author)
        );
        self.info = Some(self.object(dictionary.into_bytes()));
        self
    }

    /// Adds entries to the dictionary that everything hangs on, such as `/Outlines 7 0 R`.
    pub(crate) fn catalog(&mut self, entries: &str) -> &mut Self {
        self.catalog.push(' ');
        self.catalog.push_str(entries);
        self
    }

    /// The object numbers of the pages so far.
    pub(crate) fn page_numbers(&self) -> &[usize] {
        &self.pages
    }

    /// The number that the next object gets.
    pub(crate) fn next_number(&self) -> usize {
        self.objects.len() + 1
    }

    /// Adds an A4 page.
    pub(crate) fn page(&mut self, content: &Content) -> &mut Self {
        self.page_with(content, "", "")
    }

    /// Adds an A4 page with more entries in its dictionary (such as `/Rotate 90`) and in its resources.
    pub(crate) fn page_with(
        &mut self,
        content: &Content,
        entries: &str,
        resources: &str,
    ) -> &mut Self {
        let (width, height) = A4;
        let stream = self.stream("", content.code.as_bytes());
        let page = self.object(
            format!(
                "<< /Type /Page /Parent {PAGE_TREE} 0 R /MediaBox [0 0 {width} {height}] /Contents {stream} 0 R \
                 /Resources << /Font << /F1 {FONT} 0 R >> {resources} >> {entries} >>"
            )
            .into_bytes(),
        );
        self.pages.push(page);
        self
    }

    /// Adds an object and returns its number.
    pub(crate) fn object(&mut self, body: Vec<u8>) -> usize {
        self.objects.push(body);
        self.objects.len()
    }

    /// Adds a stream and returns its object number.
    pub(crate) fn stream(&mut self, entries: &str, data: &[u8]) -> usize {
        let mut body = format!("<< /Length {} {entries} >>\nstream\n", data.len()).into_bytes();
        body.extend_from_slice(data);
        body.extend_from_slice(b"\nendstream");
        self.object(body)
    }

    /// The bytes of the file.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let kids: Vec<String> = self
            .pages
            .iter()
            .map(|page| format!("{page} 0 R"))
            .collect();
        let tree = format!(
            "<< /Type /Pages /Count {} /Kids [{}] >>",
            kids.len(),
            kids.join(" ")
        );
        self.objects[PAGE_TREE - 1] = tree.into_bytes();
        let entries = &self.catalog;
        let catalog = format!("<< /Type /Catalog /Pages {PAGE_TREE} 0 R{entries} >>");
        self.objects[CATALOG - 1] = catalog.into_bytes();

        let mut file = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec();
        let mut offsets = Vec::new();
        for (index, body) in self.objects.iter().enumerate() {
            offsets.push(file.len());
            file.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
            file.extend_from_slice(body);
            file.extend_from_slice(b"\nendobj\n");
        }
        self.trailer(&mut file, &offsets);
        file
    }

    fn trailer(&self, file: &mut Vec<u8>, offsets: &[usize]) {
        let start = file.len();
        let size = offsets.len() + 1;
        let mut tail = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for offset in offsets {
            let _ = writeln!(tail, "{offset:010} 00000 n ");
        }
        let info = self
            .info
            .map(|number| format!(" /Info {number} 0 R"))
            .unwrap_or_default();
        let _ = write!(
            tail,
            "trailer\n<< /Size {size} /Root {CATALOG} 0 R{info} >>\nstartxref\n{start}\n%%EOF\n"
        );
        file.extend_from_slice(tail.as_bytes());
    }
}
