//! What a network can be run over: labelled examples, a batch at a time.

use std::fmt::Debug;
use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::batches::Batch;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::idx::check_labels;

/// Labelled examples of one shape.
pub trait Examples: Debug + Send + Sync {
    /// Name, for errors.
    fn name(&self) -> &str;

    /// Number of examples N.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape of one example.
    fn example_shape(&self) -> Vec<usize>;

    /// Number of classes C.
    fn classes(&self) -> usize;

    /// The examples of `range` as `dtype` on `device`.
    ///
    /// # Errors
    /// An empty range or one beyond the data, a `dtype` that is not a float, or a device error.
    fn batch(&self, range: Range<usize>, dtype: DType, device: &Device) -> Result<Batch>;

    /// The examples at `indices`, in that order, as `dtype` on `device`.
    ///
    /// # Errors
    /// No index or one beyond the data, a `dtype` that is not a float, or a device error.
    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch>;
}

/// An error where `range` of a batch is empty or beyond the `len` examples of `name`.
pub(crate) fn check_range(name: &str, len: usize, range: &Range<usize>) -> Result<()> {
    if range.is_empty() || range.end > len {
        let expected = format!("a non-empty part of 0..{len}");
        return Err(Error::field(
            name,
            "range of a batch",
            expected,
            format!("{range:?}"),
        ));
    }
    Ok(())
}

/// An error where there are no `indices` or one is beyond the `len` examples of `name`.
pub(crate) fn check_indices(name: &str, len: usize, indices: &[u32]) -> Result<()> {
    if indices.is_empty() {
        return Err(Error::field(name, "number of indices", "at least 1", 0));
    }
    match indices.iter().find(|&&index| index as usize >= len) {
        None => Ok(()),
        Some(index) => Err(Error::field(
            name,
            "index of an example",
            format!("below {len}"),
            index,
        )),
    }
}

impl Examples for Dataset {
    fn name(&self) -> &str {
        self.name()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn example_shape(&self) -> Vec<usize> {
        self.example_shape().to_vec()
    }

    fn classes(&self) -> usize {
        self.classes()
    }

    fn batch(&self, range: Range<usize>, dtype: DType, device: &Device) -> Result<Batch> {
        self.batch(range, dtype, device)
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        self.gather(indices, dtype, device)
    }
}

/// `labels` (N), of any integer type and in 0..`classes`, as u32; `name` names them in errors. Floats are
/// refused even where they are whole: a label that was computed is none.
///
/// # Errors
/// Another type or a label that numbers no class.
pub fn class_labels(name: &str, labels: &Tensor, classes: usize) -> Result<Tensor> {
    if !labels.dtype().is_int() {
        let expected = "of an integer type (floats are refused even where they are whole)";
        let got = format!("{:?}", labels.dtype());
        return Err(Error::field(name, "labels", expected, got));
    }
    let values = labels.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    check_labels(name, &values, classes)?;
    Ok(labels.to_dtype(DType::U32)?)
}

/// Inputs that are floats already, such as those of another program.
#[derive(Debug, Clone)]
pub struct LabelledTensors {
    name: String,
    /// (N, ...), a float.
    inputs: Tensor,
    /// (N), u32.
    labels: Tensor,
    classes: usize,
}

impl LabelledTensors {
    /// Examples of `inputs` (N, ...) with `labels` (N) as [`class_labels`] takes them; `name` names them
    /// in errors.
    ///
    /// # Errors
    /// No examples, another number of labels, labels that are none, inputs that are not floats.
    pub fn new(name: &str, inputs: &Tensor, labels: &Tensor, classes: usize) -> Result<Self> {
        let field = |field, expected, got: String| Err(Error::field(name, field, expected, got));
        if !inputs.dtype().is_float() {
            let got = format!("{:?}", inputs.dtype());
            return field("inputs", "a float type".to_owned(), got);
        }
        let examples = inputs.dims().first().copied().unwrap_or(0);
        if examples == 0 {
            return field(
                "inputs",
                "at least one example".to_owned(),
                "none".to_owned(),
            );
        }
        if labels.dims() != [examples] {
            let expected = format!("{examples} in one axis, one per example");
            return field("labels", expected, format!("{:?}", labels.dims()));
        }
        Ok(Self {
            name: name.to_owned(),
            inputs: inputs.contiguous()?,
            labels: class_labels(name, labels, classes)?,
            classes,
        })
    }

    fn batch_of(images: Tensor, labels: Tensor, dtype: DType, device: &Device) -> Result<Batch> {
        Ok(Batch {
            images: images.to_dtype(dtype)?.to_device(device)?,
            labels: labels.to_device(device)?,
        })
    }
}

impl Examples for LabelledTensors {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.labels.elem_count()
    }

    fn example_shape(&self) -> Vec<usize> {
        self.inputs.dims()[1..].to_vec()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn batch(&self, range: Range<usize>, dtype: DType, device: &Device) -> Result<Batch> {
        check_range(&self.name, self.len(), &range)?;
        let images = self.inputs.narrow(0, range.start, range.len())?;
        Self::batch_of(
            images,
            self.labels.narrow(0, range.start, range.len())?,
            dtype,
            device,
        )
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        check_indices(&self.name, self.len(), indices)?;
        let indices = Tensor::new(indices, self.inputs.device())?;
        let images = self.inputs.index_select(&indices, 0)?;
        Self::batch_of(
            images,
            self.labels.index_select(&indices, 0)?,
            dtype,
            device,
        )
    }
}
