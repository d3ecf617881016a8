//! Questions about a table of which a document keeps only the first rows: every answer here would be another one from those alone.

use std::fmt::Write;

use serde_json::Value;

use crate::support::{TestApp, Upload};

/// Rows: twice the sample and some.
const ROWS: u64 = 24_000;

/// Among the first 10,000 rows Peru leads and nobody is `lost`; over all of them it is Cuba, and row 20,001 is the only one.
fn ships() -> Vec<u8> {
    let mut text = String::from("ship,country,crew,built,state\n");
    for row in 1..=ROWS {
        let late = row > 12_000;
        let (country, crew) = match (row % 3, late) {
            (0, _) => ("Chile", 20),
            (1, false) => ("Peru", 50),
            (1, true) => ("Peru", 10),
            (_, false) => ("Cuba", 30),
            (_, true) => ("Cuba", 70),
        };
        let crew = crew + u64::from(row == 23_456) * 1_000;
        let year = if late { 2021 } else { 1990 };
        let state = if row == 20_001 {
            "lost at sea"
        } else {
            "afloat"
        };
        writeln!(text, "S{row},{country},{crew},{year}-03-15,{state}").unwrap();
    }
    text.into_bytes()
}

async fn ask(app: &TestApp, prompt: &str) -> (String, Value) {
    let id = Upload::new("ships.csv", ships(), prompt)
        .accepted(app)
        .await;
    let answer = app.answer(&id).await;
    let result = app.json(&format!("/api/jobs/{id}/result")).await["data"].clone();
    (answer, result)
}

#[tokio::test]
async fn questions_are_computed_over_every_row() {
    let app = TestApp::start().await;
    for (prompt, expected) in [
        (
            "Which country has the highest average crew?",
            "The country with the highest average of crew is Cuba: 50.125 (8000 rows), computed over all 24,000 rows.",
        ),
        (
            "How many ships are from Peru and have a crew under 20?",
            "4000 rows of 24000 have crew < 20 and country = Peru, computed over all 24,000 rows.",
        ),
        (
            "How many ships were built after 2020-06-30?",
            "12000 rows of 24000 have built > 2020-06-30, computed over all 24,000 rows.",
        ),
        (
            "What is the average crew by country?",
            "The average of crew by country, computed over all 24,000 rows:\n- Cuba: 50.125 (8000 rows)\n- Peru: 30 (8000 rows)\n- Chile: 20 (8000 rows)",
        ),
        (
            "What is the median crew of ships from Cuba?",
            "The median of crew where country = Cuba is 50, over 8000 values, computed over all 24,000 rows.",
        ),
        (
            "How many different ships were built in 2021?",
            "The column ship has 12000 different values where built in 2021, computed over all 24,000 rows.",
        ),
    ] {
        let (answer, result) = ask(&app, prompt).await;
        assert!(answer.starts_with(expected), "{prompt}: {answer}");
        assert!(!answer.contains("Not everything was read"), "{answer}");
        assert_eq!(result["answered"], true);
    }
    app.stop().await;
}

#[tokio::test]
async fn rows_beyond_the_sample_are_found_and_cited() {
    let app = TestApp::start().await;
    for (prompt, row, said) in [
        ("Which ship has the largest crew?", 23_456, "1070"),
        ("Which ship was lost at sea?", 20_001, "lost at sea"),
        ("Show me row 19999", 19_999, "S19999"),
    ] {
        let (answer, result) = ask(&app, prompt).await;
        assert!(answer.contains(said), "{prompt}: {answer}");
        let citation = &result["citations"][0];
        assert_eq!(citation["row"], row, "{prompt}: {result}");
        assert!(
            citation["quote"]
                .as_str()
                .unwrap()
                .starts_with(&format!("ship: S{row}; "))
        );
    }
    let (answer, result) = ask(&app, "What is the average tonnage?").await;
    assert!(answer.contains("no column called \"tonnage\""), "{answer}");
    assert_eq!(result["answered"], false);
    app.stop().await;
}
