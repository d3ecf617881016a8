//! The extractive engine over whole documents: the rates it must keep, and what holds for any text and prompt.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic like tests"
)]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use quire_models::passage::{passage_from_row, passages_from_image, passages_from_page};
use quire_models::{
    Answer, AnswerEngine, AnswerRequest, AnswerSink, CancelFlag, ColumnFacts, Embedder, Extractive,
    Locator, ModelDir, ModelError, Passage, TableFacts, open_default_embedder,
};

use crate::questions::{QuestionSet, Rates};

/// Keeps the chunks, and raises a flag after some progress when it is given one.
#[derive(Default)]
struct Recorder {
    chunks: Vec<String>,
    progress: Vec<(u32, u32)>,
    cancel_at_progress: Option<CancelFlag>,
}

impl AnswerSink for Recorder {
    fn progress(&mut self, done: u32, total: u32) {
        self.progress.push((done, total));
        if let Some(flag) = &self.cancel_at_progress {
            flag.cancel();
        }
    }

    fn chunk(&mut self, text: &str) {
        self.chunks.push(text.to_owned());
    }
}

/// An embedder that needs no file: a text is the counts of its letters.
struct Letters;

impl Embedder for Letters {
    fn id(&self) -> &'static str {
        "letters"
    }

    fn dimensions(&self) -> usize {
        26
    }

    fn embed(&self, texts: &[&str], cancel: &CancelFlag) -> Result<Vec<Vec<f32>>, ModelError> {
        cancel.check()?;
        Ok(texts.iter().map(|text| letters(text)).collect())
    }
}

fn letters(text: &str) -> Vec<f32> {
    let mut counts = vec![0.0_f32; 26];
    for b in text.bytes().filter(u8::is_ascii_alphabetic) {
        counts[usize::from(b.to_ascii_lowercase() - b'a')] += 1.0;
    }
    let length = counts.iter().map(|c| c * c).sum::<f32>().sqrt().max(1.0);
    counts.into_iter().map(|c| c / length).collect()
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

fn ask(engine: &Extractive, request: &AnswerRequest<'_>) -> (Answer, Recorder) {
    let mut sink = Recorder::default();
    let answer = engine
        .answer(request, &CancelFlag::default(), &mut sink)
        .unwrap();
    assert_eq!(sink.chunks.concat(), answer.text, "the chunks are the text");
    (answer, sink)
}

fn set(name: &str) -> QuestionSet {
    QuestionSet::read(&fixtures().join(name).with_extension("toml"))
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/answers")
}

fn rates(sets: &[QuestionSet], engine: &Extractive) -> Rates {
    let mut all = Rates::default();
    for set in sets {
        all.add(Rates::of(set, engine, |_, _| {}));
    }
    all
}

/// Whether a count is at least this share of all, in percent.
fn reaches(count: usize, of: usize, percent: usize) -> bool {
    count * 100 >= of * percent
}

#[test]
fn a_summary_says_what_a_document_repeats_once() {
    let page = "The bridge was opened in 1932 after eight years of work on both of its towers.\n\n\
                All ships pay a toll of four crowns when they pass below the bridge.\n\n\
                All ships pay a toll of four crowns when they pass below the bridge.";
    let passages = passages_from_page(1, page);
    let (answer, _) = ask(&Extractive::new(None), &request("Summarise", &passages));
    assert_eq!(
        answer.text.matches("All ships").count(),
        1,
        "{}",
        answer.text
    );
}

#[test]
fn words_alone_keep_their_rates() {
    let rates = rates(&QuestionSet::read_all(&fixtures()), &Extractive::new(None));
    assert!(reaches(rates.at_1, rates.answerable, 75), "{rates:?}");
    assert!(reaches(rates.at_5, rates.answerable, 80), "{rates:?}");
    assert!(reaches(rates.refused, rates.unanswerable, 95), "{rates:?}");
    assert!(reaches(rates.near_refused, rates.near, 80), "{rates:?}");
}

/// Runs only where a model is installed: `QUIRE_TEST_MODELS` names the directory of models.
#[test]
fn embeddings_raise_the_rates() {
    let Some(dir) = std::env::var_os("QUIRE_TEST_MODELS") else {
        return;
    };
    let Ok(embedder) = open_default_embedder(&ModelDir::new(dir)) else {
        return;
    };
    let sets: Vec<QuestionSet> = QuestionSet::read_all(&fixtures())
        .into_iter()
        .filter(|set| set.language.is_none())
        .collect();
    let by_words = rates(&sets, &Extractive::new(None));
    let rates = rates(&sets, &Extractive::new(Some(embedder)));
    assert!(
        rates.at_1 >= by_words.at_1 && rates.at_5 > by_words.at_5,
        "{rates:?} {by_words:?}"
    );
    assert!(reaches(rates.at_1, rates.answerable, 80), "{rates:?}");
    assert!(reaches(rates.at_5, rates.answerable, 88), "{rates:?}");
    assert!(reaches(rates.refused, rates.unanswerable, 95), "{rates:?}");
    assert!(reaches(rates.near_refused, rates.near, 80), "{rates:?}");
}

#[test]
fn when_was_the_bridge_opened() {
    let (answer, _) = ask(
        &Extractive::new(None),
        &request("When was the bridge opened?", &set("bridge").passages),
    );
    assert!(answer.answered);
    let first = "The bridge was opened on 3 May 1932 by the county's lord lieutenant, Sir Edmund Vale. [p. 2]";
    assert!(answer.text.starts_with(first), "{}", answer.text);
    assert_eq!(answer.citations[0].marker, "[p. 2]");
    assert!(
        answer.citations[0]
            .quote
            .contains("lieutenant, Sir\nEdmund"),
        "the quote keeps its line ends"
    );
    assert_eq!(answer.model, None);
    assert_eq!(
        answer.notes,
        ["no embedding model is installed, so sentences were found by their words only"]
    );
}

#[test]
fn a_summary_covers_the_whole_document() {
    for engine in [
        Extractive::new(None),
        Extractive::new(Some(Arc::new(Letters))),
    ] {
        let (answer, _) = ask(&engine, &request("Summarise", &set("bridge").passages));
        let pages: Vec<u32> = answer.citations.iter().map(page).collect();
        assert!((5..=8).contains(&pages.len()), "{}", answer.text);
        assert!(
            [1, 2, 3].iter().all(|page| pages.contains(page)),
            "{pages:?}"
        );
        assert!(pages.is_sorted());
        assert!(
            !answer.text.contains("Bulletin 41") && !answer.text.contains("Page 2"),
            "{}",
            answer.text
        );
    }
}

fn page(citation: &quire_models::Citation) -> u32 {
    match citation.locator {
        Locator::Page { page, .. } => page,
        Locator::Row { .. } | Locator::Image { .. } => panic!("not a page"),
    }
}

#[test]
fn a_summary_takes_its_length_and_subject_from_the_prompt() {
    let lease = set("lease");
    for (prompt, count) in [
        ("Summarise in 3 sentences", 3),
        ("Summarise this contract in one sentence", 1),
    ] {
        let (answer, _) = ask(&Extractive::new(None), &request(prompt, &lease.passages));
        assert_eq!(answer.citations.len(), count, "{}", answer.text);
    }
    let (answer, _) = ask(
        &Extractive::new(None),
        &request("Summarise what it says about the deposit", &lease.passages),
    );
    assert!(
        answer.text.contains("£1,725") && !answer.text.contains("electricity"),
        "{}",
        answer.text
    );
}

#[test]
fn what_the_document_does_not_say_is_not_invented() {
    let (answer, _) = ask(
        &Extractive::new(None),
        &request("Who won the football championship?", &set("lease").passages),
    );
    assert!(!answer.answered);
    assert_eq!(answer.text, "The document does not seem to answer this.");
    assert!(answer.citations.is_empty());
}

#[test]
fn lists_counts_and_addresses() {
    let engine = Extractive::new(None);
    let bridge = set("bridge");
    let text = |prompt: &str| ask(&engine, &request(prompt, &bridge.passages)).0.text;
    assert!(text("List all dates").matches("\n- ").count() >= 6);
    assert_eq!(
        text("List all email addresses"),
        "- museum@harrowvalley.example [p. 3]"
    );
    assert!(text("How many times is the museum mentioned?").starts_with("“museum” occurs 4 times"));
    assert_eq!(
        text("How many pages does it have?"),
        "The document's text ends on page 3."
    );
    assert!(text("Give me 5 keywords").to_lowercase().contains("bridge"));
    let (poem, _) = ask(
        &engine,
        &request("Translate this into French", &bridge.passages),
    );
    assert!(!poem.answered && poem.text.contains("cannot translate"));
}

#[test]
fn documents_without_text_say_what_they_are() {
    let engine = Extractive::new(None);
    let image = AnswerRequest {
        image: Some("PNG, 640 x 480, RGB"),
        ..request("What is this?", &[])
    };
    assert_eq!(
        ask(&engine, &image).0.text,
        "The document is an image (PNG, 640 x 480, RGB). No text was found in it."
    );
    let empty = AnswerRequest {
        left_out: Some("page 1 is a scan and could not be read"),
        ..request("Summarise", &[])
    };
    let (answer, _) = ask(&engine, &empty);
    assert!(!answer.answered);
    assert!(
        answer.text.starts_with("No text was found"),
        "{}",
        answer.text
    );
    assert!(
        answer
            .text
            .ends_with("Not everything was read: page 1 is a scan and could not be read.")
    );
    assert_eq!(answer.notes, ["page 1 is a scan and could not be read"]);
}

#[test]
fn text_in_an_image_is_cited_as_such() {
    let passages = passages_from_image("SALE\n\nAll boots cost 20 euros on Friday.");
    let request = AnswerRequest {
        image: Some("PNG, 10 x 10"),
        ..request("How much do the boots cost?", &passages)
    };
    let (answer, _) = ask(&Extractive::new(None), &request);
    assert_eq!(answer.text, "All boots cost 20 euros on Friday. [image]");
}

#[test]
fn a_raised_flag_stops_the_work() {
    let bridge = set("bridge");
    let engine = Extractive::new(Some(Arc::new(Letters)));
    let flag = CancelFlag::default();
    let mut sink = Recorder {
        cancel_at_progress: Some(flag.clone()),
        ..Recorder::default()
    };
    let result = engine.answer(
        &request("When was the bridge opened?", &bridge.passages),
        &flag,
        &mut sink,
    );
    assert!(matches!(result, Err(ModelError::Cancelled)));
    assert_eq!(
        sink.progress.len(),
        1,
        "no batch after the one that raised it"
    );
}

#[test]
fn the_model_sees_no_more_of_a_book_than_of_a_chapter() {
    let sentence = |n: usize| {
        format!(
            "The pump number {n} was built in {} by workers of the mill. ",
            1800 + n % 200
        )
    };
    let pages: Vec<String> = (0..200)
        .map(|page| (0..40).map(|n| sentence(page * 40 + n)).collect())
        .collect();
    let passages: Vec<Passage> = (1..)
        .zip(&pages)
        .flat_map(|(number, text)| passages_from_page(number, text))
        .collect();
    let engine = Extractive::new(Some(Arc::new(Letters)));
    for prompt in ["When was pump number 4711 built?", "Summarise"] {
        let (answer, sink) = ask(&engine, &request(prompt, &passages));
        let embedded = sink.progress.last().map_or(0, |(done, _)| *done);
        assert!((1..=260).contains(&embedded), "{prompt}: {embedded}");
        assert!(answer.answered);
    }
    let (answer, _) = ask(
        &engine,
        &request("When was pump number 4711 built?", &passages),
    );
    assert!(
        answer.citations[0].quote.contains("4711"),
        "{}",
        answer.text
    );
}

#[test]
fn progress_only_grows() {
    let (_, sink) = ask(
        &Extractive::new(Some(Arc::new(Letters))),
        &request("When was the bridge opened?", &set("bridge").passages),
    );
    assert!(sink.progress.len() > 2);
    assert!(sink.progress.is_sorted_by_key(|(done, _)| *done));
    let (done, total) = *sink.progress.last().unwrap();
    assert_eq!(done, total);
}

/// Texts that look like documents: words, numbers, breaks, bullets, foreign letters.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z]{1,9}",
        2 => Just(" ".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just(". ".to_owned()),
        1 => Just("- ".to_owned()),
        1 => Just(":\n".to_owned()),
        1 => "[0-9]{1,4}[.)]? ?",
        1 => "\\PC{1,3}",
        1 => Just("The bridge was opened in 1932. ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

fn any_prompt() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        any_text(),
        proptest::sample::select(vec![
            "Summarise",
            "When was the bridge opened?",
            "keywords",
            "list all dates",
            "List the bridges",
            "How many rows?",
            "average b",
            "top 3 a",
            "what is a?",
            "b over 10",
            "how often is bridge mentioned",
            "translate",
            "Summarise the bridge in 2 sentences",
        ])
        .prop_map(str::to_owned),
    ]
}

fn is_verbatim(answer: &Answer, source: impl Fn(&Locator) -> String) -> bool {
    answer.citations.iter().all(|citation| {
        let text: Vec<char> = source(&citation.locator).chars().collect();
        let start = citation.start as usize;
        let quote: Vec<char> = citation.quote.chars().collect();
        text.get(start..start + quote.len()) == Some(&quote[..])
            && answer.text.contains(&citation.marker)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_document_is_answered_with_its_own_words(
        pages in proptest::collection::vec(any_text(), 0..5),
        prompt in any_prompt(),
        with_model: bool,
    ) {
        let numbered = (1..).zip(&pages);
        let passages: Vec<Passage> = numbered.flat_map(|(number, text)| passages_from_page(number, text)).collect();
        let engine = Extractive::new(with_model.then(|| Arc::new(Letters) as Arc<dyn Embedder>));
        let (answer, _) = ask(&engine, &request(&prompt, &passages));
        prop_assert!(!answer.text.is_empty());
        let page = |locator: &Locator| match locator {
            Locator::Page { page, .. } => pages[*page as usize - 1].clone(),
            Locator::Row { .. } | Locator::Image { .. } => String::new(),
        };
        prop_assert!(is_verbatim(&answer, page), "{answer:?}");
    }

    #[test]
    fn any_table_is_answered_with_its_own_rows(
        rows in proptest::collection::vec(("[a-z ]{0,6}", "-?[0-9]{0,4}[.,]?[0-9]{0,2}|\\PC{0,3}"), 0..12),
        prompt in any_prompt(),
        total in 0_u64..30,
    ) {
        let row = |(number, (a, b)): (u64, &(String, String))| passage_from_row(number, &["a", "b"], &[a.clone(), b.clone()]);
        let passages: Vec<Passage> = (1..).zip(&rows).map(row).collect();
        let column = |name: &str, kind: &str| {
            ColumnFacts { name: name.to_owned(), kind: kind.to_owned(), ..ColumnFacts::default() }
        };
        let columns = vec![column("a", "text"), column("b", "float")];
        let facts = TableFacts { name: "t".to_owned(), rows: total, columns };
        let request = AnswerRequest { table: Some(&facts), ..request(&prompt, &passages) };
        let (answer, _) = ask(&Extractive::new(None), &request);
        prop_assert!(!answer.text.is_empty());
        let row = |locator: &Locator| match locator {
            Locator::Row { row } => passages[*row as usize - 1].text.clone(),
            Locator::Page { .. } | Locator::Image { .. } => String::new(),
        };
        prop_assert!(is_verbatim(&answer, row), "{answer:?}");
    }
}
