//! The automaton that reads a model's text piece by piece.
//!
//! Every decision depends only on the characters read so far and never on where the pieces were cut: what cannot be
//! decided yet waits in `held`. It is bounded by the longest quote, so a model that never closes one delays its text
//! but cannot hold it back for ever.

use std::ops::Range;

use crate::engine::Citation;

use super::{
    Cited,
    marker::{self, Bracket},
    sources::Sources,
    support::best_place,
};

/// Longest text in quotation marks that is still checked as a quote, in characters.
const MAX_QUOTE: usize = 600;
/// White space held back because a marker may follow it and take it along.
const MAX_SPACE: usize = 16;
/// Punctuation and spaces allowed between a quote and its marker, in characters.
const MAX_GAP: usize = 64;
/// Markers in a row behind a quote that may all be its own.
const MAX_MARKERS: usize = 24;
/// A claim is compared by its last part only, in bytes.
const MAX_CLAIM: usize = 800;

/// Passes text through and keeps its citations honest.
pub struct CitationStream<'a> {
    sources: &'a Sources<'a>,
    /// Text that is not decided yet.
    held: String,
    /// The last character passed on: a straight quotation mark opens only where no word precedes it.
    last: Option<char>,
    /// Text since the last citation: what the next one is to support.
    claim: String,
    /// Whether `claim` has been cited; more text begins a new one.
    is_cited: bool,
    /// Where the last quote of the claim stands.
    quote: Option<(usize, Range<usize>)>,
    /// What was passed on since a bracket that was no marker: what is taken out later must not make it one.
    bracket: Option<String>,
    cited: Cited,
}

impl<'a> CitationStream<'a> {
    /// Checks a text against what its writer was shown.
    pub fn new(sources: &'a Sources<'a>) -> Self {
        Self {
            sources,
            held: String::new(),
            last: None,
            claim: String::new(),
            is_cited: false,
            quote: None,
            bracket: None,
            cited: Cited::default(),
        }
    }

    /// Takes the next piece and returns what may be shown now, which may be nothing.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        self.drain(false)
    }

    /// Ends the text: the rest that may be shown, and what became of its citations.
    pub fn finish(mut self) -> (String, Cited) {
        let mut rest = self.drain(true);
        self.close_bracket(&mut rest);
        (rest, self.cited)
    }

    fn drain(&mut self, complete: bool) -> String {
        let mut out = String::new();
        while !self.held.is_empty() && self.step(complete, &mut out) {}
        out
    }

    /// Decides about the beginning of `held`. False when that needs more text.
    fn step(&mut self, complete: bool, out: &mut String) -> bool {
        let plain = self.plain_length();
        if plain > 0 {
            self.pass(plain, out);
            return true;
        }
        if self.held.starts_with(char::is_whitespace) {
            return self.space(complete, out);
        }
        if self.held.starts_with('[') {
            return self.bracket(0, complete, out);
        }
        self.quotation(complete, out)
    }

    /// Bytes at the beginning of `held` that can be no part of a marker or quote.
    fn plain_length(&self) -> usize {
        let mut last = self.last;
        for (at, c) in self.held.char_indices() {
            if c == '[' || c.is_whitespace() || opens_quote(last, c) {
                return at;
            }
            last = Some(c);
        }
        self.held.len()
    }

    /// White space goes with a marker that is taken out behind it, unless it breaks the line.
    fn space(&mut self, complete: bool, out: &mut String) -> bool {
        let run: usize = self
            .held
            .chars()
            .take(MAX_SPACE)
            .take_while(|c| c.is_whitespace())
            .map(char::len_utf8)
            .sum();
        let is_full = self.held[..run].chars().count() == MAX_SPACE;
        if run == self.held.len() && !is_full && !complete {
            return false;
        }
        if !is_full && self.held[run..].starts_with('[') {
            return self.bracket(run, complete, out);
        }
        self.pass(run, out);
        true
    }

    /// A bracket behind `space` bytes of white space.
    fn bracket(&mut self, space: usize, complete: bool, out: &mut String) -> bool {
        let known = |key: &str| self.sources.is_known(key);
        match marker::read(&self.held[space..], complete, known) {
            Bracket::Open => return false,
            Bracket::Plain => self.pass(space + 1, out),
            Bracket::Broken { end } => {
                self.cited.removed_markers += 1;
                self.take_out(space, end, out);
            }
            Bracket::Marker { end, keys } => {
                let kept = self.resolve(&keys);
                if kept.is_empty() {
                    self.take_out(space, end, out);
                } else {
                    let taken: String = self.held.drain(..space + end).collect();
                    self.show(&taken[..space], out);
                    self.close_bracket(out);
                    out.push_str(&kept.join(" "));
                    self.last = Some(']');
                    self.is_cited = true;
                }
            }
        }
        true
    }

    /// Drops a marker and the space before it. A line break stays.
    fn take_out(&mut self, space: usize, end: usize, out: &mut String) {
        if self.held[..space].contains('\n') {
            self.pass(space, out);
            self.held.drain(..end);
        } else {
            self.held.drain(..space + end);
        }
    }

    /// Turns references into citations. Returns the markers to show, each once.
    fn resolve(&mut self, keys: &[String]) -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        for key in keys {
            match self.citation(key) {
                Some(citation) if !shown.contains(&citation.marker) => {
                    shown.push(citation.marker.clone());
                    self.cited.citations.push(citation);
                }
                Some(_) => {}
                None => self.cited.removed_markers += 1,
            }
        }
        shown
    }

    fn citation(&self, key: &str) -> Option<Citation> {
        let places = self.sources.of_key(key);
        let quoted = self.quote.as_ref().filter(|(at, _)| places.contains(at));
        let (at, range, score) = match quoted {
            Some((at, range)) => (*at, range.clone(), 1.0),
            None => best_place(self.sources, places, &self.claim)?,
        };
        Some(self.sources.passage(at).cite(range, score))
    }

    /// Text in quotation marks: shown as a quote when the source holds it, else without its marks.
    fn quotation(&mut self, complete: bool, out: &mut String) -> bool {
        let opening = self.held.chars().next().unwrap_or('"');
        let body = opening.len_utf8();
        let closing = match closing_mark(opening, &self.held[body..]) {
            Closing::At(at) => body + at,
            Closing::Open if !complete => return false,
            Closing::Open | Closing::Never => {
                self.cited.false_quotes += 1;
                self.held.drain(..body);
                return true;
            }
        };
        let end = closing
            + self.held[closing..]
                .chars()
                .next()
                .map_or(0, char::len_utf8);
        let Some(target) = self.target(end, complete) else {
            return false;
        };
        let target = (!target.is_empty()).then_some(target.as_slice());
        let inner = &self.held[body..closing];
        let place = (!self.holds_marker(inner))
            .then(|| self.sources.find(inner, target))
            .flatten();
        if place.is_some() {
            self.pass(end, out);
            self.quote = place;
        } else {
            self.cited.false_quotes += 1;
            self.held.replace_range(closing..end, "");
            self.held.drain(..body);
        }
        true
    }

    /// The passages that the markers behind a quote name: none when no valid marker follows, `None` when that is not known
    /// yet. Markers that will be taken out do not count.
    fn target(&self, end: usize, complete: bool) -> Option<Vec<usize>> {
        let mut after = &self.held[end..];
        let mut places: Vec<usize> = Vec::new();
        for _ in 0..MAX_MARKERS {
            // Behind a valid marker only further ones belong to the quote.
            let punctuation = if places.is_empty() { ".,;:!?)" } else { "" };
            let rest =
                after.trim_start_matches(|c: char| c.is_whitespace() || punctuation.contains(c));
            let gap = after[..after.len() - rest.len()].chars().count();
            if rest.is_empty() && !complete && gap <= MAX_GAP {
                return None;
            }
            if !rest.starts_with('[') || gap > MAX_GAP {
                break;
            }
            after = match marker::read(rest, complete, |key| self.sources.is_known(key)) {
                Bracket::Open => return None,
                Bracket::Plain => break,
                Bracket::Broken { end } => &rest[end..],
                Bracket::Marker { keys, end } => {
                    places.extend(keys.iter().flat_map(|key| self.sources.of_key(key)));
                    &rest[end..]
                }
            };
        }
        Some(places)
    }

    /// Whether a document's own text would pass for a citation.
    fn holds_marker(&self, inner: &str) -> bool {
        inner.match_indices('[').any(|(at, _)| {
            let read = marker::read(&inner[at..], true, |key| self.sources.is_known(key));
            read != Bracket::Plain
        })
    }

    /// Passes on the first bytes of `held`.
    fn pass(&mut self, length: usize, out: &mut String) {
        let text: String = self.held.drain(..length).collect();
        if self.is_cited && text.contains(char::is_alphanumeric) {
            self.claim.clear();
            self.quote = None;
            self.is_cited = false;
        }
        self.claim.push_str(&text);
        if self.claim.len() > 2 * MAX_CLAIM {
            let cut = self.claim.ceil_char_boundary(self.claim.len() - MAX_CLAIM);
            self.claim.drain(..cut);
        }
        self.last = text.chars().next_back().or(self.last);
        self.show(&text, out);
    }

    /// Hands text on and watches its brackets.
    fn show(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            match &mut self.bracket {
                Some(inner) if !marker::ends(inner, c) => inner.push(c),
                _ => self.close_bracket(out),
            }
            if c == '[' {
                self.bracket = Some(String::new());
            }
            out.push(c);
        }
    }

    /// Ends a bracket that was no marker. When it reads like one by now, since something was taken out of it, an
    /// ellipsis stands for that and spoils it.
    fn close_bracket(&mut self, out: &mut String) {
        let Some(inner) = self.bracket.take() else {
            return;
        };
        if self.holds_marker(&format!("[{inner}]")) {
            out.push('…');
        }
    }
}

/// Whether a character opens a quote behind another.
fn opens_quote(last: Option<char>, c: char) -> bool {
    match c {
        '“' | '„' | '«' => true,
        // `5" pipe` is an inch.
        '"' => !last.is_some_and(char::is_alphanumeric),
        _ => false,
    }
}

/// Where a quote ends.
enum Closing {
    /// At this byte of the text behind the opening mark.
    At(usize),
    /// Not yet.
    Open,
    /// It is too long, or a paragraph ends in it.
    Never,
}

fn closing_mark(opening: char, body: &str) -> Closing {
    let closes = |c: char| match opening {
        '“' => matches!(c, '”' | '"'),
        '„' => matches!(c, '“' | '”' | '"'),
        '«' => c == '»',
        _ => c == '"',
    };
    let mut before = ' ';
    for (count, (at, c)) in body.char_indices().enumerate() {
        if closes(c) {
            return Closing::At(at);
        }
        if count >= MAX_QUOTE || (c == '\n' && before == '\n') {
            return Closing::Never;
        }
        before = c;
    }
    Closing::Open
}
