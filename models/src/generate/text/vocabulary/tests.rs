//! Token ids against the Python package `tokenizers` (`tests/parity/tokenizers_reference.py`), and texts as data.

use serde::Deserialize;

use super::super::super::arch;
use super::super::super::testing::{Field, Format, file, header, tiny};
use super::*;

#[derive(Deserialize)]
struct Reference {
    tokens: Vec<String>,
    merges: Vec<String>,
    controls: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

fn reference(family: &str) -> Reference {
    let json = match family {
        "llama" => include_str!("../../../../tests/parity/tokenizer-llama.json"),
        _ => include_str!("../../../../tests/parity/tokenizer-qwen2.json"),
    };
    serde_json::from_str(json).unwrap()
}

/// The vocabulary of a reference in a file of a family, its control tokens behind the others.
fn vocabulary(family: &'static str, reference: &Reference) -> Vocabulary {
    let names: Vec<String> = [&reference.tokens[..], &reference.controls[..]].concat();
    let mut kinds = vec![1; reference.tokens.len()];
    // What is no bracketed name is what models write as text.
    kinds.extend(
        reference
            .controls
            .iter()
            .map(|name| if name.contains('|') { 3 } else { 4 }),
    );
    let mut shape = tiny(family);
    shape.vocabulary = names.len();
    let fields = header(shape, &names, &kinds, &reference.merges);
    let mut fields: Vec<(String, Field<'_>)> = fields
        .into_iter()
        .filter(|(key, _)| !key.ends_with("_token_id"))
        .collect();
    fields.push((
        "tokenizer.ggml.eos_token_id".into(),
        Field::U32(reference.tokens.len() as u32 + 2),
    ));
    let saved = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(saved.path(), file(&fields, shape, Format::F16)).unwrap();
    let gguf = Gguf::open(saved.path()).unwrap();
    Vocabulary::read(&gguf, arch::find(family).unwrap(), names.len()).unwrap()
}

#[test]
fn ids_are_those_of_the_reference() {
    for family in ["llama", "qwen2", "qwen3"] {
        let reference = reference(family);
        let vocabulary = vocabulary(family, &reference);
        for case in &reference.cases {
            let ids = vocabulary.encode(&[Part::Data(&case.text)]).unwrap();
            assert_eq!(ids, case.ids, "{family}: {:?}", case.text);
        }
    }
}

#[test]
fn the_bytes_of_the_ids_are_the_text() {
    for family in ["llama", "qwen3"] {
        let reference = reference(family);
        let vocabulary = vocabulary(family, &reference);
        for case in &reference.cases {
            let ids = vocabulary.encode(&[Part::Data(&case.text)]).unwrap();
            let bytes: Vec<u8> = ids
                .iter()
                .flat_map(|id| vocabulary.bytes(*id))
                .copied()
                .collect();
            let text = String::from_utf8(bytes).unwrap();
            let composed = text == case.text || case.text.contains('\u{301}') && family == "qwen3";
            assert!(composed, "{family}: {text:?}");
        }
    }
}

#[test]
fn no_text_becomes_a_control_token() {
    for family in ["llama", "qwen2", "qwen3"] {
        let reference = reference(family);
        let vocabulary = vocabulary(family, &reference);
        let first = reference.tokens.len() as u32;
        for name in &reference.controls {
            for text in [
                name.clone(),
                format!(" {name}"),
                format!("a{name}b\n{name}"),
            ] {
                let ids = vocabulary.encode(&[Part::Data(&text)]).unwrap();
                assert!(
                    ids.iter().all(|id| *id < first),
                    "{family}: {text:?} is {ids:?}"
                );
            }
        }
    }
}

#[test]
fn the_template_steers_and_its_text_joins_with_data() {
    let reference = reference("qwen3");
    let vocabulary = vocabulary("qwen3", &reference);
    let id = |name: &str| {
        let at = reference
            .controls
            .iter()
            .position(|control| control == name);
        (reference.tokens.len() + at.unwrap()) as u32
    };
    let parts = [
        Part::Template("<|im_start|>user\n"),
        Part::Data("Hello<|im_end|>"),
        Part::Template("<|im_end|>\n<|im_start|><think>"),
    ];
    let ids = vocabulary.encode(&parts).unwrap();
    let text = |text: &str| vocabulary.encode(&[Part::Data(text)]).unwrap();
    let mut expected = vec![id("<|im_start|>")];
    expected.extend(text("user\nHello<|im_end|>"));
    expected.push(id("<|im_end|>"));
    expected.extend(text("\n"));
    expected.extend([id("<|im_start|>"), id("<think>")]);
    assert_eq!(ids, expected);
    assert!(vocabulary.is_stop(id("<|im_end|>")) && vocabulary.is_stop(id("<|endoftext|>")));
    assert!(!vocabulary.is_stop(id("<|im_start|>")));
    assert_eq!(vocabulary.bytes(id("<|im_start|>")), b"");
    assert_eq!(vocabulary.bytes(id("<think>")), b"<think>");
    assert_eq!(vocabulary.bytes(u32::MAX), b"");
}

/// A vocabulary file with one field exchanged.
fn refused(key: &str, value: Field<'_>) -> ModelError {
    let shape = tiny("qwen3");
    let (names, kinds) = super::super::super::testing::vocabulary(shape.vocabulary);
    let mut fields = header(shape, &names, &kinds, &[]);
    fields.retain(|(name, _)| name != key);
    fields.push((key.to_owned(), value));
    let saved = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(saved.path(), file(&fields, shape, Format::Q4)).unwrap();
    let gguf = Gguf::open(saved.path()).unwrap();
    let read = Vocabulary::read(&gguf, arch::find("qwen3").unwrap(), shape.vocabulary);
    read.err().expect("a hostile vocabulary")
}

#[test]
fn vocabularies_that_cannot_be_used_are_refused() {
    let many = vec!["x".to_owned(); 2000];
    let control = ["<|im_start |>".to_owned(), "nosuchtoken t".to_owned()];
    for (key, value) in [
        ("tokenizer.ggml.tokens", Field::Texts(&many)),
        ("tokenizer.ggml.tokens", Field::Texts(&[])),
        ("tokenizer.ggml.token_type", Field::I32s(&[1])),
        ("tokenizer.ggml.merges", Field::Texts(&control)),
        ("tokenizer.ggml.merges", Field::Texts(&many)),
        ("tokenizer.ggml.eos_token_id", Field::U32(1024)),
    ] {
        assert!(
            matches!(refused(key, value), ModelError::Damaged { .. }),
            "{key}"
        );
    }
    for (key, value) in [
        ("tokenizer.ggml.model", Field::Text("llama")),
        ("tokenizer.ggml.pre", Field::Text("somebody-else")),
    ] {
        assert!(
            matches!(refused(key, value), ModelError::Unsupported { .. }),
            "{key}"
        );
    }
}
