//! A multiple of an operator: W = s V A, V and W (k, dim).

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::check_scalar;
use crate::{Error, LinearOperator};

/// s A.
#[derive(Debug, Clone)]
pub struct Scaled<Operator> {
    operator: Operator,
    factor: f64,
}

impl<Operator: LinearOperator> Scaled<Operator> {
    /// Multiplies `operator` by `factor`.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteScalar`].
    pub fn new(operator: Operator, factor: f64) -> Result<Self, Error> {
        let factor = check_scalar("the factor", factor)?;
        Ok(Self { operator, factor })
    }
}

impl<Operator: LinearOperator> LinearOperator for Scaled<Operator> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn dtype(&self) -> DType {
        self.operator.dtype()
    }

    fn device(&self) -> &Device {
        self.operator.device()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        Ok(self
            .operator
            .apply_block(vectors)?
            .affine(self.factor, 0.0)?)
    }
}
