//! Prompts that are answered by counting in the text: how often a word occurs, how many pages there are.

use crate::passage::Locator;

use super::corpus::Corpus;
use super::prompt::Prompt;
use super::query::subject_words;
use super::reply::Reply;
use super::wordlist::holds;

/// Places quoted for a word.
const MAX_QUOTED: usize = 3;
/// Words with which a prompt asks for a count.
const COUNT_WORDS: &str =
    "times often appear appears appeared occur occurs mentioned word term oft fois veces many";

/// Counts a word in all its inflections, sentence by sentence.
pub(super) fn occurrences(corpus: &Corpus<'_>, prompt: &Prompt, reply: &mut Reply<'_>) {
    let words: Vec<&str> = subject_words(prompt, &corpus.lexicon)
        .into_iter()
        .filter(|word| !holds(COUNT_WORDS, word))
        .collect();
    if words.is_empty() {
        reply.not_answered();
        return reply.say("The prompt does not name a word to count.");
    }
    for word in words {
        reply.paragraph();
        count_word(corpus, word, reply);
    }
}

fn count_word(corpus: &Corpus<'_>, word: &str, reply: &mut Reply<'_>) {
    let term = corpus.lexicon.find(word);
    let count = |at: &usize| {
        corpus.sentences[*at]
            .terms
            .iter()
            .filter(|other| Some(**other) == term)
            .count()
    };
    let holding: Vec<usize> = (0..corpus.sentences.len())
        .filter(|at| count(at) > 0)
        .collect();
    let total: usize = holding.iter().map(count).sum();
    match total {
        0 => return reply.say(&format!("“{word}” does not occur in the document.")),
        1 => reply.say(&format!("“{word}” occurs once:")),
        _ => reply.say(&format!(
            "“{word}” occurs {total} times, counting its inflections, first here:"
        )),
    }
    for at in holding.into_iter().take(MAX_QUOTED) {
        let sentence = &corpus.sentences[at];
        reply.say("\n- ");
        reply.quote(
            &corpus.passages[sentence.passage],
            sentence.range.clone(),
            &corpus.shown(at),
            1.0,
        );
    }
}

/// Says how far the page numbers go. Pages without text leave no passage, so only the last one with text is certain.
pub(super) fn pages(corpus: &Corpus<'_>, reply: &mut Reply<'_>) {
    let page = |locator: &Locator| match locator {
        Locator::Page { page, .. } => Some(*page),
        Locator::Row { .. } | Locator::Image { .. } => None,
    };
    let last = corpus
        .passages
        .iter()
        .filter_map(|passage| page(&passage.locator))
        .max();
    match last {
        Some(1) => reply.say("The document's text is on one page."),
        Some(last) => reply.say(&format!("The document's text ends on page {last}.")),
        None => {
            reply.not_answered();
            reply.say("The document has no pages.");
        }
    }
}
