//! Elementwise functions and gates on CPU slices, one pass each.

use candle_core::{Result, Tensor};

use crate::expect::expect_shape;
use crate::real::{Real, elements, tensor};
use crate::spare::collect;

#[derive(Clone, Copy)]
pub(super) enum Function {
    Relu,
    Tanh,
}

pub(super) fn map<T: Real>(x: &Tensor, function: Function) -> Result<Tensor> {
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let mapped = collect(values.len(), 1, |part, spare| {
        let values = values[part].iter();
        match function {
            Function::Relu => {
                spare.extend(values.map(|&x| if x <= T::ZERO { T::ZERO } else { x }));
            }
            Function::Tanh => spare.extend(values.map(|&x| x.tanh())),
        }
        Ok(())
    })?;
    tensor(mapped, x.shape(), x)
}

#[derive(Clone, Copy)]
pub(super) enum Gate {
    Positive,
    OneMinusSquare,
}

pub(super) fn gate<T: Real>(y: &Tensor, block: &Tensor, gate: Gate) -> Result<Tensor> {
    let (y_values, block_values) = (elements::<T>(y)?, elements::<T>(block)?);
    let (y_values, block_values) = (y_values.slice()?, block_values.slice()?);
    let (examples, vectors) = (y.dim(0)?, block.dim(1)?);
    let expected = [&y.dims()[..1], &[vectors], &y.dims()[1..]].concat();
    expect_shape("block", block, &expected)?;
    let (rows, width) = (examples * vectors, y_values.len() / examples.max(1));
    let gated = collect(rows, width, |rows, spare| {
        for row in rows {
            let gates = &y_values[row / vectors * width..][..width];
            let pairs = block_values[row * width..][..width].iter().zip(gates);
            match gate {
                Gate::Positive => {
                    spare.extend(pairs.map(|(&x, &y)| if y > T::ZERO { x } else { T::ZERO }));
                }
                Gate::OneMinusSquare => {
                    spare.extend(pairs.map(|(&x, &y)| x * (T::ONE - y * y)));
                }
            }
        }
        Ok(())
    })?;
    tensor(gated, block.shape(), block)
}
