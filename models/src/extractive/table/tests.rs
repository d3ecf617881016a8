//! Prompts about one small table, from the question to the text.

use crate::cancel::CancelFlag;
use crate::engine::{Answer, AnswerEngine, AnswerRequest, AnswerSink};
use crate::extractive::Extractive;
use crate::passage::{ColumnFacts, Passage, TableFacts, passage_from_row};

const NAMES: [&str; 5] = ["country", "capital", "continent", "population", "founded"];
const ROWS: [[&str; 5]; 6] = [
    ["France", "Paris", "Europe", "68000000", "0843-08-10"],
    ["Japan", "Tokyo", "Asia", "125000000", "0660-02-11"],
    ["Norway", "Oslo", "Europe", "5400000", "1814-05-17"],
    ["Kenya", "Nairobi", "Africa", "54000000", "1963-12-12"],
    ["India", "New Delhi", "Asia", "1400000000", "1947-08-15"],
    ["Chile", "Santiago", "South America", "", "1818-02-12"],
];

fn column(name: &str, kind: &str) -> ColumnFacts {
    ColumnFacts {
        name: name.to_owned(),
        kind: kind.to_owned(),
        distinct: 6,
        ..ColumnFacts::default()
    }
}

fn facts(rows: u64) -> TableFacts {
    let population = ColumnFacts {
        nulls: 1,
        distinct: 5,
        min: Some("5400000".to_owned()),
        max: Some("1400000000".to_owned()),
        mean: Some(330_480_000.0),
        sum: Some(1_652_400_000.0),
        ..column("population", "integer")
    };
    let top = vec![
        ("Europe".to_owned(), 2),
        ("Asia".to_owned(), 2),
        ("Africa".to_owned(), 1),
    ];
    let continent = ColumnFacts {
        distinct: 4,
        top,
        ..column("continent", "text")
    };
    let founded = ColumnFacts {
        min: Some("0660-02-11".to_owned()),
        max: Some("1963-12-12".to_owned()),
        ..column("founded", "date")
    };
    let columns = vec![
        column("country", "text"),
        column("capital", "text"),
        continent,
        population,
        founded,
    ];
    TableFacts {
        name: "countries.csv".to_owned(),
        rows,
        columns,
    }
}

struct Ignore;

impl AnswerSink for Ignore {
    fn progress(&mut self, _: u32, _: u32) {}
    fn chunk(&mut self, _: &str) {}
}

fn passages() -> Vec<Passage> {
    let cells = |row: &[&str; 5]| row.map(str::to_owned);
    (1..)
        .zip(&ROWS)
        .map(|(number, row)| passage_from_row(number, &NAMES, &cells(row)))
        .collect()
}

fn ask_of(prompt: &str, facts: &TableFacts) -> Answer {
    let passages = passages();
    let request = AnswerRequest {
        prompt,
        passages: &passages,
        table: Some(facts),
        image: None,
        left_out: None,
        query: None,
        vectors: None,
    };
    Extractive::new(None)
        .answer(&request, &CancelFlag::default(), &mut Ignore)
        .unwrap()
}

fn ask(prompt: &str) -> Answer {
    ask_of(prompt, &facts(6))
}

#[test]
fn counts() {
    for (prompt, text) in [
        ("How many rows are there?", "The table has 6 rows."),
        (
            "How many columns does it have?",
            "The table has 5 columns: country, capital, continent, population, founded.",
        ),
        (
            "Which columns are there?",
            "The table has 5 columns: country, capital, continent, population, founded.",
        ),
        ("Wie viele Zeilen hat die Tabelle?", "The table has 6 rows."),
    ] {
        assert_eq!(ask(prompt).text, text, "{prompt}");
    }
    assert!(
        ask("How many countries are in Europe?")
            .text
            .starts_with("2 rows of 6 have continent = Europe.")
    );
    assert!(
        ask("How many countries have a population over 60 million?")
            .text
            .starts_with("3 rows of 6 have population > 60000000.")
    );
    assert!(
        ask("How many different continents are there?")
            .text
            .starts_with(
                "The column continent has 4 different values: Europe, Asia, Africa, South America."
            )
    );
    assert!(
        ask("Which values are missing?")
            .text
            .contains("The column population has 1 empty cell.")
    );
}

#[test]
fn statistics() {
    for (prompt, text) in [
        (
            "What is the average population?",
            "The average of population is 330480000, over 5 values.",
        ),
        (
            "total population",
            "The sum of population is 1652400000, over 5 values.",
        ),
        (
            "median of the population",
            "The median of population is 68000000, over 5 values.",
        ),
        (
            "What is the average population of countries in Asia?",
            "The average of population where continent = Asia is 762500000, over 2 values.",
        ),
        (
            "What is the range of the population?",
            "The values of population range from 5400000 to 1400000000.",
        ),
    ] {
        assert_eq!(ask(prompt).text, text, "{prompt}");
    }
    let grouped = ask("average population by continent").text;
    assert!(grouped.starts_with("The average of population by continent:\n- Asia: 762500000 (2 rows)\n- Africa: 54000000"), "{grouped}");
    assert!(
        ask("What is the most common continent?")
            .text
            .contains("- Europe: 2 rows")
    );
}

#[test]
fn extremes() {
    let largest = ask("Which country has the highest population?");
    assert_eq!(largest.citations[0].marker, "[row 5]");
    assert!(
        largest.text.contains("1400000000") && largest.text.contains("India"),
        "{}",
        largest.text
    );
    assert_eq!(
        ask("What is the smallest population?").citations[0].marker,
        "[row 3]"
    );
    assert_eq!(
        ask("Which country was founded first?").citations[0].marker,
        "[row 2]"
    );
    let top: Vec<String> = ask("top 3 countries by population")
        .citations
        .into_iter()
        .map(|c| c.marker)
        .collect();
    assert_eq!(top, ["[row 5]", "[row 2]", "[row 1]"]);
    assert_eq!(
        ask("Which country in Europe has the largest population?").citations[0].marker,
        "[row 1]"
    );
}

#[test]
fn lookups() {
    let capital = ask("What is the capital of France?");
    assert_eq!(capital.text, "country: France; capital: Paris [row 1]");
    assert_eq!(capital.citations[0].quote, passages()[0].text);
    assert_eq!(
        ask("Which country has New Delhi as its capital?").citations[0].marker,
        "[row 5]"
    );
    let asia = ask("list the countries in Asia");
    assert_eq!(asia.citations.len(), 2, "{}", asia.text);
    assert!(!ask("What is the capital of Atlantis?").answered);
}

#[test]
fn what_rows_were_left_out_is_said() {
    let mut large = facts(1_000);
    large.columns[3].max = Some("2000000000".to_owned());
    let largest = ask_of("Which country has the highest population?", &large);
    assert!(
        largest
            .text
            .contains("2000000000, but its row is not among those that were read"),
        "{}",
        largest.text
    );
    assert!(
        largest
            .notes
            .iter()
            .any(|note| note.contains("first 6 of 1000 rows")),
        "{:?}",
        largest.notes
    );
    let filtered = ask_of("average population where the continent is Asia", &large);
    assert!(
        filtered.text.contains("among the first 6 of 1000 rows"),
        "{}",
        filtered.text
    );
    // The profile counts frequent values over the whole table.
    assert_eq!(
        ask_of("How many countries are in Europe?", &large).text,
        "2 rows of 1000 have continent = Europe."
    );
}

#[test]
fn a_summary_describes_the_table() {
    for prompt in [
        "Summarise",
        "What is this table about?",
        "Describe the data",
    ] {
        let text = ask(prompt).text;
        assert!(
            text.starts_with("“countries.csv” is a table with 6 rows and 5 columns."),
            "{prompt}: {text}"
        );
        assert!(
            text.contains(
                "- population (integer): from 5400000 to 1400000000, average 330480000, 1 empty"
            ),
            "{text}"
        );
        assert!(text.contains("- continent (text): 4 different values, most often Europe (2), Asia (2), Africa (1)"), "{text}");
    }
}

#[test]
fn a_column_that_is_not_named_is_asked_for() {
    let mut two = facts(6);
    two.columns[4].kind = "integer".to_owned();
    let answer = ask_of("What is the average?", &two);
    assert!(!answer.answered);
    assert!(
        answer.text.contains("population, founded"),
        "{}",
        answer.text
    );
}

#[test]
fn a_measure_that_no_column_holds_is_not_taken_from_another() {
    for prompt in [
        "Which country has the highest rating?",
        "What is the average rating?",
        "the maximum speed of all",
    ] {
        let answer = ask(prompt);
        assert!(!answer.answered, "{prompt}: {}", answer.text);
        assert!(
            answer.text.contains("no column called"),
            "{prompt}: {}",
            answer.text
        );
    }
    for prompt in [
        "What is the largest country?",
        "What is the highest value?",
        "Which country has the highest population?",
        "What is the maximum in Europe?",
    ] {
        assert!(ask(prompt).answered, "{prompt}");
    }
}

#[test]
fn groups_are_ranked_by_what_is_computed_of_them() {
    let highest = ask("Which continent has the highest average population?").text;
    assert_eq!(
        highest,
        "The continent with the highest average of population is Asia: 762500000 (2 rows). Next: Africa: 54000000 (1 row); Europe: 36700000 (2 rows)."
    );
    let lowest = ask("Which continent has the lowest total population?").text;
    assert!(lowest.contains("is Africa: 54000000"), "{lowest}");
    let two = ask("top 2 continents by average population").text;
    assert!(
        two.ends_with("- Asia: 762500000 (2 rows)\n- Africa: 54000000 (1 row)"),
        "{two}"
    );
    let unknown = ask("Which planet has the highest average population?");
    assert!(!unknown.answered && unknown.text.contains("no column called \"planet\""));
}

#[test]
fn dates_and_ranges_are_conditions() {
    for (prompt, rows) in [
        (
            "Which countries were founded after August 1947?",
            vec!["[row 4]"],
        ),
        (
            "Which countries were founded on 1947-08-15?",
            vec!["[row 5]"],
        ),
        (
            "Which countries were founded between 1810 and 1820?",
            vec!["[row 3]", "[row 6]"],
        ),
        (
            "population between 50 million and 70 million",
            vec!["[row 1]", "[row 4]"],
        ),
    ] {
        let answer = ask(prompt);
        let found: Vec<String> = answer.citations.into_iter().map(|c| c.marker).collect();
        assert_eq!(found, rows, "{prompt}");
    }
}

#[test]
fn conditions() {
    for (prompt, markers) in [
        ("Show me row 3", vec!["[row 3]"]),
        ("Which countries have no population?", vec!["[row 6]"]),
        (
            "How many countries were founded after 1900?",
            vec!["[row 4]", "[row 5]"],
        ),
        (
            "Which countries were founded before 1815?",
            vec!["[row 1]", "[row 2]", "[row 3]"],
        ),
        ("Which country was founded in 1947?", vec!["[row 5]"]),
        (
            "Which countries are in Asia and have more than 200 million people?",
            vec!["[row 5]"],
        ),
        ("population under 10 million", vec!["[row 3]"]),
        ("the 2 smallest countries", vec!["[row 3]", "[row 4]"]),
        ("newest country", vec!["[row 4]"]),
        ("oldest country in Europe", vec!["[row 1]"]),
    ] {
        let found: Vec<String> = ask(prompt)
            .citations
            .into_iter()
            .map(|citation| citation.marker)
            .collect();
        assert_eq!(found, markers, "{prompt}");
    }
}

#[test]
fn values_under_a_condition_are_counted_in_the_rows() {
    assert_eq!(
        ask("How many countries per continent?").text,
        "The most frequent values of continent:\n- Europe: 2 rows\n- Asia: 2 rows\n- Africa: 1 row"
    );
    let recent = ask("How many countries per continent were founded after 1900?").text;
    assert_eq!(
        recent,
        "The most frequent values of continent where founded > 1900:\n- Africa: 1 row\n- Asia: 1 row"
    );
    assert!(
        ask("Which continent has the most countries?")
            .text
            .contains("- Europe: 2 rows")
    );
    let range = ask("What is the range of the population in Asia?").text;
    assert_eq!(
        range,
        "The values of population where continent = Asia range from 125000000 to 1400000000."
    );
}
