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
use super::{Point, double, expect_channels, launched};
use crate::elementwise::add_in_place;
use crate::launch::launcher;
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
    if let Some(launcher) = launcher(at.x) {
        return launched::frozen_tangent(&*launcher, at, dx, [dgamma, dbeta]);
    }
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
    if let Some(launcher) = launcher(cotangent) {
        return launched::frozen_input_cotangent(&*launcher, r, gamma, cotangent);
    }
    passes::scale(cotangent, &(double(gamma)? * double(r)?)?)
}

/// γ̄ += Σ ȳ x̂ and β̄ += Σ ȳ, (V, C) each and in place, of `cotangent` ȳ (B, V, C, H, W).
pub fn accumulate_cotangent(
    at: Point<'_>,
    cotangent: &Tensor,
    gamma_sum: &Tensor,
    beta_sum: &Tensor,
) -> Result<()> {
    at.expect_sums(cotangent, gamma_sum, beta_sum)?;
    if let Some(launcher) = launcher(cotangent) {
        return launched::accumulate_cotangent(&*launcher, at, cotangent, [gamma_sum, beta_sum]);
    }
    let [sum, product] = passes::sums(at.normalised(), cotangent)?;
    let gamma_term = product.broadcast_mul(&double(at.r)?)?;
    add_in_place(gamma_sum, &gamma_term.to_dtype(gamma_sum.dtype())?)?;
    add_in_place(beta_sum, &sum.to_dtype(beta_sum.dtype())?)
}

/// x̄, (B, V, C, H, W), with [`accumulate_cotangent`] besides: a device reads the cotangents once for both.
pub fn vjp(
    at: Point<'_>,
    cotangent: &Tensor,
    gamma_sum: &Tensor,
    beta_sum: &Tensor,
) -> Result<Tensor> {
    if let Some(launcher) = launcher(cotangent) {
        at.expect_sums(cotangent, gamma_sum, beta_sum)?;
        return launched::frozen_vjp(&*launcher, at, cotangent, [gamma_sum, beta_sum]);
    }
    accumulate_cotangent(at, cotangent, gamma_sum, beta_sum)?;
    input_cotangent(at.r, at.gamma, cotangent)
}

/// γ̄ += Σ ȳ r ẋ, (V, C), and, where it is given, x̄ += r γ̇ ȳ, (B, V, C, H, W), in place; the primal `cotangent` ȳ is
/// (B, C, H, W), `dx` (B, V, C, H, W), `dgamma` (V, C). Without `dx` the input has no tangent.
pub fn add_second_order(
    r: &Tensor,
    cotangent: &Tensor,
    dx: Option<&Tensor>,
    dgamma: &Tensor,
    gamma_sum: &Tensor,
    input_sum: Option<&Tensor>,
) -> Result<()> {
    let ((batch, channels, height, width), vectors) = (cotangent.dims4()?, dgamma.dim(0)?);
    expect_channels(channels, &[("r", r)])?;
    expect_shape("gamma tangents", dgamma, &[vectors, channels])?;
    expect_shape("gamma sum", gamma_sum, &[vectors, channels])?;
    let expected = [batch, vectors, channels, height, width];
    for (name, block) in [("input tangents", dx), ("input sum", input_sum)] {
        block.map_or(Ok(()), |block| expect_shape(name, block, &expected))?;
    }
    if let Some(launcher) = launcher(cotangent) {
        let (tangents, sums) = ((dx, dgamma), (gamma_sum, input_sum));
        return launched::frozen_second_order(&*launcher, r, cotangent, tangents, sums);
    }
    if let Some(dx) = dx {
        let term = passes::inner(cotangent, dx)?.broadcast_mul(&double(r)?)?;
        add_in_place(gamma_sum, &term.to_dtype(gamma_sum.dtype())?)?;
    }
    let Some(input_sum) = input_sum else {
        return Ok(());
    };
    let weight = double(dgamma)?.broadcast_mul(&double(r)?)?;
    passes::add(input_sum, cotangent, &weight, None)
}
