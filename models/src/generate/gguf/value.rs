//! The typed values of a header. Arrays are walked once, to find their end, and kept as their place.

use std::ops::Range;

use super::reader::Reader;

/// Elements of one array; the largest vocabularies have some 262,000 tokens and as many merges.
const MAX_ELEMENTS: u64 = 1 << 22;

/// The types of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::generate) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    fn of(code: u32) -> Result<Self, String> {
        const KINDS: [Kind; 13] = [
            Kind::U8,
            Kind::I8,
            Kind::U16,
            Kind::I16,
            Kind::U32,
            Kind::I32,
            Kind::F32,
            Kind::Bool,
            Kind::Text,
            Kind::Array,
            Kind::U64,
            Kind::I64,
            Kind::F64,
        ];
        let kind = KINDS.get(code as usize).copied();
        kind.ok_or_else(|| format!("has the unknown type {code}"))
    }

    /// Bytes of one number; none for texts and arrays.
    fn width(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Any integer that is not negative.
    Whole(u64),
    /// A float, or a negative integer.
    Number(f64),
    Flag(bool),
    /// Its place in the file.
    Text(Range<usize>),
    Array(Array),
}

/// A list whose elements lie in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) kind: Kind,
    pub(super) count: usize,
    /// Of the first element.
    pub(super) start: usize,
}

/// Reads a type and the value behind it.
pub(super) fn read_value(reader: &mut Reader<'_>) -> Result<Value, String> {
    match Kind::of(reader.u32()?)? {
        Kind::U8 => Ok(Value::Whole(reader.array::<1>()?[0].into())),
        Kind::U16 => Ok(Value::Whole(u16::from_le_bytes(reader.array()?).into())),
        Kind::U32 => Ok(Value::Whole(reader.u32()?.into())),
        Kind::U64 => Ok(Value::Whole(reader.u64()?)),
        Kind::I8 => Ok(integer(i8::from_le_bytes(reader.array()?).into())),
        Kind::I16 => Ok(integer(i16::from_le_bytes(reader.array()?).into())),
        Kind::I32 => Ok(integer(i32::from_le_bytes(reader.array()?).into())),
        Kind::I64 => Ok(integer(i64::from_le_bytes(reader.array()?))),
        Kind::F32 => Ok(Value::Number(f32::from_le_bytes(reader.array()?).into())),
        Kind::F64 => Ok(Value::Number(f64::from_le_bytes(reader.array()?))),
        Kind::Bool => match reader.array::<1>()? {
            [0] => Ok(Value::Flag(false)),
            [1] => Ok(Value::Flag(true)),
            [other] => Err(format!("is the truth value {other}")),
        },
        Kind::Text => reader.text().map(Value::Text),
        Kind::Array => array(reader).map(Value::Array),
    }
}

fn integer(number: i64) -> Value {
    u64::try_from(number).map_or(Value::Number(number as f64), Value::Whole)
}

/// Lists of lists exist in the format and in no file that we read.
fn array(reader: &mut Reader<'_>) -> Result<Array, String> {
    let kind = Kind::of(reader.u32()?)?;
    let count = reader.u64()?;
    if count > MAX_ELEMENTS {
        return Err(format!("claims a list of {count} elements"));
    }
    let (count, start) = (count as usize, reader.position());
    match (kind, kind.width()) {
        (_, Some(width)) => {
            reader.skip(count * width)?;
        }
        (Kind::Text, None) => {
            for _ in 0..count {
                reader.text()?;
            }
        }
        (_, None) => return Err("is a list of lists".to_owned()),
    }
    Ok(Array { kind, count, start })
}
