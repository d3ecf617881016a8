//! Text that is not markup, written so that Markdown does not take it for any.
//!
//! As little as possible is escaped: `snake_case`, `5 * 3` and `a < b` read as they are. What could begin a link, an image, HTML, emphasis
//! or code is.

/// Signs that stand for the dots of lists in printed text.
const BULLETS: [char; 9] = ['-', '•', '◦', '▪', '‣', '●', '·', '–', '*'];

/// One line of running text.
pub(super) fn paragraph_line(out: &mut String, line: &str) {
    // Spaces in front would make code of it, and those behind a line break.
    let mut text = line.trim();
    let mut indent = indent_of(line);
    // What stands in a list item may be a list item again.
    while let Some((marker, item)) = list_item(text) {
        out.push_str(std::mem::take(&mut indent));
        out.push_str(marker);
        out.push(' ');
        text = item;
    }
    if begins_markup(text) {
        out.push('\\');
    }
    inline(out, text);
}

/// `text` on one line, for places where nothing but text may stand.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        inline(&mut out, word);
    }
    out
}

/// Two levels of lists are told apart; what is deeper is one of them.
fn indent_of(line: &str) -> &'static str {
    let spaces = line.len() - line.trim_start().len();
    if spaces >= 2 { "  " } else { "" }
}

/// The marker and the rest of `- item`, `1. item`, `2) item` and printed lists.
fn list_item(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (marker, rest) = if let Some(rest) = text.strip_prefix(BULLETS) {
        ("-", rest)
    } else if (1..=3).contains(&digits) && text[digits..].starts_with(['.', ')']) {
        text.split_at(digits + 1)
    } else {
        return None;
    };
    let item = rest.trim_start();
    (item.len() < rest.len() && !item.is_empty()).then_some((marker, item))
}

/// Headings, quotes, rules, other lists, fences: whatever makes a block by what stands first in its line.
fn begins_markup(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    match first {
        '#' | '>' | '=' | '~' | '|' | ':' => true,
        '+' | '-' => text.len() == 1 || text[1..].starts_with([' ', '\t', first]),
        _ => false,
    }
}

fn inline(out: &mut String, text: &str) {
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied().unwrap_or(' ');
        if needs_escape(c, before, after) {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
        before = c;
    }
}

fn needs_escape(c: char, before: char, after: char) -> bool {
    match c {
        '\\' | '`' | '[' | ']' => true,
        // A tag, a comment or an address begins with one of these.
        '<' => after.is_alphabetic() || matches!(after, '/' | '!' | '?'),
        // An entity.
        '&' => after.is_alphabetic() || after == '#',
        // Between letters an underscore is one; between spaces both are.
        '_' => {
            let within_word = before.is_alphanumeric() && after.is_alphanumeric();
            !within_word && !alone(before, after)
        }
        '*' => !alone(before, after),
        '~' => before == '~' || after == '~',
        _ => false,
    }
}

fn alone(before: char, after: char) -> bool {
    before.is_whitespace() && after.is_whitespace()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    fn line(text: &str) -> String {
        let mut out = String::new();
        paragraph_line(&mut out, text);
        out
    }

    #[test]
    fn lists_stay_lists_and_other_beginnings_are_text() {
        assert_eq!(line("• a cog"), "- a cog");
        assert_eq!(line("    – a hulk"), "  - a hulk");
        assert_eq!(line("- a cog"), "- a cog");
        assert_eq!(line("12. the toll"), "12. the toll");
        assert_eq!(line("# 5"), "\\# 5");
        assert_eq!(line("---"), "\\---");
        assert_eq!(line("-5 degrees"), "-5 degrees");
        assert_eq!(line("    far right"), "far right");
    }

    #[test]
    fn ordinary_text_reads_as_it_is() {
        for text in [
            "snake_case",
            "5 * 3 < 20 & more",
            "a/b (c) {d} 100%",
            "1932. The bridge",
        ] {
            assert_eq!(line(text), text);
        }
    }

    /// What a renderer would make of the text beside text.
    fn brought_in(markdown: &str) -> Vec<String> {
        let events = Parser::new_ext(markdown, Options::all());
        let markup = events.filter(|event| match event {
            Event::Html(_) | Event::InlineHtml(_) | Event::Code(_) => true,
            Event::Start(tag) => matches!(
                tag,
                Tag::Link { .. }
                    | Tag::Image { .. }
                    | Tag::HtmlBlock
                    | Tag::CodeBlock(_)
                    | Tag::Heading { .. }
                    | Tag::BlockQuote(_)
            ),
            _ => false,
        });
        markup.map(|event| format!("{event:?}")).collect()
    }

    #[test]
    fn a_file_brings_in_no_markup() {
        for evil in [
            "![x](http://evil/?leak)",
            "[x](javascript:alert)",
            "<img src=x>",
            "</p><script>",
            "<!-- x -->",
            "`code`",
            "```",
            "> quote",
            "# heading",
            "<http://evil>",
            "[x]: http://evil",
            "*bold* __bold__",
            "=== ",
            "| a | b |",
            "~~~",
        ] {
            assert_eq!(
                brought_in(&line(evil)),
                Vec::<String>::new(),
                "{evil} became {}",
                line(evil)
            );
        }
    }

    proptest! {
        #[test]
        fn no_line_brings_in_markup(text in "[ -~]{0,40}") {
            let markdown = line(&text);
            prop_assert!(brought_in(&markdown).is_empty(), "{} became {}", text, markdown);
        }
    }
}
