//! What a single line looks like: a heading, a list item, cells of a table, the end of a sentence.

/// A line this long may still be a heading; longer ones are text.
const HEADING_CHARS: usize = 90;
/// A heading of more words than this reads like a sentence.
const HEADING_WORDS: usize = 12;
/// Columns more than this many spaces apart are cells of a table and not justified text.
const CELL_GAP: usize = 3;
/// One gap of this width is enough.
const WIDE_GAP: usize = 4;

/// Short enough for a heading, and not closed like a sentence.
pub(super) fn fits_heading(text: &str) -> bool {
    let words = text.split_whitespace().count();
    text.chars().count() <= HEADING_CHARS
        && words <= HEADING_WORDS
        && text.chars().any(char::is_alphabetic)
        && !text.ends_with(['.', '!', '?', ';', ',', ':', '。'])
        && !starts_bullet(text)
}

/// A heading by its own look: Markdown, a section number, or capitals only.
pub(super) fn is_marked_heading(text: &str) -> bool {
    if text.starts_with('#') && text.trim_start_matches('#').starts_with(' ') {
        return true;
    }
    let without_stop = text.strip_suffix('.').unwrap_or(text);
    if !fits_heading(without_stop) || is_cells(text) {
        return false;
    }
    is_capitals(without_stop) || is_numbered_heading(without_stop)
}

/// Capitals only, and enough of them to be no abbreviation.
pub(super) fn is_capitals(text: &str) -> bool {
    const MIN_LETTERS: usize = 4;
    let letters = || text.chars().filter(|c| c.is_alphabetic());
    letters().count() >= MIN_LETTERS && letters().all(char::is_uppercase)
}

/// `3.2 Scope`, `4. Conveying Verbatim Copies`: a section number and a title whose long words are capitalised.
fn is_numbered_heading(text: &str) -> bool {
    let Some((number, title)) = text.split_once(char::is_whitespace) else {
        return false;
    };
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| c.is_ascii_digit() || c == '.')
        && (number.contains('.'))
        && number.len() <= 8;
    is_number && is_title_case(title.trim_start())
}

/// Every word of more than three letters opens with a capital, and there is at least one.
pub(super) fn is_title_case(text: &str) -> bool {
    if !fits_heading(text) {
        return false;
    }
    let mut long = text
        .split_whitespace()
        .filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 3)
        .peekable();
    long.peek().is_some()
        && long.all(|word| {
            word.chars()
                .find(|c| c.is_alphabetic())
                .is_some_and(|c| !c.is_lowercase())
        })
        && text
            .chars()
            .find(|c| c.is_alphabetic())
            .is_some_and(|c| !c.is_lowercase())
}

/// Closed by a full stop or the like, behind quotes and brackets too.
pub(super) fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»'])
        .ends_with(['.', '!', '?', ':', '。', '！', '？'])
}

/// Cells with wide gaps between them: one very wide gap, or several.
pub(super) fn is_cells(text: &str) -> bool {
    let (mut gaps, mut widest, mut run) = (0, 0, 0);
    for c in text.chars() {
        match c {
            '\t' => run += WIDE_GAP,
            ' ' => run += 1,
            _ => {
                gaps += usize::from(run >= CELL_GAP);
                widest = widest.max(run);
                run = 0;
            }
        }
    }
    gaps >= 2 || widest >= WIDE_GAP
}

fn starts_bullet(text: &str) -> bool {
    let mut chars = text.chars();
    let bullet = matches!(
        chars.next(),
        Some('•' | '◦' | '▪' | '●' | '–' | '-' | '*' | '·' | '‣' | '\u{f0b7}')
    );
    bullet && chars.next().is_some_and(char::is_whitespace)
}

/// A bullet, `1.`, `1)`, `(a)`, `b)` before more text.
pub(super) fn starts_item(text: &str) -> bool {
    if starts_bullet(text) {
        return true;
    }
    let Some((marker, rest)) = text.split_once(char::is_whitespace) else {
        return false;
    };
    if rest.trim().is_empty() || marker.len() > 5 {
        return false;
    }
    let inner = marker.trim_start_matches('(').trim_end_matches([')', '.']);
    let closed = marker.ends_with(')')
        || (marker.ends_with('.') && inner.chars().all(|c| c.is_ascii_digit()));
    let short = !inner.is_empty()
        && (inner.len() <= 2 || inner.chars().all(|c| matches!(c, 'i' | 'v' | 'x')));
    closed && short && inner.chars().all(char::is_alphanumeric)
}
