//! Checks of the tensors that come from outside, so that an error names them and not an operation
//! inside a kernel.

use std::fmt::Display;

use candle_core::{DType, Tensor};

use crate::Error;

/// Fails unless `tensor`, which the message calls `place`, has the shape `expected`.
pub(crate) fn expect_shape(
    place: impl Display,
    tensor: &Tensor,
    expected: &[usize],
) -> Result<(), Error> {
    if tensor.dims() == expected {
        return Ok(());
    }
    Err(Error::Shape {
        place: place.to_string(),
        expected: expected.to_vec(),
        got: tensor.dims().to_vec(),
    })
}

/// Fails unless `tensor`, which the message calls `place`, has the number type `expected`.
pub(crate) fn expect_number_type(
    place: impl Display,
    tensor: &Tensor,
    expected: DType,
) -> Result<(), Error> {
    if tensor.dtype() == expected {
        return Ok(());
    }
    Err(number_type(place, tensor, expected.as_str()))
}

/// Fails unless `tensor`, which the message calls `place`, is of f32 or f64.
pub(crate) fn expect_float(place: impl Display, tensor: &Tensor) -> Result<(), Error> {
    if matches!(tensor.dtype(), DType::F32 | DType::F64) {
        return Ok(());
    }
    Err(number_type(place, tensor, "f32 or f64"))
}

fn number_type(place: impl Display, tensor: &Tensor, expected: &'static str) -> Error {
    Error::NumberType {
        place: place.to_string(),
        expected,
        got: tensor.dtype().as_str(),
    }
}
