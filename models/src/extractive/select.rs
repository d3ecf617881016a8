//! Chooses what a model that writes gets to read: the passages that fit the prompt best, in the order of the document.
//!
//! The ranking is the extractive engine's own. A passage is shown whole when it is short; of a long one the sentences
//! around the best are shown, as a passage of their own whose offset says where they stand. The heading above comes
//! along, because a clause without its heading is easily misread.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::cancel::CancelFlag;
use crate::embed::Embedder;
use crate::engine::{AnswerRequest, AnswerSink};
use crate::error::ModelError;
use crate::passage::{Locator, Passage};

use super::central::centrality;
use super::corpus::{Corpus, Shape};
use super::embedding::Embedding;
use super::query::Query;
use super::rank::{rank_lexically, rank_with};
use super::reply::Reply;
use super::{Asked, Intent};

/// Of a longer passage only the surroundings of the best sentence are shown, in bytes.
const LONG_PASSAGE: usize = 1_600;
/// Sentences shown on either side of the best one of a long passage.
const AROUND: usize = 2;

/// How much may be read, in the unit of `measure`.
pub(crate) struct Budget<'a> {
    /// Most of all passages together.
    pub(crate) limit: usize,
    /// What a text takes of it.
    pub(crate) measure: &'a dyn Fn(&str) -> usize,
}

/// What a model gets to read.
pub(crate) struct Selection {
    /// In the order of the document.
    pub(crate) passages: Vec<Passage>,
    /// Whether this is all there is.
    pub(crate) is_whole: bool,
}

/// What a prompt wants done with a document, as far as a model that writes must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Some places of the document answer.
    Places,
    /// Only all of it does.
    Whole,
}

impl Scope {
    pub(crate) fn of(prompt: &str) -> Self {
        match Asked::new(prompt).intent {
            Intent::Summary(_) | Intent::Keywords { .. } | Intent::CannotDo(_) => Self::Whole,
            _ => Self::Places,
        }
    }
}

/// The passages that fit the prompt best, within the budget.
pub(crate) fn select(
    request: &AnswerRequest<'_>,
    embedder: Option<&dyn Embedder>,
    budget: &Budget<'_>,
    cancel: &CancelFlag,
) -> Result<Selection, ModelError> {
    if let Some(selection) = all(request.passages, budget) {
        return Ok(selection);
    }
    let corpus = Corpus::build(request.passages, cancel)?;
    let asked = Asked::new(request.prompt);
    let query = Query::new(request.prompt, &asked.prompt, &corpus);
    let ranking = match embedder {
        None => rank_lexically(&corpus, &query),
        Some(embedder) => {
            let mut quiet = Quiet;
            let mut embedding = Embedding::new(embedder, request.vectors, cancel);
            rank_with(&mut embedding, &corpus, &query, &mut Reply::new(&mut quiet))?
        }
    };
    let best = ranking.hits.iter().map(|hit| hit.sentence);
    Ok(take(&corpus, best, budget))
}

/// The sentences nearest to the centre of the document, with what stands around them, within the budget.
pub(crate) fn select_central(
    passages: &[Passage],
    budget: &Budget<'_>,
    cancel: &CancelFlag,
) -> Result<Selection, ModelError> {
    if let Some(selection) = all(passages, budget) {
        return Ok(selection);
    }
    let corpus = Corpus::build(passages, cancel)?;
    let every: Vec<usize> = (0..corpus.sentences.len())
        .filter(|at| {
            !matches!(
                corpus.sentences[*at].shape,
                Shape::Contents | Shape::Heading
            )
        })
        .collect();
    let mut central: Vec<(f32, usize)> =
        centrality(&corpus, &every).into_iter().zip(every).collect();
    central.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    Ok(take(&corpus, central.into_iter().map(|(_, at)| at), budget))
}

/// All passages, when they fit.
fn all(passages: &[Passage], budget: &Budget<'_>) -> Option<Selection> {
    let mut used = 0;
    for passage in passages {
        used += (budget.measure)(&passage.text);
        if used > budget.limit {
            return None;
        }
    }
    Some(Selection {
        passages: passages.to_vec(),
        is_whole: true,
    })
}

/// Collects what stands around sentences, best first, until the budget is used up.
fn take(corpus: &Corpus<'_>, best: impl Iterator<Item = usize>, budget: &Budget<'_>) -> Selection {
    let mut chosen: BTreeMap<usize, Range<usize>> = BTreeMap::new();
    let mut used = 0;
    for at in best {
        let heading = corpus.sentences[at]
            .heading
            .map(|heading| excerpt(corpus, heading));
        for (passage, range) in [Some(excerpt(corpus, at)), heading].into_iter().flatten() {
            let known = chosen.get(&passage);
            if known.is_some_and(|known| known.start <= range.start && range.end <= known.end) {
                continue;
            }
            let joined = known.map_or(range.clone(), |known| {
                known.start.min(range.start)..known.end.max(range.end)
            });
            let text = &corpus.passages[passage].text;
            let before = known.map_or(0, |known| (budget.measure)(&text[known.clone()]));
            let cost = (budget.measure)(&text[joined.clone()]).saturating_sub(before);
            if used + cost > budget.limit {
                continue;
            }
            used += cost;
            chosen.insert(passage, joined);
        }
    }
    Selection {
        passages: chosen
            .into_iter()
            .map(|(at, range)| cut(&corpus.passages[at], range))
            .collect(),
        is_whole: false,
    }
}

/// What is shown of the passage around a sentence.
fn excerpt(corpus: &Corpus<'_>, at: usize) -> (usize, Range<usize>) {
    let index = corpus.sentences[at].passage;
    let passage = &corpus.passages[index];
    let is_row = matches!(passage.locator, Locator::Row { .. });
    if is_row || passage.text.len() <= LONG_PASSAGE {
        return (index, 0..passage.text.len());
    }
    let same = |other: &usize| {
        corpus
            .sentences
            .get(*other)
            .is_some_and(|s| s.passage == index)
    };
    let first = (at.saturating_sub(AROUND)..=at).find(same).unwrap_or(at);
    let last = (at..=at + AROUND).rev().find(same).unwrap_or(at);
    let range = corpus.sentences[first].range.start..corpus.sentences[last].range.end;
    (index, range)
}

/// A part of a passage as a passage of its own.
fn cut(passage: &Passage, range: Range<usize>) -> Passage {
    let skipped = passage.text[..range.start].chars().count() as u32;
    let locator = match passage.locator {
        Locator::Page { page, offset } => Locator::Page {
            page,
            offset: offset + skipped,
        },
        Locator::Image { offset } => Locator::Image {
            offset: offset + skipped,
        },
        row @ Locator::Row { .. } => row,
    };
    Passage {
        text: passage.text[range].to_owned(),
        locator,
        kind: passage.kind,
    }
}

/// Nobody listens to the ranking while passages are chosen.
pub(super) struct Quiet;

impl AnswerSink for Quiet {
    fn progress(&mut self, _done: u32, _total: u32) {}
    fn chunk(&mut self, _text: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passage::passages_from_page;

    fn document() -> Vec<Passage> {
        let filler = |page: u32| {
            format!(
                "Chapter {page}.\n\nNothing of note on sheet {page}. {}",
                "More words follow here. ".repeat(20)
            )
        };
        let mut passages: Vec<Passage> = (1..=9)
            .flat_map(|page| passages_from_page(page, &filler(page)))
            .collect();
        passages.extend(passages_from_page(
            10,
            "Warranty\n\nThe pump is covered for 24 months after delivery.",
        ));
        passages
    }

    fn request<'a>(prompt: &'a str, passages: &'a [Passage]) -> AnswerRequest<'a> {
        AnswerRequest {
            prompt,
            passages,
            table: None,
            image: None,
            left_out: None,
            query: None,
            vectors: None,
        }
    }

    #[test]
    fn the_best_passages_are_read_with_their_heading() {
        let passages = document();
        let budget = Budget {
            limit: 200,
            measure: &str::len,
        };
        let request = request("How long is the pump covered?", &passages);
        let read = select(&request, None, &budget, &CancelFlag::default()).unwrap();
        assert!(!read.is_whole);
        assert!(read.passages.iter().map(|p| p.text.len()).sum::<usize>() <= 200);
        let texts: Vec<&str> = read.passages.iter().map(|p| p.text.as_str()).collect();
        assert!(
            texts.contains(&"Warranty") && texts.last().unwrap().contains("24 months"),
            "{texts:?}"
        );
    }

    #[test]
    fn a_short_document_is_read_whole() {
        let passages = passages_from_page(1, "One.\n\nTwo.");
        let budget = Budget {
            limit: 100,
            measure: &str::len,
        };
        let read = select(
            &request("x?", &passages),
            None,
            &budget,
            &CancelFlag::default(),
        )
        .unwrap();
        assert!(read.is_whole);
        assert_eq!(read.passages, passages);
    }

    #[test]
    fn a_long_passage_is_cut_and_still_says_where_it_stands() {
        let page = format!(
            "{}The vault opens at noon on Fridays. {}",
            "Über nichts steht hier etwas. ".repeat(100),
            "Nor here. ".repeat(100)
        );
        let passages = passages_from_page(4, &page);
        let budget = Budget {
            limit: 600,
            measure: &str::len,
        };
        let request = request("When does the vault open?", &passages);
        let read = select(&request, None, &budget, &CancelFlag::default()).unwrap();
        let part = read
            .passages
            .iter()
            .find(|p| p.text.contains("noon"))
            .unwrap();
        let there: String = page
            .chars()
            .skip(part.locator.offset() as usize)
            .take(part.text.chars().count())
            .collect();
        assert_eq!(there, part.text);
    }

    #[test]
    fn prompts_about_all_of_it_are_told_from_questions() {
        assert_eq!(Scope::of("Summarise this document"), Scope::Whole);
        assert_eq!(Scope::of("Translate it into German"), Scope::Whole);
        assert_eq!(Scope::of("What is the rent?"), Scope::Places);
    }
}
