//! A random sketch of the range of A, from which the members of the XTrace family are computed.
//!
//! ```text
//! Y = A Ω = Q R,   H = Qᵀ A Q,   W = Qᵀ Ω
//! ```
//!
//! Ω (dim, probes) has columns of norm √dim. Leaving out probe i turns Q Qᵀ into Q (I − sᵢ sᵢᵀ) Qᵀ,
//! where sᵢ is column i of R⁻ᵀ, normalised: it is orthogonal to every column of R but its own
//! (Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45, 2024, §2). It takes 2 products a
//! probe and holds 2 × probes × dim elements.

use candle_core::Tensor;
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;

use crate::basis::Basis;
use crate::krylov::BREAKDOWN;
use crate::product::{epsilon, multiply, norm};
use crate::settings::check_positive;
use crate::{Error, Probe};

/// Stream of the first vector that stands in for a dependent one: far from any probe's.
const STAND_INS: usize = 1 << 31;

/// Ω, Q, R, H and W.
pub(crate) struct Sketch {
    pub(crate) basis: Basis,
    /// Ω as rows.
    pub(crate) probes: Basis,
    /// R, (probes, probes), upper triangular.
    pub(crate) factor: DMatrix<f64>,
    /// H, (probes, probes)
    pub(crate) projected: DMatrix<f64>,
    /// W, (probes, probes): column i is Qᵀ ωᵢ.
    pub(crate) overlaps: DMatrix<f64>,
    probe: Probe,
    seed: u64,
}

impl Sketch {
    /// A sketch of no probes, with room for `capacity`.
    pub(crate) fn new<Operator: LinearOperator + ?Sized>(
        operator: &Operator,
        probe: Probe,
        seed: u64,
        capacity: usize,
    ) -> Result<Self, Error> {
        check_positive("the operator's dimension", operator.dim())?;
        epsilon(operator.dtype())?;
        let vector = Tensor::zeros((1, operator.dim()), operator.dtype(), operator.device())?;
        let basis = Basis::zeros(capacity, &vector)?;
        Ok(Self {
            probes: basis.room(capacity)?,
            basis,
            factor: DMatrix::zeros(0, 0),
            projected: DMatrix::zeros(0, 0),
            overlaps: DMatrix::zeros(0, 0),
            probe,
            seed,
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
        self.probes.grow(count, capacity)
    }

    /// Takes `rows` more probes with 2 × rows products, not more in all than the dimension. Returns
    /// A q for the vectors q added, (rows, dim).
    pub(crate) fn extend<Operator: LinearOperator + ?Sized>(
        &mut self,
        operator: &Operator,
        rows: usize,
    ) -> Result<Tensor, Error> {
        let old = self.count();
        let count = old + rows;
        if count > self.basis.capacity() {
            let capacity = (2 * self.basis.capacity()).clamp(count, operator.dim().max(count));
            self.reserve(capacity)?;
        }
        let probes = self.unit_rows(operator, old, rows)?;
        let probes = probes.affine((operator.dim() as f64).sqrt(), 0.0)?;
        self.probes.set(old, &probes)?;
        let products = multiply(operator, &probes)?;
        self.factor.resize_mut(count, count, 0.0);
        for row in 0..rows {
            let product = products.narrow(0, row, 1)?;
            self.append(operator, &product, old + row)?;
        }
        let fresh = self.fresh(old, rows)?;
        let images = multiply(operator, &fresh)?;
        // Row r of the coefficients holds Qᵀ A q for the new vector r.
        let columns = self.basis.coefficients(count, &images)?;
        if !columns.iter().all(|entry| entry.is_finite()) {
            return Err(Error::NonFiniteProduct {
                probe: old,
                product: 1,
            });
        }
        self.projected.resize_mut(count, count, 0.0);
        self.projected
            .view_mut((0, old), (count, rows))
            .copy_from(&columns.transpose());
        self.projected
            .view_mut((old, 0), (rows, old))
            .copy_from(&columns.columns(0, old));
        let columns = self.basis.coefficients(count, &probes)?;
        self.overlaps.resize_mut(count, count, 0.0);
        self.overlaps
            .view_mut((0, old), (count, rows))
            .copy_from(&columns.transpose());
        if old > 0 {
            let below = self.probes.coefficients(old, &fresh)?;
            self.overlaps
                .view_mut((old, 0), (rows, old))
                .copy_from(&below);
        }
        Ok(images)
    }

    /// Makes q number `index` of a product, and its column of R. Where the product lies in the span
    /// of those before it a random vector stands in, with a vanishing diagonal entry.
    fn append<Operator: LinearOperator + ?Sized>(
        &mut self,
        operator: &Operator,
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
        let floor = BREAKDOWN * epsilon(operator.dtype())? * before;
        self.factor[(index, index)] = length.max(floor).max(least());
        if length <= floor {
            let random = self.unit_rows(operator, STAND_INS + index, 1)?;
            remainder = self.basis.project_out(index, &random)?.0;
            length = norm(&remainder)?;
        }
        let unit = remainder.affine(length.recip(), 0.0)?;
        let (unit, _) = self.basis.project_out(index, &unit)?;
        let unit = unit.affine(norm(&unit)?.recip(), 0.0)?;
        self.basis.set(index, &unit)
    }

    /// Probes from number `first` on, normalised, (rows, dim).
    fn unit_rows<Operator: LinearOperator + ?Sized>(
        &self,
        operator: &Operator,
        first: usize,
        rows: usize,
    ) -> Result<Tensor, Error> {
        let probes = self.probe.rows(operator, first..first + rows, self.seed)?;
        let units = (0..rows)
            .map(|row| {
                let probe = probes.narrow(0, row, 1)?;
                Ok(probe.affine(norm(&probe)?.recip(), 0.0)?)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Tensor::cat(&units, 0)?)
    }

    /// The basis vectors from `first` on, (rows, dim).
    fn fresh(&self, first: usize, rows: usize) -> Result<Tensor, Error> {
        Ok(self.basis.rows(first + rows)?.narrow(0, first, rows)?)
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

/// Checks the number of vectors of a sketch.
pub(crate) fn check_sketch(field: &'static str, got: usize, dim: usize) -> Result<(), Error> {
    check_positive("the operator's dimension", dim)?;
    check_positive(field, got)?;
    if got > dim {
        return Err(Error::BeyondDimension { field, got, dim });
    }
    Ok(())
}
