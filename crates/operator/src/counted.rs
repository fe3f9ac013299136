//! A counter of matrix-vector products: the operator itself, unchanged, and the number of vectors
//! it has multiplied.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::check_block;
use crate::{Error, LinearOperator};

/// An operator that counts. A block of k vectors counts k; a product that fails counts nothing.
///
/// Lend it (`&Counted<_>` is an operator too) and [`products`](Self::products) can be read from any
/// thread while a method is running, for a progress bar.
#[derive(Debug)]
pub struct Counted<Operator> {
    operator: Operator,
    products: AtomicU64,
}

impl<Operator: LinearOperator> Counted<Operator> {
    /// Starts counting at zero.
    pub fn new(operator: Operator) -> Self {
        Self {
            operator,
            products: AtomicU64::new(0),
        }
    }

    /// Vectors multiplied so far.
    #[must_use]
    pub fn products(&self) -> u64 {
        // The count orders nothing else in memory, so that relaxed accesses suffice.
        self.products.load(Ordering::Relaxed)
    }
}

impl<Operator: LinearOperator> LinearOperator for Counted<Operator> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn dtype(&self) -> DType {
        self.operator.dtype()
    }

    fn device(&self) -> &Device {
        self.operator.device()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let rows = check_block(self, vectors)?;
        let product = self.operator.apply_block(vectors)?;
        self.products.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(product)
    }
}
