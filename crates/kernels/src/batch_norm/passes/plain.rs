//! The passes as candle operations, for every device.

use candle_core::{D, DType, Result, Tensor};

use super::{Combination, Normalised};
use crate::elementwise::add_in_place;

pub(super) fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let entries = (x.elem_count() / x.dim(1)?.max(1)) as f64;
    let mean = (channel_sums(&x.unsqueeze(1)?)? / entries)?.squeeze(0)?;
    let centred = centred(Normalised { x, mean: &mean })?;
    let variance = (channel_sums(&centred.sqr()?)? / entries)?.squeeze(0)?;
    Ok((mean, variance))
}

pub(super) fn sums(normalised: Normalised<'_>, block: &Tensor) -> Result<[Tensor; 2]> {
    let products = block.broadcast_mul(&centred(normalised)?)?;
    Ok([channel_sums(block)?, channel_sums(&products)?])
}

pub(super) fn inner(cotangent: &Tensor, block: &Tensor) -> Result<Tensor> {
    channel_sums(&block.broadcast_mul(&cotangent.unsqueeze(1)?)?)
}

pub(super) fn scale(block: &Tensor, scale: &Tensor) -> Result<Tensor> {
    block.broadcast_mul(&coefficient(scale, block)?)
}

pub(super) fn combine(normalised: Normalised<'_>, combination: &Combination<'_>) -> Result<Tensor> {
    let combined = centred(normalised)?
        .broadcast_mul(&coefficient(&combination.slope, normalised.x)?)?
        .broadcast_add(&coefficient(&combination.shift, normalised.x)?)?;
    match &combination.block {
        Some((block, factor)) => scale(block, factor)? + combined,
        None => Ok(combined),
    }
}

pub(super) fn add(
    sum: &Tensor,
    cotangent: &Tensor,
    weight: &Tensor,
    combination: Option<(Normalised<'_>, &Combination<'_>)>,
) -> Result<()> {
    let mut term = cotangent
        .unsqueeze(1)?
        .broadcast_mul(&coefficient(weight, cotangent)?)?;
    if let Some((normalised, combination)) = combination {
        term = (term + combine(normalised, combination)?)?;
    }
    add_in_place(sum, &term)
}

/// Sums of every channel, (V, C), in float64 across planes.
fn channel_sums(block: &Tensor) -> Result<Tensor> {
    let planes = block.flatten_from(3)?.sum(D::Minus1)?;
    planes.to_dtype(DType::F64)?.sum(0)
}

/// x - mean, (B, 1, C, H, W).
fn centred(Normalised { x, mean }: Normalised<'_>) -> Result<Tensor> {
    x.unsqueeze(1)?.broadcast_sub(&coefficient(mean, x)?)
}

/// A number per channel, (C) or (V, C), ready to be broadcast over blocks.
fn coefficient(values: &Tensor, like: &Tensor) -> Result<Tensor> {
    let values = values.to_dtype(like.dtype())?;
    values.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)
}
