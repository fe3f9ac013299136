//! An operator that multiplies a block a few rows at a time, for what a product takes for each row.

use candle_core::{DType, Device, Tensor};
use flatness_operator::{LinearOperator, check_block};

/// An operator that multiplies a block a few rows at a time.
pub(super) struct Narrow<Operator> {
    pub(super) operator: Operator,
    /// Rows at a time, at least 1.
    pub(super) rows: usize,
}

impl<Operator: LinearOperator> LinearOperator for Narrow<Operator> {
    fn dim(&self) -> usize {
        self.operator.dim()
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

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        let count = check_block(self, vectors)?;
        if count <= self.rows {
            return self.operator.apply_block(vectors);
        }
        let pieces = (0..count).step_by(self.rows).map(|first| {
            let rows = self.rows.min(count - first);
            self.operator
                .apply_block(&vectors.narrow(0, first, rows)?.contiguous()?)
        });
        let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::cat(&pieces, 0)?)
    }
}
