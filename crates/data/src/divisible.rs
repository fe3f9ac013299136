//! Parts of examples that are examples of the same kind: training, validation, a choice for a seed.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::subset::Subset;

/// Examples that can be divided.
pub trait Divisible: Examples + Clone {
    /// Those of `range`, not empty and in 0..N, without a copy; the range is appended to the name.
    ///
    /// # Errors
    /// Labels that are none by themselves, such as ignored ones alone.
    fn range(&self, range: Range<usize>) -> Result<Self>;

    /// Those at `indices`, each below N, with this name.
    ///
    /// # Errors
    /// As [`Divisible::range`].
    fn at(&self, indices: &[u32], name: String) -> Result<Self>;

    /// The first `n`.
    ///
    /// # Errors
    /// When `n` is 0 or more than there are.
    fn take(&self, n: usize) -> Result<Self> {
        let len = self.len();
        if !(1..=len).contains(&n) {
            let expected = format!("from 1 to {len}");
            return Err(Error::field(self.name(), "number of examples", expected, n));
        }
        if n == len {
            return Ok(self.clone());
        }
        self.range(0..n)
    }

    /// `n` examples without repetition, all choices alike likely, in the order of [`Subset::random`] with `seed`: so is its
    /// own beginning of any length.
    ///
    /// # Errors
    /// When `n` is 0 or more than there are.
    fn sample(&self, n: usize, seed: u64) -> Result<Self> {
        let sample = Subset::random(self, n, seed)?;
        let name = format!("{}[{n} of seed {seed}]", self.name());
        self.at(sample.indices(), name)
    }

    /// All but the last `n` examples, and the last `n`: training and validation.
    ///
    /// # Errors
    /// When one of the two parts would be empty.
    fn split_tail(&self, n: usize) -> Result<(Self, Self)> {
        let len = self.len();
        if !(1..len).contains(&n) {
            let expected = format!("from 1 to {}", len - 1);
            return Err(Error::field(
                self.name(),
                "number of validation examples",
                expected,
                n,
            ));
        }
        let middle = len - n;
        Ok((self.range(0..middle)?, self.range(middle..len)?))
    }
}
