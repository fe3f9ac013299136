//! What a network can be run over: labelled examples, a batch at a time.

use std::fmt::Debug;
use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::batches::Batch;
use crate::dataset::Dataset;
use crate::error::{Error, Result};

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
    /// Examples of `inputs` (N, ...) with `labels` (N), any integer type, below `classes`; `name`
    /// names them in errors.
    ///
    /// # Errors
    /// No examples, another number of labels, labels beyond the classes, inputs that are not floats.
    pub fn new(name: &str, inputs: &Tensor, labels: &Tensor, classes: usize) -> Result<Self> {
        let field = |field, expected: String, got: String| Error::Field {
            name: name.to_owned(),
            field,
            expected,
            got,
        };
        if !inputs.dtype().is_float() {
            return Err(field(
                "inputs",
                "a float type".to_owned(),
                format!("{:?}", inputs.dtype()),
            ));
        }
        let examples = inputs.dims().first().copied().unwrap_or(0);
        if examples == 0 {
            return Err(field(
                "inputs",
                "at least one example".to_owned(),
                "none".to_owned(),
            ));
        }
        if labels.dims() != [examples] {
            return Err(field(
                "labels",
                format!("{examples} in one axis"),
                format!("{:?}", labels.dims()),
            ));
        }
        let values = labels.to_dtype(DType::I64)?.to_vec1::<i64>()?;
        if let Some(label) = values
            .iter()
            .find(|&&label| label < 0 || label >= classes as i64)
        {
            return Err(field(
                "label",
                format!("in 0..{classes}"),
                label.to_string(),
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            inputs: inputs.contiguous()?,
            labels: labels.to_dtype(DType::U32)?,
            classes,
        })
    }

    fn field(&self, field: &'static str, expected: String, got: String) -> Error {
        Error::Field {
            name: self.name.clone(),
            field,
            expected,
            got,
        }
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
        if range.is_empty() || range.end > self.len() {
            let expected = format!("a non-empty part of 0..{}", self.len());
            return Err(self.field("range of a batch", expected, format!("{range:?}")));
        }
        let images = self.inputs.narrow(0, range.start, range.len())?;
        Self::batch_of(
            images,
            self.labels.narrow(0, range.start, range.len())?,
            dtype,
            device,
        )
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        if indices.is_empty() {
            let expected = "at least 1".to_owned();
            return Err(self.field("number of indices of a batch", expected, "0".to_owned()));
        }
        if let Some(index) = indices.iter().find(|&&index| index as usize >= self.len()) {
            let expected = format!("below {}", self.len());
            return Err(self.field("index of an example", expected, index.to_string()));
        }
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
