//! The diagonal of a matrix with the error of each entry, and of all of it.
//!
//! With d the estimate of diag A and σ its standard errors,
//!
//! ```text
//! E ‖d − diag A‖² = ‖σ‖²,   ‖diag A‖² ≈ ‖d‖² − ‖σ‖²
//! P(‖d − diag A‖ ≤ t ‖σ‖) ≥ confidence
//! ```
//!
//! with Student's t: of all sums of squares of normal numbers, correlated or not, with the same mean
//! a single square has the longest tail beyond 1.54 times the mean, which is a confidence of 79 %
//! (Székely and Bakirov, Probab. Theory Relat. Fields 126, 2003). Where many entries err as much as
//! each other, ‖d − diag A‖ is nearly always ‖σ‖ itself, and this bound twice as much as is needed.

use candle_core::Tensor;
use flatness_kernels::norm;

use crate::estimate::quantile;
use crate::product::{Precision, epsilon};
use crate::{Error, Estimate};

/// The outcome of [`crate::xdiag_until`].
#[derive(Debug, Clone)]
pub struct Diagonal {
    /// aᵢᵢ, (dim), in the operator's element type.
    pub values: Tensor,
    /// Standard error over probes at each entry, (dim), with the covariance of the dᵢ that sharing a
    /// sketch gives them, and never less than the rounding of the products. Intervals take Student's t of
    /// probes − 1 degrees of freedom.
    pub standard_errors: Tensor,
    /// Number of probes.
    pub probes: usize,
    /// Matrix-vector products used.
    pub products: usize,
    /// Seed of the probes.
    pub seed: u64,
}

impl Diagonal {
    /// Half-widths per standard error.
    pub(crate) fn quantile(&self, confidence: f64) -> Result<f64, Error> {
        // A single probe is of one dimension, and nothing but rounding is in its errors.
        quantile(self.probes.max(2), confidence)
    }

    /// ‖diag A‖, with the error of the whole diagonal, which is no less than that of its norm: the
    /// root mean square of ‖values − diag A‖ as the standard error, and a half-width that bounds
    /// ‖values − diag A‖ at any confidence of 79 % or more. The squared error is taken out of the
    /// squared norm, and where it is more than that the norm is zero.
    ///
    /// # Errors
    ///
    /// A failed tensor operation.
    pub fn norm(&self) -> Result<Estimate, Error> {
        let (whole, standard_error) = (norm(&self.values)?, norm(&self.standard_errors)?);
        let precision = Precision {
            epsilon: epsilon(self.values.dtype())?,
            scale: 0.0,
        };
        let square = (whole - standard_error) * (whole + standard_error);
        Ok(Estimate {
            value: square.max(0.0).sqrt(),
            standard_error,
            rounding: precision.of_sum(whole),
            probes: self.probes,
            products: self.products,
            seed: self.seed,
        })
    }

    /// A bound of ‖values − diag A‖ / ‖diag A‖ at a confidence of 79 % or more, the half-width of
    /// [`norm`](Self::norm) over its value: what a [`crate::Goal`] is compared with. Infinite where
    /// the norm is zero, unless the error is.
    ///
    /// # Errors
    ///
    /// As [`crate::Estimate::half_width`]; a failed tensor operation.
    pub fn relative_error(&self, confidence: f64) -> Result<f64, Error> {
        let norm = self.norm()?;
        if norm.standard_error == 0.0 {
            return Ok(0.0);
        }
        Ok(self.quantile(confidence)? * norm.standard_error / norm.value)
    }
}
