//! How a quoted span is shown: on one line, without its bullet and without the hyphens of its line ends.
//!
//! The citation keeps the span as it stands in the document; only the text for reading is changed here. The same
//! joining serves the ranking, so that a word cut by a line end is still found.

/// Signs that open a list item.
const BULLETS: &[char] = &['•', '◦', '▪', '●', '–', '-', '*', '·', '‣', '#', '\u{f0b7}'];
/// Halves at least this long that are words by themselves make a compound (`long-term`), not a cut word.
const COMPOUND_CHARS: usize = 4;

/// The span on one line. Line-end hyphens go, unless both halves are words of the document by themselves.
pub(super) fn display(span: &str, is_word: impl Fn(&str) -> bool) -> String {
    let compound = |half: &str| half.chars().count() >= COMPOUND_CHARS && is_word(half);
    join_lines(strip_bullet(span), |head, tail| {
        compound(head) && compound(tail)
    })
}

/// The text on one line with every line-end hyphen between lower-case letters taken out.
pub(super) fn unwrap_lines(text: &str) -> String {
    join_lines(text, |_, _| false)
}

fn join_lines(text: &str, keeps_hyphen: impl Fn(&str, &str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .peekable();
    while let Some(line) = lines.next() {
        push_collapsed(line, &mut out);
        let Some(next) = lines.peek() else { break };
        match halves_at_border(&out, next) {
            Some((head, tail)) if keeps_hyphen(head, tail) => {}
            Some(_) => {
                out.pop();
            }
            None if out.ends_with('-') && next.starts_with(char::is_alphabetic) => {}
            None => out.push(' '),
        }
    }
    out
}

/// The two halves of a word that a line end has cut.
fn halves_at_border<'a>(before: &'a str, after: &'a str) -> Option<(&'a str, &'a str)> {
    let head = before.strip_suffix('-')?;
    let tail_end = after
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(after.len());
    let head_word = head
        .rsplit(|c: char| !c.is_alphabetic())
        .next()
        .unwrap_or_default();
    let lower = head.ends_with(char::is_lowercase) && after.starts_with(char::is_lowercase);
    lower.then(|| (head_word, &after[..tail_end]))
}

fn strip_bullet(span: &str) -> &str {
    let rest = span.trim_start_matches(BULLETS);
    if rest.len() < span.len() && rest.starts_with(char::is_whitespace) {
        rest.trim_start()
    } else {
        span
    }
}

fn push_collapsed(line: &str, out: &mut String) {
    for (index, word) in line.split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.extend(word.chars().filter(|c| *c != '\u{ad}'));
    }
}

#[cfg(test)]
mod tests {
    use super::{display, unwrap_lines};

    #[test]
    fn lines_are_joined_and_hyphens_resolved() {
        let known = |word: &str| ["well", "known"].contains(&word);
        let shown = display(
            "• the insur-\n  ance of a well-\nknown   firm in Anglo-\nSaxon",
            known,
        );
        assert_eq!(shown, "the insurance of a well-known firm in Anglo-Saxon");
        assert_eq!(display("-5 °C", known), "-5 °C");
        assert_eq!(display("a\n\nb", known), "a b");
        assert_eq!(display("* ", known), "");
    }

    #[test]
    fn ranking_sees_whole_words() {
        assert_eq!(
            unwrap_lines("an insur-\nance - paid\n- yes"),
            "an insurance - paid - yes"
        );
    }
}
