//! The Fisher-Rao norm: ‖θ‖²_FR = θᵀ G θ, with G the Gauss-Newton matrix, a mean over the data
//! (claim C8).
//!
//! ```text
//! θᵀ G θ = (1/N) Σᵢ (Jᵢ θ)ᵀ Aᵢ (Jᵢ θ)
//! ```
//!
//! It is the *squared* norm, without a factor ½. For cross-entropy G is the Fisher information with
//! labels drawn from the model, so that this is the Fisher-Rao norm of the statistical literature.
//! Liang, Poggio, Rakhlin, Stokes, "Fisher-Rao Metric, Geometry, and Complexity of Neural Networks",
//! AISTATS 2019, definition 2, take the expectation over the labels of the data instead, that is
//! (1/N) Σᵢ (θ·∇lᵢ)². Rescaling two layers of a ReLU network does not change it: D θ meets D⁻¹ G D⁻¹.

use candle_core::Tensor;
use flatness_kernels::dot;
use flatness_operator::LinearOperator;

use crate::Error;
use crate::sweeps::finite;

/// θᵀ G θ for the Gauss-Newton operator at `theta` (P). One product.
///
/// # Errors
/// Those of the operator, and a product that is not finite.
pub fn fisher_rao<Operator: LinearOperator + ?Sized>(
    gauss_newton: &Operator,
    theta: &Tensor,
) -> Result<f64, Error> {
    finite(
        "the product of theta",
        dot(theta, &gauss_newton.apply(theta)?)?,
    )
}
