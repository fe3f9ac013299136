//! Softmax along the last axis, its logarithm, and their derivative passes.
//!
//! ```text
//! softmax        y = eˣ / Σ eˣ         ẏ = y ⊙ (ẋ - ⟨y, ẋ⟩)      x̄ = y ⊙ (ȳ - ⟨y, ȳ⟩)
//!                second order          x̄ += g ⊙ (ẋ - ⟨y, ẋ⟩) - ⟨g, ẋ⟩ y,      g = y ⊙ (ȳ - ⟨y, ȳ⟩)
//! logarithm      y = x - log Σ eˣ      ẏ = ẋ - ⟨p, ẋ⟩            x̄ = ȳ - p Σ ȳ,      p = eʸ
//!                second order          x̄ -= p ⊙ (ẋ - ⟨p, ẋ⟩) Σ ȳ
//! ```
//!
//! x, y and p are (B, ..., C), blocks (B, V, ..., C); ⟨,⟩ and Σ run over the last axis. Everything is relative to the
//! largest x of a line, so that nothing overflows; of a line of -∞ alone there is no softmax, as in PyTorch.
//!
//! Functions fail for shapes that do not fit, tensors that are not contiguous, or a device error.

mod cpu;
mod launched;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::function::expect_block;
use crate::real::{by_path, expect_shape};

/// y = softmax(x), (B, ..., C).
pub fn forward(x: &Tensor) -> Result<Tensor> {
    expect_lines(x)?;
    by_path!(x, forward(x))
}

/// y ⊙ (b - ⟨y, b⟩) for every vector of `block` b (B, V, ..., C): the Jacobian is symmetric, and this is the tangent
/// pass as well as the cotangent one.
pub fn product(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    expect_lines(y)?;
    expect_block(y, block)?;
    by_path!(y, product(y, block))
}

/// x̄ += g ⊙ (ẋ - ⟨y, ẋ⟩) - ⟨g, ẋ⟩ y in place, (B, V, ..., C), of the primal `cotangent` ȳ (B, ..., C) and the tangent
/// `dx` (B, V, ..., C).
pub fn add_second_order(
    y: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    expect(y, cotangent, dx, input_sum)?;
    by_path!(y, add_second_order(y, cotangent, dx, input_sum))
}

/// y = log softmax(x) and p = softmax(x), (B, ..., C) each.
pub fn log_forward(x: &Tensor) -> Result<(Tensor, Tensor)> {
    expect_lines(x)?;
    by_path!(x, log_forward(x))
}

/// ẏ = ẋ - ⟨p, ẋ⟩, (B, V, ..., C).
pub fn log_tangent(p: &Tensor, dx: &Tensor) -> Result<Tensor> {
    expect_lines(p)?;
    expect_block(p, dx)?;
    by_path!(p, log_tangent(p, dx))
}

/// x̄ = ȳ - p Σ ȳ, (B, V, ..., C), of `cotangent` ȳ (B, V, ..., C).
pub fn log_input_cotangent(p: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    expect_lines(p)?;
    expect_block(p, cotangent)?;
    by_path!(p, log_input_cotangent(p, cotangent))
}

/// x̄ -= p ⊙ (ẋ - ⟨p, ẋ⟩) Σ ȳ in place, (B, V, ..., C), of the primal `cotangent` ȳ (B, ..., C) and the tangent `dx`
/// (B, V, ..., C).
pub fn log_add_second_order(
    p: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    expect(p, cotangent, dx, input_sum)?;
    by_path!(p, log_add_second_order(p, cotangent, dx, input_sum))
}

fn expect_lines(x: &Tensor) -> Result<()> {
    if x.rank() < 2 || x.dims().last() == Some(&0) {
        bail!(
            "expected examples with elements along the last axis, got {:?}",
            x.shape()
        );
    }
    Ok(())
}

fn expect(y: &Tensor, cotangent: &Tensor, dx: &Tensor, input_sum: &Tensor) -> Result<()> {
    expect_lines(y)?;
    expect_block(y, dx)?;
    expect_shape("cotangent", cotangent, y.dims())?;
    expect_shape("input sum", input_sum, dx.dims())
}
