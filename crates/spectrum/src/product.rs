//! What every method here asks of an operator, and of each product it returns.

use candle_core::{DType, Tensor};
use flatness_kernels::dot;
use flatness_operator::LinearOperator;

use crate::Error;

/// Machine epsilon of the operator's element type, which is the unit of every rounding bound.
pub(crate) fn epsilon(dtype: DType) -> Result<f64, Error> {
    match dtype {
        DType::F32 => Ok(f64::from(f32::EPSILON)),
        DType::F64 => Ok(f64::EPSILON),
        got => Err(Error::UnsupportedDType { got }),
    }
}

/// A V for the rows of V, (k, dim) -> (k, dim), checked to be of the shape and element type
/// promised.
pub(crate) fn multiply<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    vectors: &Tensor,
) -> Result<Tensor, Error> {
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

/// ‖w‖ of a tensor of any shape, with the sum in double precision.
pub(crate) fn norm(tensor: &Tensor) -> Result<f64, Error> {
    Ok(flatness_kernels::norm(tensor)?)
}
