//! What is understood, what is refused, and that what is accepted validates.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn invoice() -> Schema {
    Schema::from_value(json!({
        "type": "object",
        "properties": {
            "number": {"type": "string", "description": "invoice number", "maxLength": 20},
            "total": {"type": ["number", "null"], "minimum": 0},
            "due": {"type": ["string", "null"], "format": "date"},
            "paid": {"type": "boolean"},
            "currency": {"enum": ["EUR", "USD", null]},
        },
        "required": ["number", "total"],
        "additionalProperties": false,
    }))
    .unwrap()
}

#[test]
fn values_that_fit_are_told_from_others() {
    let schema = invoice();
    let good = json!({"number": "A-1", "total": 12.5, "due": "2024-02-29", "paid": true, "currency": null});
    schema.check(&good).unwrap();
    for (value, place) in [
        (json!({"number": "A-1"}), ""),
        (json!({"number": "A-1", "total": -1}), "/total"),
        (json!({"number": 1, "total": 1}), "/number"),
        (json!({"number": "x".repeat(21), "total": 1}), "/number"),
        (
            json!({"number": "A", "total": 1, "due": "2023-02-29"}),
            "/due",
        ),
        (
            json!({"number": "A", "total": 1, "currency": "GBP"}),
            "/currency",
        ),
        (json!({"number": "A", "total": 1, "more": 1}), ""),
        (json!([]), ""),
    ] {
        assert_eq!(schema.check(&value).unwrap_err().pointer, place, "{value}");
    }
}

#[test]
fn nested_values_are_checked_where_they_are() {
    let schema = Schema::from_value(json!({"type": "object", "properties": {"items": {
        "type": "array", "maxItems": 2, "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}}}))
    .unwrap();
    schema
        .check(&json!({"items": [{"n": 1}, {"n": 2.0}]}))
        .unwrap();
    let wrong = schema
        .check(&json!({"items": [{"n": 1}, {"n": 1.5}]}))
        .unwrap_err();
    assert_eq!(wrong.pointer, "/items/1/n");
    assert!(schema.check(&json!({"items": [{}, {}, {}]})).is_err());
    assert!(schema.flat().is_none());
}

#[test]
fn what_is_not_understood_is_refused_and_named() {
    for (source, pointer, word) in [
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}),
            "/properties/a",
            "pattern",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}}),
            "/properties/a",
            "type",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": ["string", "number"]}}}),
            "/properties/a",
            "type",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}}),
            "/properties/a",
            "format",
        ),
        (
            json!({"type": "object", "properties": {}, "required": ["b"]}),
            "",
            "requires",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            "",
            "object",
        ),
        (json!({"type": "object"}), "", "properties"),
        (json!(true), "", "object"),
    ] {
        let error = Schema::from_value(source).unwrap_err();
        assert_eq!(error.pointer, pointer);
        assert!(error.reason.contains(word), "{error}");
    }
    assert!(Schema::parse("{").is_err());
    assert!(Schema::parse(&" ".repeat(MAX_BYTES + 1)).is_err());
}

#[test]
fn size_and_depth_are_limited() {
    let mut deep = json!({"type": "string"});
    for _ in 0..=MAX_DEPTH {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(
        Schema::from_value(deep)
            .unwrap_err()
            .reason
            .contains("deeper")
    );
    let wide: serde_json::Map<_, _> = (0..=MAX_NODES)
        .map(|n| (n.to_string(), json!({"type": "string"})))
        .collect();
    let wide = json!({"type": "object", "properties": wide});
    assert!(
        Schema::from_value(wide)
            .unwrap_err()
            .reason
            .contains("more than")
    );
}

#[test]
fn a_flat_record_lists_its_fields() {
    let fields = invoice().flat().unwrap();
    let due = fields.iter().find(|f| f.name == "due").unwrap();
    assert_eq!(
        (&due.kind, due.nullable, due.optional),
        (&FieldKind::Date, true, true)
    );
    let currency = fields.iter().find(|f| f.name == "currency").unwrap();
    assert_eq!(
        currency.kind,
        FieldKind::Choice(vec!["EUR".into(), "USD".into()])
    );
    assert!(currency.nullable);
}

#[test]
fn replies_are_read_with_and_without_a_fence() {
    let schema = invoice();
    let reply = "```json\n{\"number\": \"A\", \"total\": null}\n```";
    assert_eq!(
        schema.read(reply).unwrap(),
        json!({"number": "A", "total": null})
    );
    assert!(schema.read("Sure! {}").is_err());
}

#[test]
fn times_and_grouped_numbers() {
    assert!(text::is_date_time("2024-05-31T23:59:60.5+02:00"));
    assert!(
        !text::is_date_time("2024-05-31 23:59:00Z") && !text::is_date_time("2024-05-31T23:59Z")
    );
    assert!(grouped("1234567.5").contains(&"1,234,567.5".to_owned()));
    assert!(grouped("-1000").contains(&"-1.000".to_owned()));
}

proptest! {
    #[test]
    fn nothing_makes_the_reader_panic(text in "[\\[\\]{}\":,a-z0-9 ]{0,60}") {
        let _ = Schema::parse(&text);
        let _ = invoice().read(&text);
        let _ = text::is_date(&text);
        let _ = text::is_date_time(&text);
    }

    #[test]
    fn any_day_of_the_calendar_is_a_date(year in 1u32..9999, month in 1u32..=12, day in 1u32..=31) {
        let text = format!("{year:04}-{month:02}-{day:02}");
        prop_assert_eq!(text::is_date(&text), day <= text::days(year, month));
    }
}
