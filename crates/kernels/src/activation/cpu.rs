//! Elementwise functions and gates on CPU slices, one pass each.

use candle_core::{Result, Tensor};

use crate::expect::expect_shape;
use crate::real::{Real, elements, tensor};

#[derive(Clone, Copy)]
pub(super) enum Function {
    Relu,
    Tanh,
}

pub(super) fn map<T: Real>(x: &Tensor, function: Function) -> Result<Tensor> {
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let mapped = match function {
        Function::Relu => values
            .iter()
            .map(|&x| if x <= T::ZERO { T::ZERO } else { x })
            .collect(),
        Function::Tanh => values.iter().map(|&x| x.tanh()).collect(),
    };
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
    let examples = y.dim(0)?.max(1);
    let (width, vectors) = (y_values.len() / examples, block.dim(1)?);
    let expected = [&y.dims()[..1], &[vectors], &y.dims()[1..]].concat();
    expect_shape("block", block, &expected)?;
    let mut gated = Vec::with_capacity(block_values.len());
    if width > 0 {
        let rows = block_values.chunks_exact(width);
        let gates = y_values
            .chunks_exact(width)
            .flat_map(|gate| std::iter::repeat_n(gate, vectors));
        for (row, gates) in rows.zip(gates) {
            let pairs = row.iter().zip(gates);
            match gate {
                Gate::Positive => {
                    gated.extend(pairs.map(|(&x, &y)| if y > T::ZERO { x } else { T::ZERO }));
                }
                Gate::OneMinusSquare => gated.extend(pairs.map(|(&x, &y)| x * (T::ONE - y * y))),
            }
        }
    }
    tensor(gated, block.shape(), block)
}
