//! Elementwise functions and the products with their derivatives.
//!
//! ReLU'(0) = 0, as in PyTorch (candle's own has 1). On the CPU, NaN passes through ReLU as it does
//! there, so that a broken weight shows in the loss; candle's own turns it into 0.

mod cpu;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

use crate::real::{dispatch, on_cpu};
use cpu::{Function, Gate};

/// max(x, 0), elementwise.
///
/// # Errors
/// A number type other than f32 and f64, a tensor that is not contiguous, or a device error.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if on_cpu(x) {
        return dispatch!(x.dtype(), cpu::map(x, Function::Relu));
    }
    x.relu()
}

/// tanh(x), elementwise.
///
/// # Errors
/// As [`relu`].
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    if on_cpu(x) {
        return dispatch!(x.dtype(), cpu::map(x, Function::Tanh));
    }
    x.tanh()
}

/// ReLU'(x) ⊙ ẋ for every vector of `block` (B, V, ...), of the output `y` = ReLU(x), (B, ...).
///
/// # Errors
/// As [`relu`], and shapes that do not fit.
pub fn relu_gate(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    if on_cpu(y) {
        return dispatch!(y.dtype(), cpu::gate(y, block, Gate::Positive));
    }
    plain::relu_gate(y, block)
}

/// tanh'(x) ⊙ ẋ = (1 - y²) ⊙ ẋ for every vector of `block` (B, V, ...), of `y` = tanh(x), (B, ...).
///
/// # Errors
/// As [`relu_gate`].
pub fn tanh_gate(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    if on_cpu(y) {
        return dispatch!(y.dtype(), cpu::gate(y, block, Gate::OneMinusSquare));
    }
    plain::tanh_gate(y, block)
}

/// ȳ ⊙ tanh''(x) ⊙ ẋ = -2 ȳ y (1 - y²) ⊙ ẋ for every vector of `block` ẋ (B, V, ...); `y` and the
/// primal `cotangent` ȳ are (B, ...).
///
/// # Errors
/// As [`relu_gate`].
pub fn tanh_second_order(y: &Tensor, cotangent: &Tensor, block: &Tensor) -> Result<Tensor> {
    let curvature = (y * y.sqr()?.affine(2.0, -2.0)?)?;
    block.broadcast_mul(&(cotangent * curvature)?.unsqueeze(1)?)
}
