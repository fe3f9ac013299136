//! The elements of a tensor of the file: raw, typed, or in another file beside it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use half::{bf16, f16};

use crate::array::{Array, Kind, Reason};
use crate::proto::{Tensor, entry};

/// Number types that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    F32,
    F64,
    F16,
    BF16,
    I64,
    I32,
    Bool,
}

impl Number {
    /// Of `TensorProto.DataType`; the name where it is not read.
    fn of(code: i32) -> Result<Self, Reason> {
        let name = match code {
            1 => return Ok(Self::F32),
            6 => return Ok(Self::I32),
            7 => return Ok(Self::I64),
            9 => return Ok(Self::Bool),
            10 => return Ok(Self::F16),
            11 => return Ok(Self::F64),
            16 => return Ok(Self::BF16),
            2 => "uint8",
            3 => "int8",
            4 => "uint16",
            5 => "int16",
            8 => "string",
            12 => "uint32",
            13 => "uint64",
            14 | 15 => "complex",
            17..=20 => "an eight-bit float",
            21..=23 => "a four-bit number",
            _ => return Err(format!("is of the unknown type {code}").into()),
        };
        Err(format!("is of the type {name}, which is not read").into())
    }

    fn width(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::F32 | Self::F64 | Self::F16 | Self::BF16 => Kind::Float,
            Self::I64 | Self::I32 => Kind::Int,
            Self::Bool => Kind::Bool,
        }
    }

    /// Reads one element of [`Number::width`] bytes.
    fn read(self, bytes: &[u8]) -> f64 {
        match *bytes {
            [a] => f64::from(u8::from(a != 0)),
            [a, b] if self == Self::F16 => f16::from_le_bytes([a, b]).to_f64(),
            [a, b] => bf16::from_le_bytes([a, b]).to_f64(),
            [a, b, c, d] if self == Self::F32 => f64::from(f32::from_le_bytes([a, b, c, d])),
            [a, b, c, d] => f64::from(i32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] if self == Self::F64 => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h])
            }
            [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64,
            _ => 0.0,
        }
    }
}

/// The kind of its elements.
pub(crate) fn number(tensor: &Tensor) -> Result<Number, Reason> {
    Number::of(tensor.data_type)
}

/// Its shape, of no more elements than memory has bytes.
pub(crate) fn shape(tensor: &Tensor) -> Result<Vec<usize>, Reason> {
    let extents = tensor
        .dims
        .iter()
        .map(|&extent| usize::try_from(extent).ok());
    let shape: Option<Vec<usize>> = extents.collect();
    let shape = shape.filter(|shape| shape.len() <= 16 && bytes(shape, 8).is_some());
    shape.ok_or_else(|| format!("has the impossible shape {:?}", tensor.dims).into())
}

fn bytes(shape: &[usize], width: usize) -> Option<usize> {
    let product = shape
        .iter()
        .try_fold(width, |product, &extent| product.checked_mul(extent))?;
    isize::try_from(product).is_ok().then_some(product)
}

/// Shows the elements to `see`, in row-major order. `directory` is that of the model, where external data are.
pub(crate) fn visit(
    tensor: &Tensor,
    directory: Option<&Path>,
    see: &mut dyn FnMut(f64),
) -> Result<(), Reason> {
    let number = number(tensor)?;
    let shape = shape(tensor)?;
    let expected = bytes(&shape, number.width()).unwrap_or(usize::MAX);
    let raw = match &tensor.raw_data {
        _ if tensor.data_location == 1 => Some(external(tensor, directory, expected)?),
        Some(raw) => Some(raw.clone()),
        None => None,
    };
    if let Some(raw) = raw {
        if raw.len() != expected {
            let got = raw.len();
            return Err(format!("has {got} bytes, and its shape needs {expected}").into());
        }
        raw.chunks_exact(number.width())
            .for_each(|element| see(number.read(element)));
        return Ok(());
    }
    let count = expected / number.width();
    let check = |got: usize| match got == count {
        true => Ok(()),
        false => Err(Reason::from(format!(
            "has {got} elements, and its shape needs {count}"
        ))),
    };
    match number {
        Number::F32 => {
            check(tensor.float_data.len())?;
            tensor
                .float_data
                .iter()
                .for_each(|&value| see(f64::from(value)));
        }
        Number::F64 => {
            check(tensor.double_data.len())?;
            tensor.double_data.iter().for_each(|&value| see(value));
        }
        Number::I64 => {
            check(tensor.int64_data.len())?;
            tensor
                .int64_data
                .iter()
                .for_each(|&value| see(value as f64));
        }
        // Small numbers, and the bits of those of 16, are in the field of 32.
        Number::I32 | Number::Bool | Number::F16 | Number::BF16 => {
            check(tensor.int32_data.len())?;
            tensor.int32_data.iter().for_each(|&value| {
                see(match number {
                    Number::F16 => f16::from_bits(value as u16).to_f64(),
                    Number::BF16 => bf16::from_bits(value as u16).to_f64(),
                    _ => f64::from(value),
                });
            });
        }
    }
    Ok(())
}

/// Whether an element has `property`.
pub(crate) fn any(
    tensor: &Tensor,
    directory: Option<&Path>,
    property: impl Fn(f64) -> bool,
) -> Result<bool, Reason> {
    let mut found = false;
    visit(tensor, directory, &mut |value| found |= property(value))?;
    Ok(found)
}

/// The tensor as a constant. One number of float32 that a short decimal rounds to is that decimal: 1e-5, not
/// 9.99999974e-6, which is what the program that was exported says.
pub(crate) fn array(tensor: &Tensor, directory: Option<&Path>) -> Result<Array, Reason> {
    let (number, shape) = (number(tensor)?, shape(tensor)?);
    let mut values = Vec::with_capacity(crate::array::elements(&shape)?);
    visit(tensor, directory, &mut |value| values.push(value))?;
    if let (Number::F32, [value]) = (number, &mut values[..]) {
        *value = decimal(*value as f32);
    }
    Ok(Array::new(shape, number.kind(), values))
}

/// The decimal of at most six digits that rounds to `value`, or `value` itself.
pub(crate) fn decimal(value: f32) -> f64 {
    let text = format!("{value:e}");
    let digits = text.split('e').next().unwrap_or_default();
    match text.parse() {
        Ok(decimal) if digits.bytes().filter(u8::is_ascii_digit).count() <= 6 => decimal,
        _ => f64::from(value),
    }
}

/// The bytes of a tensor in another file, in the directory of the model or below it.
fn external(tensor: &Tensor, directory: Option<&Path>, expected: usize) -> Result<Bytes, Reason> {
    let entries = &tensor.external_data;
    let location =
        entry(entries, "location").ok_or("is in another file, which it does not name")?;
    let directory = directory.ok_or("is in another file, and the model in none")?;
    let path = within(directory, location)?;
    let size = |key: &str, default: u64| match entry(entries, key) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("has an {key} in its file that is no number")),
    };
    let (offset, length) = (size("offset", 0)?, size("length", expected as u64)?);
    if length != expected as u64 {
        return Err(format!("has {length} bytes, and its shape needs {expected}").into());
    }
    let failed =
        |error: std::io::Error| Reason::from(format!("cannot be read from {location}: {error}"));
    let mut file = File::open(&path).map_err(failed)?;
    let end = offset.checked_add(length);
    let there = file.metadata().map_err(failed)?.len();
    if end.is_none_or(|end| end > there) {
        return Err(format!("ends behind the end of {location}, at {there} bytes").into());
    }
    let mut bytes = vec![0; expected];
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    file.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes.into())
}

/// The file in `directory` that holds the elements of `tensor`, if one does that may be read.
pub(crate) fn file(tensor: &Tensor, directory: &Path) -> Option<PathBuf> {
    let location = entry(&tensor.external_data, "location");
    let location = location.filter(|_| tensor.data_location == 1);
    within(directory, location?).ok()
}

/// The file called `location` in `directory`, and no other by whatever way.
fn within(directory: &Path, location: &str) -> Result<PathBuf, Reason> {
    const OUTSIDE: &str = "is in a file outside the directory of the model, which is not read";
    let plain = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if !Path::new(location).components().all(plain) {
        return Err(OUTSIDE.into());
    }
    let real = |path: &Path| {
        let real = path.canonicalize();
        real.map_err(|error| Reason::from(format!("cannot be read from {location}: {error}")))
    };
    let path = real(&directory.join(location))?;
    if !path.starts_with(real(directory)?) || !path.is_file() {
        return Err(OUTSIDE.into());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_decimals_are_taken_for_what_was_meant() {
        assert_eq!(decimal(1e-5), 1e-5);
        assert_eq!(decimal(0.044715), 0.044715);
        assert_eq!(decimal(f32::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(decimal(0.7310586), f64::from(0.7310586f32));
    }
}
