//! Sound files are read, hostile ones refused with what is wrong, and none can do more.

use proptest::prelude::*;

use super::super::config::Config;
use super::super::network::Network;
use super::super::testing::{Field, Format, file, header, model, tiny, vocabulary};
use super::super::text::Vocabulary;
use super::*;

fn open(bytes: &[u8]) -> Result<Gguf, ModelError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Gguf::open(file.path())
}

fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Err(ModelError::Damaged { reason, .. }) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a hostile file was read"),
    }
}

/// A header of no values and these tensors: name, sizes, type, offset.
fn tensors(list: &[(&str, &[u64], u32, u64)], data: usize) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((list.len() as u64).to_le_bytes());
    out.extend(0u64.to_le_bytes());
    for (name, sizes, code, offset) in list {
        out.extend((name.len() as u64).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend((sizes.len() as u32).to_le_bytes());
        sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
        out.extend(code.to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(32) + data, 0);
    out
}

/// A header with these counts and nothing behind them.
fn counts(tensors: u64, values: u64) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(tensors.to_le_bytes());
    out.extend(values.to_le_bytes());
    out
}

#[test]
fn values_and_tensors_come_back() {
    let gguf = open(&model(tiny("qwen3"), Format::Q4)).unwrap();
    assert_eq!(gguf.text("general.architecture").unwrap(), Some("qwen3"));
    assert_eq!(gguf.whole("qwen3.block_count").unwrap(), Some(3));
    assert_eq!(gguf.number("qwen3.rope.freq_base").unwrap(), Some(1e6));
    assert_eq!(
        gguf.flag("tokenizer.ggml.add_bos_token").unwrap(),
        Some(false)
    );
    assert_eq!(gguf.text("absent").unwrap(), None);
    assert_eq!(
        gguf.texts("tokenizer.ggml.tokens").unwrap().unwrap().len(),
        1024
    );
    assert_eq!(
        gguf.integers("tokenizer.ggml.token_type").unwrap().unwrap()[1023],
        3
    );
    let info = gguf.info("blk.0.ffn_down.weight").unwrap();
    assert_eq!(
        (info.dtype, &info.shape[..]),
        (GgmlDType::Q6K, &[256, 512][..])
    );
    assert!(gguf.whole("general.architecture").is_err());
    assert!(gguf.text("qwen3.block_count").is_err());
    assert!(gguf.integers("tokenizer.ggml.tokens").is_err());
    assert!(gguf.tensor("blk.0.ffn_down.weight", &[512, 256]).is_err());
    assert!(gguf.tensor("blk.9.ffn_down.weight", &[256, 512]).is_err());
}

#[test]
fn claims_beyond_the_file_are_refused_before_anything_is_allocated() {
    assert!(refusal(b"GGUX").contains("not a GGUF"));
    assert!(refusal(b"GGUF\x01\0\0\0").contains("version 1"));
    assert!(refusal(&counts(u64::MAX, 0)).contains("tensors"));
    assert!(refusal(&counts(1000, 0)).contains("1000 tensors"));
    assert!(refusal(&counts(0, u64::MAX)).contains("named values"));
    assert!(refusal(&counts(0, 4)).contains("ends inside"));
    let mut long = counts(0, 1);
    long.extend((1u64 << 60).to_le_bytes());
    assert!(refusal(&long).contains("claims a text"));
    let mut list = counts(0, 1);
    list.extend(1u64.to_le_bytes());
    list.extend(b"a");
    list.extend(9u32.to_le_bytes());
    let base = list.clone();
    list.extend(8u32.to_le_bytes());
    list.extend(u64::MAX.to_le_bytes());
    assert!(refusal(&list).contains("claims a list"));
    let mut nested = base;
    nested.extend(9u32.to_le_bytes());
    nested.extend(1u64.to_le_bytes());
    assert!(refusal(&nested).contains("list of lists"));
}

#[test]
fn tensors_must_lie_where_they_can() {
    assert!(open(&tensors(&[("a", &[8], 0, 0), ("b", &[8, 2], 0, 32)], 96)).is_ok());
    let refused = |list: &[(&str, &[u64], u32, u64)]| refusal(&tensors(list, 96));
    assert!(refused(&[("a", &[32], 0, 0)]).contains("outside"));
    assert!(refused(&[("a", &[8], 0, u64::MAX - 31)]).contains("outside"));
    assert!(refused(&[("a", &[8], 0, 8)]).contains("not aligned"));
    assert!(refused(&[("a", &[9], 0, 0), ("b", &[1], 0, 32)]).contains("overlaps"));
    assert!(refused(&[("a", &[8], 0, 0), ("a", &[8], 0, 32)]).contains("twice"));
    assert!(refused(&[("a", &[1 << 40, 1 << 40], 0, 0)]).contains("impossible"));
    assert!(refused(&[("a", &[0], 0, 0)]).contains("impossible"));
    assert!(refused(&[("a", &[1, 1, 1, 1, 1], 0, 0)]).contains("5 dimensions"));
    assert!(refused(&[("a", &[8], 99, 0)]).contains("type 99"));
    assert!(refused(&[("a", &[40], 8, 0)]).contains("no whole blocks"));
    assert!(refused(&[("", &[8], 0, 0)]).contains("name of 0 bytes"));
}

/// A tiny file with one field of its header exchanged.
fn with_field(key: &str, value: Field<'_>) -> Result<Config, ModelError> {
    let shape = tiny("qwen3");
    let (names, kinds) = vocabulary(shape.vocabulary);
    let mut fields = header(shape, &names, &kinds, &[]);
    fields.retain(|(name, _)| name != key);
    fields.push((key.to_owned(), value));
    Config::read(&open(&file(&fields, shape, Format::Q4)).unwrap())
}

#[test]
fn sizes_that_cannot_be_computed_are_refused() {
    assert!(with_field("qwen3.unknown", Field::U32(1)).is_ok());
    for (key, value) in [
        ("qwen3.block_count", 0),
        ("qwen3.block_count", 1_000_000),
        ("qwen3.embedding_length", 0),
        ("qwen3.attention.head_count", 0),
        ("qwen3.attention.head_count_kv", 3),
        ("qwen3.context_length", u32::MAX),
    ] {
        let refused = with_field(key, Field::U32(value));
        assert!(matches!(refused, Err(ModelError::Damaged { .. })), "{key}");
    }
    let epsilon = with_field(
        "qwen3.attention.layer_norm_rms_epsilon",
        Field::F32(f32::NAN),
    );
    assert!(matches!(epsilon, Err(ModelError::Damaged { .. })));
    for (key, value) in [
        ("general.architecture", Field::Text("mamba")),
        ("qwen3.rope.scaling.type", Field::Text("longrope")),
        ("qwen3.attention.key_length", Field::U32(40)),
        ("qwen3.attention.value_length", Field::U32(32)),
        ("qwen3.rope.dimension_count", Field::U32(32)),
        ("qwen3.expert_count", Field::U32(8)),
    ] {
        let refused = with_field(key, value);
        assert!(
            matches!(refused, Err(ModelError::Unsupported { .. })),
            "{key}"
        );
    }
    assert!(with_field("qwen3.rope.scaling.type", Field::Text("linear")).is_ok());
}

/// Loads everything that a file can make us load.
fn load(bytes: &[u8]) -> Result<(), ModelError> {
    let gguf = open(bytes)?;
    let config = Config::read(&gguf)?;
    Vocabulary::read(&gguf, config.family, config.vocabulary)?;
    Network::load(&gguf).map(drop)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Most of the header is vocabulary, where a change matters little; the numbers before it and the tensors behind it decide.
    #[test]
    fn a_changed_file_is_read_or_refused(
        changes in proptest::collection::vec((prop_oneof![0usize..900, 0usize..30_000], any::<u8>()), 1..4),
        cut in prop_oneof![Just(usize::MAX), 0usize..40_000],
    ) {
        let mut bytes = model(tiny("qwen2"), Format::Q4);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        let outcome = load(&bytes);
        let tolerated = matches!(
            outcome,
            Ok(()) | Err(ModelError::Damaged { .. } | ModelError::Unsupported { .. } | ModelError::Io { .. })
        );
        prop_assert!(tolerated, "{:?}", outcome);
    }
}
