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
use crate::error::{check_positive, check_probes};
use crate::estimate::Accumulator;
use crate::product::{Precision, multiply, row_dots};
use crate::{Budget, Deflation, Error, Estimate, Goal, Measured, Probe, Progress, Stop};

/// What [`moments_until`] is to do.
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
/// [`Error::TooFewProbes`], [`Error::Zero`] for an empty block or an operator of dimension 0,
/// [`Error::OutOfRange`] for a goal that makes no sense, [`Error::BudgetTooSmall`], [`Error::Interrupted`]
/// before there are two probes, and those of products, see [`Error`].
pub fn moments_until(
    operator: &dyn LinearOperator,
    settings: &MomentsSettings,
    deflation: Option<&Deflation>,
    goal: &Goal,
    budget: &Budget<'_>,
    observe: &mut dyn FnMut(&Progress),
) -> Result<Measured<Moments>, Error> {
    goal.check()?;
    let MomentsSettings {
        probes,
        block,
        seed,
    } = *settings;
    budget.check(probes)?;
    check_probes(probes, block)?;
    check_positive("the operator's dimension", operator.dim())?;
    let mut running = Running {
        deflation,
        precision: Precision::of(operator)?,
        trace: Accumulator::default(),
        frobenius_squared: Accumulator::default(),
        probes: 0,
    };
    while running.probes < probes {
        if running.probes < 2 {
            budget.go_on(running.probes)?;
        } else if (budget.interrupt)() {
            let (result, stop) = (running.moments(seed), Stop::Interrupted);
            return Ok(Measured { result, stop });
        }
        running.extend(operator, block.min(probes - running.probes), seed)?;
    }
    loop {
        let result = running.moments(seed);
        let estimates = [result.trace, result.frobenius_squared.sqrt()?];
        let made = (running.probes, block);
        if let Some(stop) = goal.judge(&estimates, made, budget, observe)? {
            return Ok(Measured { result, stop });
        }
        running.extend(operator, block, seed)?;
    }
}

/// The two moments of the probes so far.
#[derive(Debug)]
struct Running<'a> {
    deflation: Option<&'a Deflation>,
    precision: Precision,
    trace: Accumulator,
    frobenius_squared: Accumulator,
    probes: usize,
}

impl Running<'_> {
    /// Takes `rows` more probes in one block.
    fn extend(
        &mut self,
        operator: &dyn LinearOperator,
        rows: usize,
        seed: u64,
    ) -> Result<(), Error> {
        let first = self.probes;
        let probes = Probe::Rademacher.rows(operator, first..first + rows, seed)?;
        let vectors = outside(self.deflation, probes)?;
        let known = self.deflation.map(Deflation::sums).unwrap_or_default();
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
            // The entries of A z are rounded on their own, each by ε of itself or of what cancels in it,
            // and met by signs: zᵀ A z by ε ‖A z‖ in the mean square, or by ε of itself.
            let length = square.sqrt().max(self.precision.scale);
            let rounding = self.precision.of_sum(known.sizes + form.abs().max(length));
            self.trace.push(known.trace + form, rounding);
            let rounding = self.precision.of_sum(known.squares + length.powi(2));
            self.frobenius_squared
                .push(known.squares + square, rounding);
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
