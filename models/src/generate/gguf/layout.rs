//! The list of tensors of a header, and the proof that each lies where it can.

use std::collections::HashMap;

use candle_core::quantized::GgmlDType;

use super::TensorInfo;
use super::reader::Reader;

/// Tensors of one file; a model of 126 layers with biases has some 1,700.
const MAX_TENSORS: u64 = 1 << 16;
/// Sizes of one tensor, as ggml has it.
const MAX_DIMENSIONS: u32 = 4;
/// Fewest bytes that describe a tensor: its name's length and a letter, the number of sizes, one size, type and offset.
const MIN_ENTRY_BYTES: usize = 8 + 1 + 4 + 8 + 4 + 8;

/// What the header claims of a tensor besides its shape.
pub(super) struct Claim {
    name: String,
    /// From the start of the data.
    offset: u64,
    bytes: u64,
}

/// Reads the list. The tensors' starts are set by [`check_layout`].
pub(super) fn read_tensors(
    reader: &mut Reader<'_>,
    count: u64,
) -> Result<(HashMap<String, TensorInfo>, Vec<Claim>), String> {
    if count > MAX_TENSORS || count as usize > reader.left() / MIN_ENTRY_BYTES {
        return Err(format!("claims {count} tensors"));
    }
    let (mut tensors, mut claims) = (HashMap::new(), Vec::new());
    for _ in 0..count {
        let name = reader.name()?.to_owned();
        let (info, offset, bytes) =
            read_tensor(reader).map_err(|reason| format!("tensor {name} {reason}"))?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(format!("names tensor {name} twice"));
        }
        claims.push(Claim {
            name,
            offset,
            bytes,
        });
    }
    Ok((tensors, claims))
}

fn read_tensor(reader: &mut Reader<'_>) -> Result<(TensorInfo, u64, u64), String> {
    let dimensions = reader.u32()?;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(format!("has {dimensions} dimensions"));
    }
    let mut shape = Vec::new();
    let mut elements = 1u64;
    for _ in 0..dimensions {
        let size = reader.u64()?;
        elements = elements
            .checked_mul(size)
            .filter(|elements| *elements > 0)
            .ok_or("has an impossible size")?;
        shape.push(usize::try_from(size).map_err(|_| "has an impossible size")?);
    }
    let dtype = dtype(reader.u32()?)?;
    let (per_block, width) = (dtype.block_size() as u64, dtype.type_size() as u64);
    if !(shape[0] as u64).is_multiple_of(per_block) {
        return Err(format!("has rows of {}, no whole blocks", shape[0]));
    }
    let bytes = (elements / per_block).checked_mul(width);
    let bytes = bytes.ok_or("has an impossible size")?;
    shape.reverse();
    let info = TensorInfo {
        dtype,
        shape,
        start: 0,
    };
    Ok((info, reader.u64()?, bytes))
}

/// The codes of ggml.h for the types that candle computes.
fn dtype(code: u32) -> Result<GgmlDType, String> {
    Ok(match code {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        9 => GgmlDType::Q8_1,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        15 => GgmlDType::Q8K,
        30 => GgmlDType::BF16,
        _ => return Err(format!("has type {code}, which is not computed")),
    })
}

/// Every tensor must be aligned, inside the file, and alone in its place. `data` is where the first may start.
pub(super) fn check_layout(
    tensors: &mut HashMap<String, TensorInfo>,
    claims: &[Claim],
    data: u64,
    (alignment, file_bytes): (u64, u64),
) -> Result<(), String> {
    let mut ordered: Vec<&Claim> = claims.iter().collect();
    ordered.sort_by_key(|claim| claim.offset);
    let mut free = 0;
    for claim in ordered {
        let Claim {
            name,
            offset,
            bytes,
        } = claim;
        if !offset.is_multiple_of(alignment) {
            return Err(format!("tensor {name} is not aligned"));
        }
        if *offset < free {
            return Err(format!("tensor {name} overlaps another"));
        }
        free = offset
            .checked_add(*bytes)
            .filter(|end| data.checked_add(*end).is_some_and(|end| end <= file_bytes))
            .ok_or_else(|| format!("tensor {name} lies outside the file"))?;
        if let Some(info) = tensors.get_mut(name) {
            info.start = (data + offset) as usize;
        }
    }
    Ok(())
}
