//! Ritz values of a symmetric operator, each with a bound on its distance to an eigenvalue.
//!
//! From A Q = Q T + β_m q_{m+1} e_mᵀ and T s = θ s follows ‖A x − θ x‖ = β_m |s_m| for the Ritz
//! vector x = Q s, and so some eigenvalue of A lies within that distance of θ (Parlett, The
//! Symmetric Eigenvalue Problem, §4.5 and §13.2). s₁² is the share of the start vector in the
//! direction x. The recurrence itself is in `krylov.rs`.

use candle_core::Tensor;
use flatness_operator::LinearOperator;

use crate::basis::Basis;
use crate::error::{check_positive, check_positive_real, check_steps};
use crate::krylov::lockstep;
use crate::product::Precision;
use crate::tridiagonal::Eigen;
use crate::{Budget, Error, Probe};

/// What [`lanczos()`] is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LanczosSettings {
    /// Dimension m of the Krylov space, from 1 to the operator's: one product each, and m × dim
    /// elements of memory.
    pub steps: usize,
    /// A Ritz value counts as converged when its residual is at most this fraction of the largest
    /// |Ritz value|.
    pub tolerance: f64,
    /// Seed of the start vector, which is probe 0 of [`Probe::Gaussian`].
    pub seed: u64,
}

/// An approximate eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RitzValue {
    /// θ
    pub value: f64,
    /// s₁², the squared cosine between start vector and Ritz vector. All weights add up to 1.
    pub weight: f64,
    /// Some eigenvalue of the operator lies this close to θ: β_m |s_m| plus the asymmetry found,
    /// and never less than 8 times the machine epsilon of the operator's element type times the
    /// largest |Ritz value|.
    pub residual: f64,
    /// `residual` is at most the tolerance asked for times the largest |Ritz value|.
    pub converged: bool,
}

/// The outcome of [`lanczos()`]. It keeps the basis, steps × dim elements, until it is dropped.
#[derive(Debug, Clone)]
pub struct Lanczos {
    /// Steps taken, fewer than asked for if the Krylov space turned out invariant.
    pub steps: usize,
    /// Matrix-vector products used, one a step.
    pub products: usize,
    /// Seed of the start vector.
    pub seed: u64,
    /// α, the diagonal of T, (steps).
    pub diagonal: Vec<f64>,
    /// β, the off-diagonal of T, (steps − 1).
    pub off_diagonal: Vec<f64>,
    /// β_m, the norm of the part of A q_m outside the Krylov space.
    pub residual_norm: f64,
    /// β_m vanished to working precision: every Ritz value is an eigenvalue up to rounding, and an
    /// eigenvector absent from the start vector's Krylov space (a second one of a repeated
    /// eigenvalue, for instance) stays unseen.
    pub invariant: bool,
    /// Frobenius norm of the entries of Qᵀ A Q that a symmetric A makes vanish, as far as the steps
    /// saw them: the rounding of the products, or a defect of the operator.
    pub asymmetry: f64,
    ritz_values: Vec<RitzValue>,
    basis: Basis,
    eigen: Eigen,
}

/// Runs Lanczos with full re-orthogonalisation from a Gaussian start vector.
///
/// With m steps the vector work reads the basis twice a step, m² dim elements in all, and more only
/// where a step cancels.
///
/// # Errors
///
/// [`Error::Zero`] for no steps, [`Error::TooManySteps`], [`Error::OutOfRange`] for a tolerance
/// that is not a positive number, [`Error::UnsupportedDType`], [`Error::NonFiniteProduct`] with the
/// step, [`Error::ProductMismatch`], [`Error::NotSymmetric`] if the asymmetry passes a tenth of the
/// norm, [`Error::TridiagonalNotConverged`], and the operator's own.
pub fn lanczos<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &LanczosSettings,
) -> Result<Lanczos, Error> {
    let LanczosSettings {
        steps,
        tolerance,
        seed,
    } = *settings;
    check_steps(steps, operator.dim())?;
    check_positive_real("tolerance", tolerance)?;
    let precision = Precision::of(operator)?;
    let start = Probe::Gaussian.rows(operator, 0..1, seed)?;
    let mut recurrence = lockstep(operator, &start, steps, 0, &Budget::UNLIMITED)?.swap_remove(0);
    // One for each step.
    let residual_norm = recurrence.off_diagonal.pop().unwrap_or_default();
    let eigen = Eigen::of(&recurrence.diagonal, &recurrence.off_diagonal)?;
    let largest = eigen.largest();
    let ritz_values = eigen
        .values
        .iter()
        .zip(eigen.weights())
        .zip(eigen.last_components())
        .map(|((&value, weight), last)| {
            let residual =
                (residual_norm * last + recurrence.asymmetry).max(precision.rounding(largest));
            RitzValue {
                value,
                weight,
                residual,
                converged: residual <= tolerance * largest,
            }
        })
        .collect();
    Ok(Lanczos {
        steps: recurrence.diagonal.len(),
        products: recurrence.diagonal.len(),
        seed,
        diagonal: recurrence.diagonal,
        off_diagonal: recurrence.off_diagonal,
        residual_norm,
        invariant: recurrence.invariant,
        asymmetry: recurrence.asymmetry,
        ritz_values,
        basis: recurrence.basis,
        eigen,
    })
}

impl Lanczos {
    /// The Ritz values in descending order, (steps).
    #[must_use]
    pub fn ritz_values(&self) -> &[RitzValue] {
        &self.ritz_values
    }

    /// The largest Ritz value, a lower bound of the largest eigenvalue up to rounding.
    #[must_use]
    pub fn lambda_max(&self) -> RitzValue {
        self.ritz_values[0]
    }

    /// The smallest Ritz value, an upper bound of the smallest eigenvalue up to rounding.
    #[must_use]
    pub fn lambda_min(&self) -> RitzValue {
        self.ritz_values[self.ritz_values.len() - 1]
    }

    /// The Ritz value of largest magnitude, with its sign: |value| estimates the spectral norm from
    /// below.
    #[must_use]
    pub fn spectral_norm(&self) -> RitzValue {
        let (largest, smallest) = (self.lambda_max(), self.lambda_min());
        if largest.value.abs() >= smallest.value.abs() {
            largest
        } else {
            smallest
        }
    }

    /// The orthonormal basis of the Krylov space, one vector a row: (steps, dim).
    ///
    /// # Errors
    ///
    /// A failed tensor operation.
    pub fn basis(&self) -> Result<Tensor, Error> {
        self.basis.rows(self.steps)
    }

    /// Ritz vectors of unit norm for the Ritz values at `indices`, (indices.len(), dim); `&[0, 1]`
    /// are those of the two largest.
    ///
    /// # Errors
    ///
    /// [`Error::Zero`] for no index, [`Error::NoSuchRitzVector`], a failed tensor operation.
    pub fn ritz_vectors(&self, indices: &[usize]) -> Result<Tensor, Error> {
        check_positive("the number of Ritz vectors", indices.len())?;
        if let Some(&index) = indices.iter().find(|&&index| index >= self.steps) {
            return Err(Error::NoSuchRitzVector {
                index,
                count: self.steps,
            });
        }
        let columns = self.eigen.vectors.select_columns(indices);
        self.basis.combine(&columns.transpose())
    }
}
