//! a + b elementwise: where the paths of a network meet, and their cotangents.

#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::real::{Real, dispatch, elements, on_cpu, tensor};
use crate::spare::collect;

/// The sum of two tensors of one shape.
///
/// # Errors
/// Shapes or number types that differ, or a device error.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.shape() != b.shape() {
        bail!("expected shape {:?}, got {:?}", a.shape(), b.shape());
    }
    if on_cpu(a) {
        return dispatch!(a.dtype(), on_slices(&a.contiguous()?, &b.contiguous()?));
    }
    a + b
}

fn on_slices<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (left, right) = (elements::<T>(a)?, elements::<T>(b)?);
    let (left, right) = (left.slice()?, right.slice()?);
    let sum = collect(left.len(), 1, |part, spare| {
        let pairs = left[part.clone()].iter().zip(&right[part]);
        spare.extend(pairs.map(|(&a, &b)| a + b));
        Ok(())
    })?;
    tensor(sum, a.shape(), a)
}
