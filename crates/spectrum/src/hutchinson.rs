//! Hutchinson's estimator: Tr A = E[zᵀ A z] for E[z zᵀ] = I.
//!
//! With Rademacher probes (Hutchinson, Commun. Stat. Simul. Comput. 19, 1990) the variance of one
//! form is 2 Σ_{i≠j} aᵢⱼ², with Gaussian ones 2 ‖A‖_F². [`crate::moments`] takes ‖A‖_F² from the
//! same products.

use flatness_operator::LinearOperator;

use crate::estimate::Accumulator;
use crate::product::{epsilon, multiply, row_dots};
use crate::settings::{check_positive, check_probes};
use crate::{Error, Estimate, Probe};

/// What [`hutchinson`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HutchinsonSettings {
    /// Probes, at least 2; one product each.
    pub probes: usize,
    /// Vectors per block product, at least 1.
    pub block: usize,
    /// Distribution of the probes.
    pub probe: Probe,
    /// Seed of the probes.
    pub seed: u64,
}

/// Estimates Tr A.
///
/// # Errors
///
/// As [`crate::moments`].
pub fn hutchinson<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &HutchinsonSettings,
) -> Result<Estimate, Error> {
    let HutchinsonSettings {
        probes,
        block,
        probe,
        seed,
    } = *settings;
    check_probes(probes, block)?;
    check_positive("the operator's dimension", operator.dim())?;
    epsilon(operator.dtype())?;
    let mut accumulator = Accumulator::default();
    for first in (0..probes).step_by(block) {
        let last = probes.min(first.saturating_add(block));
        let vectors = probe.rows(operator, first..last, seed)?;
        let products = multiply(operator, &vectors)?;
        for (offset, form) in row_dots(&vectors, &products)?.into_iter().enumerate() {
            if !form.is_finite() {
                return Err(Error::NonFiniteProduct {
                    probe: first + offset,
                    product: 0,
                });
            }
            accumulator.push(form);
        }
    }
    Ok(accumulator.estimate(probes, seed))
}
