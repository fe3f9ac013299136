//! The operator of a block of a matrix, put together in one place:
//!
//! ```text
//! W = V (E A Eᵀ + s I)      E the rows and columns of the block, s an L2 coefficient
//! ```
//!
//! a few rows of V at a time, for what a product takes for each; from the journal, which the first process keeps, where they
//! are on record; counted and shown.

use candle_core::Tensor;
use flatness_curvature::{Curvature, CurvatureOperator};
use flatness_layers::Workers;
use flatness_operator::{Error, LinearOperator, Principal, check_block};
use flatness_records::Matrix;

use crate::context::Place;
use crate::journal::Journal;
use crate::meter::Meter;

/// A block of a curvature matrix.
pub(crate) struct Block<'c> {
    matrix: Principal<CurvatureOperator<'c>>,
    shift: f64,
    /// Rows at a time, at least 1.
    rows: usize,
    journal: Option<Journal>,
    workers: &'c Workers,
    meter: &'c Meter<'c>,
}

impl<'c> Block<'c> {
    /// The block at `place`, with `shift` on its diagonal.
    pub(crate) fn new(
        curvature: &'c Curvature<'c>,
        place: &Place,
        shift: f64,
        rows: usize,
        meter: &'c Meter<'c>,
    ) -> Result<Self, crate::Error> {
        let whole = curvature.operator(curvature_matrix(place.matrix))?;
        Ok(Self {
            matrix: Principal::new(whole, &place.ranges)?,
            shift,
            rows,
            journal: None,
            workers: curvature.workers(),
            meter,
        })
    }

    pub(crate) fn journalled(mut self, journal: Option<Journal>) -> Self {
        self.journal = journal;
        self
    }

    pub(crate) fn into_journal(self) -> Option<Journal> {
        self.journal
    }

    fn product(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let product = self.matrix.apply_block(vectors)?;
        if self.shift == 0.0 {
            return Ok(product);
        }
        Ok((product + (vectors * self.shift)?)?)
    }

    /// The product on record, of all processes where it is in the journal of the first.
    fn recorded(&self, vectors: &Tensor) -> Result<Option<Tensor>, Error> {
        let journal = self.journal.as_ref();
        let own = journal.map(|journal| journal.recorded_product(vectors));
        let product = self.workers.of_first(own.transpose()?.flatten(), vectors);
        product.map_err(Error::from_source)
    }

    fn narrow(&self, vectors: &Tensor, count: usize) -> Result<Tensor, Error> {
        if count <= self.rows {
            return self.product(vectors);
        }
        let pieces = (0..count).step_by(self.rows).map(|first| {
            let rows = self.rows.min(count - first);
            self.product(&vectors.narrow(0, first, rows)?.contiguous()?)
        });
        Ok(Tensor::cat(&pieces.collect::<Result<Vec<_>, _>>()?, 0)?)
    }
}

impl LinearOperator for Block<'_> {
    flatness_operator::space_of!(matrix);

    fn scale(&self) -> f64 {
        self.matrix.scale().max(self.shift.abs())
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let count = check_block(self, vectors)?;
        let product = match self.recorded(vectors)? {
            Some(product) => product,
            None => {
                let product = self.narrow(vectors, count)?;
                if let Some(journal) = &self.journal {
                    journal.append(vectors, &product)?;
                }
                product
            }
        };
        self.meter.products(count as u64);
        Ok(product)
    }
}

/// The curvature matrix that a record calls `matrix`.
#[must_use]
pub fn curvature_matrix(matrix: Matrix) -> flatness_curvature::Matrix {
    use flatness_curvature::Matrix as Curved;
    match matrix {
        Matrix::Hessian => Curved::Hessian,
        Matrix::GaussNewton => Curved::GaussNewton,
        Matrix::Residual => Curved::Residual,
        Matrix::EmpiricalFisher => Curved::EmpiricalFisher,
        Matrix::GradientCovariance => Curved::GradientCovariance,
    }
}
