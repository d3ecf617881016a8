//! The header of a GGUF file: named values, and where each tensor lies.
//!
//! Files come from the internet, so the header is hostile until it is checked. It is read out of the mapped file in place: nothing
//! is allocated by a number that the file claims, arrays stay byte ranges until somebody asks for them, and every count, length,
//! type and offset is compared with what is there. After [`Gguf::open`] each tensor lies inside the file, aligned, overlapping no
//! other. What a header must hold for a decoder is checked where it is used, in `config`.
//!
//! Specification: the GGUF page of the ggml repository, versions 2 and 3, little endian.

mod layout;
mod reader;
#[cfg(test)]
mod tests;
mod value;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};

use crate::error::ModelError;
use crate::weights::MappedFile;

use layout::{check_layout, read_tensors};
use reader::Reader;
use value::{Array, Value, read_value};

pub(super) use value::Kind;

/// `GGUF`, little endian.
const MAGIC: u32 = 0x4655_4747;
/// Version 1 had other lengths and no files of today.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
/// Named values in one header; published files have some 40.
const MAX_VALUES: u64 = 4096;
/// Where tensors start when the header does not say.
const DEFAULT_ALIGNMENT: u64 = 32;
/// The key that says it.
const ALIGNMENT_KEY: &str = "general.alignment";
/// Larger alignments would only waste the file.
const MAX_ALIGNMENT: u64 = 1 << 16;

/// A checked header with its file.
pub(super) struct Gguf {
    file: Arc<MappedFile>,
    values: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

/// Where one tensor lies and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorInfo {
    /// Type of the numbers.
    pub(super) dtype: GgmlDType,
    /// Rows first, as candle has it; GGUF writes the innermost size first.
    pub(super) shape: Vec<usize>,
    /// Of the first byte, from the start of the file.
    start: usize,
}

impl Gguf {
    /// Maps the file and checks its header.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = MappedFile::open(path)?;
        let damaged = |reason: String| ModelError::damaged(path, reason);
        let (values, tensors) = parse(file.bytes()).map_err(damaged)?;
        Ok(Self {
            file,
            values,
            tensors,
        })
    }

    /// The file itself.
    pub(super) fn file(&self) -> &Arc<MappedFile> {
        &self.file
    }

    /// What is wrong with this file.
    pub(super) fn damaged(&self, reason: impl Into<String>) -> ModelError {
        ModelError::damaged(self.file.path(), reason)
    }

    /// A text value; absent is none, another type an error.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Text(range)) => Ok(Some(self.str_at(range.clone()))),
            Some(_) => Err(self.damaged(format!("{key} is not a text"))),
        }
    }

    /// A whole number of any width.
    pub(super) fn whole(&self, key: &str) -> Result<Option<u64>, ModelError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Whole(number)) => Ok(Some(*number)),
            Some(_) => Err(self.damaged(format!("{key} is not a whole number"))),
        }
    }

    /// A number; whole ones are converted.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(Value::Whole(number)) => Ok(Some(*number as f64)),
            Some(_) => Err(self.damaged(format!("{key} is not a number"))),
        }
    }

    /// A truth value.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.damaged(format!("{key} is neither true nor false"))),
        }
    }

    /// The texts of an array, none when there is no such key.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, ModelError> {
        let Some(array) = self.array(key, Kind::Text)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(self.file.bytes(), array.start);
        let texts = (0..array.count).map(|_| reader.text().map(|range| self.str_at(range)));
        let texts: Result<Vec<&str>, String> = texts.collect();
        texts.map(Some).map_err(|reason| self.damaged(reason))
    }

    /// The whole numbers of an array of 32-bit integers, none when there is no such key.
    pub(super) fn integers(&self, key: &str) -> Result<Option<Vec<u32>>, ModelError> {
        let array = match self.values.get(key) {
            None => return Ok(None),
            Some(Value::Array(array)) if matches!(array.kind, Kind::I32 | Kind::U32) => array,
            Some(_) => return Err(self.damaged(format!("{key} is not a list of integers"))),
        };
        let bytes = &self.file.bytes()[array.start..][..array.count * size_of::<u32>()];
        let (words, _) = bytes.as_chunks();
        Ok(Some(
            words.iter().map(|word| u32::from_le_bytes(*word)).collect(),
        ))
    }

    fn array(&self, key: &str, kind: Kind) -> Result<Option<&Array>, ModelError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) if array.kind == kind => Ok(Some(array)),
            Some(_) => Err(self.damaged(format!("{key} is not a list of texts"))),
        }
    }

    /// Type and place of a tensor.
    pub(super) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// A tensor, which must have exactly this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<QTensor, ModelError> {
        let Some(info) = self.tensors.get(name) else {
            return Err(self.damaged(format!("has no tensor {name}")));
        };
        if info.shape != shape {
            return Err(self.damaged(format!("tensor {name} is {:?}, not {shape:?}", info.shape)));
        }
        self.file.tensor(info.start, info.dtype, shape)
    }

    fn str_at(&self, range: std::ops::Range<usize>) -> &str {
        let text = std::str::from_utf8(&self.file.bytes()[range]);
        text.expect("the text was checked when the header was read")
    }
}

type Header = (HashMap<String, Value>, HashMap<String, TensorInfo>);

fn parse(bytes: &[u8]) -> Result<Header, String> {
    let mut reader = Reader::new(bytes, 0);
    if reader.u32()? != MAGIC {
        return Err("is not a GGUF file".to_owned());
    }
    let version = reader.u32()?;
    if !VERSIONS.contains(&version) {
        return Err(format!("is GGUF version {version}, which is not read"));
    }
    let (tensors, values) = (reader.u64()?, reader.u64()?);
    if values > MAX_VALUES {
        return Err(format!("claims {values} named values"));
    }
    let values = read_values(&mut reader, values)?;
    let alignment = alignment(&values)?;
    let (mut tensors, claimed) = read_tensors(&mut reader, tensors)?;
    let data = (reader.position() as u64).next_multiple_of(alignment);
    check_layout(
        &mut tensors,
        &claimed,
        data,
        (alignment, bytes.len() as u64),
    )?;
    Ok((values, tensors))
}

fn read_values(reader: &mut Reader<'_>, count: u64) -> Result<HashMap<String, Value>, String> {
    let mut values = HashMap::new();
    for _ in 0..count {
        let key = reader.name()?.to_owned();
        let value = read_value(reader).map_err(|reason| format!("{key}: {reason}"))?;
        if values.insert(key.clone(), value).is_some() {
            return Err(format!("names {key} twice"));
        }
    }
    Ok(values)
}

fn alignment(values: &HashMap<String, Value>) -> Result<u64, String> {
    match values.get(ALIGNMENT_KEY) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::Whole(n)) if n.is_power_of_two() && (8..=MAX_ALIGNMENT).contains(n) => Ok(*n),
        Some(_) => Err(format!("{ALIGNMENT_KEY} is no alignment")),
    }
}
