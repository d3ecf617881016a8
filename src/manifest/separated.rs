//! The little of CSV that a manifest needs: RFC 4180 with `,`, `;` or a tab between the fields.
//!
//! A manifest is a list that a client wrote for quire, small and in memory. Documents are read by `quire-extract`, which
//! guesses encodings and dialects and never trusts them.

/// A record with the line it begins in.
pub(super) type Record = (usize, Vec<String>);

/// A quote that is never closed, by the line where it opens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpenQuote(pub(super) usize);

/// Characters that may stand between fields, the likeliest first.
const DELIMITERS: [char; 3] = [',', ';', '\t'];

/// Every record that is not blank.
pub(super) fn records(text: &str) -> Result<Vec<Record>, OpenQuote> {
    let mut reader = Reader::new(delimiter(text));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // A doubled quote inside quotes is one of the text.
            '"' if reader.quoted_at.is_some() && chars.peek() == Some(&'"') => {
                chars.next();
                reader.field.push('"');
            }
            c => reader.take(c),
        }
    }
    reader.finish()
}

/// The one that stands most often in the first line.
fn delimiter(text: &str) -> char {
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: char| first.matches(delimiter).count();
    let mut best = DELIMITERS[0];
    for candidate in DELIMITERS {
        if count(candidate) > count(best) {
            best = candidate;
        }
    }
    best
}

struct Reader {
    delimiter: char,
    line: usize,
    /// Where the quote opened that the reader is in.
    quoted_at: Option<usize>,
    field: String,
    /// The last character of the field stood outside quotes.
    bare_end: bool,
    /// The record that is being read, from `begun`.
    fields: Vec<String>,
    begun: usize,
    records: Vec<Record>,
}

impl Reader {
    fn new(delimiter: char) -> Self {
        Self {
            delimiter,
            line: 1,
            quoted_at: None,
            field: String::new(),
            bare_end: false,
            fields: Vec::new(),
            begun: 1,
            records: Vec::new(),
        }
    }

    fn take(&mut self, c: char) {
        match c {
            '"' if self.quoted_at.is_some() => {
                self.quoted_at = None;
                self.bare_end = false;
            }
            // Some programs write a space between the delimiter and the quote.
            '"' if self.field.trim().is_empty() => {
                self.field.clear();
                self.quoted_at = Some(self.line);
            }
            '\n' if self.quoted_at.is_none() => {
                self.end_record();
                self.line += 1;
                self.begun = self.line;
            }
            c if c == self.delimiter && self.quoted_at.is_none() => self.end_field(),
            c => {
                self.line += usize::from(c == '\n');
                self.field.push(c);
                self.bare_end = self.quoted_at.is_none();
            }
        }
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.bare_end = false;
    }

    fn end_record(&mut self) {
        if self.bare_end && self.field.ends_with('\r') {
            self.field.pop();
        }
        self.end_field();
        let fields = std::mem::take(&mut self.fields);
        if fields.iter().any(|field| !field.trim().is_empty()) {
            self.records.push((self.begun, fields));
        }
    }

    fn finish(mut self) -> Result<Vec<Record>, OpenQuote> {
        if let Some(line) = self.quoted_at {
            return Err(OpenQuote(line));
        }
        self.end_record();
        Ok(self.records)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(text: &str) -> Vec<Vec<String>> {
        let records = records(text).unwrap();
        records.into_iter().map(|(_, fields)| fields).collect()
    }

    #[test]
    fn quotes_line_ends_and_delimiters() {
        assert_eq!(
            fields("file,prompt\r\na.pdf,\"What, \"\"exactly\"\"?\nSay it.\"\r\n\r\nb.pdf,x"),
            [
                vec!["file", "prompt"],
                vec!["a.pdf", "What, \"exactly\"?\nSay it."],
                vec!["b.pdf", "x"]
            ]
        );
        assert_eq!(
            fields("file;prompt\na;b,c"),
            [["file", "prompt"], ["a", "b,c"]]
        );
        assert_eq!(
            fields("file\tprompt\na\tb"),
            [["file", "prompt"], ["a", "b"]]
        );
    }

    #[test]
    fn lines_are_counted_through_quotes() {
        let lines: Vec<usize> = records("a\n\"b\nb\"\nc\n")
            .unwrap()
            .into_iter()
            .map(|(line, _)| line)
            .collect();
        assert_eq!(lines, [1, 2, 4]);
        assert_eq!(records("a\n\"b\nc"), Err(OpenQuote(2)));
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(rows in proptest::collection::vec(("[^\"]{1,9}|.*", ".*"), 1..5)) {
            let rows: Vec<_> = rows.into_iter().filter(|(a, b)| !a.trim().is_empty() || !b.trim().is_empty()).collect();
            let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let mut text = String::from("file,prompt\n");
            for (a, b) in &rows {
                text.extend([quote(a).as_str(), ",", quote(b).as_str(), "\n"]);
            }
            let expected: Vec<Vec<String>> = rows.into_iter().map(|(a, b)| vec![a, b]).collect();
            prop_assert_eq!(&fields(&text)[1..], &expected[..]);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[a,;\t\"\r\n]{0,40}") {
            if let Ok(records) = records(&text) {
                prop_assert!(records.is_sorted_by_key(|(line, _)| *line));
            }
        }
    }
}
