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
//! between them, which is float64 whatever the blocks are. Every function fails for shapes that do not
//! fit, tensors that are not contiguous, or a device error.

pub mod batch;
pub mod frozen;
mod launched;
mod passes;
#[cfg(test)]
mod tests;

use candle_core::{DType, Result, Tensor, bail};

use crate::elementwise::add_in_place;
use crate::launch::launcher;
use crate::real::expect_shape;
use passes::{Combination, Normalised};

/// Statistics of every channel, (C) each.
pub struct Moments {
    /// Σ x / m.
    pub mean: Tensor,
    /// The biased one, Σ (x - mean)² / m.
    pub variance: Tensor,
    /// (variance + ε)^(-1/2)
    pub r: Tensor,
}

/// Mean, biased variance and r of every channel of x (B, C, H, W), over its m = B H W entries.
///
/// # Errors
/// No entries, or a number type other than f32 and f64.
pub fn moments(x: &Tensor, epsilon: f64) -> Result<Moments> {
    let (batch, _, height, width) = x.dims4()?;
    if batch * height * width == 0 {
        bail!(
            "expected at least one entry per channel, got {:?}",
            x.shape()
        );
    }
    if let Some(launcher) = launcher(x) {
        return launched::moments(&*launcher, x, epsilon);
    }
    let (mean, variance) = passes::moments(x)?;
    let variance = variance.to_dtype(x.dtype())?;
    Ok(Moments {
        mean: mean.to_dtype(x.dtype())?,
        r: reciprocal_deviation(&variance, epsilon)?,
        variance,
    })
}

/// r = (variance + ε)^(-1/2) of the biased `variance` (C).
///
/// # Errors
/// A tensor of more axes, a number type other than f32 and f64, or a device error.
pub fn reciprocal_deviation(variance: &Tensor, epsilon: f64) -> Result<Tensor> {
    variance.dims1()?;
    if !matches!(variance.dtype(), DType::F32 | DType::F64) {
        bail!(
            "expected a tensor of f32 or f64, got {:?}",
            variance.dtype()
        );
    }
    (variance + epsilon)?.sqrt()?.recip()
}

/// Adds `weight` times mean and unbiased variance of `values` entries a channel to the `sums` of both, (C) each and in place.
///
/// # Errors
/// Sums of another length or number type, or a device error.
pub fn add_statistics(
    sums: [&Tensor; 2],
    [mean, variance]: [&Tensor; 2],
    values: usize,
    weight: f64,
) -> Result<()> {
    let unbiased = values as f64 / (values as f64 - 1.0);
    if let Some(launcher) = launcher(mean) {
        let factors = [weight, unbiased];
        return launched::add_statistics(&*launcher, sums, [mean, variance], factors);
    }
    add_in_place(sums[0], &(mean * weight)?)?;
    add_in_place(sums[1], &((variance * unbiased)? * weight)?)
}

/// Where the passes are: an input with what normalises and scales it.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// (B, C, H, W)
    pub x: &'a Tensor,
    /// (C)
    pub mean: &'a Tensor,
    /// (C)
    pub r: &'a Tensor,
    /// (C)
    pub gamma: &'a Tensor,
}

impl<'a> Point<'a> {
    /// Fails unless mean, r and γ are those of the channels, the `parameters` (V, C) and the `blocks`
    /// (B, V, C, H, W), each with its name for the message.
    fn expect(
        self,
        vectors: usize,
        parameters: &[(&str, &Tensor)],
        blocks: &[(&str, Option<&Tensor>)],
    ) -> Result<()> {
        let (batch, channels, height, width) = self.x.dims4()?;
        let Self { mean, r, gamma, .. } = self;
        expect_channels(channels, &[("mean", mean), ("r", r), ("gamma", gamma)])?;
        for (name, parameter) in parameters {
            expect_shape(name, parameter, &[vectors, channels])?;
        }
        for (name, block) in blocks {
            if let Some(block) = block {
                expect_shape(name, block, &[batch, vectors, channels, height, width])?;
            }
        }
        Ok(())
    }

    /// Fails unless the sums of γ̄ and β̄ (V, C) are those of `cotangent` (B, V, C, H, W).
    fn expect_sums(self, cotangent: &Tensor, gamma_sum: &Tensor, beta_sum: &Tensor) -> Result<()> {
        let sums = [("gamma sum", gamma_sum), ("beta sum", beta_sum)];
        self.expect(cotangent.dim(1)?, &sums, &[("cotangents", Some(cotangent))])
    }

    fn normalised(self) -> Normalised<'a> {
        let Self { x, mean, .. } = self;
        Normalised { x, mean }
    }
}

/// y = γ x̂ + β, (B, C, H, W), with `beta` (C).
pub fn forward(at: Point<'_>, beta: &Tensor) -> Result<Tensor> {
    at.expect(0, &[], &[])?;
    expect_channels(at.x.dim(1)?, &[("beta", beta)])?;
    if let Some(launcher) = launcher(at.x) {
        return launched::forward(&*launcher, at, beta);
    }
    let combination = Combination {
        block: None,
        slope: (double(at.gamma)? * double(at.r)?)?.unsqueeze(0)?,
        shift: double(beta)?.unsqueeze(0)?,
    };
    passes::combine(at.normalised(), &combination)?.squeeze(1)
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
