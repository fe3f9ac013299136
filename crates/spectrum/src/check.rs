//! Whether an operator keeps the promises of [`LinearOperator`], asked before a long measurement.
//!
//! For two random unit vectors u and v: the same product twice must agree in every bit; a row of
//! the block product A [u v] must equal the product alone, and uᵀ A v must equal vᵀ A u, up to
//! √ε (half the digits), or up to the rounding of the terms that the matrix is a difference of
//! ([`LinearOperator::scale`]). A − Aᵀ is seen in units of A: for random vectors
//! |uᵀ (A − Aᵀ) v| √dim / (‖A u‖ + ‖A v‖) is about ‖A − Aᵀ‖_F / ‖A‖_F.

use candle_core::Tensor;
use flatness_kernels::dot;
use flatness_operator::LinearOperator;

use crate::error::check_positive;
use crate::product::{Precision, multiply, norm};
use crate::verified::{block_difference, compare_bits};
use crate::{Error, Probe};

/// Asymmetry allowed in units of √ε: random forms scatter by a factor of a few.
const SCATTER: f64 = 8.0;

/// The outcome of [`check_operator`] for an operator that passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatorCheck {
    /// Matrix-vector products used.
    pub products: usize,
    /// ‖difference‖ / ‖A u‖ of a product alone and in a block of two.
    pub block_difference: f64,
    /// |uᵀ A v − vᵀ A u| √dim / (‖A u‖ + ‖A v‖)
    pub asymmetry: f64,
}

/// Multiplies two random vectors, alone and in a block, twice each: six products.
///
/// # Errors
///
/// [`Error::NotDeterministic`], [`Error::BlockDependent`], [`Error::Asymmetric`], each naming the
/// culprit, in this order; [`Error::NonFiniteProduct`] with the vector, [`Error::Zero`] for an
/// operator of dimension 0, [`Error::UnsupportedDType`], [`Error::ProductMismatch`], and the
/// operator's own.
pub fn check_operator<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    seed: u64,
) -> Result<OperatorCheck, Error> {
    let dim = operator.dim();
    check_positive("the operator's dimension", dim)?;
    let precision = Precision::of(operator)?;
    let rows = Probe::Gaussian.rows(operator, 0..2, seed)?;
    let vectors: Vec<Tensor> = (0..2)
        .map(|row| {
            let row = rows.narrow(0, row, 1)?;
            Ok(row.affine(norm(&row)?.recip(), 0.0)?)
        })
        .collect::<Result<_, Error>>()?;
    let alone = repeated(operator, &vectors[0])?;
    let block = repeated(operator, &Tensor::cat(&vectors, 0)?)?;
    let (first, second) = (block.narrow(0, 0, 1)?, block.narrow(0, 1, 1)?);
    let (difference, length) = block_difference(&alone, &first, 0.0, precision)?;
    Ok(OperatorCheck {
        products: 6,
        block_difference: relative(difference, length),
        asymmetry: asymmetry([&vectors[0], &vectors[1]], [&alone, &second], precision)?,
    })
}

/// |uᵀ A v − vᵀ A u| √dim / (‖A u‖ + ‖A v‖) for u and v over their lengths, two independent random
/// vectors (1, dim) with their products; an error beyond what rounding explains.
pub(crate) fn asymmetry(
    [u, v]: [&Tensor; 2],
    products: [&Tensor; 2],
    precision: Precision,
) -> Result<f64, Error> {
    let lengths = [norm(u)?, norm(v)?];
    let form = |left: &Tensor, right: &Tensor| -> Result<f64, Error> {
        Ok(dot(left, right)? / (lengths[0] * lengths[1]))
    };
    let (left, right) = (form(u, products[1])?, form(v, products[0])?);
    let gains = norm(products[0])? / lengths[0] + norm(products[1])? / lengths[1];
    let scale = gains / (u.dim(1)? as f64).sqrt();
    let tolerance = SCATTER * precision.epsilon.sqrt() * scale;
    let tolerance = tolerance.max(precision.breakdown(0.0));
    if (left - right).abs() > tolerance {
        return Err(Error::Asymmetric {
            left,
            right,
            tolerance,
        });
    }
    Ok(relative((left - right).abs(), scale))
}

fn relative(value: f64, scale: f64) -> f64 {
    if scale == 0.0 { 0.0 } else { value / scale }
}

/// The finite product of `vectors` (rows, dim), made twice and compared bit by bit.
fn repeated<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    vectors: &Tensor,
) -> Result<Tensor, Error> {
    let product = multiply(operator, vectors)?;
    for probe in 0..vectors.dim(0)? {
        if !norm(&product.narrow(0, probe, 1)?)?.is_finite() {
            return Err(Error::NonFiniteProduct { probe, product: 0 });
        }
    }
    compare_bits(&product, &multiply(operator, vectors)?)?;
    Ok(product)
}
