//! All eigenvalues of an operator of a few thousand dimensions: A row by row from its products with
//! the unit vectors, then Householder and bisection on (A + Aᵀ)/2 in double precision.
//!
//! It takes dim products, dim² elements of memory a few times over and about 4/3 dim³ operations: under
//! two seconds, products included, at a dimension of 1,666.

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;
use nalgebra::linalg::SymmetricTridiagonal;

use crate::bisection::eigenvalues;
use crate::error::check_positive;
use crate::product::{epsilon, multiply};
use crate::{Budget, Error};

/// The outcome of [`dense_spectrum`].
#[derive(Debug, Clone, PartialEq)]
pub struct DenseSpectrum {
    /// In descending order, (dim).
    pub eigenvalues: Vec<f64>,
    /// Matrix-vector products used, one for each dimension.
    pub products: usize,
    /// Frobenius norm of (A − Aᵀ)/2, which bounds the distance of each eigenvalue to one of the
    /// symmetric matrix that A is meant to be.
    pub asymmetry: f64,
}

impl DenseSpectrum {
    /// Eigenvalues whose magnitude is above `relative_threshold` times the largest.
    #[must_use]
    pub fn rank(&self, relative_threshold: f64) -> usize {
        let magnitudes = || self.eigenvalues.iter().map(|value| value.abs());
        let threshold = relative_threshold * magnitudes().fold(0.0, f64::max);
        magnitudes().filter(|&value| value > threshold).count()
    }
}

/// Computes all eigenvalues, with products of `block` vectors at a time.
///
/// # Errors
///
/// [`Error::Zero`] for an empty block or an operator of dimension 0, [`Error::BudgetTooSmall`],
/// [`Error::Interrupted`], and those of products, see [`Error`].
pub fn dense_spectrum(
    operator: &dyn LinearOperator,
    block: usize,
    budget: &Budget<'_>,
) -> Result<DenseSpectrum, Error> {
    let dim = operator.dim();
    check_positive("block", block)?;
    check_positive("the operator's dimension", dim)?;
    epsilon(operator.dtype())?;
    budget.check(dim)?;
    let mut entries = Vec::with_capacity(dim * dim);
    for first in (0..dim).step_by(block) {
        budget.go_on(first)?;
        let rows = block.min(dim - first);
        let identity = Tensor::eye(rows, operator.dtype(), operator.device())?;
        let units = identity.pad_with_zeros(1, first, dim - first - rows)?;
        let products = multiply(operator, &units)?.to_dtype(DType::F64)?;
        for (row, product) in products.to_vec2::<f64>()?.into_iter().enumerate() {
            if product.iter().any(|entry| !entry.is_finite()) {
                return Err(Error::NonFiniteProduct {
                    probe: first + row,
                    product: 0,
                });
            }
            entries.extend(product);
        }
    }
    // Column-major, so that this is the transpose: the halves below do not care.
    let matrix = DMatrix::from_vec(dim, dim, entries);
    let transpose = matrix.transpose();
    let asymmetry = (&matrix - &transpose).norm() / 2.0;
    let symmetric = (matrix + transpose) * 0.5;
    let (diagonal, off_diagonal) = SymmetricTridiagonal::new(symmetric).unpack_tridiagonal();
    Ok(DenseSpectrum {
        eigenvalues: eigenvalues(diagonal.as_slice(), off_diagonal.as_slice()),
        products: dim,
        asymmetry,
    })
}
