//! A random sketch of the range of A, from which the diagonal is computed.
//!
//! ```text
//! Y = A Ω = Q R
//! ```
//!
//! Ω (dim, probes) has columns of norm √dim. Leaving out probe i turns Q Qᵀ into Q (I − sᵢ sᵢᵀ) Qᵀ,
//! where sᵢ is column i of R⁻ᵀ, normalised: it is orthogonal to every column of R but its own
//! (Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45, 2024, §2). It takes 2 products a
//! probe and holds 3 × probes × dim elements.

use candle_core::Tensor;
use flatness_kernels::norm;
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;

use crate::basis::Basis;
use crate::error::check_positive;
use crate::product::{Precision, multiply};
use crate::{Budget, Error, Probe};

/// Stream of the first vector that stands in for a dependent one: far from any probe's.
const STAND_INS: usize = 1 << 31;

/// Ω, Q, A Q and R.
pub(crate) struct Sketch {
    pub(crate) basis: Basis,
    /// A Q as rows.
    pub(crate) images: Basis,
    /// Ω as rows.
    pub(crate) probes: Basis,
    /// R, (probes, probes), upper triangular.
    pub(crate) factor: DMatrix<f64>,
    pub(crate) precision: Precision,
    seed: u64,
    /// Products made, of which an interrupt may leave the last ones without use.
    pub(crate) products: usize,
}

impl Sketch {
    /// A sketch of no probes, with room for `capacity`.
    pub(crate) fn new(
        operator: &dyn LinearOperator,
        seed: u64,
        capacity: usize,
    ) -> Result<Self, Error> {
        check_positive("the operator's dimension", operator.dim())?;
        let precision = Precision::of(operator)?;
        let vector = Tensor::zeros((1, operator.dim()), operator.dtype(), operator.device())?;
        let basis = Basis::zeros(capacity, &vector)?;
        Ok(Self {
            probes: basis.room(capacity)?,
            images: basis.room(capacity)?,
            basis,
            factor: DMatrix::zeros(0, 0),
            precision,
            seed,
            products: 0,
        })
    }

    /// Number of probes.
    pub(crate) fn count(&self) -> usize {
        self.factor.ncols()
    }

    /// Moves to room for `capacity` probes, not fewer than there are.
    pub(crate) fn reserve(&mut self, capacity: usize) -> Result<(), Error> {
        let count = self.count();
        self.basis.grow(count, capacity)?;
        self.images.grow(count, capacity)?;
        self.probes.grow(count, capacity)
    }

    /// Takes `rows` more probes, for which there is room, with 2 × rows products. Returns false and adds no
    /// probe where `budget` interrupts, which is asked between the two blocks.
    pub(crate) fn extend(
        &mut self,
        operator: &dyn LinearOperator,
        rows: usize,
        budget: &Budget<'_>,
    ) -> Result<bool, Error> {
        let old = self.count();
        let count = old + rows;
        let probes = Probe::Rademacher.rows(operator, old..count, self.seed)?;
        self.probes.set(old, &probes)?;
        let products = multiply(operator, &probes)?;
        self.products += rows;
        if (budget.interrupt)() {
            return Ok(false);
        }
        self.factor.resize_mut(count, count, 0.0);
        for row in 0..rows {
            let product = products.narrow(0, row, 1)?;
            self.append(operator, &product, old + row)?;
        }
        let fresh = self.basis.rows(count)?.narrow(0, old, rows)?;
        let images = multiply(operator, &fresh)?;
        self.products += rows;
        for row in 0..rows {
            if !norm(&images.narrow(0, row, 1)?)?.is_finite() {
                return Err(Error::NonFiniteProduct {
                    probe: old + row,
                    product: 1,
                });
            }
        }
        self.images.set(old, &images)?;
        Ok(true)
    }

    /// Makes q number `index` of a product, and its column of R. Where the product lies in the span
    /// of those before it a random vector stands in, with a vanishing diagonal entry.
    fn append(
        &mut self,
        operator: &dyn LinearOperator,
        product: &Tensor,
        index: usize,
    ) -> Result<(), Error> {
        let before = norm(product)?;
        if !before.is_finite() {
            return Err(Error::NonFiniteProduct {
                probe: index,
                product: 0,
            });
        }
        let (mut remainder, inside) = self.basis.project_out(index, product)?;
        self.factor
            .view_mut((0, index), (index, 1))
            .copy_from(&inside.transpose());
        let mut length = norm(&remainder)?;
        let floor = self.precision.breakdown(before);
        self.factor[(index, index)] = length.max(floor).max(least());
        if length <= floor {
            let stand_in = STAND_INS + index;
            let random = Probe::Rademacher.rows(operator, stand_in..stand_in + 1, self.seed)?;
            remainder = self.basis.project_out(index, &random)?.0;
            length = norm(&remainder)?;
        }
        let unit = remainder.affine(length.recip(), 0.0)?;
        let (unit, _) = self.basis.project_out(index, &unit)?;
        let unit = unit.affine(norm(&unit)?.recip(), 0.0)?;
        self.basis.set(index, &unit)
    }

    /// Whether every product was zero, or so small that its square is.
    pub(crate) fn vanishes(&self) -> bool {
        self.factor.amax() <= least()
    }

    /// S, (probes, probes): column i is the unit vector orthogonal to every column of R but column
    /// i.
    pub(crate) fn left_out(&self) -> DMatrix<f64> {
        let count = self.count();
        let mut directions = DMatrix::identity(count, count);
        // Forward substitution with Rᵀ, each column scaled as it goes so that nothing overflows.
        for (index, mut direction) in directions.column_iter_mut().enumerate() {
            for row in index..count {
                let sum = (index..row)
                    .map(|inner| self.factor[(inner, row)] * direction[inner])
                    .sum::<f64>();
                let entry: f64 = (direction[row] - sum) / self.factor[(row, row)];
                direction[row] = entry;
                if entry.abs() > 1.0 {
                    for scaled in index..=row {
                        direction[scaled] /= entry.abs();
                    }
                }
            }
            let length = direction.norm();
            direction /= length;
        }
        directions
    }
}

/// The least entry that keeps R invertible, also where every product is zero.
fn least() -> f64 {
    f64::MIN_POSITIVE.sqrt()
}
