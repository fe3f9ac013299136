//! Batch normalisation by the moments of its own input, which couple the examples.
//!
//! ```text
//! tangent        x̂̇  = r (ẋ - mean ẋ - x̂ p),   p = mean(ẋ x̂),    ẏ = γ x̂̇ + γ̇ x̂ + β̇
//! cotangent      x̄  = γ r (ȳ - e - x̂ q),       e = mean ȳ,   q = mean(ȳ x̂)
//! second order   γ̄ += m k,                     k = mean(ȳ x̂̇) = r (mean(ȳ ẋ) - e mean ẋ - q p)
//!                x̄ += r (γ̇ ȳ - γ̇ e - γ q x̂̇ - (γ̇ q + γ k) x̂) - r p · γ r (ȳ - e - x̂ q)
//! ```
//!
//! The parameters' cotangents are those of [`frozen`]. The second order is that at
//! the primal cotangent ȳ (B, C, H, W): the tangent of the cotangent pass, less what the tangent of
//! ȳ contributes.

use candle_core::{Result, Tensor};

use super::passes::{self, Combination};
use super::{Point, double, frozen, launched};
use crate::elementwise::add_in_place;
use crate::launch::launcher;
use crate::real::expect_shape;

/// ẏ = γ x̂̇ + γ̇ x̂ + β̇, (B, V, C, H, W). Without `dx` the input has no tangent.
pub fn tangent(
    at: Point<'_>,
    dx: Option<&Tensor>,
    dgamma: &Tensor,
    dbeta: &Tensor,
) -> Result<Tensor> {
    let Some(block) = dx else {
        return frozen::tangent(at, None, dgamma, dbeta);
    };
    let parameters = [("gamma tangents", dgamma), ("beta tangents", dbeta)];
    at.expect(dgamma.dim(0)?, &parameters, &[("input tangents", dx)])?;
    if let Some(launcher) = launcher(at.x) {
        return launched::batch_tangent(&*launcher, at, block, [dgamma, dbeta]);
    }
    let mut combination = projection(at, block)?;
    combination.slope = (combination.slope + double(dgamma)?.broadcast_mul(&double(at.r)?)?)?;
    combination.shift = (combination.shift + double(dbeta)?)?;
    passes::combine(at.normalised(), &combination)
}

/// x̄ = γ r (ȳ - mean ȳ - x̂ mean(ȳ x̂)), (B, V, C, H, W), of `cotangent` ȳ (B, V, C, H, W).
pub fn input_cotangent(at: Point<'_>, cotangent: &Tensor) -> Result<Tensor> {
    at.expect(cotangent.dim(1)?, &[], &[("cotangents", Some(cotangent))])?;
    if let Some(launcher) = launcher(at.x) {
        return launched::batch_input_cotangent(&*launcher, at, cotangent);
    }
    passes::combine(at.normalised(), &projection(at, cotangent)?)
}

/// x̄, (B, V, C, H, W), with [`frozen::accumulate_cotangent`] besides: a device takes the sums once for both.
pub fn vjp(
    at: Point<'_>,
    cotangent: &Tensor,
    gamma_sum: &Tensor,
    beta_sum: &Tensor,
) -> Result<Tensor> {
    if let Some(launcher) = launcher(at.x) {
        at.expect_sums(cotangent, gamma_sum, beta_sum)?;
        return launched::batch_vjp(&*launcher, at, cotangent, [gamma_sum, beta_sum]);
    }
    frozen::accumulate_cotangent(at, cotangent, gamma_sum, beta_sum)?;
    input_cotangent(at, cotangent)
}

/// γ r (b - mean b - x̂ mean(b x̂)) of a block b: the Jacobian of γ x̂, which is symmetric.
fn projection<'a>(at: Point<'_>, block: &'a Tensor) -> Result<Combination<'a>> {
    let r = double(at.r)?;
    let [block_mean, block_x] = means(at, &r, block)?;
    let scale = (double(at.gamma)? * &r)?;
    Ok(Combination {
        slope: block_x.broadcast_mul(&(&scale * r)?)?.neg()?,
        shift: block_mean.broadcast_mul(&scale)?.neg()?,
        block: Some((block, scale)),
    })
}

/// mean b and mean(b x̂), (V, C) each, with `r` in float64.
fn means(at: Point<'_>, r: &Tensor, block: &Tensor) -> Result<[Tensor; 2]> {
    let weight = 1.0 / entries(at.x)?;
    let [sum, product] = passes::sums(at.normalised(), block)?;
    Ok([(sum * weight)?, (product.broadcast_mul(r)? * weight)?])
}

/// m, the entries of a channel of x (B, C, H, W).
fn entries(x: &Tensor) -> Result<f64> {
    let (batch, _, height, width) = x.dims4()?;
    Ok((batch * height * width) as f64)
}

/// γ̄ += Σ ȳ x̂̇, (V, C), and, where it is given, x̄ += the rest of the second order, (B, V, C, H, W),
/// in place; the primal `cotangent` ȳ is (B, C, H, W), `dx` (B, V, C, H, W), `dgamma` (V, C).
/// Without `dx` the input has no tangent.
pub fn add_second_order(
    at: Point<'_>,
    cotangent: &Tensor,
    dx: Option<&Tensor>,
    dgamma: &Tensor,
    gamma_sum: &Tensor,
    input_sum: Option<&Tensor>,
) -> Result<()> {
    let parameters = [("gamma tangents", dgamma), ("gamma sum", gamma_sum)];
    let blocks = [("input tangents", dx), ("input sum", input_sum)];
    at.expect(dgamma.dim(0)?, &parameters, &blocks)?;
    expect_shape("cotangent", cotangent, at.x.dims())?;
    if let Some(launcher) = launcher(at.x) {
        let sums = (gamma_sum, input_sum);
        return launched::batch_second_order(&*launcher, at, cotangent, (dx, dgamma), sums);
    }
    let (r, gamma, dgamma) = (double(at.r)?, double(at.gamma)?, double(dgamma)?);
    let [e, q] = means(at, &r, &cotangent.unsqueeze(1)?)?;
    let (e, q) = (e.squeeze(0)?, q.squeeze(0)?);
    let scale = (&gamma * &r)?;
    // x̂̇ contributes -γ r q x̂̇ = (-γ r² q) ẋ + ..., which is `bend` ẋ + ...
    let bend = (&scale * (&r * &q)?)?.neg()?;
    // Coefficients of ȳ, x - mean and 1 where ẋ = 0.
    let mut weight = dgamma.broadcast_mul(&r)?;
    let mut slope = weight.broadcast_mul(&(&q * &r)?)?.neg()?;
    let mut shift = weight.broadcast_mul(&e)?.neg()?;
    if let Some(dx) = dx {
        let [n, p] = means(at, &r, dx)?;
        let products = (passes::inner(cotangent, dx)? / entries(at.x)?)?;
        let k = (products - n.broadcast_mul(&e)?)?
            .sub(&p.broadcast_mul(&q)?)?
            .broadcast_mul(&r)?;
        let term = (&k * entries(at.x)?)?.to_dtype(gamma_sum.dtype())?;
        add_in_place(gamma_sum, &term)?;
        let p = p.broadcast_mul(&(&scale * &r)?)?;
        weight = (weight - &p)?;
        shift = (weight.broadcast_mul(&e)?.neg()? - n.broadcast_mul(&bend)?)?;
        slope = ((p.broadcast_mul(&q)? - k.broadcast_mul(&scale)?)? - weight.broadcast_mul(&q)?)?
            .broadcast_mul(&r)?;
    }
    let Some(input_sum) = input_sum else {
        return Ok(());
    };
    let combination = Combination {
        block: dx.map(|dx| (dx, bend)),
        slope,
        shift,
    };
    let combination = Some((at.normalised(), &combination));
    passes::add(input_sum, cotangent, &weight, combination)
}
