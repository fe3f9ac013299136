//! Softmax as candle operations, for every device.

use candle_core::{D, Result, Tensor};

use crate::elementwise::add_in_place;

pub(super) fn forward(x: &Tensor) -> Result<Tensor> {
    let exponentials = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

pub(super) fn log_forward(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    let normalizer = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let y = shifted.broadcast_sub(&normalizer)?;
    let p = y.exp()?;
    Ok((y, p))
}

/// b - ⟨y, b⟩ of a block b, with y (B, 1, ..., C).
fn centred(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    block.broadcast_sub(&block.broadcast_mul(y)?.sum_keepdim(D::Minus1)?)
}

pub(super) fn product(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    let y = y.unsqueeze(1)?;
    centred(&y, block)?.broadcast_mul(&y)
}

pub(super) fn add_second_order(
    y: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let (y, cotangent) = (y.unsqueeze(1)?, cotangent.unsqueeze(1)?);
    let g = (centred(&y, &cotangent)? * &y)?;
    let terms = centred(&y, dx)?.broadcast_mul(&g)?;
    let k = terms.sum_keepdim(D::Minus1)?;
    add_in_place(input_sum, &(terms - k.broadcast_mul(&y)?)?)
}

pub(super) fn log_tangent(p: &Tensor, dx: &Tensor) -> Result<Tensor> {
    centred(&p.unsqueeze(1)?, dx)
}

pub(super) fn log_input_cotangent(p: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let total = cotangent.sum_keepdim(D::Minus1)?;
    cotangent - total.broadcast_mul(&p.unsqueeze(1)?)?
}

pub(super) fn log_add_second_order(
    p: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let total = cotangent.sum_keepdim(D::Minus1)?;
    let factors = p.broadcast_mul(&total)?.neg()?.unsqueeze(1)?;
    add_in_place(
        input_sum,
        &centred(&p.unsqueeze(1)?, dx)?.broadcast_mul(&factors)?,
    )
}
