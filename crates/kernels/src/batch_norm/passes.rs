//! The passes over the entries that batch normalisation is made of, and their two paths.
//!
//! Their results per channel, and the coefficients that they take per channel, are float64.

mod cpu;
mod plain;

use candle_core::{Result, Tensor};

use crate::real::by_candle_or_cpu;

/// What stands for x̂ in a pass: x - mean, whose r is in the coefficients.
#[derive(Clone, Copy)]
pub(super) struct Normalised<'a> {
    /// (B, C, H, W)
    pub(super) x: &'a Tensor,
    /// (C)
    pub(super) mean: &'a Tensor,
}

/// scale · b + slope · (x - mean) + shift.
pub(super) struct Combination<'a> {
    /// The block b (B, V, C, H, W) and its scale (C).
    pub(super) block: Option<(&'a Tensor, Tensor)>,
    /// (V, C)
    pub(super) slope: Tensor,
    /// (V, C)
    pub(super) shift: Tensor,
}

/// Mean and biased variance of every channel, (C).
pub(super) fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    by_candle_or_cpu!(x, moments(x))
}

/// Σ b and Σ b (x - mean), (V, C) each, of a block b (B, V, C, H, W).
pub(super) fn sums(normalised: Normalised<'_>, block: &Tensor) -> Result<[Tensor; 2]> {
    by_candle_or_cpu!(block, sums(normalised, block))
}

/// Σ ȳ b, (V, C), of ȳ (B, C, H, W) and a block b (B, V, C, H, W).
pub(super) fn inner(cotangent: &Tensor, block: &Tensor) -> Result<Tensor> {
    by_candle_or_cpu!(block, inner(cotangent, block))
}

/// scale · b of a block b (B, V, C, H, W) and `scale` (C).
pub(super) fn scale(block: &Tensor, scale: &Tensor) -> Result<Tensor> {
    by_candle_or_cpu!(block, scale(block, scale))
}

/// The combination, (B, V, C, H, W).
pub(super) fn combine(normalised: Normalised<'_>, combination: &Combination<'_>) -> Result<Tensor> {
    by_candle_or_cpu!(normalised.x, combine(normalised, combination))
}

/// sum (B, V, C, H, W) += weight (V, C) · ȳ (B, C, H, W), and a combination where it is given.
pub(super) fn add(
    sum: &Tensor,
    cotangent: &Tensor,
    weight: &Tensor,
    combination: Option<(Normalised<'_>, &Combination<'_>)>,
) -> Result<()> {
    by_candle_or_cpu!(sum, add(sum, cotangent, weight, combination))
}
