//! Batch normalisation with constant mean and r: an affine map of every channel.
//!
//! ```text
//! tangent        ẏ  = γ r ẋ + γ̇ x̂ + β̇
//! cotangent      x̄  = γ r ȳ,     γ̄ += Σ ȳ x̂,    β̄ += Σ ȳ
//! second order   x̄ += r γ̇ ȳ,     γ̄ += Σ ȳ r ẋ        ȳ (B, C, H, W)
//! ```
//!
//! Sums run over the m entries of a channel; nothing is divided by m.

use candle_core::{Result, Tensor};

use super::passes::{self, Combination};
use super::{Point, double, expect_channels};
use crate::elementwise::add_in_place;
use crate::real::expect_shape;

/// ẏ = γ r ẋ + γ̇ x̂ + β̇, (B, V, C, H, W). Without `dx` the input has no tangent.
pub fn tangent(
    at: Point<'_>,
    dx: Option<&Tensor>,
    dgamma: &Tensor,
    dbeta: &Tensor,
) -> Result<Tensor> {
    let parameters = [("gamma tangents", dgamma), ("beta tangents", dbeta)];
    at.expect(dgamma.dim(0)?, &parameters, &[("input tangents", dx)])?;
    let r = double(at.r)?;
    let block = match dx {
        Some(dx) => Some((dx, (double(at.gamma)? * &r)?)),
        None => None,
    };
    let combination = Combination {
        block,
        slope: double(dgamma)?.broadcast_mul(&r)?,
        shift: double(dbeta)?,
    };
    passes::combine(at.normalised(), &combination)
}

/// x̄ = γ r ȳ, (B, V, C, H, W), of `cotangent` ȳ (B, V, C, H, W).
pub fn input_cotangent(r: &Tensor, gamma: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let channels = cotangent.dims5()?.2;
    expect_channels(channels, &[("r", r), ("gamma", gamma)])?;
    passes::scale(cotangent, &(double(gamma)? * double(r)?)?)
}

/// γ̄ += Σ ȳ x̂ and β̄ += Σ ȳ, (V, C) each and in place, of `cotangent` ȳ (B, V, C, H, W).
pub fn accumulate_cotangent(
    at: Point<'_>,
    cotangent: &Tensor,
    gamma_sum: &Tensor,
    beta_sum: &Tensor,
) -> Result<()> {
    let parameters = [("gamma sum", gamma_sum), ("beta sum", beta_sum)];
    at.expect(
        cotangent.dim(1)?,
        &parameters,
        &[("cotangents", Some(cotangent))],
    )?;
    let [sum, product] = passes::sums(at.normalised(), cotangent)?;
    let gamma_term = product.broadcast_mul(&double(at.r)?)?;
    add_in_place(gamma_sum, &gamma_term.to_dtype(gamma_sum.dtype())?)?;
    add_in_place(beta_sum, &sum.to_dtype(beta_sum.dtype())?)
}

/// γ̄ += Σ ȳ r ẋ in place, (V, C), of the primal `cotangent` ȳ (B, C, H, W) and the tangent `dx`
/// (B, V, C, H, W).
pub fn accumulate_second_order(
    r: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    gamma_sum: &Tensor,
) -> Result<()> {
    let ((batch, channels, height, width), vectors) = (cotangent.dims4()?, dx.dim(1)?);
    expect_channels(channels, &[("r", r)])?;
    let expected = [batch, vectors, channels, height, width];
    expect_shape("input tangents", dx, &expected)?;
    expect_shape("gamma sum", gamma_sum, &[vectors, channels])?;
    let term = passes::inner(cotangent, dx)?.broadcast_mul(&double(r)?)?;
    add_in_place(gamma_sum, &term.to_dtype(gamma_sum.dtype())?)
}

/// x̄ += r γ̇ ȳ in place, (B, V, C, H, W), of the primal `cotangent` ȳ (B, C, H, W) and the tangent
/// `dgamma` (V, C).
pub fn add_second_order(
    r: &Tensor,
    cotangent: &Tensor,
    dgamma: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let ((batch, channels, height, width), vectors) = (cotangent.dims4()?, dgamma.dim(0)?);
    expect_channels(channels, &[("r", r)])?;
    expect_shape("gamma tangents", dgamma, &[vectors, channels])?;
    let expected = [batch, vectors, channels, height, width];
    expect_shape("input sum", input_sum, &expected)?;
    let weight = double(dgamma)?.broadcast_mul(&double(r)?)?;
    passes::add(input_sum, cotangent, &weight, None)
}
