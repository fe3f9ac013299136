//! Numbers that are functions of the whole spectrum, from the Gauss rules of `quadrature.rs`.
//!
//! ```text
//! ln det(A + s I) = Σ ln(λᵢ + s)      ‖A‖_* = Σ |λᵢ|      ‖A‖_F² = Σ λᵢ²
//! rank_τ = #{i: |λᵢ| > τ}             #{i: a ≤ λᵢ ≤ b}
//! erank = exp(−Σ pᵢ ln pᵢ),  pᵢ = |λᵢ| / ‖A‖_*      (Roy and Vetterli, EUSIPCO 2007)
//! participation = (Σ λᵢ)² / Σ λᵢ²
//! ```
//!
//! Each is a sum over all eigenvalues, or a ratio of such sums. The standard error is over probes;
//! for a ratio it is the jackknife's (Tukey 1958; Efron and Stein, Ann. Stat. 9, 1981), whose bias
//! correction the value takes. It does not hold the error of the rule: the functions with a kink or
//! a step (|λ|, counts and ranks) converge slowly in the steps unless the step falls into a gap of
//! the spectrum.

use std::ops::RangeInclusive;

use crate::estimate::Accumulator;
use crate::settings::check_positive_real;
use crate::{Error, Estimate, Quadrature};

impl Quadrature {
    /// ln det(A + s I) for a shift s that makes A + s I positive definite.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteIntegrand`] with the first node at which λ + s is not positive.
    pub fn log_determinant(&self, shift: f64) -> Result<Estimate, Error> {
        self.integrate(|value| (value + shift).ln())
    }

    /// ‖A‖_* = Σ |λᵢ|.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteIntegrand`].
    pub fn nuclear_norm(&self) -> Result<Estimate, Error> {
        self.integrate(f64::abs)
    }

    /// ‖A‖_F² = Σ λᵢ²; [`Estimate::sqrt`] gives the norm.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteIntegrand`] where a square overflows.
    pub fn frobenius_squared(&self) -> Result<Estimate, Error> {
        self.integrate(|value| value * value)
    }

    /// Number of eigenvalues with |λ| above `threshold`, in the units of the eigenvalues.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a threshold that is not a positive number.
    pub fn numerical_rank(&self, threshold: f64) -> Result<Estimate, Error> {
        check_positive_real("the threshold", threshold)?;
        self.integrate(|value| f64::from(u8::from(value.abs() > threshold)))
    }

    /// Number of eigenvalues in `interval`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for an end that is not a number or an interval that holds none.
    pub fn count(&self, interval: RangeInclusive<f64>) -> Result<Estimate, Error> {
        if interval.is_empty() {
            return Err(Error::OutOfRange {
                field: "the upper end of the interval",
                expected: "not below the lower end",
                got: *interval.end(),
            });
        }
        self.integrate(|value| f64::from(u8::from(interval.contains(&value))))
    }

    /// The effective rank exp(H) of Roy and Vetterli: H is the entropy of |λᵢ| / ‖A‖_*. Between 1
    /// (one eigenvalue) and the dimension (all of the same size).
    ///
    /// The error is a jackknife over probes, to first order: where the ratio is nearly stationary in
    /// them (few dimensions, or few large eigenvalues beside many equal ones) it is too small; its
    /// 95 % intervals held the truth on 78 to 95 % of the seeds, by the spectrum.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroOperator`].
    pub fn effective_rank(&self) -> Result<Estimate, Error> {
        let sums = self.integrals(f64::abs)?;
        let logarithms = self.integrals(|value| {
            let size = value.abs();
            if size == 0.0 { 0.0 } else { size * size.ln() }
        })?;
        // H = ln S − (Σ |λ| ln |λ|) / S, S = Σ |λ|
        self.jackknife(&sums, &logarithms, |sum, logarithm| {
            (sum.ln() - logarithm / sum).exp()
        })
    }

    /// The participation ratio (Tr A)² / ‖A‖_F²: the number of equal eigenvalues that a positive
    /// semi-definite matrix of this trace and norm would have.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroOperator`].
    pub fn participation_ratio(&self) -> Result<Estimate, Error> {
        let squares = self.integrals(|value| value * value)?;
        let traces = self.integrals(|value| value)?;
        self.jackknife(&squares, &traces, |square, trace| trace * trace / square)
    }

    /// `function` of the means of two sums per probe, by the jackknife's pseudo-values; `sizes` are
    /// not negative, and vanish for a zero matrix alone.
    fn jackknife(
        &self,
        sizes: &[f64],
        others: &[f64],
        function: impl Fn(f64, f64) -> f64,
    ) -> Result<Estimate, Error> {
        let count = sizes.len() as f64;
        let (size, other) = (sizes.iter().sum::<f64>(), others.iter().sum::<f64>());
        if size == 0.0 {
            return Err(Error::ZeroOperator);
        }
        let whole = function(size / count, other / count);
        let mut accumulator = Accumulator::default();
        for (left_out, other_left_out) in sizes.iter().zip(others) {
            let rest = count - 1.0;
            let without = function((size - left_out) / rest, (other - other_left_out) / rest);
            accumulator.push(count * whole - rest * without);
        }
        Ok(accumulator.estimate(self.products, self.seed))
    }
}
