//! One check for every operand: products of slices do not see a shape that does not fit.

use candle_core::{Result, Tensor, bail};

/// Fails unless `tensor`, called `name` in the message, has the shape `expected`.
pub(crate) fn expect_shape(name: &str, tensor: &Tensor, expected: &[usize]) -> Result<()> {
    if tensor.dims() != expected {
        bail!(
            "{name}: expected shape {expected:?}, got {:?}",
            tensor.dims()
        );
    }
    Ok(())
}
