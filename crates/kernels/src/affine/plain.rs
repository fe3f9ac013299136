//! The affine passes as candle operations, for every device.

use candle_core::{Result, Tensor};

use crate::elementwise::add_in_place;

pub(super) fn forward(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)?.broadcast_add(bias)
}

pub(super) fn tangent(
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: &Tensor,
) -> Result<Tensor> {
    let (vectors, outputs, inputs) = dweight.dims3()?;
    let batch = x.dim(0)?;
    let folded = dweight.reshape((vectors * outputs, inputs))?;
    let dy = x
        .matmul(&folded.t()?)?
        .reshape((batch, vectors, outputs))?
        .broadcast_add(dbias)?;
    let Some(dx) = dx else { return Ok(dy) };
    let dx = dx.reshape((batch * vectors, inputs))?;
    dy + dx
        .matmul(&weight.t()?)?
        .reshape((batch, vectors, outputs))?
}

pub(super) fn input_cotangent(weight: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let (batch, vectors, outputs) = cotangent.dims3()?;
    let folded = cotangent.reshape((batch * vectors, outputs))?;
    folded
        .matmul(weight)?
        .reshape((batch, vectors, weight.dim(1)?))
}

pub(super) fn accumulate_cotangent(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: &Tensor,
) -> Result<()> {
    let (batch, vectors, outputs) = cotangent.dims3()?;
    let folded = cotangent.reshape((batch, vectors * outputs))?;
    let outer = folded.t()?.matmul(x)?;
    add_in_place(weight_sum, &outer.reshape(weight_sum.shape())?)?;
    add_in_place(bias_sum, &cotangent.sum(0)?)
}

pub(super) fn accumulate_second_order(
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
) -> Result<()> {
    let dx = dx.transpose(0, 1)?.contiguous()?;
    let outer = cotangent
        .t()?
        .contiguous()?
        .unsqueeze(0)?
        .broadcast_matmul(&dx)?;
    add_in_place(weight_sum, &outer)
}

pub(super) fn add_second_order(
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let term = cotangent
        .unsqueeze(0)?
        .broadcast_matmul(dweight)?
        .transpose(0, 1)?;
    add_in_place(input_sum, &term)
}
