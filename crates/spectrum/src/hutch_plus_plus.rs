//! Hutch++: the trace on a sketched range exactly, and the rest by random forms.
//!
//! ```text
//! Tr A ≈ Tr Qᵀ A Q + (1/n) Σ gᵀ A g,   g = (I − Q Qᵀ) z
//! ```
//!
//! Q spans A S for a random S of `rank` columns, z are Rademacher probes (Meyer, Musco, Musco and
//! Woodruff, SOSA 2021, Algorithm 1, which takes a third of the products for each of A S, A Q and
//! A g). The standard error is that of the forms, over independent probes for a given Q.

use flatness_operator::LinearOperator;

use crate::estimate::Accumulator;
use crate::product::{multiply, row_dots};
use crate::settings::check_probes;
use crate::sketch::{Sketch, check_sketch};
use crate::{Error, Estimate, Probe};

/// What [`hutch_plus_plus`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HutchPlusPlusSettings {
    /// Vectors of the sketch, from 1 to the operator's dimension: 2 products each and 2 × rank ×
    /// dim elements of memory.
    pub rank: usize,
    /// Probes of the rest, at least 2: 1 product each.
    pub probes: usize,
    /// Vectors per block product, at least 1.
    pub block: usize,
    /// Seed of sketch and probes.
    pub seed: u64,
}

/// Estimates Tr A with 2 × rank + probes products.
///
/// # Errors
///
/// [`Error::TooFewProbes`], [`Error::Zero`] for no rank or an empty block,
/// [`Error::BeyondDimension`] for a rank above the dimension, [`Error::UnsupportedDType`],
/// [`Error::NonFiniteProduct`] with the probe, [`Error::ProductMismatch`], and the operator's own.
pub fn hutch_plus_plus<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &HutchPlusPlusSettings,
) -> Result<Estimate, Error> {
    let HutchPlusPlusSettings {
        rank,
        probes,
        block,
        seed,
    } = *settings;
    check_probes(probes, block)?;
    check_sketch("rank", rank, operator.dim())?;
    let mut sketch = Sketch::new(operator, Probe::Rademacher, seed, rank)?;
    while sketch.count() < rank {
        sketch.extend(operator, block.min(rank - sketch.count()))?;
    }
    let inside = sketch.projected.trace();
    let mut accumulator = Accumulator::default();
    for first in (0..probes).step_by(block) {
        let last = probes.min(first.saturating_add(block));
        // The sketch used the probes before number `rank`.
        let vectors = Probe::Rademacher.rows(operator, rank + first..rank + last, seed)?;
        let (outside, _) = sketch.basis.project_out(rank, &vectors)?;
        let products = multiply(operator, &outside)?;
        for (offset, form) in row_dots(&outside, &products)?.into_iter().enumerate() {
            if !form.is_finite() {
                return Err(Error::NonFiniteProduct {
                    probe: rank + first + offset,
                    product: 0,
                });
            }
            accumulator.push(inside + form);
        }
    }
    Ok(accumulator.estimate(2 * rank + probes, seed))
}
