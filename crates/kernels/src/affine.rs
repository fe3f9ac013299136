//! y = x Wᵀ + b and its derivative passes.
//!
//! ```text
//! forward        y  = x Wᵀ + b                               x (B, I)   W (O, I)   b (O)   y (B, O)
//! tangent        ẏ  = ẋ Wᵀ + x Ẇᵀ + ḃ                        ẋ (B, V, I)  Ẇ (V, O, I)  ḃ (V, O)
//! cotangent      x̄  = ȳ W,   W̄ += ȳᵀ x,   b̄ += Σ ȳ          ȳ (B, V, O)  W̄ (V, O, I)  b̄ (V, O)
//! second order   x̄ += ȳ Ẇ,   W̄ += ȳᵀ ẋ                       ȳ (B, O)
//! ```
//!
//! Sums run over the batch; nothing is divided by B. Every function fails for shapes that do not fit,
//! tensors that are not contiguous, or a device error.

mod cpu;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

use crate::real::{by_path, expect_shape};

/// y = x Wᵀ + b, (B, O), of x (B, I), `weight` (O, I) and `bias` (O).
pub fn forward(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let ((_, inputs), outputs) = (x.dims2()?, weight.dim(0)?);
    expect_shape("weight", weight, &[outputs, inputs])?;
    expect_shape("bias", bias, &[outputs])?;
    by_path!(x, forward(x, weight, bias))
}

/// ẏ = ẋ Wᵀ + x Ẇᵀ + ḃ, (B, V, O). Without `dx` the input has no tangent.
pub fn tangent(
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: &Tensor,
) -> Result<Tensor> {
    let ((batch, inputs), outputs) = (x.dims2()?, weight.dim(0)?);
    let vectors = dweight.dim(0)?;
    expect_shape("weight", weight, &[outputs, inputs])?;
    expect_shape("weight tangents", dweight, &[vectors, outputs, inputs])?;
    expect_shape("bias tangents", dbias, &[vectors, outputs])?;
    if let Some(dx) = dx {
        expect_shape("input tangents", dx, &[batch, vectors, inputs])?;
    }
    by_path!(x, tangent(x, weight, dx, dweight, dbias))
}

/// x̄ = ȳ W, (B, V, I), of `cotangent` ȳ (B, V, O).
pub fn input_cotangent(weight: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let ((_, _, outputs), inputs) = (cotangent.dims3()?, weight.dim(1)?);
    expect_shape("weight", weight, &[outputs, inputs])?;
    by_path!(weight, input_cotangent(weight, cotangent))
}

/// W̄ += ȳᵀ x and b̄ += Σ ȳ, in place, of `cotangent` ȳ (B, V, O).
pub fn accumulate_cotangent(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: &Tensor,
) -> Result<()> {
    let ((batch, vectors, outputs), inputs) = (cotangent.dims3()?, x.dim(1)?);
    expect_shape("inputs", x, &[batch, inputs])?;
    expect_shape("weight sum", weight_sum, &[vectors, outputs, inputs])?;
    expect_shape("bias sum", bias_sum, &[vectors, outputs])?;
    by_path!(x, accumulate_cotangent(x, cotangent, weight_sum, bias_sum))
}

/// W̄ += ȳᵀ ẋ in place, of the primal `cotangent` ȳ (B, O) and the tangent `dx` (B, V, I).
pub fn accumulate_second_order(cotangent: &Tensor, dx: &Tensor, weight_sum: &Tensor) -> Result<()> {
    let ((batch, outputs), (_, vectors, inputs)) = (cotangent.dims2()?, dx.dims3()?);
    expect_shape("input tangents", dx, &[batch, vectors, inputs])?;
    expect_shape("weight sum", weight_sum, &[vectors, outputs, inputs])?;
    by_path!(
        cotangent,
        accumulate_second_order(cotangent, dx, weight_sum)
    )
}

/// x̄ += ȳ Ẇ in place, (B, V, I), of the primal `cotangent` ȳ (B, O) and the tangent Ẇ (V, O, I).
pub fn add_second_order(cotangent: &Tensor, dweight: &Tensor, input_sum: &Tensor) -> Result<()> {
    let ((batch, outputs), (vectors, _, inputs)) = (cotangent.dims2()?, dweight.dims3()?);
    expect_shape("weight tangents", dweight, &[vectors, outputs, inputs])?;
    expect_shape("input sum", input_sum, &[batch, vectors, inputs])?;
    by_path!(cotangent, add_second_order(cotangent, dweight, input_sum))
}
