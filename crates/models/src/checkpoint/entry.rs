//! One tensor of a checkpoint: where its elements lie, decoded only when asked for.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use flatness_formats::Member;

/// A file of a checkpoint, which several copies of it share.
pub(super) type Bytes = Arc<Vec<u8>>;

/// Elements in a row that tensors are views of.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// Which of the files.
    pub(super) file: usize,
    pub(super) member: Member,
}

/// A tensor by its name: keys of mappings end in `/`, names of modules in `.`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// Type of the elements, `f32` for one.
    pub(super) kind: Cow<'static, str>,
    pub(super) view: View,
}

/// What of a storage a tensor is. Offset and strides count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    Strided {
        storage: usize,
        offset: usize,
        /// As many as axes.
        strides: Vec<usize>,
    },
    /// The tensor is in the file's own program, with these elements.
    Held {
        elements: Arc<[u8]>,
        strides: Vec<usize>,
    },
    /// What is not read, as a predicate: "is quantised".
    Refused(&'static str),
}

impl Entry {
    /// The number type, if it is one of floating point.
    pub(super) fn number(&self) -> Option<DType> {
        match &*self.kind {
            "f32" => Some(DType::F32),
            "f64" => Some(DType::F64),
            "f16" => Some(DType::F16),
            "bf16" => Some(DType::BF16),
            "f8e4m3" => Some(DType::F8E4M3),
            _ => None,
        }
    }

    /// The elements as a tensor of its number type; `storage` is the content of its storage, if it has one. Says
    /// what is wrong as a predicate.
    pub(super) fn tensor(&self, storage: &[u8]) -> Result<Tensor, String> {
        let (storage, offset, strides) = match &self.view {
            View::Strided {
                offset, strides, ..
            } => (storage, *offset, strides),
            View::Held { elements, strides } => (&**elements, 0, strides),
            View::Refused(reason) => return Err((*reason).to_owned()),
        };
        let dtype = self.number().ok_or("is of no floating-point type")?;
        let axes: Vec<(usize, usize)> = self
            .shape
            .iter()
            .copied()
            .zip(strides.iter().copied())
            .collect();
        let elements = gather(storage, dtype.size_in_bytes(), offset, &axes);
        let elements = elements.ok_or("is larger than its storage")?;
        let tensor = Tensor::from_raw_buffer(&elements, dtype, &self.shape, &Device::Cpu);
        tensor.map_err(|error| error.to_string())
    }
}

/// Strides of a tensor in row-major order; a product that overflows is of a shape without elements.
pub(super) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = usize::saturating_mul(strides[axis], shape[axis]);
    }
    strides
}

/// The elements of `width` bytes in row-major order; none where they are not in the storage.
fn gather(storage: &[u8], width: usize, offset: usize, axes: &[(usize, usize)]) -> Option<Vec<u8>> {
    let elements = axes
        .iter()
        .try_fold(1usize, |product, &(size, _)| product.checked_mul(size))?;
    let bytes = elements.checked_mul(width)?;
    if elements == 0 {
        return Some(Vec::new());
    }
    let last = axes.iter().try_fold(offset, |last, &(size, stride)| {
        last.checked_add(stride.checked_mul(size - 1)?)
    })?;
    if last >= storage.len() / width {
        return None;
    }
    let mut gathered = Vec::with_capacity(bytes);
    append(&mut gathered, storage, width, offset, axes);
    Some(gathered)
}

fn append(
    gathered: &mut Vec<u8>,
    storage: &[u8],
    width: usize,
    offset: usize,
    axes: &[(usize, usize)],
) {
    match axes {
        [] => gathered.extend_from_slice(&storage[offset * width..][..width]),
        // A run of neighbours.
        &[(size, 1)] => {
            gathered.extend_from_slice(&storage[offset * width..][..size * width]);
        }
        [(size, stride), rest @ ..] => {
            for index in 0..*size {
                append(gathered, storage, width, offset + index * stride, rest);
            }
        }
    }
}
