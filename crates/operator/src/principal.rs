//! A principal submatrix: W = (V Eᵀ A) E for the (dim, d) matrix E of the chosen unit vectors; V and W
//! (k, d).
//!
//! On the parameters of one layer this is that layer's diagonal block.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::check_block;
use crate::{Error, LinearOperator};

/// The rows and columns of an operator at some indices.
#[derive(Debug, Clone)]
pub struct Principal<Operator> {
    operator: Operator,
    ranges: Vec<Range<usize>>,
    /// d, the indices of all ranges.
    dim: usize,
}

impl<Operator: LinearOperator> Principal<Operator> {
    /// The submatrix of `operator` at the indices in `ranges`, which are in order and disjoint, each
    /// with at least one index.
    ///
    /// # Errors
    ///
    /// [`Error::Ranges`] unless they are and there is at least one.
    pub fn new(operator: Operator, ranges: &[Range<usize>]) -> Result<Self, Error> {
        let mut end = 0;
        for range in ranges {
            if range.is_empty() || range.start < end || range.end > operator.dim() {
                return Err(Error::Ranges {
                    dim: operator.dim(),
                    got: Some(range.clone()),
                });
            }
            end = range.end;
        }
        if ranges.is_empty() {
            return Err(Error::Ranges {
                dim: operator.dim(),
                got: None,
            });
        }
        Ok(Self {
            operator,
            ranges: ranges.to_vec(),
            dim: ranges.iter().map(Range::len).sum(),
        })
    }

    /// Vectors of the submatrix (k, d) as vectors of the whole, (k, dim), zero elsewhere.
    ///
    /// # Errors
    ///
    /// As [`check_block`] of the submatrix.
    pub fn embed(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let rows = check_block(self, vectors)?;
        let zeros = |columns: usize| Tensor::zeros((rows, columns), self.dtype(), self.device());
        let mut pieces = Vec::with_capacity(2 * self.ranges.len() + 1);
        let (mut taken, mut end) = (0, 0);
        for range in &self.ranges {
            if range.start > end {
                pieces.push(zeros(range.start - end)?);
            }
            pieces.push(vectors.narrow(1, taken, range.len())?);
            (taken, end) = (taken + range.len(), range.end);
        }
        if end < self.operator.dim() {
            pieces.push(zeros(self.operator.dim() - end)?);
        }
        Ok(Tensor::cat(&pieces, 1)?)
    }

    /// The chosen elements (k, d) of vectors of the whole, (k, dim).
    ///
    /// # Errors
    ///
    /// As [`check_block`] of the whole.
    pub fn extract(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        check_block(&self.operator, vectors)?;
        let pieces = self.ranges.iter();
        let pieces = pieces.map(|range| vectors.narrow(1, range.start, range.len()));
        let pieces = pieces.collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&pieces, 1)?)
    }
}

impl<Operator: LinearOperator> LinearOperator for Principal<Operator> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn dtype(&self) -> DType {
        self.operator.dtype()
    }

    fn device(&self) -> &Device {
        self.operator.device()
    }

    fn scale(&self) -> f64 {
        self.operator.scale()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let product = self.operator.apply_block(&self.embed(vectors)?)?;
        self.extract(&product)
    }
}
