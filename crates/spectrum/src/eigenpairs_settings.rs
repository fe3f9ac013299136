//! What [`crate::eigenpairs()`] is asked for, and the memory it takes: (basis + 4 block) × dim
//! elements.

use candle_core::DType;
use flatness_operator::LinearOperator;

use crate::Error;
use crate::error::{check_positive, check_positive_real};
use crate::product::epsilon;

/// Blocks of vectors at work beside the basis: the one multiplied, its product, what sticks out of
/// it, and the next one.
const BLOCKS_AT_WORK: u64 = 4;

/// What [`crate::eigenpairs()`] is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EigenpairsSettings {
    /// Eigenvalues wanted from the positive end, at most the operator's dimension.
    pub top: usize,
    /// Eigenvalues wanted from the negative end, at most the operator's dimension.
    pub bottom: usize,
    /// Vectors multiplied at a time, at least 1. One needs the fewest products; more share each
    /// pass over the data, and resolve eigenvalues repeated as often.
    pub block: usize,
    /// Vectors held at most. Needed are top + bottom + 2 block, or the operator's dimension; twice
    /// that and more saves products.
    pub basis: usize,
    /// Stop when every residual is at most this fraction of the largest |Ritz value|.
    pub tolerance: f64,
    /// Products to make even if every residual is small before: they find further Ritz vectors for
    /// [`crate::Eigenpairs::deflation`].
    pub least_products: usize,
    /// Seed of the start vectors, which are probes 0, 1, … of [`crate::Probe::Gaussian`].
    pub seed: u64,
}

impl EigenpairsSettings {
    /// Checks the settings and returns the number of vectors to make room for.
    pub(crate) fn capacity(&self, operator: &dyn LinearOperator) -> Result<usize, Error> {
        let EigenpairsSettings {
            top,
            bottom,
            block,
            basis,
            tolerance,
            ..
        } = *self;
        let dim = operator.dim();
        check_positive("the operator's dimension", dim)?;
        check_positive("block", block)?;
        for (field, got) in [("top", top), ("bottom", bottom)] {
            if got > dim {
                return Err(Error::BeyondDimension { field, got, dim });
            }
        }
        let wanted = top + bottom;
        check_positive("the number of eigenvalues", wanted)?;
        check_positive_real("tolerance", tolerance)?;
        epsilon(operator.dtype())?;
        let needed = wanted.saturating_add(block.saturating_mul(2)).min(dim);
        if basis < needed {
            return Err(Error::BasisTooSmall {
                basis,
                wanted,
                block,
                needed,
            });
        }
        Ok(basis.min(dim))
    }
}

/// Bytes held by [`crate::eigenpairs()`] with a basis of `basis` vectors of length `dim`, beside what the
/// operator itself needs.
#[must_use]
pub fn basis_bytes(basis: usize, block: usize, dim: usize, dtype: DType) -> u64 {
    let vectors = (basis as u64).saturating_add(BLOCKS_AT_WORK.saturating_mul(block as u64));
    vectors.saturating_mul(vector_bytes(dim, dtype))
}

/// Bytes of one vector of length `dim`.
pub(crate) fn vector_bytes(dim: usize, dtype: DType) -> u64 {
    (dim as u64).saturating_mul(dtype.size_in_bytes() as u64)
}
