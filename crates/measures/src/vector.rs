//! Norms and sums of flat vectors, in double precision whatever their own.

use candle_core::{DType, Tensor};

use crate::Error;

/// ‖x‖.
pub(crate) fn norm(x: &Tensor) -> Result<f64, Error> {
    Ok(flatness_kernels::norm(x)?)
}

/// Σ xᵢ.
pub(crate) fn sum(x: &Tensor) -> Result<f64, Error> {
    Ok(x.to_dtype(DType::F64)?.sum_all()?.to_scalar()?)
}

/// max |xᵢ| of at least one element.
pub(crate) fn largest(x: &Tensor) -> Result<f64, Error> {
    let magnitudes = x.abs()?.flatten_all()?.max(0)?;
    Ok(magnitudes.to_dtype(DType::F64)?.to_scalar()?)
}

/// Refuses a `vector` that cannot be added to `theta` (P).
pub(crate) fn check_like(what: &'static str, theta: &Tensor, vector: &Tensor) -> Result<(), Error> {
    if vector.dims() != theta.dims() {
        return Err(Error::Shape {
            what,
            expected: theta.elem_count(),
            got: vector.dims().to_vec(),
        });
    }
    if vector.dtype() != theta.dtype() {
        return Err(Error::NumberType {
            what,
            expected: theta.dtype().as_str(),
            got: vector.dtype().as_str(),
        });
    }
    let (expected, got) = (theta.device().location(), vector.device().location());
    if expected != got {
        return Err(Error::Device {
            what,
            expected,
            got,
        });
    }
    Ok(())
}

/// Refuses a setting that is not a positive number.
pub(crate) fn check_positive(field: &'static str, got: f64) -> Result<(), Error> {
    if got.is_finite() && got > 0.0 {
        return Ok(());
    }
    Err(Error::OutOfRange {
        field,
        expected: "above 0",
        got,
    })
}

/// Refuses a number of draws too small for a standard error.
pub(crate) fn check_draws(field: &'static str, got: usize) -> Result<(), Error> {
    if got < 2 {
        return Err(Error::TooFewDraws { field, got });
    }
    Ok(())
}
