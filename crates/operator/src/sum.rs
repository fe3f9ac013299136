//! The sum of two operators: W = V (A + B), V and W (k, dim).

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::{check_block, check_like};
use crate::{Error, LinearOperator};

/// A + B.
#[derive(Debug, Clone)]
pub struct Sum<First, Second> {
    first: First,
    second: Second,
}

impl<First: LinearOperator, Second: LinearOperator> Sum<First, Second> {
    /// Adds two operators on the same space.
    ///
    /// # Errors
    ///
    /// [`Error::DimensionMismatch`], [`Error::DTypeMismatch`] or [`Error::DeviceMismatch`] if they
    /// differ.
    pub fn new(first: First, second: Second) -> Result<Self, Error> {
        if first.dim() != second.dim() {
            return Err(Error::DimensionMismatch {
                expected: first.dim(),
                got: second.dim(),
            });
        }
        check_like(
            &first,
            "the second operator",
            second.dtype(),
            second.device(),
        )?;
        Ok(Self { first, second })
    }
}

impl<First: LinearOperator, Second: LinearOperator> LinearOperator for Sum<First, Second> {
    fn dim(&self) -> usize {
        self.first.dim()
    }

    fn dtype(&self) -> DType {
        self.first.dtype()
    }

    fn device(&self) -> &Device {
        self.first.device()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        check_block(self, vectors)?;
        let first = self.first.apply_block(vectors)?;
        Ok((first + self.second.apply_block(vectors)?)?)
    }
}
