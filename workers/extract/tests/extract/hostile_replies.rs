//! A child that was taken over by its file may say anything. Whatever it says, the job ends in a document that keeps its promises or
//! in a typed error, and the next job works.
//!
//! The child writes what this test makes up past its own protocol: messages that are true, messages that lie, and bytes that are
//! neither, and then ends. `make fuzz` sets `HOSTILE_REPLIES` for more cases than a test run has time for.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use quire_extract::frame::encode;
use quire_extract::{Document, MediaType, ParserPool, PoolConfig};
use serde_json::{Value, json};

use crate::support::{mock_parser, parse};

/// Cases of a test run; each starts a process.
const CASES: u32 = 64;

/// Bytes of text that the pool lets through.
const BUDGET: u64 = 10_000;

/// A number that a careful parent must look at twice.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..12,
        Just(u64::from(u32::MAX)),
        Just(u64::MAX),
        Just(10_001)
    ]
}

/// A text, short or long, with characters of several bytes and with NUL.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zé\u{5d0}\u{0} \n]{0,20}", Just("é\0".repeat(4_000))]
}

fn page() -> impl Strategy<Value = Value> {
    let line = (number(), number(), -1.0_f32..9.0).prop_map(
        |(start, end, edge)| json!({"start": start, "end": end, "bbox": [edge, 0, 1, 1e30]}),
    );
    (number(), text(), vec(line, 0..3), -0.5_f32..1.5).prop_map(|(number, text, lines, score)| {
        json!({"page": {
            "number": number, "width": 10.0, "height": 10.0, "text": text, "engine": "hayro",
            "score": score, "confidence": null, "lines": lines, "empty_reason": null,
        }})
    })
}

fn table() -> impl Strategy<Value = Value> {
    (number(), vec((number(), text()), 0..3), number()).prop_map(|(rows, sample, left_out)| {
        let sample: Vec<Value> = sample
            .into_iter()
            .map(|(number, cell)| json!({"number": number, "cells": [cell]}))
            .collect();
        json!({"table": {
            "encoding": "UTF-8\u{0}", "delimiter": ",", "quote": null, "has_header": true, "rows": rows,
            "ragged_rows": 0, "columns": [], "sample": sample, "rows_left_out": left_out,
        }})
    })
}

/// A message as the protocol has it, true or not.
fn message() -> impl Strategy<Value = Value> {
    // Pictures promise more pixels than ever follow, so that no case starts a program for recognition.
    let picture = (number(), number()).prop_map(|(number, width)| {
        json!({"page_image": {
            "number": number, "width": width, "height": 3_000_000, "dpi": 0.0, "page_width": 1.0, "page_height": 1.0,
        }})
    });
    prop_oneof![
        4 => page(),
        2 => table(),
        1 => picture,
        1 => (text(), text()).prop_map(|(key, value)| json!({"metadata": [key, value]})),
        1 => (text(), number()).prop_map(|(text, page)| json!({"warning": {"code": text, "message": text, "page": page}})),
        1 => (number(), number()).prop_map(|(done, total)| json!({"progress": {"done": done, "total": total}})),
        1 => (text(), text()).prop_map(|(code, detail)| json!({"failed": {"code": code, "detail": detail}})),
        1 => Just(json!("done")),
        1 => Just(json!({"picture": {"width": 100_000, "height": 1}})),
    ]
}

/// What the child writes: whole messages with, here and there, bytes flipped, cut out or put in.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    (vec(message(), 0..6), vec(damage, 0..3)).prop_map(|(messages, damages)| {
        let mut bytes: Vec<u8> = messages
            .iter()
            .flat_map(|message| encode(message).unwrap())
            .collect();
        for (place, byte, how) in damages {
            let place = place.index(bytes.len() + 1);
            match how {
                0 if place < bytes.len() => bytes[place] ^= byte,
                1 => bytes.truncate(place),
                _ => bytes.insert(place, byte),
            }
        }
        bytes
    })
}

fn keeps_its_promises(document: &Document) {
    assert!(
        document.pages.is_sorted_by(|a, b| a.number < b.number),
        "pages go up"
    );
    for page in &document.pages {
        let characters = page.text.chars().count() as u32;
        assert!((0.0..=1.0).contains(&page.score));
        assert!(
            page.lines
                .iter()
                .all(|line| line.start <= line.end && line.end <= characters)
        );
    }
    if let Some(table) = &document.table {
        assert_eq!(table.rows, table.sample.len() as u64 + table.rows_left_out);
    }
    let stored = serde_json::to_string(document).unwrap();
    assert!(!stored.contains("\\u0000"), "Postgres refuses NUL");
}

#[test]
fn hostile_replies_cost_one_job_and_no_lie_gets_through() {
    let pool = ParserPool::start(PoolConfig {
        output_bytes: BUDGET,
        ..PoolConfig::with_program(mock_parser(), 1)
    })
    .unwrap();
    let cases = std::env::var("HOSTILE_REPLIES").map_or(CASES, |text| text.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&reply(), |reply| {
            let order = [b"say ".as_slice(), &reply].concat();
            if let Ok(document) = parse(&pool, MediaType::Csv, &order) {
                keeps_its_promises(&document);
            }
            let next = parse(&pool, MediaType::Csv, b"text").unwrap();
            assert_eq!(next.pages[0].text, "fine");
            Ok(())
        })
        .unwrap();
}
