//! A block Krylov space that can be restarted, with full re-orthogonalisation.
//!
//! ```text
//! A Q = Q H + N G,   Qᵀ Q = I,   Qᵀ N = 0,   Nᵀ N = I
//! ```
//!
//! Q (dim, filled) is the basis, N (dim, rows) the next block, H (filled, filled) the coefficients
//! as measured and G (rows, filled) the coupling to the next block. T = (H + Hᵀ)/2 = S Θ Sᵀ gives
//! the Ritz values, and for x = Q s
//!
//! ```text
//! ‖A x − θ x‖² = ‖(H − θ) s‖² + ‖G s‖²,
//! ```
//!
//! so that a residual holds whatever asymmetry the products show. A restart keeps the space of some
//! columns of S: Q ← Q S, H ← Sᵀ H S, G ← G S (Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 2000;
//! in blocks: Baglama, Calvetti and Reichel, SIAM J. Sci. Comput. 24, 2003). Scalars are float64.

use candle_core::Tensor;
use flatness_kernels::norm;
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;

use crate::Error;
use crate::basis::Basis;
use crate::krylov::GROSS_ASYMMETRY;
use crate::product::{Precision, multiply};
use crate::tridiagonal::Eigen;

/// A vector that keeps less than this share of its length is no longer orthogonal to working
/// precision after it is normalised, and is projected once more.
const CANCELLED: f64 = 0.1;

/// Q, N, H and G.
pub(crate) struct BlockKrylov {
    pub(crate) basis: Basis,
    /// H, (filled, filled)
    projected: DMatrix<f64>,
    /// N as rows (rows, dim), none if the space is invariant.
    next: Option<Tensor>,
    /// G, (rows, filled)
    coupling: DMatrix<f64>,
    /// Norm of what was dropped: directions at the level of rounding, and what restarts lose to
    /// asymmetry.
    dropped: f64,
    /// Largest column norm of (H, G) so far, a lower bound of ‖A‖.
    norm: f64,
    precision: Precision,
    /// Block products made.
    pub(crate) blocks: usize,
    pub(crate) restarts: usize,
}

/// The Ritz pairs of a space.
pub(crate) struct Ritz {
    pub(crate) eigen: Eigen,
    /// ‖A x − θ x‖ for each, (filled), and never less than the rounding.
    pub(crate) residuals: Vec<f64>,
    /// The largest |θ|.
    pub(crate) largest: f64,
    /// Frobenius norm of the entries of H − Hᵀ above the diagonal.
    pub(crate) asymmetry: f64,
    /// What no further product takes off a residual.
    pub(crate) noise: f64,
}

impl BlockKrylov {
    /// Starts from the rows of `starts` (rows, dim).
    pub(crate) fn start(
        operator: &dyn LinearOperator,
        starts: &Tensor,
        capacity: usize,
    ) -> Result<Self, Error> {
        let mut space = Self {
            basis: Basis::zeros(capacity, starts)?,
            projected: DMatrix::zeros(0, 0),
            next: None,
            coupling: DMatrix::zeros(0, 0),
            dropped: 0.0,
            norm: 0.0,
            precision: Precision::of(operator)?,
            blocks: 0,
            restarts: 0,
        };
        space.inject(starts)?;
        Ok(space)
    }

    /// Vectors in the basis.
    pub(crate) fn filled(&self) -> usize {
        self.projected.nrows()
    }

    /// Vectors in the next block; 0 if the space is invariant.
    pub(crate) fn pending(&self) -> usize {
        self.coupling.nrows()
    }

    /// Makes the next block of `vectors` (rows, dim), which the space knows nothing about.
    pub(crate) fn inject(&mut self, vectors: &Tensor) -> Result<(), Error> {
        let (remainder, _) = self.basis.project_out(self.filled(), vectors)?;
        // Vectors, not products: nothing cancels in them.
        let precision = Precision {
            scale: 0.0,
            ..self.precision
        };
        let floor = precision.breakdown(norm(vectors)?);
        let (next, factors, _) = self.orthonormalize(&remainder, floor)?;
        self.coupling = DMatrix::zeros(factors.nrows(), self.filled());
        self.next = next;
        Ok(())
    }

    /// Takes the next block into the basis, multiplies it and makes a new one of what sticks out.
    pub(crate) fn expand(&mut self, operator: &dyn LinearOperator) -> Result<(), Error> {
        let Some(next) = self.next.take() else {
            return Ok(());
        };
        let (old, rows) = (self.filled(), self.pending());
        let count = old + rows;
        self.basis.set(old, &next)?;
        let products = multiply(operator, &next)?;
        let recent = count.min(2 * rows);
        let (remainder, columns) = self.basis.project_out_recent(count, recent, &products)?;
        for row in 0..rows {
            let outside = norm(&remainder.narrow(0, row, 1)?)?;
            let length = columns.row(row).norm().hypot(outside);
            if !length.is_finite() {
                return Err(Error::NonFiniteProduct {
                    probe: row,
                    product: self.blocks,
                });
            }
            self.norm = self.norm.max(length);
        }
        self.blocks += 1;
        let projected = std::mem::replace(&mut self.projected, DMatrix::zeros(0, 0));
        self.projected = projected.resize(count, count, 0.0);
        self.projected
            .view_mut((old, 0), (rows, old))
            .copy_from(&self.coupling);
        self.projected
            .view_mut((0, old), (count, rows))
            .copy_from(&columns.transpose());
        let floor = self.precision.breakdown(self.norm);
        let (next, factors, dropped) = self.orthonormalize(&remainder, floor)?;
        self.dropped = self.dropped.hypot(dropped);
        self.coupling = DMatrix::zeros(factors.nrows(), count);
        self.coupling
            .view_mut((0, old), factors.shape())
            .copy_from(&factors);
        self.next = next;
        Ok(())
    }

    /// An orthonormal basis N of the rows of `remainder` (rows, dim), which are
    /// orthogonal to the basis Q: N, F with the rows equal to the columns of N F, and the norm of
    /// the rows dropped because they are within `floor` of the others.
    fn orthonormalize(
        &self,
        remainder: &Tensor,
        floor: f64,
    ) -> Result<(Option<Tensor>, DMatrix<f64>, f64), Error> {
        let rows = remainder.dim(0)?;
        let most = rows.min(self.basis.dim() - self.filled());
        let block = self.basis.room(rows)?;
        let mut factors = DMatrix::zeros(rows, rows);
        let mut count = 0;
        let mut dropped = 0.0_f64;
        for row in 0..rows {
            let piece = remainder.narrow(0, row, 1)?;
            let before = norm(&piece)?;
            let (piece, inside) = block.project_out(count, &piece)?;
            factors
                .view_mut((0, row), (count, 1))
                .copy_from(&inside.transpose());
            let length = norm(&piece)?;
            if length <= floor || count == most {
                dropped = dropped.hypot(length);
                continue;
            }
            factors[(count, row)] = length;
            let mut piece = piece.affine(length.recip(), 0.0)?;
            if length < CANCELLED * before {
                let (again, _) = self.basis.project_out(self.filled(), &piece)?;
                let (again, _) = block.project_out(count, &again)?;
                piece = again.affine(norm(&again)?.recip(), 0.0)?;
            }
            block.set(count, &piece)?;
            count += 1;
        }
        let factors = factors.rows(0, count).into_owned();
        let next = if count > 0 {
            Some(block.rows(count)?)
        } else {
            None
        };
        Ok((next, factors, dropped))
    }

    /// The Ritz pairs of the space, in descending order.
    pub(crate) fn ritz(&self) -> Result<Ritz, Error> {
        let transposed = self.projected.transpose();
        let eigen = Eigen::of_matrix((&self.projected + &transposed) * 0.5)?;
        let asymmetry = (&self.projected - transposed).norm() / std::f64::consts::SQRT_2;
        let breakdown = self.precision.breakdown(self.norm);
        if asymmetry > (GROSS_ASYMMETRY * self.norm).max(breakdown) {
            return Err(Error::NotSymmetric {
                asymmetry,
                norm: self.norm,
            });
        }
        let largest = eigen.largest();
        let inside = &self.projected * &eigen.vectors;
        let outside = &self.coupling * &eigen.vectors;
        // The relation A Q = Q H + N G is rounded when it is made and again at every restart.
        let rounding = self.precision.rounding(largest) * (1.0 + self.restarts as f64).sqrt();
        let residuals = eigen
            .values
            .iter()
            .enumerate()
            .map(|(index, &value)| {
                let inside = (inside.column(index) - eigen.vectors.column(index) * value).norm();
                inside.hypot(outside.column(index).norm()) + self.dropped + rounding
            })
            .collect();
        Ok(Ritz {
            eigen,
            residuals,
            largest,
            asymmetry,
            noise: self.precision.breakdown(largest) + asymmetry + self.dropped + rounding,
        })
    }

    /// Keeps the space of `kept` (filled, count), columns of the Ritz basis.
    pub(crate) fn restart(&mut self, kept: &DMatrix<f64>) -> Result<(), Error> {
        self.basis.turn(kept)?;
        let image = &self.projected * kept;
        let projected = kept.transpose() * &image;
        let lost = (image - kept * &projected).norm();
        self.dropped = self.dropped.hypot(lost);
        self.projected = projected;
        self.coupling = &self.coupling * kept;
        self.restarts += 1;
        Ok(())
    }
}
