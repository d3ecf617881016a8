//! The byte-level BPE vocabulary in a GGUF file.
//!
//! Text is data. The encoder is built without the tokens that steer a model (control, user-defined, unused): no text can become one
//! of them, whatever it says, neither through merges nor by being a word of that name. They come from the template only, whose own
//! text is searched for their names ([`Part::Template`]).
//!
//! Not here: SentencePiece vocabularies (Llama 2, Gemma), which are refused.

use std::collections::HashSet;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use crate::error::ModelError;

use super::super::arch::Family;
use super::super::config::unsupported;
use super::super::gguf::Gguf;
use super::bytes::Alphabet;

/// `llama_token_type` of tokens that are text.
const NORMAL: u32 = 1;
/// The same of single bytes.
const BYTE: u32 = 6;
/// And of tokens that a model writes as text though no text becomes them, such as `<think>`.
const USER_DEFINED: u32 = 4;

/// How text falls into words before BPE. The patterns are those of the published tokenizers of each family.
struct Splitting {
    /// `tokenizer.ggml.pre` of the files that use it.
    names: &'static [&'static str],
    digits: &'static str,
    /// Composed characters are joined first.
    composes: bool,
    /// A word that is a token is that token, whatever the merges say.
    whole_words: bool,
}

const SPLITS: &[Splitting] = &[
    Splitting {
        names: &["qwen2"],
        digits: r"\p{N}",
        composes: true,
        whole_words: false,
    },
    Splitting {
        names: &["llama-bpe", "llama3", "llama-v3"],
        digits: r"\p{N}{1,3}",
        composes: false,
        whole_words: true,
    },
];

/// A piece of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::generate) enum Part<'a> {
    /// The template's own text: names of control tokens mean them.
    Template(&'a str),
    /// Anything else.
    Data(&'a str),
}

/// The tokens of one model.
pub(in crate::generate) struct Vocabulary {
    encoder: tokenizers::Tokenizer,
    /// Bytes of all tokens, one after the other; nothing for control tokens.
    bytes: Vec<u8>,
    /// Where each token's bytes end.
    ends: Vec<u32>,
    /// Names of the tokens that no text becomes, longest first.
    controls: Vec<(String, u32)>,
    begin: Option<(u32, String)>,
    /// Whether every text begins with that token.
    begins: bool,
    /// Tokens that end a turn.
    stops: Vec<u32>,
    /// Name of the token that ends a text, for templates.
    end_name: String,
}

impl Vocabulary {
    /// Reads the vocabulary and builds the encoder. `rows` is the number of tokens that the network knows.
    pub(in crate::generate) fn read(
        file: &Gguf,
        family: &'static Family,
        rows: usize,
    ) -> Result<Self, ModelError> {
        let kind = file.text("tokenizer.ggml.model")?.unwrap_or_default();
        if kind != "gpt2" {
            return Err(unsupported(file, format!("a vocabulary of kind {kind:?}")));
        }
        let names = file.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
        if names.is_empty() || names.len() > rows {
            return Err(file.damaged(format!("names {} of {rows} tokens", names.len())));
        }
        let kinds = file.integers("tokenizer.ggml.token_type")?;
        let kinds = kinds.unwrap_or_else(|| vec![NORMAL; names.len()]);
        if kinds.len() != names.len() {
            return Err(file.damaged("has as many token types as it has no tokens"));
        }
        let list = List {
            file,
            names: &names,
            kinds: &kinds,
        };
        let (bytes, ends) = list.bytes()?;
        let begin = list.special("bos")?;
        Ok(Self {
            encoder: list.encoder()?,
            bytes,
            ends,
            controls: list.controls(),
            begin: begin.map(|id| (id, names[id as usize].to_owned())),
            begins: file.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(false),
            stops: list.stops(family)?,
            end_name: list
                .special("eos")?
                .map_or_else(String::new, |id| names[id as usize].to_owned()),
        })
    }

    /// The tokens of a prompt.
    pub(in crate::generate) fn encode(&self, parts: &[Part<'_>]) -> Result<Vec<u32>, ModelError> {
        let mut ids = Vec::new();
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Data(data) => text.push_str(data),
                Part::Template(own) => {
                    let mut own = *own;
                    while let Some((at, length, id)) = self.next_control(own) {
                        text.push_str(&own[..at]);
                        self.encode_text(&std::mem::take(&mut text), &mut ids)?;
                        ids.push(id);
                        own = &own[at + length..];
                    }
                    text.push_str(own);
                }
            }
        }
        self.encode_text(&text, &mut ids)?;
        if let Some((begin, _)) = self.begin.as_ref().filter(|_| self.begins)
            && ids.first() != Some(begin)
        {
            ids.insert(0, *begin);
        }
        Ok(ids)
    }

    /// Number of tokens of a text.
    pub(in crate::generate) fn count(&self, text: &str) -> Result<usize, ModelError> {
        let mut ids = Vec::new();
        self.encode_text(text, &mut ids)?;
        Ok(ids.len())
    }

    /// The bytes that a token stands for; none for control tokens.
    pub(in crate::generate) fn bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else {
            return &[];
        };
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..end as usize]
    }

    /// Number of tokens.
    pub(in crate::generate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether a token ends a turn.
    pub(in crate::generate) fn is_stop(&self, id: u32) -> bool {
        self.stops.contains(&id)
    }

    /// All of these tokens.
    pub(in crate::generate) fn stops(&self) -> &[u32] {
        &self.stops
    }

    /// Names of the tokens that begin and end a text, for templates.
    pub(in crate::generate) fn border_names(&self) -> (&str, &str) {
        let begin = self.begin.as_ref().map_or("", |(_, name)| name);
        (begin, &self.end_name)
    }

    fn encode_text(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), ModelError> {
        if text.is_empty() {
            return Ok(());
        }
        let encoding = self
            .encoder
            .encode_fast(text, false)
            .map_err(|error| ModelError::Inference(error.to_string()))?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }

    /// The first control token named in a text: where, how long its name is, and its id.
    fn next_control(&self, text: &str) -> Option<(usize, usize, u32)> {
        let found = self
            .controls
            .iter()
            .filter_map(|(name, id)| Some((text.find(name)?, name.len(), *id)));
        found.min_by_key(|(at, length, _)| (*at, usize::MAX - length))
    }
}

/// The lists of a file.
struct List<'a> {
    file: &'a Gguf,
    names: &'a [&'a str],
    kinds: &'a [u32],
}

impl List<'_> {
    fn is_text(&self, id: usize) -> bool {
        matches!(self.kinds[id], NORMAL | BYTE)
    }

    fn bytes(&self) -> Result<(Vec<u8>, Vec<u32>), ModelError> {
        let alphabet = Alphabet::new();
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (id, name) in self.names.iter().enumerate() {
            if self.is_text(id) {
                let own = alphabet.bytes(name).ok_or_else(|| {
                    self.file
                        .damaged(format!("token {id} is not made of bytes"))
                })?;
                bytes.extend_from_slice(&own);
            } else if self.kinds[id] == USER_DEFINED {
                bytes.extend_from_slice(name.as_bytes());
            }
            ends.push(bytes.len() as u32);
        }
        Ok((bytes, ends))
    }

    fn controls(&self) -> Vec<(String, u32)> {
        let controls = (0..self.names.len()).filter(|id| !self.is_text(*id));
        let named = controls.filter(|id| !self.names[*id].is_empty());
        // Padding of the table to a round number is never written in a template.
        let used = named.filter(|id| self.kinds[*id] != 5);
        used.map(|id| (self.names[id].to_owned(), id as u32))
            .collect()
    }

    fn special(&self, name: &str) -> Result<Option<u32>, ModelError> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        match self.file.whole(&key)? {
            Some(id) if (id as usize) < self.names.len() => Ok(Some(id as u32)),
            Some(id) => Err(self.file.damaged(format!("{key} is {id}"))),
            None => Ok(None),
        }
    }

    fn stops(&self, family: &Family) -> Result<Vec<u32>, ModelError> {
        let mut stops: Vec<u32> = self.special("eos")?.into_iter().collect();
        stops.extend(self.special("eot")?);
        let ends = (0..self.names.len())
            .filter(|id| !self.is_text(*id) && family.ends.contains(&self.names[*id]));
        stops.extend(ends.map(|id| id as u32));
        stops.sort_unstable();
        stops.dedup();
        if stops.is_empty() {
            return Err(self.file.damaged("names no token that ends a text"));
        }
        Ok(stops)
    }

    fn encoder(&self) -> Result<tokenizers::Tokenizer, ModelError> {
        let file = self.file;
        let pre = file.text("tokenizer.ggml.pre")?.unwrap_or_default();
        let Some(split) = SPLITS.iter().find(|split| split.names.contains(&pre)) else {
            return Err(unsupported(file, format!("text split as {pre:?}")));
        };
        let vocabulary: Vocab = (0..self.names.len())
            .filter(|id| self.is_text(*id))
            .map(|id| (self.names[id].to_owned(), id as u32))
            .collect();
        let missing = Alphabet::new().missing(&vocabulary);
        if missing > 0 {
            return Err(file.damaged(format!("has no token for {missing} of the 256 bytes")));
        }
        let merges = self.merges(&vocabulary)?;
        let built = BPE::builder()
            .vocab_and_merges(vocabulary, merges)
            .ignore_merges(split.whole_words)
            .build();
        let failed = |error: tokenizers::Error| file.damaged(error.to_string());
        let mut encoder = tokenizers::Tokenizer::new(built.map_err(failed)?);
        if split.composes {
            encoder.with_normalizer(Some(NFC)).map_err(failed)?;
        }
        encoder.with_pre_tokenizer(Some(split.words().map_err(failed)?));
        Ok(encoder)
    }

    /// Merges of text tokens. One that makes a control token could only come from a hostile file.
    fn merges(&self, vocabulary: &Vocab) -> Result<Vec<(String, String)>, ModelError> {
        let merges = self.file.texts("tokenizer.ggml.merges")?;
        let mut known = HashSet::new();
        let mut list = Vec::new();
        for merge in merges.unwrap_or_default() {
            let Some((left, right)) = merge.split_once(' ') else {
                return Err(self.file.damaged("has a merge of one part"));
            };
            let made = [left, right].concat();
            if [left, right, &made]
                .iter()
                .any(|part| !vocabulary.contains_key(*part))
            {
                return Err(self.file.damaged("merges what are no text tokens"));
            }
            if known.insert(merge) {
                list.push((left.to_owned(), right.to_owned()));
            }
        }
        Ok(list)
    }
}

impl Splitting {
    fn words(&self) -> Result<PreTokenizerWrapper, tokenizers::Error> {
        let pattern = format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            self.digits
        );
        let words = Split::new(
            SplitPattern::Regex(pattern),
            SplitDelimiterBehavior::Isolated,
            false,
        )?;
        let bytes = ByteLevel::new(false, false, false);
        Ok(Sequence::new(vec![words.into(), bytes.into()]).into())
    }
}

#[cfg(test)]
mod tests;
