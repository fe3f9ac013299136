//! Numbers that are functions of the whole spectrum, from the Gauss rules of `quadrature.rs`.
//!
//! ```text
//! ln det(A + s I) = Σ ln(λᵢ + s)      ‖A‖_* = Σ |λᵢ|      ‖A‖_F² = Σ λᵢ²
//! rank_τ = #{i: |λᵢ| > τ}             #{i: a ≤ λᵢ ≤ b}
//! erank = exp(−Σ pᵢ ln pᵢ),  pᵢ = |λᵢ| / ‖A‖_*      (Roy and Vetterli, EUSIPCO 2007)
//! ```
//!
//! Each is a sum over all eigenvalues, or a ratio θ of such sums. The standard error is over probes;
//! that of a ratio has two parts:
//!
//! ```text
//! √(Σ (θᵢ* − θ*)² / (n (n − 1))) + √(Σ_{i < j} qᵢⱼ² / n²),   θ* = (1/n) Σ θᵢ*
//! θᵢ* = n θ − (n − 1) θ₍ᵢ₎
//! qᵢⱼ = n θ − (n − 1) (θ₍ᵢ₎ + θ₍ⱼ₎) + (n − 2) θ₍ᵢⱼ₎
//! ```
//!
//! where θ₍ᵢ₎ and θ₍ᵢⱼ₎ leave probes out. The first is Tukey's jackknife, whose bias correction the
//! value θ* takes, and of the first order: it vanishes with the slope of the ratio at the sums found,
//! which where the ratio is near an extremum has nothing to do with its error (the square of a mean
//! near zero lies in intervals of the first part 79 % of the time). The second is the root of what
//! pairs of probes add to the variance (Efron and Stein, Ann. Stat. 9, 1981). The two are added as
//! they are at the end of an interval, where slope and bend pull the same way, and not as variances,
//! which would still leave 88 %.
//!
//! No standard error holds the error of the rule, which [`Quadrature::step_error`] estimates: the
//! functions with a kink or a step (|λ|, counts and ranks) converge slowly in the steps unless the step
//! falls into a gap of the spectrum.

use std::ops::RangeInclusive;

use crate::error::{check_positive_real, check_real};
use crate::estimate::Accumulator;
use crate::sums::Integral;
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
        Ok(self.number([-threshold, threshold], |value| value.abs() > threshold))
    }

    /// Number of eigenvalues in `interval`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for an end that is not a number or an interval that holds none.
    pub fn count(&self, interval: RangeInclusive<f64>) -> Result<Estimate, Error> {
        let (field, expected) = ("the upper end of the interval", "not below the lower end");
        check_real(field, expected, *interval.end(), !interval.is_empty())?;
        let ends = [*interval.start(), *interval.end()];
        Ok(self.number(ends, |value| interval.contains(&value)))
    }

    /// The effective rank exp(H) of Roy and Vetterli: H is the entropy of |λᵢ| / ‖A‖_*. Between 1
    /// (one eigenvalue) and the dimension (all of the same size). By the jackknife of first and second order;
    /// where a probe or two hold all there is, the error is infinite.
    ///
    /// With 8 to 32 Gaussian probes the 95 % intervals held the truth 91.5 to 99.1 % of the time on
    /// spectra of 19 kinds, and always where the ratio is stationary: one eigenvalue of 50.5 over 24
    /// of 0.5 is such a case, and the interval is wide for what the ratio does there.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroOperator`].
    pub fn effective_rank(&self) -> Result<Estimate, Error> {
        let sizes = self.integrals(f64::abs)?;
        let logarithms = self.integrals(|value| {
            let size = value.abs();
            if size == 0.0 { 0.0 } else { size * size.ln() }
        })?;
        self.check_range()?;
        // H = ln S − (Σ |λ| ln |λ|) / S, S = Σ |λ|
        let rank = |size: f64, logarithm: f64| (size.ln() - logarithm / size).exp();
        let (probes, count) = (sizes.len(), sizes.len() as f64);
        let sum = |sums: &[Integral]| sums.iter().map(|one| one.value).sum::<f64>();
        let (size, logarithm) = (sum(&sizes), sum(&logarithms));
        let whole = rank(size / count, logarithm / count);
        let without = |left_out: &[usize]| {
            let sum_of = |sums: &[Integral]| -> f64 {
                left_out.iter().map(|&probe| sums[probe].value).sum()
            };
            let rest = size - sum_of(&sizes);
            if rest <= count * f64::EPSILON * size {
                return f64::INFINITY;
            }
            let kept = (probes - left_out.len()) as f64;
            rank(rest / kept, (logarithm - sum_of(&logarithms)) / kept)
        };
        let singles: Vec<f64> = (0..probes).map(|probe| without(&[probe])).collect();
        let mut accumulator = Accumulator::default();
        let mut second_order = 0.0;
        for (i, first) in singles.iter().enumerate() {
            // The ratio of two sums, each rounded by that share.
            let rounding = self.precision.of_sum(whole.abs());
            accumulator.push(count * whole - (count - 1.0) * first, rounding);
            for (j, second) in singles.iter().enumerate().take(i) {
                let ones = count * whole - (count - 1.0) * (first + second);
                // Of two probes none is left without both, and the term has no weight.
                let both = if probes == 2 {
                    0.0
                } else {
                    (count - 2.0) * without(&[i, j])
                };
                second_order += (ones + both).powi(2);
            }
        }
        let estimate = accumulator.estimate(self.products, self.seed);
        let standard_error = estimate.standard_error + second_order.sqrt() / count;
        let (value, standard_error) = if standard_error.is_finite() {
            (estimate.value, standard_error)
        } else {
            (whole, f64::INFINITY)
        };
        Ok(Estimate {
            value,
            standard_error,
            ..estimate
        })
    }
}
