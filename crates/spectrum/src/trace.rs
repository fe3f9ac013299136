//! Trace and squared Frobenius norm from the same random products.
//!
//! ```text
//! E[zᵀ A z] = Tr A,   E[‖A z‖²] = ‖A‖_F²   for E[z zᵀ] = I
//! ```
//!
//! With Rademacher probes (Hutchinson, Commun. Stat. Simul. Comput. 19, 1990) the variance of one
//! probe's zᵀ A z is 2 Σ_{i≠j} a_ij²: a diagonal matrix is exact from any probe.

use flatness_operator::LinearOperator;

use crate::estimate::Accumulator;
use crate::product::{epsilon, multiply, row_dots};
use crate::settings::{check_positive, check_probes};
use crate::{Error, Estimate, Probe};

/// What [`moments`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MomentsSettings {
    /// Rademacher probes, at least 2; one product each.
    pub probes: usize,
    /// Vectors per block product, at least 1: 2 × block × dim elements of memory. It changes the
    /// speed, not the probes.
    pub block: usize,
    /// Seed of the probes.
    pub seed: u64,
}

/// The first two moments of a spectrum. Both estimates come from the same products.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Tr A = Σ λᵢ
    pub trace: Estimate,
    /// ‖A‖_F² = Σ λᵢ²; [`Estimate::sqrt`] gives the norm.
    pub frobenius_squared: Estimate,
}

/// Estimates Tr A and ‖A‖_F² from Rademacher probes.
///
/// # Errors
///
/// [`Error::TooFewProbes`], [`Error::Zero`] for an empty block or an operator of dimension 0,
/// [`Error::UnsupportedDType`], [`Error::NonFiniteProduct`] with the probe,
/// [`Error::ProductMismatch`], and the operator's own.
pub fn moments<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &MomentsSettings,
) -> Result<Moments, Error> {
    let MomentsSettings {
        probes,
        block,
        seed,
    } = *settings;
    check_probes(probes, block)?;
    check_positive("the operator's dimension", operator.dim())?;
    epsilon(operator.dtype())?;
    let mut trace = Accumulator::default();
    let mut frobenius_squared = Accumulator::default();
    for first in (0..probes).step_by(block) {
        let last = probes.min(first.saturating_add(block));
        let vectors = Probe::Rademacher.rows(operator, first..last, seed)?;
        let products = multiply(operator, &vectors)?;
        let forms = row_dots(&vectors, &products)?;
        let squares = row_dots(&products, &products)?;
        for (offset, (form, square)) in forms.into_iter().zip(squares).enumerate() {
            if !(form.is_finite() && square.is_finite()) {
                return Err(Error::NonFiniteProduct {
                    probe: first + offset,
                    product: 0,
                });
            }
            trace.push(form);
            frobenius_squared.push(square);
        }
    }
    Ok(Moments {
        trace: trace.estimate(probes, seed),
        frobenius_squared: frobenius_squared.estimate(probes, seed),
    })
}
