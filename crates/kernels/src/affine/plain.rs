//! The affine passes as candle operations, for every device.

use candle_core::{Result, Tensor};

use super::{Order, Sizes};
use crate::elementwise::add_in_place;

impl Sizes {
    /// A primal tensor as (B T, columns).
    fn rows(self, primal: &Tensor, columns: usize) -> Result<Tensor> {
        primal.reshape((self.batch * self.positions, columns))
    }

    /// A block as (V, B T, columns).
    fn vectors_first(self, block: &Tensor, columns: usize) -> Result<Tensor> {
        let block = block.reshape((self.batch, self.vectors, self.positions, columns))?;
        let block = block.transpose(0, 1)?.contiguous()?;
        block.reshape((self.vectors, self.batch * self.positions, columns))
    }

    /// A block (B, V, T, columns) of (V, B T, columns).
    fn examples_first(self, vectors: &Tensor, columns: usize) -> Result<Tensor> {
        let vectors = vectors.reshape((self.vectors, self.batch, self.positions, columns))?;
        vectors.transpose(0, 1)
    }

    /// (O, I) or (V, O, I) as a view.
    fn outputs_first(self, weight: &Tensor) -> Result<Tensor> {
        match self.order {
            Order::OutputsFirst => Ok(weight.clone()),
            Order::InputsFirst => weight.t(),
        }
    }

    /// As a weight is stored, of (V, O, I).
    fn stored(self, weight: Tensor) -> Result<Tensor> {
        match self.order {
            Order::OutputsFirst => Ok(weight),
            Order::InputsFirst => weight.t(),
        }
    }
}

pub(super) fn forward(
    sizes: Sizes,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let rows = sizes.rows(x, sizes.inputs)?;
    let y = rows.matmul(&sizes.outputs_first(weight)?.t()?)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

pub(super) fn tangent(
    sizes: Sizes,
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: Option<&Tensor>,
) -> Result<Tensor> {
    let Sizes {
        batch,
        vectors,
        positions,
        inputs,
        outputs,
        ..
    } = sizes;
    let maps = sizes.outputs_first(dweight)?.contiguous()?;
    let folded = maps.reshape((vectors * outputs, inputs))?;
    let rows = sizes.rows(x, inputs)?.matmul(&folded.t()?)?;
    let mut dy = rows.reshape((batch, positions, vectors, outputs))?;
    if let Some(dbias) = dbias {
        dy = dy.broadcast_add(dbias)?;
    }
    let dy = dy.transpose(1, 2)?;
    let Some(dx) = dx else {
        return dy.contiguous();
    };
    let dx = dx.reshape((batch * vectors * positions, inputs))?;
    let moved = dx.matmul(&sizes.outputs_first(weight)?.t()?)?;
    dy + moved.reshape((batch, vectors, positions, outputs))?
}

pub(super) fn input_cotangent(sizes: Sizes, weight: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let rows = sizes.batch * sizes.vectors * sizes.positions;
    let folded = cotangent.reshape((rows, sizes.outputs))?;
    folded.matmul(&sizes.outputs_first(weight)?)
}

pub(super) fn accumulate_cotangent(
    sizes: Sizes,
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: Option<&Tensor>,
) -> Result<()> {
    let block = sizes.vectors_first(cotangent, sizes.outputs)?;
    let rows = sizes.rows(x, sizes.inputs)?.unsqueeze(0)?;
    let outer = block.t()?.broadcast_matmul(&rows)?;
    add_in_place(weight_sum, &sizes.stored(outer)?)?;
    match bias_sum {
        Some(bias_sum) => add_in_place(bias_sum, &block.sum(1)?),
        None => Ok(()),
    }
}

pub(super) fn accumulate_second_order(
    sizes: Sizes,
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
) -> Result<()> {
    let rows = sizes.rows(cotangent, sizes.outputs)?.t()?.contiguous()?;
    let block = sizes.vectors_first(dx, sizes.inputs)?;
    let outer = rows.unsqueeze(0)?.broadcast_matmul(&block)?;
    add_in_place(weight_sum, &sizes.stored(outer)?)
}

pub(super) fn add_second_order(
    sizes: Sizes,
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let rows = sizes.rows(cotangent, sizes.outputs)?.unsqueeze(0)?;
    let maps = sizes.outputs_first(dweight)?.contiguous()?;
    let terms = sizes.examples_first(&rows.broadcast_matmul(&maps)?, sizes.inputs)?;
    add_in_place(input_sum, &terms.contiguous()?.reshape(input_sum.shape())?)
}
