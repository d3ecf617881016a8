//! Small files that no two uploads share, so that nothing is answered from the cache.

use std::fmt::Write as _;

use super::plan::{Dice, Work};

/// A file and a question.
pub struct Document {
    /// Name of the file.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// The question.
    pub prompt: &'static str,
}

/// The document of an upload: two thirds tables, of which some are long enough to be met in the middle of the parsing.
pub fn document(work: &Work) -> Document {
    let mut dice = Dice::new(work.seed);
    match dice.between(0, 6) {
        0 => table(work, &mut dice, 4_000),
        1..=3 => table(work, &mut dice, 60),
        _ => report(work, &mut dice),
    }
}

fn table(work: &Work, dice: &mut Dice, rows: u64) -> Document {
    let mut text = String::from("station,day,level_cm,remark\n");
    for row in 0..rows {
        let level = dice.between(40, 400);
        writeln!(text, "gauge {},{row},{level},lot {}", row % 7, work.key).unwrap();
    }
    Document {
        name: "levels.csv",
        bytes: text.into_bytes(),
        prompt: "What is the average level_cm?",
    }
}

fn report(work: &Work, dice: &mut Dice) -> Document {
    let mut content = String::from("BT /F1 11 Tf 60 760 Td 14 TL\n");
    for line in 0..dice.between(5, 45) {
        let year = dice.between(1850, 1990);
        writeln!(
            content,
            "(Bridge {line} of lot {} was opened in the year {year} by the county.) Tj T*",
            work.key
        )
        .unwrap();
    }
    content.push_str("ET");
    Document {
        name: "report.pdf",
        bytes: pdf(&content),
        prompt: "When was bridge 3 opened?",
    }
}

fn pdf(content: &str) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ),
    ];
    let mut file = String::from("%PDF-1.7\n");
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", file.len()).unwrap();
        writeln!(file, "{} 0 obj\n{object}\nendobj", index + 1).unwrap();
    }
    let start = file.len();
    let size = objects.len() + 1;
    write!(
        file,
        "{table}trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    )
    .unwrap();
    file.into_bytes()
}
