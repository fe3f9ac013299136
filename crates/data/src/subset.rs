//! Some examples of a data set, as a data set of their own.

use std::ops::Range;

use candle_core::{DType, Device};

use crate::batches::{Batch, Order};
use crate::error::{Error, Result};
use crate::examples::Examples;

/// The examples of a data set at some indices, in their order.
#[derive(Debug, Clone)]
pub struct Subset<'a> {
    examples: &'a dyn Examples,
    /// (n), each below N.
    indices: Vec<u32>,
}

impl<'a> Subset<'a> {
    /// The examples at `indices`, repetitions counted.
    ///
    /// # Errors
    /// No index or one beyond the data.
    pub fn new(examples: &'a dyn Examples, indices: Vec<u32>) -> Result<Self> {
        if indices.is_empty() {
            return Err(field(
                examples,
                "size of a subset",
                "at least 1".to_owned(),
                0,
            ));
        }
        let beyond = indices
            .iter()
            .find(|&&index| index as usize >= examples.len());
        if let Some(&index) = beyond {
            let expected = format!("below {}", examples.len());
            return Err(field(
                examples,
                "index of an example",
                expected,
                index as usize,
            ));
        }
        Ok(Self { examples, indices })
    }

    /// The first `n`.
    ///
    /// # Errors
    /// An `n` of zero or beyond the data.
    pub fn first(examples: &'a dyn Examples, n: usize) -> Result<Self> {
        Self::prefix(examples, n, Order::Sequential)
    }

    /// `n` of them without repetition, all choices alike likely: the first of the permutation of
    /// epoch 0 of [`Order::Shuffled`] with `seed`, in its order. So a part of it is as random as the
    /// whole, whatever the order of the data.
    ///
    /// # Errors
    /// An `n` of zero or beyond the data.
    pub fn random(examples: &'a dyn Examples, n: usize, seed: u64) -> Result<Self> {
        Self::prefix(examples, n, Order::Shuffled { seed, epoch: 0 })
    }

    /// The indices in the whole.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    fn prefix(examples: &'a dyn Examples, n: usize, order: Order) -> Result<Self> {
        if n == 0 || n > examples.len() {
            let expected = format!("in 1..={}", examples.len());
            return Err(field(examples, "size of a subset", expected, n));
        }
        let total = u32::try_from(examples.len()).map_err(|_| {
            let expected = "a number of 32 bits".to_owned();
            field(examples, "number of examples", expected, examples.len())
        })?;
        let mut indices = order.indices(total);
        indices.truncate(n);
        Ok(Self { examples, indices })
    }
}

fn field(examples: &dyn Examples, field: &'static str, expected: String, got: usize) -> Error {
    Error::Field {
        name: examples.name().to_owned(),
        field,
        expected,
        got: got.to_string(),
    }
}

impl Examples for Subset<'_> {
    fn name(&self) -> &str {
        self.examples.name()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn example_shape(&self) -> Vec<usize> {
        self.examples.example_shape()
    }

    fn classes(&self) -> usize {
        self.examples.classes()
    }

    fn batch(&self, range: Range<usize>, dtype: DType, device: &Device) -> Result<Batch> {
        let indices = self
            .indices
            .get(range.clone())
            .filter(|part| !part.is_empty());
        let indices = indices.ok_or_else(|| Error::Field {
            name: self.name().to_owned(),
            field: "range of a batch",
            expected: format!("a non-empty part of 0..{}", self.len()),
            got: format!("{range:?}"),
        })?;
        self.examples.gather(indices, dtype, device)
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        let own = indices.iter().map(|&index| {
            self.indices.get(index as usize).copied().ok_or_else(|| {
                let expected = format!("below {}", self.len());
                field(self, "index of an example", expected, index as usize)
            })
        });
        self.examples
            .gather(&own.collect::<Result<Vec<u32>>>()?, dtype, device)
    }
}
