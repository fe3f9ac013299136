//! The trait: W = V Aᵀ = (A Vᵀ)ᵀ for a block V (k, dim) of row vectors; A symmetric, real, dim ×
//! dim.

use candle_core::{DType, Device, Tensor};

use crate::Error;

/// A symmetric real matrix known by its products with vectors.
///
/// Implementers promise that A is symmetric, that a product depends on the vector alone (no fresh
/// random numbers), and that a row of [`apply_block`](Self::apply_block) does not depend on the
/// other rows beyond rounding.
pub trait LinearOperator {
    /// Number of rows and columns of A.
    fn dim(&self) -> usize;

    /// Element type of the vectors taken and returned.
    fn dtype(&self) -> DType;

    /// Device of the vectors taken and returned.
    fn device(&self) -> &Device;

    /// Norm of the terms whose difference A is, 0 where nothing cancels. A product of a unit vector is
    /// rounded by ε times this or ‖A‖, whichever is larger: of a matrix that is zero but for the rounding
    /// of its terms, nothing but that is seen.
    fn scale(&self) -> f64 {
        0.0
    }

    /// A v for each row v of `vectors`: (k, dim) -> (k, dim), k at least 1.
    ///
    /// # Errors
    ///
    /// A shape, dtype or device other than the operator's own (see [`check_block`]), a failed
    /// tensor operation, or the implementer's own failure as [`Error::Source`].
    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error>;

    /// A v: (dim) -> (dim).
    ///
    /// # Errors
    ///
    /// As [`apply_block`](Self::apply_block), and for a tensor that is not one-dimensional.
    fn apply(&self, vector: &Tensor) -> Result<Tensor, Error> {
        check_dim("the vector", vector, self.dim())?;
        Ok(self.apply_block(&vector.unsqueeze(0)?)?.squeeze(0)?)
    }
}

/// The methods of [`LinearOperator`] that an operator on the space of another one, its field `$operator`, takes
/// from that.
#[macro_export]
macro_rules! space_of {
    ($operator:tt) => {
        fn dim(&self) -> usize {
            $crate::LinearOperator::dim(&self.$operator)
        }

        fn dtype(&self) -> ::candle_core::DType {
            $crate::LinearOperator::dtype(&self.$operator)
        }

        fn device(&self) -> &::candle_core::Device {
            $crate::LinearOperator::device(&self.$operator)
        }
    };
}

/// Checks that `vectors` is what `operator` takes and returns its number of rows k: the first line
/// of an implementation of [`LinearOperator::apply_block`].
///
/// # Errors
///
/// [`Error::ShapeMismatch`] unless the shape is (k, dim) with k at least 1,
/// [`Error::DTypeMismatch`], [`Error::DeviceMismatch`].
pub fn check_block(operator: &dyn LinearOperator, vectors: &Tensor) -> Result<usize, Error> {
    let what = "the block of vectors";
    let rows = match *vectors.dims() {
        [rows, dim] if rows > 0 && dim == operator.dim() => rows,
        _ => {
            return Err(Error::ShapeMismatch {
                what,
                expected: format!("(k, {}) with k of at least 1", operator.dim()),
                got: vectors.dims().to_vec(),
            });
        }
    };
    check_like(what, vectors, operator.dtype(), operator.device())?;
    Ok(rows)
}

/// Checks that `tensor`, called `what` in errors, is of this element type and on this device.
///
/// # Errors
///
/// [`Error::DTypeMismatch`], [`Error::DeviceMismatch`].
pub fn check_like(
    what: &'static str,
    tensor: &Tensor,
    dtype: DType,
    device: &Device,
) -> Result<(), Error> {
    if tensor.dtype() != dtype {
        return Err(Error::DTypeMismatch {
            what,
            expected: dtype,
            got: tensor.dtype(),
        });
    }
    let (expected, got) = (device.location(), tensor.device().location());
    if got != expected {
        return Err(Error::DeviceMismatch {
            what,
            expected,
            got,
        });
    }
    Ok(())
}

/// Checks that `tensor`, called `what` in errors, is a vector of `dim` elements.
///
/// # Errors
///
/// [`Error::ShapeMismatch`].
pub fn check_dim(what: &'static str, tensor: &Tensor, dim: usize) -> Result<(), Error> {
    if tensor.dims() == [dim] {
        return Ok(());
    }
    Err(Error::ShapeMismatch {
        what,
        expected: format!("({dim})"),
        got: tensor.dims().to_vec(),
    })
}

impl<Operator: LinearOperator + ?Sized> LinearOperator for &Operator {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn dtype(&self) -> DType {
        (**self).dtype()
    }

    fn device(&self) -> &Device {
        (**self).device()
    }

    fn scale(&self) -> f64 {
        (**self).scale()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        (**self).apply_block(vectors)
    }

    fn apply(&self, vector: &Tensor) -> Result<Tensor, Error> {
        (**self).apply(vector)
    }
}
