//! Reads tensors out of a `.safetensors` file, trusting nothing in it.
//!
//! The file is eight bytes with the length of a JSON header, the header, and the numbers. We read it ourselves instead of mapping it:
//! mapping is `unsafe` (the file may change below us) and a tensor that is read goes straight into the layout of our kernels, so at no
//! time is the model in memory twice. A header is checked against the size of the file before anything is allocated for it.
//!
//! Only f32 tensors can be read out; other types may be in the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::ModelError;

/// Longest header we parse. The header of a model of several billion weights takes less than 1 MiB.
const MAX_HEADER_BYTES: u64 = 8 * 1024 * 1024;
/// Length of the number in front of the header.
const PREFIX_BYTES: u64 = 8;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// An open file whose header was checked.
pub(crate) struct SafeTensors {
    path: PathBuf,
    file: File,
    /// Where the numbers begin in the file.
    data_start: u64,
    tensors: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Header {
    /// Free text of the exporter. Named here so that it is not taken for a tensor.
    #[serde(default, rename = "__metadata__")]
    _metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Entry>,
}

/// Where one tensor lies and what it is.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl SafeTensors {
    /// Opens the file and checks its header: it fits, it parses, and its tensors fill the rest of the file exactly.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let mut file = File::open(path).map_err(ModelError::io(path))?;
        let file_bytes = file.metadata().map_err(ModelError::io(path))?.len();
        let mut prefix = [0; PREFIX_BYTES as usize];
        file.read_exact(&mut prefix)
            .map_err(|_| ModelError::damaged(path, "shorter than a header"))?;
        let header_bytes = u64::from_le_bytes(prefix);
        if header_bytes > MAX_HEADER_BYTES.min(file_bytes - PREFIX_BYTES) {
            return Err(ModelError::damaged(
                path,
                format!("claims a header of {header_bytes} bytes"),
            ));
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header).map_err(ModelError::io(path))?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|error| ModelError::damaged(path, format!("bad header: {error}")))?;
        let data_start = PREFIX_BYTES + header_bytes;
        check_layout(&header.tensors, file_bytes - data_start)
            .map_err(|reason| ModelError::damaged(path, reason))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            data_start,
            tensors: header.tensors,
        })
    }

    /// Whether a tensor of this name is there.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The numbers of an f32 tensor, which must have exactly this shape.
    pub(crate) fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(ModelError::damaged(
                &self.path,
                format!("has no tensor {name}"),
            ));
        };
        if entry.dtype != "F32"
            || !entry
                .shape
                .iter()
                .copied()
                .eq(shape.iter().map(|&size| size as u64))
        {
            let found = format!(
                "tensor {name} is {} {:?}, not F32 {shape:?}",
                entry.dtype, entry.shape
            );
            return Err(ModelError::damaged(&self.path, found));
        }
        let start = self.data_start + entry.data_offsets[0];
        let count = shape.iter().product();
        self.read_numbers(start, count)
            .map_err(ModelError::io(&self.path))
    }

    fn read_numbers(&mut self, start: u64, count: usize) -> std::io::Result<Vec<f32>> {
        self.file.seek(SeekFrom::Start(start))?;
        let mut numbers = Vec::with_capacity(count);
        let mut chunk = vec![0; CHUNK_BYTES.min(count * size_of::<f32>())];
        while numbers.len() < count {
            let wanted = chunk.len().min((count - numbers.len()) * size_of::<f32>());
            self.file.read_exact(&mut chunk[..wanted])?;
            let (words, _) = chunk[..wanted].as_chunks();
            numbers.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
        }
        Ok(numbers)
    }
}

/// The tensors must follow each other from the first to the last byte, as the format demands: no gap, no overlap.
fn check_layout(tensors: &BTreeMap<String, Entry>, data_bytes: u64) -> Result<(), String> {
    let mut entries: Vec<_> = tensors.iter().collect();
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut position = 0;
    for (name, entry) in entries {
        let [start, end] = entry.data_offsets;
        let bytes = entry
            .bytes()
            .ok_or_else(|| format!("tensor {name} has an impossible type or shape"))?;
        if start != position || start.checked_add(bytes) != Some(end) {
            return Err(format!(
                "tensor {name} does not lie where its shape puts it"
            ));
        }
        position = end;
    }
    if position != data_bytes {
        return Err(format!(
            "holds {data_bytes} bytes of numbers, its header describes {position}"
        ));
    }
    Ok(())
}

impl Entry {
    /// Size of the tensor by its type and shape; none when it cannot exist.
    fn bytes(&self) -> Option<u64> {
        let width = match self.dtype.as_str() {
            "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" => 1,
            "F16" | "BF16" | "I16" | "U16" => 2,
            "F32" | "I32" | "U32" => 4,
            "F64" | "I64" | "U64" => 8,
            _ => return None,
        };
        self.shape
            .iter()
            .try_fold(width, |bytes: u64, size| bytes.checked_mul(*size))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header_bytes: u64, header: &str, data: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            [&header_bytes.to_le_bytes(), header.as_bytes(), data].concat(),
        )
        .unwrap();
        file
    }

    fn open(header: &str, data: &[u8]) -> Result<SafeTensors, ModelError> {
        SafeTensors::open(file(header.len() as u64, header, data).path())
    }

    fn refusal(header: &str, data: &[u8]) -> String {
        match open(header, data) {
            Err(ModelError::Damaged { reason, .. }) => reason,
            other => panic!("{:?}", other.err()),
        }
    }

    #[test]
    fn reads_what_was_written() {
        let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}"#;
        let data: Vec<u8> = [
            1.5f32.to_le_bytes(),
            (-2.0f32).to_le_bytes(),
            [0; 4],
            [0; 4],
        ]
        .concat();
        let mut tensors = open(header, &data).unwrap();
        assert!(tensors.contains("a") && !tensors.contains("__metadata__"));
        assert_eq!(tensors.read("a", &[2, 1]).unwrap(), [1.5, -2.0]);
        assert!(matches!(
            tensors.read("a", &[1, 2]),
            Err(ModelError::Damaged { .. })
        ));
        assert!(matches!(
            tensors.read("b", &[1]),
            Err(ModelError::Damaged { .. })
        ));
        assert!(matches!(
            tensors.read("c", &[1]),
            Err(ModelError::Damaged { .. })
        ));
    }

    #[test]
    fn a_huge_header_is_refused_before_it_is_allocated() {
        for claim in [u64::MAX, 1 << 40, MAX_HEADER_BYTES + 1, 100] {
            let file = file(claim, "{}", b"");
            assert!(
                matches!(
                    SafeTensors::open(file.path()),
                    Err(ModelError::Damaged { .. })
                ),
                "{claim}"
            );
        }
    }

    #[test]
    fn tensors_must_fill_the_file_exactly() {
        let one = |shape: &str, offsets: &str| {
            format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        assert!(open(&one("[2]", "[0,8]"), &[0; 8]).is_ok());
        assert!(refusal(&one("[2]", "[0,8]"), &[0; 4]).contains("its header describes 8"));
        assert!(refusal(&one("[2]", "[0,8]"), &[0; 12]).contains("its header describes 8"));
        assert!(refusal(&one("[3]", "[0,8]"), &[0; 8]).contains("does not lie"));
        assert!(refusal(&one("[2]", "[4,12]"), &[0; 12]).contains("does not lie"));
        assert!(refusal(&one("[4611686018427387904,4]", "[0,0]"), &[]).contains("impossible"));
        assert!(refusal(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]).contains("does not lie"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_file_never_a_crash(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let opened = SafeTensors::open(file.path());
            let tolerated = matches!(opened, Ok(_) | Err(ModelError::Damaged { .. }));
            prop_assert!(tolerated);
        }
    }
}
