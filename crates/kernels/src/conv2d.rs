//! y = W * x + b, the correlation of images with a kernel, and its derivative passes.
//!
//! ```text
//! forward        y[b,o,h,w] = b[o] + Σ_{i,p,q} W[o,i,p,q] x[b, i, h s + p - z, w s + q - z]
//!                x (B, I, H, W)   W (O, I, kh, kw)   b (O)   y (B, O, H', W')
//! tangent        ẏ  = W * ẋ + Ẇ * x + ḃ        ẋ (B, V, I, H, W)  Ẇ (V, O, I, kh, kw)  ḃ (V, O)
//! cotangent      x̄  = Wᵀ * ȳ,   W̄ += ȳ x,   b̄ += Σ ȳ               ȳ (B, V, O, H', W')
//! second order   x̄ += Ẇᵀ * ȳ,   W̄ += ȳ ẋ                           ȳ (B, O, H', W')
//! ```
//!
//! s is the stride and z the zero padding of both axes; H' = ⌊(H + 2 z - kh) / s⌋ + 1, and W'
//! alike. Layout and convention are those of PyTorch's `conv2d`. Sums run over the batch; nothing
//! is divided by B. Every function fails for shapes that do not fit, tensors that are not contiguous,
//! or a device error.

mod cpu;
mod direct;
mod kernel;
mod launched;
mod operands;
mod passes;
mod plain;
mod pointwise;
#[cfg(test)]
mod tests;
mod transpose;
mod winograd;

use candle_core::{Result, Tensor, bail};

use crate::real::{by_path, expect_shape};

/// Stride and zero padding of both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Distance in input pixels of neighbouring outputs.
    pub stride: usize,
    /// Rows and columns of zeros on each side of the input.
    pub padding: usize,
}

impl Window {
    /// Outputs along an axis of `input` pixels under a kernel of `kernel` pixels; none where the
    /// kernel does not fit or the stride is 0.
    #[must_use]
    pub fn output(self, input: usize, kernel: usize) -> Option<usize> {
        let room = (input + 2 * self.padding).checked_sub(kernel)?;
        Some(room.checked_div(self.stride)? + 1)
    }

    /// [`Window::output`] of both axes, or the error that says what does not fit.
    fn outputs(self, input: (usize, usize), kernel: (usize, usize)) -> Result<(usize, usize)> {
        match (
            self.output(input.0, kernel.0),
            self.output(input.1, kernel.1),
        ) {
            (Some(height), Some(width)) if kernel.0 * kernel.1 > 0 => Ok((height, width)),
            _ => bail!("expected an input that {kernel:?} fits with {self:?}, got {input:?}"),
        }
    }
}

/// y = W * x + b, (B, O, H', W'), of x (B, I, H, W), `weight` (O, I, kh, kw) and `bias` (O), if any.
pub fn forward(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    let (_, inputs, height, width) = x.dims4()?;
    let (outputs, _, rows, columns) = weight.dims4()?;
    expect_shape("weight", weight, &[outputs, inputs, rows, columns])?;
    window.outputs((height, width), (rows, columns))?;
    if let Some(bias) = bias {
        expect_shape("bias", bias, &[outputs])?;
    }
    by_path!(x, forward(x, weight, bias, window))
}

/// ẏ = W * ẋ + Ẇ * x + ḃ, (B, V, O, H', W'). Without `dx` the input has no tangent, without `dbias`
/// the pass has no bias.
pub fn tangent(
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    let (batch, inputs, height, width) = x.dims4()?;
    let (outputs, _, rows, columns) = weight.dims4()?;
    let vectors = dweight.dim(0)?;
    expect_shape("weight", weight, &[outputs, inputs, rows, columns])?;
    let shape = [vectors, outputs, inputs, rows, columns];
    expect_shape("weight tangents", dweight, &shape)?;
    window.outputs((height, width), (rows, columns))?;
    if let Some(dbias) = dbias {
        expect_shape("bias tangents", dbias, &[vectors, outputs])?;
    }
    if let Some(dx) = dx {
        let shape = [batch, vectors, inputs, height, width];
        expect_shape("input tangents", dx, &shape)?;
    }
    by_path!(x, tangent(x, weight, dx, dweight, dbias, window))
}

/// x̄ = Wᵀ * ȳ, (B, V, I, H, W), of `cotangent` ȳ (B, V, O, H', W') and `input` = (H, W).
pub fn input_cotangent(
    weight: &Tensor,
    cotangent: &Tensor,
    input: (usize, usize),
    window: Window,
) -> Result<Tensor> {
    let (batch, vectors, _, _, _) = cotangent.dims5()?;
    let (outputs, _, rows, columns) = weight.dims4()?;
    let (height, width) = window.outputs(input, (rows, columns))?;
    let shape = [batch, vectors, outputs, height, width];
    expect_shape("cotangent", cotangent, &shape)?;
    by_path!(weight, input_cotangent(weight, cotangent, input, window))
}

/// W̄ += ȳ x and b̄ += Σ ȳ, in place, of `cotangent` ȳ (B, V, O, H', W').
pub fn accumulate_cotangent(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: Option<&Tensor>,
    window: Window,
) -> Result<()> {
    let (batch, inputs, height, width) = x.dims4()?;
    let (vectors, outputs, _, rows, columns) = weight_sum.dims5()?;
    let (out_height, out_width) = window.outputs((height, width), (rows, columns))?;
    let shape = [vectors, outputs, inputs, rows, columns];
    expect_shape("weight sum", weight_sum, &shape)?;
    let shape = [batch, vectors, outputs, out_height, out_width];
    expect_shape("cotangent", cotangent, &shape)?;
    if let Some(bias_sum) = bias_sum {
        expect_shape("bias sum", bias_sum, &[vectors, outputs])?;
    }
    by_path!(
        x,
        accumulate_cotangent(x, cotangent, weight_sum, bias_sum, window)
    )
}

/// W̄ += ȳ ẋ in place, of the primal `cotangent` ȳ (B, O, H', W') and the tangent `dx`
/// (B, V, I, H, W).
pub fn accumulate_second_order(
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
    window: Window,
) -> Result<()> {
    let (batch, vectors, inputs, height, width) = dx.dims5()?;
    let (_, outputs, _, rows, columns) = weight_sum.dims5()?;
    let (out_height, out_width) = window.outputs((height, width), (rows, columns))?;
    let shape = [vectors, outputs, inputs, rows, columns];
    expect_shape("weight sum", weight_sum, &shape)?;
    let shape = [batch, outputs, out_height, out_width];
    expect_shape("cotangent", cotangent, &shape)?;
    by_path!(
        cotangent,
        accumulate_second_order(cotangent, dx, weight_sum, window)
    )
}

/// x̄ += Ẇᵀ * ȳ in place, (B, V, I, H, W), of the primal `cotangent` ȳ (B, O, H', W') and the
/// tangent Ẇ (V, O, I, kh, kw).
pub fn add_second_order(
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
    window: Window,
) -> Result<()> {
    let (batch, vectors, inputs, height, width) = input_sum.dims5()?;
    let (_, outputs, _, rows, columns) = dweight.dims5()?;
    let (out_height, out_width) = window.outputs((height, width), (rows, columns))?;
    let shape = [vectors, outputs, inputs, rows, columns];
    expect_shape("weight tangents", dweight, &shape)?;
    let shape = [batch, outputs, out_height, out_width];
    expect_shape("cotangent", cotangent, &shape)?;
    by_path!(
        cotangent,
        add_second_order(cotangent, dweight, input_sum, window)
    )
}
