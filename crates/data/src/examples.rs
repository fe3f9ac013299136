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
    fn batch(&self, range: Range<usize>, dtype: DType, device: &Device) -> Result<Batch> {
        if range.is_empty() || range.end > self.len() {
            let expected = format!("a non-empty part of 0..{}", self.len());
            let got = format!("{range:?}");
            return Err(Error::field(self.name(), "range of a batch", expected, got));
        }
        // Examples are counted in 32 bits throughout.
        let indices: Vec<u32> = range.map(|index| index as u32).collect();
        self.gather(&indices, dtype, device)
    }

    /// The examples at `indices`, in that order, as `dtype` on `device`.
    ///
    /// # Errors
    /// No index or one beyond the data, a `dtype` that is not a float, or a device error.
    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch>;
}

/// An error where there are no `indices` or one is beyond the `len` examples of `name`.
pub(crate) fn check_indices(name: &str, len: usize, indices: &[u32]) -> Result<()> {
    if indices.is_empty() {
        return Err(Error::field(name, "number of indices", "at least 1", 0));
    }
    let expected = format!("below {len}");
    match indices.iter().find(|&&index| index as usize >= len) {
        None => Ok(()),
        Some(index) => Err(Error::field(name, "index of an example", expected, index)),
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
            let expected = "at least one example".to_owned();
            return field("inputs", expected, "none".to_owned());
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

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        check_indices(&self.name, self.len(), indices)?;
        let indices = Tensor::new(indices, self.inputs.device())?;
        let images = self.inputs.index_select(&indices, 0)?.to_dtype(dtype)?;
        let labels = self.labels.index_select(&indices, 0)?;
        Ok(Batch {
            images: images.to_device(device)?,
            labels: labels.to_device(device)?,
        })
    }
}
