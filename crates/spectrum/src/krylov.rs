//! The Lanczos recurrence with full re-orthogonalisation, for several start vectors in lockstep.
//!
//! ```text
//! A Q = Q T + β_m q_{m+1} e_mᵀ,   Qᵀ Q = I,   T = tridiag(β, α, β)
//! ```
//!
//! q₁ = v / ‖v‖; w = A q_j, first against q_j and q_{j−1} and then against all q₁ … q_j: c = Qᵀ w,
//! w ← w − Q c (classical Gram-Schmidt, `basis.rs`); α_j = Σ c_j, β_j = ‖w‖, q_{j+1} = w / β_j.
//! Scalars are float64, vectors are of the operator's element type.

use candle_core::Tensor;
use flatness_kernels::norm;
use flatness_operator::LinearOperator;

use crate::basis::Basis;
use crate::product::{Precision, multiply};
use crate::{Budget, Error};

/// Entries of Qᵀ A Q outside the tridiagonal above this fraction of ‖T‖ no rounding explains, even
/// for float32 curvature that is a difference of much larger terms.
pub(crate) const GROSS_ASYMMETRY: f64 = 0.1;

/// One start vector's recurrence. It owns steps × dim elements.
pub(crate) struct Recurrence {
    basis: Basis,
    /// α₁ … α_m
    pub(crate) diagonal: Vec<f64>,
    /// β₁ … β_m, of which the last is the norm of what A q_m leaves outside the Krylov space.
    pub(crate) off_diagonal: Vec<f64>,
    /// β_m vanishes to working precision.
    pub(crate) invariant: bool,
    /// Frobenius norm of the entries of Qᵀ A Q that vanish when A is symmetric, as far as the
    /// recurrence sees them.
    pub(crate) asymmetry: f64,
    /// Largest column norm of T so far, a lower bound of ‖A‖.
    norm: f64,
    /// q_j, (1, dim)
    current: Tensor,
}

/// Runs `steps` steps from each row of `starts` (k, dim), one block product per step for all that
/// still run; fewer where `budget` interrupts, which is asked before each block. Rows are numbered from
/// `first_probe` in errors.
pub(crate) fn lockstep(
    operator: &dyn LinearOperator,
    starts: &Tensor,
    steps: usize,
    first_probe: usize,
    budget: &Budget<'_>,
) -> Result<Vec<Recurrence>, Error> {
    let precision = Precision::of(operator)?;
    let mut recurrences = (0..starts.dim(0)?)
        .map(|row| Recurrence::start(&starts.narrow(0, row, 1)?, steps))
        .collect::<Result<Vec<_>, _>>()?;
    for step in 0..steps {
        let mut running: Vec<_> = recurrences
            .iter_mut()
            .enumerate()
            .filter(|(_, recurrence)| !recurrence.invariant)
            .collect();
        if running.is_empty() || (budget.interrupt)() {
            break;
        }
        let vectors: Vec<_> = running
            .iter()
            .map(|(_, running)| &running.current)
            .collect();
        let products = multiply(operator, &Tensor::cat(&vectors, 0)?)?;
        for (row, (probe, recurrence)) in running.iter_mut().enumerate() {
            if !recurrence.advance(&products.narrow(0, row, 1)?, precision)? {
                return Err(Error::NonFiniteProduct {
                    probe: first_probe + *probe,
                    product: step,
                });
            }
        }
    }
    for recurrence in &recurrences {
        recurrence.check_symmetric(precision)?;
    }
    Ok(recurrences)
}

impl Recurrence {
    /// `start` is (1, dim) and not zero.
    fn start(start: &Tensor, steps: usize) -> Result<Self, Error> {
        let basis = Basis::zeros(steps, start)?;
        let current = start.affine(norm(start)?.recip(), 0.0)?;
        basis.set(0, &current)?;
        Ok(Self {
            basis,
            diagonal: Vec::with_capacity(steps),
            off_diagonal: Vec::with_capacity(steps),
            invariant: false,
            asymmetry: 0.0,
            norm: 0.0,
            current,
        })
    }

    /// Takes A q_j (1, dim) and makes q_{j+1}; false if the product is not finite.
    fn advance(&mut self, product: &Tensor, precision: Precision) -> Result<bool, Error> {
        let step = self.diagonal.len();
        let count = step + 1;
        let (remainder, projections) =
            self.basis
                .project_out_recent(count, 2.min(count), product)?;
        let projections = projections.as_slice();
        let previous = self.off_diagonal.last().copied().unwrap_or(0.0);
        let diagonal = projections[step];
        let beta = norm(&remainder)?;
        if !(diagonal.is_finite() && beta.is_finite()) {
            return Ok(false);
        }
        if let Some((neighbour, others)) = projections[..step].split_last() {
            let defect = others
                .iter()
                .fold(neighbour - previous, |sum, entry| sum.hypot(*entry));
            self.asymmetry = self.asymmetry.hypot(defect);
        }
        self.norm = self.norm.max(diagonal.hypot(previous).hypot(beta));
        self.invariant = beta <= precision.breakdown(self.norm);
        self.diagonal.push(diagonal);
        self.off_diagonal.push(beta);
        if !self.invariant && count < self.basis.capacity() {
            self.current = remainder.affine(beta.recip(), 0.0)?;
            self.basis.set(count, &self.current)?;
        }
        Ok(true)
    }

    fn check_symmetric(&self, precision: Precision) -> Result<(), Error> {
        let allowed = (GROSS_ASYMMETRY * self.norm).max(precision.breakdown(self.norm));
        if self.asymmetry > allowed {
            return Err(Error::NotSymmetric {
                asymmetry: self.asymmetry,
                norm: self.norm,
            });
        }
        Ok(())
    }
}
