//! Adaptive sharpness: curvature where every weight may move in proportion to its size (claim C8).
//!
//! ```text
//! λ_max(T H T),     T = diag(|θ| + η):     ½ ρ² λ_max is max over ‖T⁻¹ d‖ ≤ ρ of ½ dᵀ H d
//! ```
//!
//! Elementwise: with η = 0 it does not change when two layers of a ReLU network are rescaled against each other.
//! Source: Kwon, Kim, Park, Choi, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
//! Deep Neural Networks", ICML 2021, definition 2 with p = 2, to second order and where the gradient vanishes; η,
//! 0.01 there, is their remedy for weights near zero and breaks the invariance a little.

use candle_core::Tensor;
use flatness_operator::{Congruence, LinearOperator};

use crate::Error;
use crate::vector::check_from_zero;

/// T A T with T = diag(|θ| + η), η the `offset`, whose largest eigenvalue is the adaptive sharpness where A is the
/// Hessian of the objective; any other matrix gives its own. One product with A for each of its own.
///
/// # Errors
/// [`Error::OutOfRange`] for a negative `offset`, and a `theta` that is not of the operator.
pub fn adaptive<Operator: LinearOperator>(
    operator: Operator,
    theta: &Tensor,
    offset: f64,
) -> Result<Congruence<Operator>, Error> {
    check_from_zero("the offset", offset)?;
    Ok(Congruence::new(operator, &(theta.abs()? + offset)?)?)
}
