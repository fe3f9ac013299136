//! The eigenvalues at both ends of the spectrum, to a tolerance and in bounded memory, with their
//! eigenvectors.
//!
//! Thick-restart block Lanczos (`block_krylov.rs`): the space grows by one block of products at a
//! time; when it is full, the Ritz vectors nearest to the ends are kept and the rest is dropped. A
//! Ritz value θ with vector x is within ‖A x − θ x‖ of an eigenvalue (Parlett, The Symmetric
//! Eigenvalue Problem, §4.5). A block of b vectors sees an eigenvalue repeated b times at once.

use candle_core::Tensor;
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;

use crate::basis::Basis;
use crate::block_krylov::{BlockKrylov, Ritz};
use crate::error::{check_positive, check_positive_real};
use crate::{Budget, Deflation, EigenpairsSettings, Error, Probe, Progress, Stop};

/// The eigenvalues of the projected matrix are computed again when it has grown by this share:
/// each time would cost as much as small products do.
const GROWTH: usize = 16;

/// An approximate eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eigenvalue {
    /// The Ritz value θ.
    pub value: f64,
    /// ‖A x − θ x‖ for the unit Ritz vector x: some eigenvalue of the operator lies this close to
    /// θ. Never less than 8 times the machine epsilon of the operator's element type times the
    /// largest |Ritz value|.
    pub residual: f64,
    /// `residual` is at most the tolerance asked for times the largest |Ritz value|.
    pub converged: bool,
}

/// The outcome of [`eigenpairs`]. It keeps the basis until it is dropped.
#[derive(Debug, Clone)]
pub struct Eigenpairs {
    /// The largest Ritz values in descending order, (top); fewer only if the measurement stopped
    /// before there were as many.
    pub top: Vec<Eigenvalue>,
    /// The smallest Ritz values in ascending order, (bottom) likewise.
    pub bottom: Vec<Eigenvalue>,
    /// Matrix-vector products used.
    pub products: usize,
    /// Times the basis was full.
    pub restarts: usize,
    /// What ended the measurement.
    pub stop: Stop,
    /// Frobenius norm of the antisymmetry found in the projected matrix: the rounding of the
    /// products, or a defect of the operator. The residuals hold it.
    pub asymmetry: f64,
    /// Seed of the start vectors.
    pub seed: u64,
    /// Both ends of the spectrum were searched.
    both_ends: bool,
    basis: Basis,
    /// Every Ritz value of the space, in descending order.
    eigenvalues: Vec<Eigenvalue>,
    /// Columns that make Ritz vectors of the basis, in the same order.
    combinations: DMatrix<f64>,
}

/// Computes `settings.top` eigenvalues from the positive and `settings.bottom` from the negative
/// end of the spectrum.
///
/// A Krylov space that turns out invariant holds one copy of a repeated eigenvalue for each vector
/// of the block. From then on fresh random vectors are added until a further invariant space
/// changes none of the values wanted.
///
/// # Errors
///
/// [`Error::Zero`] for no eigenvalue, an empty block or an operator of dimension 0,
/// [`Error::BeyondDimension`], [`Error::BasisTooSmall`], [`Error::OutOfRange`] for a tolerance that is not a positive number,
/// [`Error::BudgetTooSmall`], [`Error::Interrupted`] before the first block, and those of products, see
/// [`Error`].
pub fn eigenpairs(
    operator: &dyn LinearOperator,
    settings: &EigenpairsSettings,
    budget: &Budget<'_>,
    observe: &mut dyn FnMut(&Progress),
) -> Result<Eigenpairs, Error> {
    let capacity = settings.capacity(operator)?;
    let EigenpairsSettings {
        top,
        bottom,
        tolerance,
        seed,
        ..
    } = *settings;
    let dim = operator.dim();
    let block = settings.block.min(dim);
    budget.check(block)?;
    let starts = Probe::Gaussian.rows(operator, 0..block, seed)?;
    let mut drawn = block;
    let mut space = BlockKrylov::start(operator, &starts, capacity)?;
    let mut products = 0;
    let mut checked = 0;
    let mut progress = Progress {
        products,
        value: f64::NAN,
        error: f64::INFINITY,
    };
    let mut invariant: Option<Vec<f64>> = None;
    budget.go_on(0)?;
    let (stop, ritz) = loop {
        products += space.pending();
        space.expand(operator)?;
        let filled = space.filled();
        let ending = if filled == dim {
            Some(Stop::Complete)
        } else {
            budget.exhausted(products, space.pending().max(1))
        };
        let full = filled + space.pending() > capacity;
        progress.products = products;
        if ending.is_none()
            && !full
            && space.pending() > 0
            && filled < checked + (checked / GROWTH).max(1)
        {
            observe(&progress);
            continue;
        }
        checked = filled;
        let ritz = space.ritz()?;
        let wanted = wanted(filled, top, bottom);
        progress.value = ritz.eigen.values[wanted[0]];
        progress.error = ritz.residuals[wanted[0]];
        observe(&progress);
        let enough = filled >= top + bottom;
        let worst = wanted
            .iter()
            .fold(0.0, |worst: f64, &index| worst.max(ritz.residuals[index]));
        let goal = tolerance * ritz.largest;
        let settled = enough && worst <= goal.max(ritz.noise);
        let settled_as = if worst <= goal {
            Stop::Converged
        } else {
            Stop::Rounding
        };
        if space.pending() == 0 && filled < dim {
            let values: Vec<f64> = wanted.iter().map(|&i| ritz.eigen.values[i]).collect();
            let unchanged = invariant.as_ref().is_some_and(|before| {
                before.len() == values.len()
                    && before
                        .iter()
                        .zip(&values)
                        .all(|(before, value)| (before - value).abs() <= goal.max(ritz.noise))
            });
            if settled && unchanged {
                break (settled_as, ritz);
            }
            invariant = Some(values);
        } else if settled
            && products >= settings.least_products
            && invariant.is_none()
            && ending != Some(Stop::Complete)
        {
            break (settled_as, ritz);
        }
        if let Some(stop) = ending {
            break (stop, ritz);
        }
        if space.pending() == 0 {
            let rows = block.min(dim - filled);
            if filled + rows > capacity {
                restart(&mut space, &ritz, settings, capacity)?;
                checked = space.filled();
            }
            let fresh = Probe::Gaussian.rows(operator, drawn..drawn + rows, seed)?;
            drawn += rows;
            space.inject(&fresh)?;
        } else if full {
            restart(&mut space, &ritz, settings, capacity)?;
            checked = space.filled();
        }
    };
    Ok(outcome(space, ritz, settings, products, stop))
}

/// Indices of the values wanted among `filled` in descending order: the top ones, then the bottom
/// ones from the smallest up.
fn wanted(filled: usize, top: usize, bottom: usize) -> Vec<usize> {
    let top = 0..top.min(filled);
    let bottom = (filled - bottom.min(filled)..filled).rev();
    top.chain(bottom).collect()
}

/// Keeps the wanted Ritz vectors and, of the room left after them and a block, half for their
/// neighbours, shared out as the wanted ones are: they bring the next directions most of what they
/// had.
fn restart(
    space: &mut BlockKrylov,
    ritz: &Ritz,
    settings: &EigenpairsSettings,
    capacity: usize,
) -> Result<(), Error> {
    let wanted = settings.top + settings.bottom;
    let extra = capacity.saturating_sub(wanted + settings.block) / 2;
    let extra_top = (extra * settings.top).div_ceil(wanted);
    let count = space.filled();
    let top = (settings.top + extra_top).min(count);
    let bottom = (settings.bottom + extra - extra_top).min(count - top);
    let kept: Vec<usize> = (0..top).chain(count - bottom..count).collect();
    space.restart(&ritz.eigen.vectors.select_columns(&kept))
}

fn outcome(
    space: BlockKrylov,
    ritz: Ritz,
    settings: &EigenpairsSettings,
    products: usize,
    stop: Stop,
) -> Eigenpairs {
    let filled = space.filled();
    let eigenvalue = |index: usize| Eigenvalue {
        value: ritz.eigen.values[index],
        residual: ritz.residuals[index],
        converged: ritz.residuals[index] <= settings.tolerance * ritz.largest,
    };
    let eigenvalues: Vec<_> = (0..filled).map(eigenvalue).collect();
    let bottom = eigenvalues.iter().rev().take(settings.bottom);
    let both = match eigenvalues.as_slice() {
        [top, .., bottom] => top.converged && bottom.converged && space.restarts == 0,
        _ => false,
    };
    Eigenpairs {
        both_ends: both || settings.top > 0 && settings.bottom > 0 || stop == Stop::Complete,
        top: eigenvalues[..settings.top.min(filled)].to_vec(),
        bottom: bottom.copied().collect(),
        eigenvalues,
        products,
        restarts: space.restarts,
        stop,
        asymmetry: ritz.asymmetry,
        seed: settings.seed,
        basis: space.basis,
        combinations: ritz.eigen.vectors,
    }
}

impl Eigenpairs {
    /// The eigenvalue of largest magnitude, with its sign, where both ends of the spectrum were searched:
    /// both were asked for, or the space holds both to the tolerance and was never restarted, or all of
    /// it. One end alone says nothing of the norm, and gives none.
    ///
    /// The residual reaches as far as the other end may be beyond it, and it has converged if both have.
    #[must_use]
    pub fn spectral_norm(&self) -> Option<Eigenvalue> {
        let (first, last) = (self.eigenvalues.first()?, self.eigenvalues.last()?);
        if !self.both_ends {
            return None;
        }
        let (largest, other) = if first.value.abs() >= last.value.abs() {
            (first, last)
        } else {
            (last, first)
        };
        let beyond = other.value.abs() + other.residual - largest.value.abs();
        Some(Eigenvalue {
            value: largest.value,
            residual: largest.residual.max(beyond),
            converged: largest.converged && other.converged,
        })
    }

    /// Unit eigenvectors of `top`, one a row: (top, dim).
    ///
    /// # Errors
    ///
    /// [`Error::Zero`] if none was asked for, a failed tensor operation.
    pub fn top_vectors(&self) -> Result<Tensor, Error> {
        self.vectors(&(0..self.top.len()).collect::<Vec<_>>())
    }

    /// Unit eigenvectors of `bottom`, one a row: (bottom, dim).
    ///
    /// # Errors
    ///
    /// As [`top_vectors`](Self::top_vectors).
    pub fn bottom_vectors(&self) -> Result<Tensor, Error> {
        let filled = self.combinations.ncols();
        let bottom = (filled - self.bottom.len()..filled).rev();
        self.vectors(&bottom.collect::<Vec<_>>())
    }

    /// Every Ritz vector of the space with a residual of at most `tolerance` × its own |Ritz value|,
    /// wanted or not, to be taken out of random probes; all but one if they fill the space. It takes
    /// as many vectors of memory again. [`f64::MAX`] takes them all, which is right for moments: they
    /// ask for no convergence.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a tolerance that is not a positive number, a failed tensor
    /// operation.
    pub fn deflation(&self, tolerance: f64) -> Result<Deflation, Error> {
        check_positive_real("tolerance", tolerance)?;
        let known = |&index: &usize| {
            let Eigenvalue {
                value, residual, ..
            } = self.eigenvalues[index];
            residual <= tolerance * value.abs()
        };
        let mut indices: Vec<usize> = (0..self.eigenvalues.len()).filter(known).collect();
        indices.truncate(self.basis.dim() - 1);
        let basis = if indices.is_empty() {
            self.basis.room(0)?
        } else {
            Basis::of(self.vectors(&indices)?)
        };
        Ok(Deflation {
            eigenvalues: indices.iter().map(|&one| self.eigenvalues[one]).collect(),
            products: self.products,
            basis,
        })
    }

    fn vectors(&self, indices: &[usize]) -> Result<Tensor, Error> {
        check_positive("the number of eigenvectors", indices.len())?;
        let columns = self.combinations.select_columns(indices);
        self.basis.combine(&columns.transpose())
    }
}
