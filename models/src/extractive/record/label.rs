//! What a field is called, as words that can be looked for.

use crate::extractive::fold::fold;
use crate::extractive::wordlist::holds;
use crate::schema::{Field, FieldKind};

/// Words of names and descriptions that no document repeats beside the value.
const EMPTY: &str = "the a an of in for to is are as it its this that value field number date string text name \
    total which what who when where if whether has have be by on at with";

/// The words of a field.
pub(super) struct Label {
    /// A question for the ranking.
    pub(super) question: String,
    /// The words of the name, folded, that say something.
    pub(super) words: Vec<String>,
}

impl Label {
    pub(super) fn of(field: &Field) -> Self {
        let name = spaced(&field.name);
        let description = field.description.as_deref().unwrap_or_default();
        let asks = match field.kind {
            FieldKind::Date => "when: ",
            _ => "",
        };
        let all: Vec<String> = split(&name).chain(split(description)).collect();
        let telling: Vec<String> = all
            .iter()
            .filter(|word| !holds(EMPTY, word))
            .cloned()
            .collect();
        Self {
            question: format!("{asks}{name} {description}").trim().to_owned(),
            words: if telling.is_empty() { all } else { telling },
        }
    }

    /// Whether a text is the field's own name: `Invoice no.` for `invoice_number`.
    pub(super) fn names(&self, text: &str) -> bool {
        let words: Vec<String> = split(text).collect();
        let is_short = words.len() <= self.words.len() + 2;
        is_short
            && self
                .words
                .iter()
                .any(|word| words.iter().any(|other| alike(word, other)))
    }

    /// Byte ends of the field's words in a text.
    pub(super) fn places(&self, text: &str) -> Vec<usize> {
        let mut out = Vec::new();
        let mut start = None;
        for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
            match (start, c.is_alphanumeric()) {
                (None, true) => start = Some(at),
                (Some(from), false) => {
                    let word = fold(&text[from..at]);
                    if self.words.iter().any(|other| alike(&word, other)) {
                        out.push(at);
                    }
                    start = None;
                }
                _ => {}
            }
        }
        out
    }
}

/// `invoiceNumber` and `invoice_number` as words.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            out.push(' ');
        }
        out.push(if c.is_alphanumeric() { c } else { ' ' });
        before = c;
    }
    out
}

fn split(text: &str) -> impl Iterator<Item = String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether two folded words are one, plural and other endings aside.
fn alike(a: &str, b: &str) -> bool {
    const ENDING: usize = 2;
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    a == b || short.len() >= 4 && long.starts_with(short) && long.len() - short.len() <= ENDING
}
