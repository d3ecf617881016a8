//! Writers that know nothing: whatever they choose under a mask, the text fits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::sample::{Sampler, Sampling};
use super::*;

/// The end of the turn in [`words`].
const END: u32 = 0;
/// Tokens after which a text that is bounded by its schema is over.
const MOST: usize = 3000;

/// Every byte, and tokens that stand across the borders of values and of characters.
fn words() -> Vec<Vec<u8>> {
    let mut words = vec![Vec::new()];
    words.extend((0..=255u8).map(|byte| vec![byte]));
    let longer: [&[u8]; 18] = [
        b"\":\"",
        b"\",\"",
        b"{\"",
        b"\"}",
        b"},{",
        b"[[",
        b"]}",
        b"null,",
        b"true",
        b"00",
        b".5",
        b"2024-02-",
        b"\\\"",
        b"\\",
        "ü".as_bytes(),
        "漢字\"".as_bytes(),
        b"\xc3",
        b"\x97\",",
    ];
    words.extend(longer.map(<[u8]>::to_vec));
    words
        .iter_mut()
        .filter(|word| word.contains(&0xff))
        .for_each(Vec::clear);
    words
}

fn constraints(words: &[Vec<u8>]) -> Constraints {
    Constraints::of_words(words, &[END]).unwrap()
}

/// What is written by a writer without preferences.
fn write(words: &[Vec<u8>], mut held: Constraint, seed: u64) -> String {
    let mut sampler = Sampler::new(Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repeat_penalty: 1.0,
        seed,
    });
    let mut text = Vec::new();
    for _ in 0..MOST {
        let mut scores = vec![0.0; words.len()];
        held.mask(&mut scores).unwrap();
        let token = sampler.choose(&mut scores).expect("some token may follow");
        text.extend_from_slice(&words[token as usize]);
        if token == END || held.accept(token).unwrap() {
            return String::from_utf8(text).unwrap();
        }
    }
    panic!("not complete: {}", String::from_utf8_lossy(&text));
}

/// Texts with what JSON must escape, and characters of several bytes.
fn text() -> impl Strategy<Value = String> {
    "[a-c \"\\\\/\n\tü漢😀]{0,6}"
}

fn lengths(least: &'static str, most: &'static str) -> impl Strategy<Value = Value> {
    (0..3u64, 0..4u64).prop_map(move |(a, b)| json!({least: a, most: a + b}))
}

/// A schema from keywords.
fn with(mut base: Value, more: &Value) -> Value {
    if let (Some(base), Some(more)) = (base.as_object_mut(), more.as_object()) {
        base.extend(more.clone());
    }
    base
}

fn numbers() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["number", "integer"]);
    let bounds = (-1000..1000i32, 1..500i32, 0..4u8);
    (kind, bounds).prop_map(|(kind, (low, span, which))| {
        let (low, high) = (f64::from(low) / 8.0, f64::from(low + 8 * span) / 8.0);
        match which {
            0 => json!({"type": kind}),
            1 => json!({"type": kind, "minimum": low}),
            2 => json!({"type": kind, "maximum": high}),
            _ => json!({"type": kind, "minimum": low, "maximum": high}),
        }
    })
}

fn plain() -> impl Strategy<Value = Value> {
    let values = prop_oneof![
        text().prop_map(Value::from),
        (-50..50i32).prop_map(Value::from),
        Just(json!(2.5)),
        Just(json!(true)),
        Just(Value::Null),
    ];
    prop_oneof![
        lengths("minLength", "maxLength").prop_map(|l| with(json!({"type": "string"}), &l)),
        Just(json!({"type": "string", "format": "date"})),
        Just(json!({"type": "string", "format": "date-time"})),
        Just(json!({"type": ["boolean", "null"]})),
        Just(json!({"type": ["string", "null"], "maxLength": 3})),
        numbers(),
        prop::collection::vec(values, 1..4).prop_map(|values| json!({"enum": values})),
    ]
}

fn object(node: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((text(), node, any::<bool>()), 0..4).prop_map(|fields| {
        let required: Vec<_> = fields.iter().filter(|f| f.2).map(|f| f.0.clone()).collect();
        let properties: serde_json::Map<_, _> = fields.into_iter().map(|f| (f.0, f.1)).collect();
        json!({"type": "object", "properties": properties, "required": required})
    })
}

fn schema() -> impl Strategy<Value = Value> {
    let node = plain().prop_recursive(3, 16, 4, |inner| {
        let list = (inner.clone(), lengths("minItems", "maxItems"));
        prop_oneof![
            list.prop_map(|(items, l)| with(json!({"type": "array", "items": items}), &l)),
            object(inner),
        ]
    });
    object(node)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_written_fits_the_schema(source in schema(), seed in any::<u64>()) {
        let words = words();
        let schema = Schema::from_value(source).unwrap();
        let held = constraints(&words).hold_to(&schema).expect("the schema can be held to");
        let text = write(&words, held, seed);
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert!(schema.check(&value).is_ok(), "{text}: {:?}", schema.check(&value));
    }
}

#[test]
fn days_and_moments_are_those_of_the_calendar() {
    let words = words();
    let constraints = constraints(&words);
    for format in ["date", "date-time"] {
        let source = json!({"type": "object", "required": ["d"],
            "properties": {"d": {"type": "string", "format": format}}});
        let schema = Schema::from_value(source).unwrap();
        for seed in 0..60 {
            let text = write(&words, constraints.hold_to(&schema).unwrap(), seed);
            schema.read(&text).unwrap();
        }
        let takes = |text: &str| {
            let mut held = constraints.hold_to(&schema).unwrap();
            let moment = if format == "date" {
                ""
            } else {
                "T23:59:59.5+14:00"
            };
            let text = format!("{{\"d\":\"{text}{moment}\"}}");
            text.bytes()
                .all(|byte| held.accept(u32::from(byte) + 1).is_ok())
        };
        for day in [
            "2024-02-29",
            "2000-02-29",
            "1996-02-29",
            "2023-12-31",
            "2023-04-30",
        ] {
            assert!(takes(day), "{day}");
        }
        for day in [
            "2023-02-29",
            "1900-02-29",
            "2023-04-31",
            "2023-13-01",
            "2023-01-00",
        ] {
            assert!(!takes(day), "{day}");
        }
    }
}

#[test]
fn a_text_ends_only_when_it_is_complete() {
    let words = words();
    let source =
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}});
    let schema = Schema::from_value(source).unwrap();
    let mut held = constraints(&words).hold_to(&schema).unwrap();
    let text = br#"{"a":12}"#;
    for (at, byte) in text.iter().enumerate() {
        let mut scores = vec![0.0; words.len() + 7];
        held.mask(&mut scores).unwrap();
        assert!(scores[END as usize].is_infinite(), "may end at {at}");
        assert!(
            scores[words.len()..]
                .iter()
                .all(|score| score.is_infinite())
        );
        let complete = held.accept(u32::from(*byte) + 1).unwrap();
        assert_eq!(complete, at + 1 == text.len());
    }
}

/// As many words as a large vocabulary has, of letters, digits and what stands around them in JSON.
fn large_vocabulary() -> Vec<Vec<u8>> {
    let alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789 _-.,:;\"'{}[]()/\n";
    let mut state = 7u64;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut words = words();
    while words.len() < 151_936 {
        let length = 2 + next(9);
        words.push(
            (0..length)
                .map(|_| alphabet[next(alphabet.len())])
                .collect(),
        );
    }
    words.sort();
    words.dedup();
    words
}

#[test]
#[ignore = "prints times: cargo nextest run --workspace --run-ignored only --no-capture what_a_mask"]
fn what_a_mask_costs_with_a_large_vocabulary() {
    let words = large_vocabulary();
    let start = std::time::Instant::now();
    let constraints = constraints(&words);
    println!("vocabulary of {}: {:?}", words.len(), start.elapsed());
    let source = json!({"type": "object", "required": ["name", "day", "sum", "items"], "properties": {
        "name": {"type": "string", "maxLength": 80}, "day": {"type": "string", "format": "date"},
        "sum": {"type": "number"}, "items": {"type": "array", "maxItems": 9, "items": {"type": "object",
            "required": ["what", "kind"],
            "properties": {"what": {"type": "string"}, "kind": {"enum": ["a", "b", "c"]}}}}}});
    let schema = Schema::from_value(source).unwrap();
    let start = std::time::Instant::now();
    let mut held = constraints.hold_to(&schema).unwrap();
    println!("schema: {:?}", start.elapsed());
    let byte = |byte: u8| words.iter().position(|word| *word == [byte]).unwrap() as u32;
    let text = br#"{"name":"Paper & Sons","day":"2024-02-29","sum":-12.75,"items":[{"what":"ink","kind":"b"}]}"#;
    let mut times = Vec::new();
    for next in text {
        let mut scores = vec![0.0; words.len()];
        let start = std::time::Instant::now();
        held.mask(&mut scores).unwrap();
        times.push(start.elapsed());
        held.accept(byte(*next)).unwrap();
    }
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("mask: median {median:?}, longest {longest:?}");
    assert!(median.as_millis() < 5 && longest.as_millis() < 50);
}
