//! Ranges of hyper-parameters and the fit of vectors.

use candle_core::{DType, Device, Shape, Storage, Tensor};

use crate::Error;

/// Fails unless `holds`, which must be false for NaN.
pub(crate) fn range(
    name: &'static str,
    got: f64,
    expected: &'static str,
    holds: bool,
) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::Range {
        name,
        got,
        expected,
    })
}

/// Fails for a number that is negative or not finite.
pub(crate) fn finite_and_not_negative(name: &'static str, got: f64) -> Result<(), Error> {
    let holds = got.is_finite() && got >= 0.0;
    range(name, got, "that is finite and at least 0", holds)
}

/// Fails for a number outside [0, 1).
pub(crate) fn from_zero_below_one(name: &'static str, got: f64) -> Result<(), Error> {
    range(name, got, "in [0, 1)", (0.0..1.0).contains(&got))
}

/// Fails unless the elements of `theta` are f32 or f64.
pub(crate) fn number_type(theta: &Tensor) -> Result<(), Error> {
    match theta.dtype() {
        DType::F32 | DType::F64 => Ok(()),
        got => Err(Error::NumberType { got }),
    }
}

/// Fails for a strided view.
pub(crate) fn contiguous(place: &'static str, vector: &Tensor) -> Result<(), Error> {
    if vector.is_contiguous() {
        return Ok(());
    }
    Err(Error::Strided { place })
}

/// Shape, number type and device of a vector.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    shape: Shape,
    pub(crate) dtype: DType,
    device: Device,
}

impl Form {
    pub(crate) fn of(tensor: &Tensor) -> Self {
        Self {
            shape: tensor.shape().clone(),
            dtype: tensor.dtype(),
            device: tensor.device().clone(),
        }
    }

    /// Fails unless `got` is of this form.
    pub(crate) fn check(&self, place: &str, got: &Tensor) -> Result<(), Error> {
        let got = Self::of(got);
        let same_device = got.device.same_device(&self.device);
        if got.shape == self.shape && got.dtype == self.dtype && same_device {
            return Ok(());
        }
        let describe = |form: &Self| {
            let elements = format!("{:?} of {:?}", form.shape.dims(), form.dtype);
            if same_device {
                return elements;
            }
            format!("{elements} on {:?}", form.device.location())
        };
        Err(Error::Vector {
            place: place.to_owned(),
            expected: describe(self),
            got: describe(&got),
        })
    }
}

/// Fails unless `theta` can be changed by what `gradient` holds, both like `state`.
pub(crate) fn step(
    theta: &Tensor,
    gradient: &Tensor,
    state: &Tensor,
    learning_rate: f64,
) -> Result<(), Error> {
    finite_and_not_negative("the learning rate", learning_rate)?;
    let form = Form::of(state);
    for (place, tensor) in [("parameters", theta), ("gradient", gradient)] {
        form.check(place, tensor)?;
        contiguous(place, tensor)?;
    }
    if storage(theta) == storage(gradient) {
        return Err(Error::Shared);
    }
    Ok(())
}

/// Where the elements live, to be compared only.
fn storage(tensor: &Tensor) -> *const Storage {
    std::ptr::from_ref(&*tensor.storage_and_layout().0)
}
