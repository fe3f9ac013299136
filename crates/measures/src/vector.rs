//! Flat vectors: norms and sums in double precision, draws, and what settings may be.
//!
//! Random draw i is a function of the seed and i alone (a ChaCha8 stream per draw), made in double
//! precision and rounded to the number type of θ.

use candle_core::{DType, Device, Tensor};
use flatness_kernels::norm;
use flatness_operator::check_dim;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::Error;

/// Distribution of the independent elements of a draw.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Draw {
    /// Standard normal.
    Gaussian,
    /// Uniform on −1 to 1.
    Uniform,
    /// −1 or 1 with equal chance.
    Rademacher,
}

impl Draw {
    /// Draw number `index` of `length` elements, in the number type and on the device of `like`.
    pub(crate) fn vector(
        self,
        length: usize,
        like: &Tensor,
        seed: u64,
        index: usize,
    ) -> Result<Tensor, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let elements: Vec<f64> = (0..length)
            .map(|_| match self {
                Self::Gaussian => rng.sample(StandardNormal),
                Self::Uniform => rng.random_range(-1.0..=1.0),
                Self::Rademacher if rng.random() => 1.0,
                Self::Rademacher => -1.0,
            })
            .collect();
        Ok(Tensor::from_vec(elements, length, &Device::Cpu)?
            .to_dtype(like.dtype())?
            .to_device(like.device())?)
    }
}

/// `vector` / ‖`vector`‖, in the same shape.
///
/// # Errors
/// [`Error::NoDirection`] for one that is zero or not finite.
pub fn unit(vector: &Tensor) -> Result<Tensor, Error> {
    let length = length("the vector to be normalised", vector)?;
    Ok((vector / length)?)
}

/// ‖x‖ of what is to point somewhere.
pub(crate) fn length(what: &'static str, x: &Tensor) -> Result<f64, Error> {
    let length = norm(x)?;
    if length.is_finite() && length > 0.0 {
        return Ok(length);
    }
    Err(Error::NoDirection { what })
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
    check_dim(what, vector, theta.elem_count())?;
    flatness_operator::check_like(what, vector, theta.dtype(), theta.device())?;
    Ok(())
}

/// Refuses a setting that is not a positive number.
pub(crate) fn check_positive(field: &'static str, got: f64) -> Result<(), Error> {
    check_real(field, "above 0", got, got > 0.0)
}

/// Refuses a setting that is negative or not a number.
pub(crate) fn check_from_zero(field: &'static str, got: f64) -> Result<(), Error> {
    check_real(field, "from 0", got, got >= 0.0)
}

fn check_real(
    field: &'static str,
    expected: &'static str,
    got: f64,
    fits: bool,
) -> Result<(), Error> {
    if fits && got.is_finite() {
        return Ok(());
    }
    Err(Error::OutOfRange {
        field,
        expected,
        got,
    })
}

/// Refuses a count of zero.
pub(crate) fn check_count(field: &'static str, got: usize) -> Result<(), Error> {
    if got == 0 {
        return Err(Error::Zero { field });
    }
    Ok(())
}

/// Refuses a number of draws too small for a standard error.
pub(crate) fn check_draws(field: &'static str, got: usize) -> Result<(), Error> {
    if got < 2 {
        return Err(Error::TooFewDraws { field, got });
    }
    Ok(())
}
