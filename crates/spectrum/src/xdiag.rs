//! XDiag: the diagonal from a sketch of the range and the same probes left out of it one at a time.
//!
//! ```text
//! dᵢ = diag(Qᵢ Qᵢᵀ A) + ωᵢ ∘ (I − Qᵢ Qᵢᵀ) A ωᵢ,   diag A ≈ (1/k) Σ dᵢ
//! ```
//!
//! with Rademacher probes ω (Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45, 2024, §2.3).
//! How this and its errors are computed is in `diagonal_entries.rs`, what the errors mean in
//! `diagonal.rs`.

use candle_core::DType;
use flatness_operator::LinearOperator;

use crate::budget::CONFIDENCE;
use crate::diagonal_entries::{bytes_at_work, entries};
use crate::eigenpairs_settings::vector_bytes;
use crate::error::{check_dimension, check_positive, check_probes};
use crate::sketch::Sketch;
use crate::{Budget, Diagonal, Error, Goal, Measured, Progress, Stop};

/// Products of a probe: one for the sketch, one of it.
const PRODUCTS: usize = 2;

/// Vectors held for each probe: of Ω, Q and A Q.
const HELD: u64 = 3;

/// Vectors at work for each of a block: the probe, its product, the vector made of that and its product.
const AT_WORK: u64 = 4;

/// Vectors at work for the one product that is orthogonalised.
const ORTHOGONALIZED: u64 = 4;

/// The sketch grows by one part in so many between two looks at its errors. A look costs some 7 k² dim
/// operations, so that all looks together cost a few times the last one.
const LOOKS: usize = 8;

/// What [`xdiag_until`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XDiagSettings {
    /// Probes k, from 2 (1 in one dimension) to the operator's dimension: 2 products each, and some
    /// 7 k² dim elementwise operations for the errors.
    pub probes: usize,
    /// Vectors per block product, at least 1. It changes the speed, not the probes.
    pub block: usize,
    /// Bytes allowed for [`xdiag_bytes`]; `None` for no bound.
    pub bytes: Option<u64>,
    /// Seed of the probes.
    pub seed: u64,
}

/// Bytes held by [`xdiag_until`] with so many probes of length `dim` in blocks of `block`, beside what the
/// operator itself needs and a few square matrices with a row for each probe.
#[must_use]
pub fn xdiag_bytes(probes: usize, block: usize, dim: usize, dtype: DType) -> u64 {
    let multiplied = AT_WORK.saturating_mul(block as u64);
    let multiplied = multiplied
        .saturating_add(ORTHOGONALIZED)
        .saturating_mul(vector_bytes(dim, dtype));
    let [fixed, _] = bytes_at_work(dim, dtype);
    let held = probe_bytes(dim, dtype).saturating_mul(probes as u64);
    held.saturating_add(multiplied.max(fixed))
}

/// Bytes for each probe.
fn probe_bytes(dim: usize, dtype: DType) -> u64 {
    let [_, each] = bytes_at_work(dim, dtype);
    HELD.saturating_mul(vector_bytes(dim, dtype))
        .saturating_add(each)
}

/// Estimates the diagonal of A with `settings.probes` probes and then more, a block at a time, until
/// [`Diagonal::relative_error`] is as small as the goal asks, or the budget or the bytes allowed end it;
/// a sketch of the whole space ends it as [`Stop::Complete`].
///
/// The sketch grows by an eighth, at least by a block, between two looks at its errors. An interrupt
/// ends it before `settings.probes` too, as soon as there is an error. [`Progress`] has the norm of
/// the diagonal and the half-width of [`Diagonal::norm`].
///
/// # Errors
///
/// [`Error::TooFewProbes`], [`Error::BeyondDimension`] for more probes than dimensions, [`Error::Zero`] for an
/// empty block, [`Error::TooLarge`] where the bytes allowed do not hold the probes, [`Error::OutOfRange`]
/// for a goal that makes no sense, [`Error::BudgetTooSmall`], [`Error::Interrupted`] before there are two
/// probes, and those of products, see [`Error`].
pub fn xdiag_until(
    operator: &dyn LinearOperator,
    settings: &XDiagSettings,
    goal: &Goal,
    budget: &Budget<'_>,
    observe: &mut dyn FnMut(&Progress),
) -> Result<Measured<Diagonal>, Error> {
    goal.check()?;
    budget.check(settings.probes.saturating_mul(PRODUCTS))?;
    let mut growing = Growing::new(operator, settings)?;
    let dim = operator.dim();
    let rows = |count: usize| {
        let most = if count < settings.probes {
            settings.probes
        } else {
            dim
        };
        settings.block.min(most - count)
    };
    let mut due = settings.probes;
    loop {
        let before = growing.sketch.count();
        if before < dim.min(2) {
            budget.go_on(growing.sketch.products)?;
        }
        let interrupted = !growing.extend(operator, rows(before), budget)?;
        let count = growing.sketch.count();
        let end = || {
            let next = rows(count);
            let full = || {
                let room = growing.capacity(count + next);
                room.is_none().then_some(Stop::Memory)
            };
            let spent = budget.exhausted(growing.sketch.products, PRODUCTS * next);
            spent.or_else(full)
        };
        if count < dim.min(2) {
            // One probe has no error.
            if interrupted {
                let products = growing.sketch.products;
                return Err(Error::Interrupted { products });
            }
            continue;
        }
        let mut stop = if count == dim {
            Some(Stop::Complete)
        } else if interrupted {
            Some(Stop::Interrupted)
        } else {
            end()
        };
        if stop.is_none() && count < due {
            continue;
        }
        let result = growing.diagonal()?;
        let norm = result.norm()?;
        let error = result.quantile(CONFIDENCE)? * norm.standard_error;
        observe(&Progress {
            products: result.products,
            value: norm.value,
            error,
        });
        if count < dim {
            // A few probes that an interrupt leaves may agree by chance.
            if count >= settings.probes {
                stop = goal.reached(&[norm])?.or(stop);
            }
            stop = stop.or_else(end);
        }
        if let Some(stop) = stop {
            return Ok(Measured { result, stop });
        }
        due = count + settings.block.max(count / LOOKS);
    }
}

/// A sketch within the bytes allowed.
struct Growing<'a> {
    sketch: Sketch,
    settings: &'a XDiagSettings,
    dtype: DType,
}

impl<'a> Growing<'a> {
    /// Checks the settings, and makes room for the probes that they ask for.
    fn new(operator: &dyn LinearOperator, settings: &'a XDiagSettings) -> Result<Self, Error> {
        let XDiagSettings {
            probes,
            block,
            bytes,
            seed,
        } = *settings;
        let (dim, dtype) = (operator.dim(), operator.dtype());
        // A sketch of one dimension is whole.
        let least = if dim == 1 { 2 } else { probes };
        check_probes(least, block)?;
        check_positive("the operator's dimension", dim)?;
        check_dimension("probes", probes, dim)?;
        let needed = xdiag_bytes(probes, block, dim, dtype);
        if let Some(allowed) = bytes.filter(|&allowed| needed > allowed) {
            return Err(Error::TooLarge {
                count: probes,
                vectors: "probes of a sketch",
                needed,
                allowed,
                fits: fitting(allowed, block, dim, dtype),
            });
        }
        Ok(Self {
            sketch: Sketch::new(operator, seed, probes)?,
            settings,
            dtype,
        })
    }

    /// The room to make for `count` probes: what there is, or twice as much where the bytes allow it;
    /// `None` where they do not hold so many. To move, one of the three kinds of vectors is there twice.
    fn capacity(&self, count: usize) -> Option<usize> {
        let (current, dim) = (self.sketch.basis.capacity(), self.sketch.basis.dim());
        if count <= current {
            return Some(current);
        }
        let most = self.settings.bytes.map_or(usize::MAX, |allowed| {
            let vectors = allowed / vector_bytes(dim, self.dtype);
            let moved = vectors.saturating_sub(current as u64) / HELD;
            let moved = usize::try_from(moved).unwrap_or(usize::MAX);
            moved.min(fitting(allowed, self.settings.block, dim, self.dtype))
        });
        (count <= most).then(|| (2 * current).min(dim).min(most).max(count))
    }

    /// Takes `rows` more probes, which the bytes allowed hold; false where `budget` interrupts.
    fn extend(
        &mut self,
        operator: &dyn LinearOperator,
        rows: usize,
        budget: &Budget<'_>,
    ) -> Result<bool, Error> {
        if let Some(capacity) = self.capacity(self.sketch.count() + rows)
            && capacity > self.sketch.basis.capacity()
        {
            self.sketch.reserve(capacity)?;
        }
        self.sketch.extend(operator, rows, budget)
    }

    fn diagonal(&self) -> Result<Diagonal, Error> {
        let (values, standard_errors) = entries(&self.sketch)?;
        Ok(Diagonal {
            values,
            standard_errors,
            probes: self.sketch.count(),
            products: self.sketch.products,
            seed: self.settings.seed,
        })
    }
}

/// The most probes within the bytes allowed; 0 if what is at work alone does not fit.
fn fitting(allowed: u64, block: usize, dim: usize, dtype: DType) -> usize {
    let left = allowed.saturating_sub(xdiag_bytes(0, block, dim, dtype));
    let fits = left / probe_bytes(dim, dtype);
    usize::try_from(fits).unwrap_or(usize::MAX)
}
