//! Gradient clipping by the Euclidean norm.
//!
//! ```text
//! g <- g min(1, c / (‖g‖ + 1e-6))
//! ```
//!
//! This is `torch.nn.utils.clip_grad_norm_`, with its 1e-6, over one flat vector (Pascanu, Mikolov &
//! Bengio 2013, algorithm 1, have none). Here the norm is summed in double precision.

use candle_core::Tensor;
use flatness_kernels::{norm, scale_in_place};

use crate::{Error, checks};

/// Scales `gradient` in place so that its norm is at most `largest_norm`, above 0; returns the norm
/// it had. A gradient whose norm is not finite is left as it is.
///
/// # Errors
/// [`Error::Range`], [`Error::Strided`], [`Error::NumberType`] or a device error.
pub fn clip_by_norm(gradient: &Tensor, largest_norm: f64) -> Result<f64, Error> {
    let holds = largest_norm > 0.0;
    checks::range("the largest norm", largest_norm, "above 0", holds)?;
    checks::number_type(gradient)?;
    checks::contiguous("gradient", gradient)?;
    let norm = norm(gradient)?;
    let factor = largest_norm / (norm + 1e-6);
    if norm.is_finite() && factor < 1.0 {
        scale_in_place(gradient, factor)?;
    }
    Ok(norm)
}
