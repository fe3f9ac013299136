//! Trace and squared Frobenius norm from the same random products.
//!
//! ```text
//! E[zᵀ A z] = Tr A,   E[‖A z‖²] = ‖A‖_F²   for E[z zᵀ] = I
//! ```
//!
//! With Rademacher probes (Hutchinson, Commun. Stat. Simul. Comput. 19, 1990) the variance of one
//! probe's zᵀ A z is 2 Σ_{i≠j} a_ij²: a diagonal matrix is exact from any probe.

use flatness_operator::LinearOperator;

use crate::deflation::outside;
use crate::estimate::Accumulator;
use crate::product::{epsilon, multiply, row_dots};
use crate::settings::{check_positive, check_probes};
use crate::{Budget, Deflation, Error, Estimate, Goal, Measured, Probe, Progress};

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
    check(operator, settings)?;
    let mut running = Running::new(None);
    for first in (0..probes).step_by(block) {
        running.extend(operator, block.min(probes - first), seed)?;
    }
    Ok(running.moments(seed))
}

/// Estimates Tr A and ‖A‖_F² with `settings.probes` probes and then a block more at a time, until
/// Tr A and the norm ‖A‖_F are as accurate as the goal asks, or the budget ends it.
///
/// Given a `deflation`, probes see the matrix outside of its vectors alone, whose own share is known: the
/// estimates stay without bias, and their errors shrink as the large eigenvalues are taken out.
/// The products that it took to find them are not counted again.
///
/// The trace of a matrix with eigenvalues of both signs can be near zero, where no relative error is
/// ever reached: give a budget.
///
/// # Errors
///
/// As [`moments`], [`Error::OutOfRange`] for a goal that makes no sense, and
/// [`Error::BudgetTooSmall`].
pub fn moments_until<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &MomentsSettings,
    deflation: Option<&Deflation>,
    goal: &Goal,
    budget: &Budget<'_>,
    observe: &mut dyn FnMut(&Progress),
) -> Result<Measured<Moments>, Error> {
    let MomentsSettings {
        probes,
        block,
        seed,
    } = *settings;
    check(operator, settings)?;
    goal.check()?;
    budget.check(probes)?;
    let mut running = Running::new(deflation);
    loop {
        let missing = probes.saturating_sub(running.probes);
        let rows = if missing > 0 {
            block.min(missing)
        } else {
            block
        };
        running.extend(operator, rows, seed)?;
        if running.probes < probes {
            continue;
        }
        let result = running.moments(seed);
        let estimates = [result.trace, result.frobenius_squared.sqrt()?];
        if let Some(stop) = goal.judge(&estimates, block, budget, observe)? {
            return Ok(Measured { result, stop });
        }
    }
}

fn check<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &MomentsSettings,
) -> Result<(), Error> {
    check_probes(settings.probes, settings.block)?;
    check_positive("the operator's dimension", operator.dim())?;
    epsilon(operator.dtype())?;
    Ok(())
}

/// The two moments of the probes so far.
#[derive(Debug)]
struct Running<'a> {
    deflation: Option<&'a Deflation>,
    trace: Accumulator,
    frobenius_squared: Accumulator,
    probes: usize,
}

impl<'a> Running<'a> {
    fn new(deflation: Option<&'a Deflation>) -> Self {
        Self {
            deflation,
            trace: Accumulator::default(),
            frobenius_squared: Accumulator::default(),
            probes: 0,
        }
    }

    /// Takes `rows` more probes in one block.
    fn extend<Operator: LinearOperator + ?Sized>(
        &mut self,
        operator: &Operator,
        rows: usize,
        seed: u64,
    ) -> Result<(), Error> {
        let first = self.probes;
        let probes = Probe::Rademacher.rows(operator, first..first + rows, seed)?;
        let vectors = outside(self.deflation, probes)?;
        let (trace, known) = self.deflation.map_or((0.0, 0.0), |deflation| {
            (deflation.trace(), deflation.squares())
        });
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
            self.trace.push(trace + form);
            self.frobenius_squared.push(known + square);
        }
        self.probes += rows;
        Ok(())
    }

    fn moments(&self, seed: u64) -> Moments {
        Moments {
            trace: self.trace.estimate(self.probes, seed),
            frobenius_squared: self.frobenius_squared.estimate(self.probes, seed),
        }
    }
}
