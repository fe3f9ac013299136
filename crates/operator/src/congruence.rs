//! A diagonal congruence: W = ((V ∘ d) A) ∘ d, that is D A D with D = diag(d); d (dim), V and W (k,
//! dim).
//!
//! With d = |θ| the spectral norm of D A D is the elementwise-adaptive sharpness: the worst
//! curvature over perturbations measured relative to each weight.

use candle_core::{DType, Tensor};

use crate::linear_operator::{check_block, check_dim, check_like};
use crate::{Error, LinearOperator};

/// D A D for a diagonal matrix D; symmetric whenever A is.
#[derive(Debug, Clone)]
pub struct Congruence<Operator> {
    operator: Operator,
    /// (dim)
    diagonal: Tensor,
    scale: f64,
}

impl<Operator: LinearOperator> Congruence<Operator> {
    /// Surrounds `operator` with the diagonal matrix whose diagonal is `diagonal` (dim).
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`], [`Error::DTypeMismatch`], [`Error::DeviceMismatch`] unless
    /// `diagonal` is a vector the operator could multiply; a failed tensor operation.
    pub fn new(operator: Operator, diagonal: &Tensor) -> Result<Self, Error> {
        let what = "the diagonal";
        check_dim(what, diagonal, operator.dim())?;
        check_like(what, diagonal, operator.dtype(), operator.device())?;
        let largest = diagonal.abs()?.max(0)?.to_dtype(DType::F64)?;
        let scale = operator.scale() * largest.to_scalar::<f64>()?.powi(2);
        Ok(Self {
            operator,
            diagonal: diagonal.clone(),
            scale,
        })
    }
}

impl<Operator: LinearOperator> LinearOperator for Congruence<Operator> {
    crate::space_of!(operator);

    fn scale(&self) -> f64 {
        self.scale
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        check_block(self, vectors)?;
        let scaled = vectors.broadcast_mul(&self.diagonal)?;
        let product = self.operator.apply_block(&scaled)?;
        Ok(product.broadcast_mul(&self.diagonal)?)
    }
}
