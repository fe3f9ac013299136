//! The gates as candle operations, for every device.

use candle_core::{Result, Tensor};

pub(super) fn relu_gate(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    let gate = y.gt(0.0)?.to_dtype(y.dtype())?.unsqueeze(1)?;
    block.broadcast_mul(&gate)
}

pub(super) fn tanh_gate(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    block.broadcast_mul(&y.sqr()?.affine(-1.0, 1.0)?.unsqueeze(1)?)
}
