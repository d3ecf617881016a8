//! The result of a completed job as Markdown and as plain text.
//!
//! What comes out of a document is untrusted: in Markdown it is escaped or fenced, so that a page cannot bring in a link,
//! an image or HTML when somebody renders the reply.

use std::fmt::Write as _;

use super::result_view::{CitationView, PageView, ResultView, TableView};

/// Answer and sources, for a terminal.
pub fn plain(result: &ResultView) -> String {
    let mut out = format!("{}\n", result.answer.trim_end());
    if !result.citations.is_empty() {
        out.push_str("\nSources:\n");
    }
    for citation in &result.citations {
        line(
            &mut out,
            format_args!("{} \"{}\"", citation.marker, one_line(&citation.quote)),
        );
    }
    out
}

/// Answer, sources and the text of the document.
pub fn markdown(result: &ResultView) -> String {
    let mut out = format!(
        "# {}\n\n## Answer\n\n{}\n",
        escaped(&result.file_name),
        escaped(result.answer.trim_end())
    );
    sources(&mut out, &result.citations);
    if !result.notes.is_empty() {
        out.push_str("\n## Notes\n\n");
    }
    for note in &result.notes {
        line(&mut out, format_args!("- {}", escaped(&one_line(note))));
    }
    if let Some(table) = &result.table {
        columns(&mut out, table);
    }
    for page in &result.pages {
        page_text(&mut out, page);
    }
    out
}

fn sources(out: &mut String, citations: &[CitationView]) {
    if !citations.is_empty() {
        out.push_str("\n## Sources\n\n");
    }
    for citation in citations {
        line(
            out,
            format_args!(
                "- {} {}",
                escaped(&citation.marker),
                escaped(&one_line(&citation.quote))
            ),
        );
    }
}

fn columns(out: &mut String, table: &TableView) {
    line(
        out,
        format_args!(
            "\n## Table\n\n{} rows\n\n| column | kind | empty | distinct |\n|---|---|---|---|",
            table.rows
        ),
    );
    for column in &table.columns {
        let (name, kind) = (
            escaped(&one_line(&column.name)),
            format!("{:?}", column.kind).to_lowercase(),
        );
        line(
            out,
            format_args!(
                "| {name} | {kind} | {} | {} |",
                column.nulls, column.distinct
            ),
        );
    }
}

fn page_text(out: &mut String, page: &PageView) {
    let text = page.text.trim_end();
    if text.is_empty() {
        line(out, format_args!("\n## Page {}\n\nNo text.", page.number));
        return;
    }
    let fence = fence(text);
    line(
        out,
        format_args!("\n## Page {}\n\n{fence}text\n{text}\n{fence}", page.number),
    );
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a String can always be written to");
}

/// A fence longer than any run of backticks in the text.
fn fence(text: &str) -> String {
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with every character that could begin markup made literal.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>!|~&#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quire_extract::TextEngine;

    use super::*;

    fn result(answer: &str, page: &str) -> ResultView {
        ResultView {
            job_id: "j".into(),
            file_name: "a_b.pdf".into(),
            media: "pdf".into(),
            answer: answer.into(),
            answered: true,
            citations: vec![CitationView {
                marker: "[p. 1]".into(),
                page: Some(1),
                row: None,
                quote: "The total\nis 42.".into(),
                start: 0,
                boxes: vec![[72.0, 80.0, 200.0, 104.0]],
                score: 0.9,
            }],
            engine: "extractive".into(),
            model: None,
            record: None,
            usage: None,
            notes: vec!["found by words only".into()],
            pages: vec![PageView {
                number: 1,
                text: page.into(),
                engine: TextEngine::PdfExtract,
                score: 1.0,
                confidence: None,
                width: 612.0,
                height: 792.0,
                lines: Vec::new(),
                empty_reason: None,
            }],
            table: None,
            image: None,
            metadata: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn plain_text_is_the_answer_and_its_sources() {
        let text = plain(&result("The total is 42. [p. 1]", "The total\nis 42."));
        assert_eq!(
            text,
            "The total is 42. [p. 1]\n\nSources:\n[p. 1] \"The total is 42.\"\n"
        );
    }

    #[test]
    fn markdown_holds_everything() {
        insta::assert_snapshot!(markdown(&result("The total is 42. [p. 1]", "The total\nis 42.\n")), @r"
        # a\_b.pdf

        ## Answer

        The total is 42. \[p. 1\]

        ## Sources

        - \[p. 1\] The total is 42.

        ## Notes

        - found by words only

        ## Page 1

        ```text
        The total
        is 42.
        ```
        ");
    }

    #[test]
    fn a_document_cannot_bring_in_markup() {
        let evil = "![x](http://evil/?leak) <img src=x> `code`\n````\n# heading";
        let text = markdown(&result(evil, evil));
        assert!(
            text.contains("`````text\n![x]"),
            "the fence is longer than the page's own: {text}"
        );
        let answer = text.split("## Sources").next().unwrap();
        for (at, mark) in answer.match_indices(['[', ']', '<', '`', '!']) {
            assert!(answer[..at].ends_with('\\'), "{mark} at {at} of {answer}");
        }
    }
}
