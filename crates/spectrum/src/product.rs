//! What every method here asks of an operator, and of each product it returns.

use candle_core::{DType, Tensor};
use flatness_kernels::dot;
use flatness_operator::LinearOperator;

use crate::Error;

/// Rounding of a product of unit vectors that a residual does not see, in units of ε ‖A‖. The norms
/// of rounding errors of two Gram-Schmidt passes and of a matrix product come to a few.
const ROUNDING: f64 = 8.0;

/// A length below this many ε ‖A‖ is the rounding of a product, not a direction. Missing a breakdown by a
/// factor costs further steps on a random direction of the complement, which is harmless; declaring one
/// too early would cut off small eigenvalues, so the bound stays close to ε.
const BREAKDOWN: f64 = 64.0;

/// How well an operator's products are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Precision {
    /// Machine epsilon of the element type, which is the unit of every rounding bound.
    pub(crate) epsilon: f64,
    /// [`LinearOperator::scale`]
    pub(crate) scale: f64,
}

impl Precision {
    pub(crate) fn of(operator: &dyn LinearOperator) -> Result<Self, Error> {
        Ok(Self {
            epsilon: epsilon(operator.dtype())?,
            scale: operator.scale(),
        })
    }

    /// Error of an eigenvalue or a residual of an operator of this norm, from products of unit vectors.
    pub(crate) fn rounding(self, norm: f64) -> f64 {
        ROUNDING * self.epsilon * norm.max(self.scale)
    }

    /// Error of a sum of such products whose terms have magnitudes of this sum.
    pub(crate) fn of_sum(self, magnitudes: f64) -> f64 {
        ROUNDING * self.epsilon * magnitudes
    }

    /// What is shorter than this is the rounding of a product with an operator of this norm.
    pub(crate) fn breakdown(self, norm: f64) -> f64 {
        BREAKDOWN * self.epsilon * norm.max(self.scale)
    }
}

/// Machine epsilon of an element type.
pub(crate) fn epsilon(dtype: DType) -> Result<f64, Error> {
    match dtype {
        DType::F32 => Ok(f64::from(f32::EPSILON)),
        DType::F64 => Ok(f64::EPSILON),
        got => Err(Error::UnsupportedDType { got }),
    }
}

/// A V for the rows of V, (k, dim) -> (k, dim), checked to be of the shape and element type
/// promised.
pub(crate) fn multiply(operator: &dyn LinearOperator, vectors: &Tensor) -> Result<Tensor, Error> {
    let products = operator.apply_block(vectors)?;
    if products.dims() != vectors.dims() || products.dtype() != vectors.dtype() {
        return Err(Error::ProductMismatch {
            expected: vectors.dims().to_vec(),
            expected_dtype: vectors.dtype(),
            got: products.dims().to_vec(),
            got_dtype: products.dtype(),
        });
    }
    Ok(products)
}

/// uᵢ · wᵢ for the rows of two (k, dim) tensors, with the sums in double precision.
pub(crate) fn row_dots(left: &Tensor, right: &Tensor) -> Result<Vec<f64>, Error> {
    let row = |tensor: &Tensor, row| tensor.narrow(0, row, 1);
    (0..left.dim(0)?)
        .map(|index| Ok(dot(&row(left, index)?, &row(right, index)?)?))
        .collect()
}
