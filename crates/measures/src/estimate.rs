//! A number with its errors.
//!
//! ```text
//! mean of n draws      x̄ = (1/n) Σ xᵢ           s.e. = √(Σ (xᵢ − x̄)² / (n (n − 1)))
//! ratio of means       r = ā / b̄                s.e. = √(Σ (aᵢ − r bᵢ)² / (n (n − 1))) / |b̄|
//! rounding             256 ε |L| of each loss subtracted, 64 ε ‖v‖ ‖A v‖ of a form vᵀ A v
//! ```
//!
//! The error of a ratio is that of the delta method on pairs (Cochran, "Sampling Techniques", 1977, section 2.11). A mean of
//! ratios has no error where the denominators change their sign.
//!
//! ε is the distance from 1 to the next number. The factors are ours. A logit z is off by a few ε |z|, and a small
//! loss l by 2 l times as much: losses whose parameters were moved by less than matters scattered by 3 ε |L| where
//! logits were of order one, and by 100 ε |L| at logits of 200, more than networks that are fitted have.

use candle_core::DType;

use crate::Error;

/// ε |L| that rounding may change a loss by.
const OF_LOSS: f64 = 256.0;

/// ε ‖v‖ ‖A v‖ that rounding may change vᵀ A v by.
const OF_FORM: f64 = 64.0;

/// A number estimated from random draws, or from none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error over the draws; zero where there are fewer than two.
    pub standard_error: f64,
    /// What rounding may have changed it by.
    pub rounding: f64,
    /// Number of independent draws; zero where nothing was drawn.
    pub draws: usize,
}

impl Estimate {
    /// Both errors together, √(s.e.² + rounding²): never below the rounding.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.standard_error.hypot(self.rounding)
    }

    /// The mean of `values`, each off by `rounding` at most.
    pub(crate) fn mean(values: &[f64], rounding: f64) -> Self {
        let value = average(values);
        let deviations: Vec<f64> = values.iter().map(|x| x - value).collect();
        Self {
            value,
            standard_error: error_of_mean(&deviations),
            rounding,
            draws: values.len(),
        }
    }

    /// The mean of the first of `pairs` over that of the second, where `roundings` are those of the two means.
    ///
    /// # Errors
    /// [`Error::Unresolved`] for a mean of the denominators, `what`, within two errors of zero.
    pub(crate) fn ratio(
        what: &'static str,
        [numerators, denominators]: [&[f64]; 2],
        roundings: [f64; 2],
    ) -> Result<Self, Error> {
        let below = Self::mean(denominators, roundings[1]).resolved(what)?.value;
        let value = average(numerators) / below;
        let pairs = numerators.iter().zip(denominators);
        let deviations: Vec<f64> = pairs.map(|(a, b)| a - value * b).collect();
        Ok(Self {
            value,
            standard_error: error_of_mean(&deviations) / below.abs(),
            rounding: (roundings[0] + value.abs() * roundings[1]) / below.abs(),
            draws: numerators.len(),
        })
    }

    /// Refuses what is within two errors of zero, to be divided by.
    pub(crate) fn resolved(self, what: &'static str) -> Result<Self, Error> {
        if self.value.abs() > 2.0 * self.error() {
            return Ok(self);
        }
        Err(Error::Unresolved {
            what,
            value: self.value,
            error: self.error(),
        })
    }
}

pub(crate) fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// √(Σ dᵢ² / (n (n − 1))); zero for fewer than two.
fn error_of_mean(deviations: &[f64]) -> f64 {
    let count = deviations.len() as f64;
    if count < 2.0 {
        return 0.0;
    }
    let squares: f64 = deviations.iter().map(|d| d * d).sum();
    (squares / (count * (count - 1.0))).sqrt()
}

/// What rounding may change a difference by of losses that have these `magnitudes` together.
pub(crate) fn rounding(magnitudes: f64) -> f64 {
    OF_LOSS * f64::EPSILON * magnitudes
}

/// What rounding in `dtype` may change vᵀ A v by, for this ‖v‖ ‖A v‖.
pub(crate) fn rounding_of_form(dtype: DType, norms: f64) -> f64 {
    let epsilon = match dtype {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    OF_FORM * epsilon * norms
}
