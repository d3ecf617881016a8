//! What a reader sees of a model's text, however it was cut into pieces.

use proptest::prelude::*;

use super::*;
use crate::passage::{Locator, Passage, PassageKind, passages_from_page};

const PAGE_3: &str =
    "Terms of the lease.\n\nThe tenant must\nnot keep dogs. The rent is 900 euros.";
const PAGE_7: &str = "The deposit is returned within 30 days.";

fn shown() -> Vec<Passage> {
    let mut passages = passages_from_page(3, PAGE_3);
    passages.extend(passages_from_page(7, PAGE_7));
    passages.push(Passage {
        text: "name: Ada; born: 1815".to_owned(),
        locator: Locator::Row { row: 12 },
        kind: PassageKind::TableRow,
    });
    passages
}

fn run(pieces: &[&str]) -> (String, Cited) {
    let passages = shown();
    let sources = Sources::new(&passages);
    let mut stream = CitationStream::new(&sources);
    let mut text: String = pieces.iter().map(|piece| stream.push(piece)).collect();
    let (rest, cited) = stream.finish();
    text.push_str(&rest);
    (text, cited)
}

#[test]
fn valid_markers_become_citations_of_the_sentence_they_support() {
    let (text, cited) = run(&["The rent is 900 euros [page 3]. Ada was born in 1815 [row 12]."]);
    assert_eq!(
        text,
        "The rent is 900 euros [p. 3]. Ada was born in 1815 [row 12]."
    );
    let [rent, ada] = &cited.citations[..] else {
        panic!("{cited:?}")
    };
    assert_eq!(
        (rent.quote.as_str(), rent.marker.as_str()),
        ("The rent is 900 euros.", "[p. 3]")
    );
    let at = rent.start as usize;
    let there: String = PAGE_3
        .chars()
        .skip(at)
        .take(rent.quote.chars().count())
        .collect();
    assert_eq!(there, rent.quote);
    assert_eq!(ada.locator, Locator::Row { row: 12 });
    assert_eq!((cited.removed_markers, cited.false_quotes), (0, 0));
}

#[test]
fn invented_markers_are_taken_out_and_counted() {
    let (text, cited) =
        run(&["Dogs are forbidden [p. 99]. So are cats [p. 3, 98] [Sheet1!B4]\n[row 1]Yes [p. 4"]);
    assert_eq!(text, "Dogs are forbidden. So are cats [p. 3]\nYes");
    assert_eq!((cited.citations.len(), cited.removed_markers), (1, 5));
    assert_eq!(cited.notes().len(), 1);
}

#[test]
fn brackets_that_are_no_markers_stay() {
    let said = "See [1] and [the annex], a[0] and [p. ] or [";
    assert_eq!(run(&[said]), (said.to_owned(), Cited::default()));
}

#[test]
fn a_true_quote_is_shown_and_cited_where_it_stands() {
    let (text, cited) = run(&["It says “The tenant must not keep dogs.” [p. 3]"]);
    assert_eq!(text, "It says “The tenant must not keep dogs.” [p. 3]");
    assert_eq!(cited.citations[0].quote, "The tenant must\nnot keep dogs.");
    assert_eq!(cited.false_quotes, 0);
}

#[test]
fn a_false_quote_is_never_shown_as_one() {
    for (said, seen) in [
        (
            "\"The tenant must keep dogs\" [p. 3].",
            "The tenant must keep dogs [p. 3].",
        ),
        // True words, but on another page.
        (
            "\"The deposit is returned\" [p. 3]",
            "The deposit is returned [p. 3]",
        ),
        ("„Es gibt Hunde“ sagt niemand", "Es gibt Hunde sagt niemand"),
        ("He said \"never closed", "He said never closed"),
        ("\"dogs [p. 99]\" is", "dogs is"),
    ] {
        let (text, cited) = run(&[said]);
        assert_eq!(text, seen);
        assert!(cited.false_quotes > 0, "{said}");
    }
}

#[test]
fn quotes_without_a_marker_may_stand_anywhere() {
    let (text, cited) = run(&["The text says \"within 30 days\" and 5\" pipes"]);
    assert_eq!(text, "The text says \"within 30 days\" and 5\" pipes");
    assert_eq!(cited, Cited::default());
}

#[test]
fn plain_text_is_not_held_back() {
    let passages = shown();
    let sources = Sources::new(&passages);
    let mut stream = CitationStream::new(&sources);
    assert_eq!(stream.push("The rent"), "The rent");
    assert_eq!(stream.push(" is due ["), " is due");
    assert_eq!(stream.push("1] monthly"), " [1] monthly");
    let endless = "word ".repeat(200);
    let seen = stream.push(&format!(" \"{endless}"));
    assert!(seen.len() > endless.len() - 20, "an open quote is let go");
}

/// Text that is dense in what the automaton decides about.
fn model_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[p. 3]",
        "[p. 99]",
        "[p. 3, 7]",
        "[row 12]",
        "[",
        "]",
        "\"",
        "“",
        "”",
        " ",
        "\n",
        ".",
        "The tenant must not keep dogs",
        "The deposit is returned",
        "é",
        "p. 3",
        "5",
        "(see ",
        ")",
        "[sheet!B2]",
        "„",
        "            ",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn how_the_text_was_cut_does_not_matter(text in model_text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let whole = run(&[&text]);
        let mut at: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        prop_assert_eq!(run(&pieces), whole);
    }

    #[test]
    fn what_is_shown_holds_what_it_claims(text in model_text()) {
        let passages = shown();
        let (seen, cited) = run(&[&text]);
        prop_assert!(!seen.contains("[p. 99]") && !seen.contains("[sheet!B2]"));
        for citation in &cited.citations {
            let source = passages.iter().filter(|p| p.locator == citation.locator);
            prop_assert!(source.clone().any(|p| p.text.contains(&citation.quote)));
            prop_assert!(seen.contains(&citation.marker));
        }
        // Reading the result again changes nothing more.
        let (again, twice) = run(&[&seen]);
        prop_assert_eq!(again, seen);
        prop_assert_eq!((twice.removed_markers, twice.false_quotes), (0, 0));
    }
}
