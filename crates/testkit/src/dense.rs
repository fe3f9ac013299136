//! A linear operator written out: column j is A eⱼ.

use candle_core::Tensor;
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;

use crate::values;

/// Every entry of `operator` (dim, dim), from products with unit vectors. Nothing is symmetrised.
pub fn dense_matrix<Operator: LinearOperator + ?Sized>(operator: &Operator) -> DMatrix<f64> {
    let dim = operator.dim();
    let units = Tensor::eye(dim, operator.dtype(), operator.device()).expect("unit vectors");
    let products = operator.apply_block(&units).expect("a product");
    // Row j holds A eⱼ, and nalgebra reads columns first.
    DMatrix::from_vec(dim, dim, values(&products))
}
