//! What a network can be run over: labelled examples, a batch at a time.

use std::fmt::Debug;
use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::batches::Batch;
use crate::dataset::Dataset;
use crate::divisible::Divisible;
use crate::error::{Error, Result};
use crate::idx::check_labels;
use crate::resident::Resident;

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

    /// Number of classes C; of values, their number along the last axis.
    fn classes(&self) -> usize;

    /// Shape of the outputs that the label of one example is held to: (C) for one class.
    fn outputs(&self) -> Vec<usize> {
        vec![self.classes()]
    }

    /// Whether the labels are classes, of examples or of positions, and not values.
    fn has_classes(&self) -> bool {
        true
    }

    /// Whether the label of an example is one class.
    fn is_classified(&self) -> bool {
        self.has_classes() && self.outputs().len() == 1
    }

    /// What the loss of an example is multiplied by, so that the mean over the examples is that over the labels: one over the
    /// mean weight of all labels that are classes. An ignored position has the weight zero, any other one, or that of its class in
    /// `class_weights` (C). That of a [`Subset`](crate::Subset) is that of the whole.
    ///
    /// # Errors
    /// Another number of weights, or none above zero for a class that there is.
    fn loss_factor(&self, class_weights: Option<&[f64]>) -> Result<f64>;

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

    fn loss_factor(&self, class_weights: Option<&[f64]>) -> Result<f64> {
        match class_weights {
            None => Ok(1.0),
            Some(weights) => inverse_mean(self.name(), self.len(), &self.class_counts()?, weights),
        }
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        self.gather(indices, dtype, device)
    }
}

/// One over the mean weight of `labels` labels, of which there are `counts` (C) of each class.
fn inverse_mean(name: &str, labels: usize, counts: &[usize], weights: &[f64]) -> Result<f64> {
    if weights.len() != counts.len() {
        let (expected, got) = (counts.len(), weights.len());
        let expected = format!("{expected} numbers, one for each class");
        return Err(Error::field(name, "class weights", expected, got));
    }
    let each = counts.iter().zip(weights);
    let total: f64 = each.map(|(&count, weight)| count as f64 * weight).sum();
    if total.is_finite() && total > 0.0 {
        return Ok(labels as f64 / total);
    }
    let expected = "finite, and above 0 for a class that there is".to_owned();
    let got = format!("a sum of {total} over the labels");
    Err(Error::field(name, "class weights", expected, got))
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

/// Inputs that are floats already, such as those of another program, with labels of any kind.
#[derive(Debug, Clone)]
pub struct LabelledTensors {
    name: String,
    /// (N, ...), a float.
    inputs: Resident,
    /// (N), or (N, positions), u32; or values (N, ...), a float.
    labels: Resident,
    /// Shape of the outputs that the label of one example is held to.
    outputs: Vec<usize>,
    /// Labels of each class (C); nothing for values.
    counts: Vec<usize>,
}

/// The class of a position that has none, as PyTorch writes it by default.
const IGNORED: i64 = -100;

impl LabelledTensors {
    /// Examples of `inputs` (N, ...) with `labels` (N) as [`class_labels`] takes them; `name` names them
    /// in errors.
    ///
    /// # Errors
    /// No examples, another number of labels, labels that are none, inputs that are not floats.
    pub fn new(name: &str, inputs: &Tensor, labels: &Tensor, classes: usize) -> Result<Self> {
        let examples = inputs.dims().first().copied().unwrap_or(0);
        if labels.dims() != [examples] {
            let expected = format!("{examples} in one axis, one per example");
            let got = format!("{:?}", labels.dims());
            return Err(Error::field(name, "labels", expected, got));
        }
        let labels = class_labels(name, labels, classes)?;
        Self::labelled(name, inputs, &labels, &[classes])
    }

    /// Examples of `inputs` (N, ...) with `labels` for a network whose outputs have this shape (one example): classes (N) or
    /// (N, positions), of any integer type, where the last axis of the outputs is that of the classes and a position of class
    /// -100 is ignored; or values (N, outputs), a float.
    ///
    /// # Errors
    /// No examples, labels of another shape or beyond the classes, all positions ignored, inputs that are not floats.
    pub fn labelled(
        name: &str,
        inputs: &Tensor,
        labels: &Tensor,
        outputs: &[usize],
    ) -> Result<Self> {
        let field =
            |field, expected: String, got: String| Err(Error::field(name, field, expected, got));
        if !inputs.dtype().is_float() {
            let got = format!("{:?}", inputs.dtype());
            return field("inputs", "a float type".to_owned(), got);
        }
        let examples = inputs.dims().first().copied().unwrap_or(0);
        if examples == 0 {
            let expected = "at least one example".to_owned();
            return field("inputs", expected, "none".to_owned());
        }
        let (classes, positions) = outputs.split_last().unwrap_or((&0, &[]));
        let one_value = !labels.dtype().is_int() && labels.rank() == 1 && outputs == [1];
        let labels = &if one_value {
            labels.unsqueeze(1)?
        } else {
            labels.clone()
        };
        let expected = if labels.dtype().is_int() {
            positions
        } else {
            outputs
        };
        let expected = [&[examples], expected].concat();
        if labels.dims() != expected {
            let what = format!("{expected:?} for outputs {outputs:?}");
            return field("shape of the labels", what, format!("{:?}", labels.dims()));
        }
        let labels = if !labels.dtype().is_int() {
            labels.contiguous()?
        } else if positions.is_empty() {
            class_labels(name, labels, *classes)?
        } else {
            by_position(name, labels, *classes)?
        };
        Self {
            name: name.to_owned(),
            inputs: Resident::new(inputs.contiguous()?),
            labels: Resident::new(labels),
            outputs: outputs.to_vec(),
            counts: Vec::new(),
        }
        .counted()
    }

    /// With the counts of its own labels.
    fn counted(mut self) -> Result<Self> {
        if self.has_classes() {
            let mut counts = vec![0; self.classes()];
            for label in self.labels.host().flatten_all()?.to_vec1::<u32>()? {
                // An ignored one is of none.
                if let Some(count) = counts.get_mut(label as usize) {
                    *count += 1;
                }
            }
            if counts.iter().all(|&count| count == 0) {
                let expected = format!("a class at one position at least (all are {IGNORED})");
                return Err(Error::field(&self.name, "labels", expected, "none"));
            }
            self.counts = counts;
        }
        Ok(self)
    }
}

/// Classes of positions as u32, with u32::MAX where they are ignored.
fn by_position(name: &str, labels: &Tensor, classes: usize) -> Result<Tensor> {
    let all = labels
        .to_dtype(DType::I64)?
        .flatten_all()?
        .to_vec1::<i64>()?;
    let counted = all.iter().copied().filter(|&class| class != IGNORED);
    check_labels(name, &counted.collect::<Vec<_>>(), classes)?;
    let numbers = all
        .into_iter()
        .map(|class| u32::try_from(class).unwrap_or(u32::MAX));
    Ok(Tensor::from_iter(numbers, labels.device())?.reshape(labels.shape())?)
}

impl Divisible for LabelledTensors {
    fn range(&self, range: Range<usize>) -> Result<Self> {
        let Range { start, end } = range;
        Self {
            name: format!("{}[{start}..{end}]", self.name),
            inputs: Resident::new(self.inputs.host().narrow(0, start, end - start)?),
            labels: Resident::new(self.labels.host().narrow(0, start, end - start)?),
            ..self.clone()
        }
        .counted()
    }

    fn at(&self, indices: &[u32], name: String) -> Result<Self> {
        Self {
            name,
            inputs: Resident::new(self.inputs.at(indices, self.inputs.host().device())?),
            labels: Resident::new(self.labels.at(indices, self.labels.host().device())?),
            ..self.clone()
        }
        .counted()
    }
}

impl Examples for LabelledTensors {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.inputs.host().dims()[0]
    }

    fn example_shape(&self) -> Vec<usize> {
        self.inputs.host().dims()[1..].to_vec()
    }

    fn classes(&self) -> usize {
        self.outputs.last().copied().unwrap_or(0)
    }

    fn outputs(&self) -> Vec<usize> {
        self.outputs.clone()
    }

    fn has_classes(&self) -> bool {
        self.labels.host().dtype() == DType::U32
    }

    fn loss_factor(&self, class_weights: Option<&[f64]>) -> Result<f64> {
        if !self.has_classes() {
            return Ok(1.0);
        }
        let labels = self.labels.host().elem_count();
        let ones = vec![1.0; self.counts.len()];
        inverse_mean(
            &self.name,
            labels,
            &self.counts,
            class_weights.unwrap_or(&ones),
        )
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        check_indices(&self.name, self.len(), indices)?;
        let inputs = self.inputs.at(indices, device)?.to_dtype(dtype)?;
        let mut labels = self.labels.at(indices, device)?;
        if labels.dtype() != DType::U32 {
            labels = labels.to_dtype(dtype)?;
        }
        Ok(Batch {
            inputs: inputs.to_device(device)?,
            labels: labels.to_device(device)?,
        })
    }
}
