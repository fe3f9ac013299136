//! Some examples of a data set, as a data set of their own.

use candle_core::{DType, Device};

use crate::batches::{Batch, Order};
use crate::error::{Error, Result};
use crate::examples::{Examples, check_indices};

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
        check_indices(examples.name(), examples.len(), &indices)?;
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
        let (name, len) = (examples.name(), examples.len());
        if n == 0 || n > len {
            let expected = format!("in 1..={len}");
            return Err(Error::field(name, "size of a subset", expected, n));
        }
        let total = u32::try_from(len)
            .map_err(|_| Error::field(name, "number of examples", "a number of 32 bits", len))?;
        let mut indices = order.indices(total);
        indices.truncate(n);
        Ok(Self { examples, indices })
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

    fn outputs(&self) -> Vec<usize> {
        self.examples.outputs()
    }

    fn has_classes(&self) -> bool {
        self.examples.has_classes()
    }

    fn loss_factor(&self, class_weights: Option<&[f64]>) -> Result<f64> {
        self.examples.loss_factor(class_weights)
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        check_indices(self.name(), self.len(), indices)?;
        let own = indices.iter().map(|&index| self.indices[index as usize]);
        let own: Vec<u32> = own.collect();
        self.examples.gather(&own, dtype, device)
    }
}
