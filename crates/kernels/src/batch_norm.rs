//! Batch normalisation and its derivative passes.
//!
//! ```text
//! x̂ = (x - mean) r,   r = (variance + ε)^(-1/2),   y = γ x̂ + β
//! x, y (B, C, H, W)   mean, r, γ, β (C)   ẋ, ȳ (B, V, C, H, W)   γ̇, β̇, γ̄, β̄ (V, C)
//! ```
//!
//! [`frozen`] takes mean and r for constants, so that a layer is affine and examples are
//! independent; in [`batch`] they are the moments of x itself. Means are those of the m = B H W
//! entries of a channel; every other sum runs over the batch and is not divided by B.
//!
//! Each function is one or two passes over the blocks and arithmetic on a few numbers per channel
//! between them, which is float64 whatever the blocks are.

pub mod batch;
pub mod frozen;
mod passes;
#[cfg(test)]
mod tests;

use candle_core::{DType, Result, Tensor, bail};

use crate::real::expect_shape;
use passes::{Combination, Normalised};

/// Statistics of every channel, (C) each.
pub struct Moments {
    /// Σ x / m.
    pub mean: Tensor,
    /// The biased one, Σ (x - mean)² / m.
    pub variance: Tensor,
}

/// Mean and biased variance of every channel of x (B, C, H, W), over its m = B H W entries.
///
/// # Errors
/// No entries, a tensor that is not contiguous, a number type other than f32 and f64, or a device
/// error.
pub fn moments(x: &Tensor) -> Result<Moments> {
    let (batch, _, height, width) = x.dims4()?;
    if batch * height * width == 0 {
        bail!(
            "expected at least one entry per channel, got {:?}",
            x.shape()
        );
    }
    let (mean, variance) = passes::moments(x)?;
    Ok(Moments {
        mean: mean.to_dtype(x.dtype())?,
        variance: variance.to_dtype(x.dtype())?,
    })
}

/// y = γ x̂ + β, (B, C, H, W), of x (B, C, H, W); `mean`, `r`, `gamma` and `beta` are (C).
///
/// # Errors
/// Shapes that do not fit, tensors that are not contiguous, or a device error.
pub fn forward(
    x: &Tensor,
    mean: &Tensor,
    r: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
) -> Result<Tensor> {
    let channels = x.dims4()?.1;
    expect_channels(
        channels,
        &[("mean", mean), ("r", r), ("gamma", gamma), ("beta", beta)],
    )?;
    let slope = (double(gamma)? * double(r)?)?.unsqueeze(0)?;
    let shift = double(beta)?.unsqueeze(0)?;
    let combination = Combination {
        block: None,
        slope,
        shift,
    };
    passes::combine(Normalised { x, mean }, &combination)?.squeeze(1)
}

/// Fails unless every operand is (C), with its name for the message.
fn expect_channels(channels: usize, operands: &[(&str, &Tensor)]) -> Result<()> {
    operands
        .iter()
        .try_for_each(|(name, tensor)| expect_shape(name, tensor, &[channels]))
}

fn double(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_dtype(DType::F64)
}
