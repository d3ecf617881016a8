//! From upload to answer: each kind of file, answers that fit their prompt, citations that hold.

use serde_json::Value;

use crate::support::{TestApp, Upload, fixtures};

async fn result(app: &TestApp, id: &str) -> Value {
    app.json(&format!("/api/jobs/{id}/result")).await["data"].clone()
}

#[tokio::test]
async fn a_question_is_answered_with_the_sentence_that_answers() {
    let app = TestApp::start().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    let answer = app.answer(&id).await;
    assert!(answer.contains(fixtures::PDF_ANSWER), "{answer}");
    assert!(answer.contains("[p. "), "{answer}");
    let result = result(&app, &id).await;
    assert_eq!(result["engine"], "extractive");
    assert!(
        result["model"].is_null(),
        "no model is installed here, and the result says so: {result}"
    );
    assert!(
        result["notes"].as_array().is_some_and(|n| !n.is_empty()),
        "{result}"
    );
    app.stop().await;
}

#[tokio::test]
async fn every_citation_is_in_the_document_where_it_says() {
    let app = TestApp::start().await;
    for prompt in [fixtures::PDF_QUESTION, "Summarise"] {
        let id = Upload::new("report.pdf", fixtures::pdf(), prompt)
            .accepted(&app)
            .await;
        app.answer(&id).await;
        let result = result(&app, &id).await;
        let citations = result["citations"].as_array().unwrap();
        assert!(!citations.is_empty());
        for citation in citations {
            let page = citation["page"].as_u64().unwrap();
            let pages = result["pages"].as_array().unwrap();
            let text = pages.iter().find(|p| p["number"] == page).unwrap()["text"]
                .as_str()
                .unwrap();
            let quote = citation["quote"].as_str().unwrap();
            let start = citation["start"].as_u64().unwrap() as usize;
            let there: String = text
                .chars()
                .skip(start)
                .take(quote.chars().count())
                .collect();
            assert_eq!(there, quote, "{citation}");
            let boxes = citation["boxes"].as_array().unwrap();
            assert!(!boxes.is_empty(), "{citation}");
            for line in boxes {
                let at = |side: usize| line[side].as_f64().unwrap();
                assert!(at(0) < at(2) && at(1) < at(3), "{citation}");
            }
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn what_the_document_does_not_say_is_not_answered() {
    let app = TestApp::start().await;
    let id = Upload::new(
        "report.pdf",
        fixtures::pdf(),
        "Which chess opening does the world champion prefer?",
    )
    .accepted(&app)
    .await;
    let answer = app.answer(&id).await;
    assert!(answer.contains("does not seem to answer"), "{answer}");
    assert_eq!(result(&app, &id).await["answered"], false);
    app.stop().await;
}

#[tokio::test]
async fn a_table_is_counted_and_looked_up() {
    let app = TestApp::start().await;
    let rows = Upload::new("table.csv", fixtures::csv(), "How many rows are there?")
        .accepted(&app)
        .await;
    let answer = app.answer(&rows).await;
    assert!(answer.contains(&fixtures::CSV_ROWS.to_string()), "{answer}");
    let lookup = Upload::new("table.csv", fixtures::csv(), fixtures::CSV_QUESTION)
        .accepted(&app)
        .await;
    let answer = app.answer(&lookup).await;
    assert!(
        answer.contains(fixtures::CSV_ANSWER) && answer.contains("[row "),
        "{answer}"
    );
    let table = result(&app, &lookup).await["table"].clone();
    assert_eq!(table["rows"], fixtures::CSV_ROWS);
    app.stop().await;
}

#[tokio::test]
async fn an_image_is_read() {
    let app = TestApp::start().await;
    let id = Upload::new("scan.png", fixtures::png(), fixtures::PNG_QUESTION)
        .accepted(&app)
        .await;
    let answer = app.answer(&id).await;
    assert!(answer.contains(fixtures::PNG_ANSWER), "{answer}");
    let result = result(&app, &id).await;
    assert!(result["image"]["width"].as_u64().unwrap() > 0);
    app.stop().await;
}

#[tokio::test]
async fn a_result_comes_as_markdown_too() {
    let app = TestApp::start().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    let answer = app.answer(&id).await;
    let response = app.get(&format!("/api/jobs/{id}/result?format=md")).await;
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/markdown")
    );
    let text = response.text().await.unwrap();
    assert!(
        answer.contains(fixtures::PDF_ANSWER)
            && text.contains(fixtures::PDF_ANSWER)
            && text.contains("## Page 1"),
        "{text}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_hostile_file_costs_its_own_job_only() {
    let app = TestApp::start().await;
    let bomb = fixtures::flate_bomb();
    let hostile = Upload::new("bomb.pdf", bomb, "Summarise")
        .accepted(&app)
        .await;
    let good = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    assert!(app.answer(&good).await.contains(fixtures::PDF_ANSWER));
    let ended = app.ended(&hostile).await;
    assert!(
        matches!(ended["status"].as_str(), Some("failed" | "completed")),
        "{ended}"
    );
    app.stop().await;
}

#[tokio::test]
async fn the_same_bytes_are_extracted_once() {
    let app = TestApp::api_only().await;
    let worker = app.second(quire::serve::Role::Worker).await;
    let first = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    app.answer(&first).await;
    worker.stop().await;
    let second = Upload::new("again.pdf", fixtures::pdf(), "What is the speed limit?")
        .accepted(&app)
        .await;
    // With the bytes gone, only the document that the first job stored can answer the second.
    for file in app.stored_files() {
        std::fs::remove_file(file).unwrap();
    }
    let worker = app.second(quire::serve::Role::Worker).await;
    let answer = app.answer(&second).await;
    assert!(answer.contains("40 kilometres per hour"), "{answer}");
    worker.stop().await;
    app.stop().await;
}
