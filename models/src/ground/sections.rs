//! Summaries of documents longer than the window: each section is summarised, then the summaries are.
//!
//! A section is as many passages in a row as fit the window, begun at a heading where one is near. When there are more
//! sections than anybody waits for, the document is thinned to its most central passages first, and the answer says so.

use crate::cancel::CancelFlag;
use crate::engine::AnswerRequest;
use crate::error::ModelError;
use crate::extractive::select::{Budget, select_central};
use crate::passage::{Passage, PassageKind};

use super::generator::Generator;
use super::prompt;
use super::writer::{Written, write};

/// Sections read for one answer. At a few seconds each this is as long as people wait.
const MAX_SECTIONS: usize = 12;
/// A heading this near the end of a full section, as a share of its size, begins the next one.
const HEADING_SHARE: f32 = 0.25;

/// The summary of a long document and what the reader should know about it.
pub(super) struct Reduced {
    pub(super) written: Written,
    pub(super) notes: Vec<String>,
}

/// Summarises section by section. `progress` hears of each finished one, `emit` gets the text of the last step.
pub(super) fn summarise(
    generator: &dyn Generator,
    request: &AnswerRequest<'_>,
    cancel: &CancelFlag,
    progress: &mut dyn FnMut(u32, u32),
    emit: &mut dyn FnMut(&str),
) -> Result<Reduced, ModelError> {
    let measure = |text: &str| generator.count_tokens(text);
    let size = section_size(generator);
    let budget = Budget {
        limit: size * MAX_SECTIONS,
        measure: &measure,
    };
    let read = select_central(request.passages, &budget, cancel)?;
    let sections = split(&read.passages, size, &measure);
    let steps = sections.len() as u32 + 1;
    let mut parts = Vec::new();
    let (mut removed, mut false_quotes) = (0, 0);
    let mut cited: Vec<Passage> = Vec::new();
    for (done, section) in sections.iter().enumerate() {
        cancel.check()?;
        progress(done as u32, steps);
        let messages = prompt::section(request, section);
        let part = write(generator, &messages, section, cancel, &mut |_| {})?;
        removed += part.cited.removed_markers;
        false_quotes += part.cited.false_quotes;
        let names = |p: &&Passage| {
            part.cited
                .citations
                .iter()
                .any(|c| c.marker == p.locator.marker())
        };
        cited.extend(section.iter().filter(names).cloned());
        parts.push(part.text);
    }
    progress(steps - 1, steps);
    let parts = fitting(parts, size, &measure);
    let mut written = write(
        generator,
        &prompt::whole(request, &parts),
        &cited,
        cancel,
        emit,
    )?;
    progress(steps, steps);
    written.cited.removed_markers += removed;
    written.cited.false_quotes += false_quotes;
    let mut notes = vec![format!(
        "the document is longer than the model's window: it was summarised in {} sections, then their summaries were",
        sections.len()
    )];
    if !read.is_whole {
        notes.push(format!(
            "the model read {} of {} passages, those nearest to the centre of the document",
            read.passages.len(),
            request.passages.len()
        ));
    }
    Ok(Reduced { written, notes })
}

/// Tokens of passages in one section: what the window has beside rules, question and reply.
fn section_size(generator: &dyn Generator) -> usize {
    let limits = generator.limits();
    limits
        .context
        .saturating_sub(limits.reply + super::engine::OVERHEAD)
        .min(4 * limits.passages)
        .max(super::engine::MIN_PASSAGES)
}

/// Cuts passages into runs of at most `size`, before a heading where one is near.
fn split(passages: &[Passage], size: usize, measure: &dyn Fn(&str) -> usize) -> Vec<Vec<Passage>> {
    let mut out: Vec<Vec<Passage>> = vec![Vec::new()];
    let mut used = 0;
    for passage in passages {
        let cost = measure(&passage.text);
        let near_end = used as f32 > size as f32 * (1.0 - HEADING_SHARE);
        let begins = passage.kind == PassageKind::Heading && near_end;
        if used > 0 && (used + cost > size || begins) {
            out.push(Vec::new());
            used = 0;
        }
        used += cost;
        out.last_mut()
            .expect("there is a section from the start")
            .push(passage.clone());
    }
    out
}

/// Summaries that fit into one prompt: long ones are cut to equal shares, at the end of a sentence.
fn fitting(parts: Vec<String>, size: usize, measure: &dyn Fn(&str) -> usize) -> Vec<String> {
    let total: usize = parts.iter().map(|part| measure(part)).sum();
    if total <= size {
        return parts;
    }
    let share = size / parts.len().max(1);
    let cut = |part: String| {
        let mut part = part;
        while measure(&part) > share {
            let Some(end) = part.trim_end_matches(['.', ' ']).rfind(". ") else {
                break;
            };
            part.truncate(end + 1);
        }
        part
    };
    parts.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passage::passages_from_page;

    #[test]
    fn sections_end_before_headings_and_lose_nothing() {
        let pages: Vec<Passage> = (1..=8)
            .flat_map(|n| {
                passages_from_page(
                    n,
                    &format!("Part {n}\n\n{}\n\nMore of it.", "word ".repeat(14)),
                )
            })
            .collect();
        let sections = split(&pages, 200, &str::len);
        assert!(sections.len() > 1);
        for section in &sections {
            assert!(section.iter().map(|p| p.text.len()).sum::<usize>() <= 200);
            assert_eq!(section[0].kind, PassageKind::Heading);
        }
        assert_eq!(sections.concat(), pages);
    }

    #[test]
    fn long_parts_are_cut_at_sentences() {
        let parts = vec!["One. Two. Three. Four.".to_owned(), "A. B.".to_owned()];
        assert_eq!(fitting(parts.clone(), 100, &str::len), parts);
        assert_eq!(fitting(parts, 20, &str::len), ["One. Two.", "A. B."]);
    }
}
