//! The matrices of a mean loss at a fixed θ, as operators on blocks of vectors (V, P).
//!
//! ```text
//! Hessian               H = ∇²L = G + R
//! Gauss-Newton          G = (1/N) Σᵢ Jᵢᵀ Aᵢ Jᵢ
//! residual              R = (1/N) Σᵢ Σ_c ∂lᵢ/∂z_c ∇²z_c
//! empirical Fisher      F = (1/N) Σᵢ gᵢ gᵢᵀ = C + g gᵀ
//! gradient covariance   C = (1/N) Σᵢ (gᵢ − g)(gᵢ − g)ᵀ
//! ```
//!
//! z are the logits, J = ∂z/∂θ, A = ∂²l/∂z², gᵢ = Jᵢᵀ ∂lᵢ/∂zᵢ, g = (1/N) Σᵢ gᵢ = ∇L. All are means over
//! the examples and hold no L2 term. G is that of Schraudolph (2002), and for cross-entropy the
//! Fisher matrix, whose labels are drawn from the model; F takes the labels of the data instead and is
//! another matrix wherever the model is not yet sure of them (Kunstner et al. 2019).
//!
//! Where batch-norm couples the examples of a batch, J is the derivative through the whole batch, and
//! gᵢ that of example i's loss as a function of its batch: the formulas are the same.

use std::fmt;

use candle_core::{DType, Device, Tensor};
use flatness_kernels::dot;
use flatness_operator::{LinearOperator, check_block};

use crate::curvature::is_finite;
use crate::{Curvature, Error};

/// A symmetric matrix (P, P) of a mean loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// H, the second derivative of the mean loss.
    Hessian,
    /// G, the generalised Gauss-Newton matrix; positive semi-definite, of rank N (C − 1) at most for
    /// cross-entropy.
    GaussNewton,
    /// R = H − G, from one sweep of its own instead of a difference.
    Residual,
    /// F, the mean of the outer squares of the examples' gradients at their true labels; positive
    /// semi-definite, of rank N at most.
    EmpiricalFisher,
    /// C = F − g gᵀ, the covariance of the examples' gradients, divided by N and not N − 1; positive
    /// semi-definite, of rank N − 1 at most.
    GradientCovariance,
}

impl Matrix {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Hessian,
        Self::GaussNewton,
        Self::Residual,
        Self::EmpiricalFisher,
        Self::GradientCovariance,
    ];
}

impl fmt::Display for Matrix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hessian => "Hessian",
            Self::GaussNewton => "Gauss-Newton matrix",
            Self::Residual => "residual of the Hessian",
            Self::EmpiricalFisher => "empirical Fisher matrix",
            Self::GradientCovariance => "gradient covariance",
        })
    }
}

/// One of the matrices of a [`Curvature`].
#[derive(Debug, Clone)]
pub struct CurvatureOperator<'c> {
    curvature: &'c Curvature<'c>,
    matrix: Matrix,
    /// g (P), for the gradient covariance alone.
    mean_gradient: Option<Tensor>,
    /// ‖g‖² = ‖g gᵀ‖, which cancels in the gradient covariance; 0 for the others.
    scale: f64,
}

impl<'c> CurvatureOperator<'c> {
    pub(crate) fn new(curvature: &'c Curvature<'c>, matrix: Matrix) -> Result<Self, Error> {
        let mut operator = Self::uncentred(curvature, matrix);
        if matrix == Matrix::GradientCovariance {
            let gradient = mean_gradient(curvature)?;
            operator.scale = dot(&gradient, &gradient)?;
            operator.mean_gradient = Some(gradient);
        }
        Ok(operator)
    }

    /// The operator of a matrix that needs no mean gradient.
    pub(crate) fn uncentred(curvature: &'c Curvature<'c>, matrix: Matrix) -> Self {
        Self {
            curvature,
            matrix,
            mean_gradient: None,
            scale: 0.0,
        }
    }

    pub(crate) fn product(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let mean_loss = self.curvature.mean_loss();
        mean_loss.agree_on("the vectors to multiply", vectors)?;
        let at_a_time = mean_loss.vectors_per_sweep();
        by_parts(vectors, at_a_time, |part| self.sweep(part))
    }

    /// The product with as many vectors as may go through a sweep together.
    fn sweep(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let Self {
            curvature, matrix, ..
        } = *self;
        let network = curvature.mean_loss().network();
        let tangents = network.layout().split(vectors)?;
        let what = format!("product with the {matrix}");
        let product = curvature.mean(&what, vectors.dim(0)?, |chunk, sums| match matrix {
            Matrix::Hessian => {
                curvature.curved(chunk, |at| at.add_hessian_product(&tangents, sums))
            }
            Matrix::Residual => {
                curvature.curved(chunk, |at| at.add_residual_product(&tangents, sums))
            }
            Matrix::GaussNewton => {
                curvature.linear(chunk, |at| at.add_gauss_newton_product(&tangents, sums))
            }
            Matrix::EmpiricalFisher | Matrix::GradientCovariance => {
                curvature.linear(chunk, |at| at.add_empirical_fisher_product(&tangents, sums))
            }
        });
        let product = match product {
            Err(Error::NonFinite { .. }) if !is_finite(vectors)? => Err(Error::NonFiniteVectors),
            other => other,
        }?;
        match &self.mean_gradient {
            None => Ok(product),
            Some(gradient) => centred(&product, vectors, gradient),
        }
    }
}

/// ∇L (P) over the chunks of `curvature`.
pub(crate) fn mean_gradient(curvature: &Curvature<'_>) -> Result<Tensor, Error> {
    let gradient = curvature.mean("mean gradient", 1, |chunk, sums| {
        curvature.linear(chunk, |point| point.add_gradient(sums))
    })?;
    Ok(gradient.squeeze(0)?)
}

/// F v − g (g·v) for the rows of `product` and `vectors` (V, P).
fn centred(product: &Tensor, vectors: &Tensor, gradient: &Tensor) -> Result<Tensor, Error> {
    let rows = (0..vectors.dim(0)?).map(|row| {
        let slope = dot(&vectors.get(row)?, gradient)?;
        Ok((product.get(row)? - (gradient * slope)?)?)
    });
    Ok(Tensor::stack(&rows.collect::<Result<Vec<_>, Error>>()?, 0)?)
}

impl LinearOperator for CurvatureOperator<'_> {
    fn dim(&self) -> usize {
        self.curvature.mean_loss().network().layout().dim()
    }

    fn dtype(&self) -> DType {
        self.curvature.mean_loss().settings().dtype
    }

    fn device(&self) -> &Device {
        &self.curvature.mean_loss().settings().device
    }

    fn scale(&self) -> f64 {
        self.scale
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        check_block(self, vectors)?;
        let product = self.product(vectors);
        product.map_err(flatness_operator::Error::from_source)
    }
}

/// The `product` of a block of vectors (V, P), at most so many of them at a time.
fn by_parts(
    vectors: &Tensor,
    at_a_time: usize,
    product: impl Fn(&Tensor) -> Result<Tensor, Error>,
) -> Result<Tensor, Error> {
    let count = vectors.dim(0)?;
    if count <= at_a_time {
        return product(vectors);
    }
    let part = |first| product(&vectors.narrow(0, first, at_a_time.min(count - first))?);
    let parts = (0..count).step_by(at_a_time).map(part);
    Ok(Tensor::cat(&parts.collect::<Result<Vec<_>, _>>()?, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_in_parts_is_the_block_and_no_part_is_larger_than_allowed() {
        let block = Tensor::arange(0f64, 21.0, &Device::Cpu).unwrap();
        let block = block.reshape((7, 3)).unwrap();
        for at_a_time in [1, 3, 7, usize::MAX] {
            let squares = by_parts(&block, at_a_time, |part| {
                assert!(part.dim(0)? <= at_a_time);
                Ok(part.sqr()?)
            });
            let rows = |block: Tensor| block.to_vec2::<f64>().unwrap();
            assert_eq!(rows(squares.unwrap()), rows(block.sqr().unwrap()));
        }
    }
}
