//! An operator plus a multiple of the identity: W = V (A + s I), V and W (k, dim).
//!
//! With s = γ this is what an L2 penalty (γ/2)‖θ‖² adds to a Hessian.

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::check_block;
use crate::{Error, LinearOperator};

/// A + s I.
#[derive(Debug, Clone)]
pub struct Shifted<Operator> {
    operator: Operator,
    shift: f64,
}

impl<Operator: LinearOperator> Shifted<Operator> {
    /// Adds `shift` to every eigenvalue of `operator`.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteShift`].
    pub fn new(operator: Operator, shift: f64) -> Result<Self, Error> {
        if !shift.is_finite() {
            return Err(Error::NonFiniteShift { got: shift });
        }
        Ok(Self { operator, shift })
    }
}

impl<Operator: LinearOperator> LinearOperator for Shifted<Operator> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn dtype(&self) -> DType {
        self.operator.dtype()
    }

    fn device(&self) -> &Device {
        self.operator.device()
    }

    fn scale(&self) -> f64 {
        self.operator.scale().max(self.shift.abs())
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        check_block(self, vectors)?;
        let product = self.operator.apply_block(vectors)?;
        Ok((product + vectors.affine(self.shift, 0.0)?)?)
    }
}
