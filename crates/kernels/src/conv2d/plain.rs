//! The convolution passes as candle operations, for every device.
//!
//! Both gradients are correlations themselves, candle's transposed convolution being slow on every
//! device: the input's of the cotangent, spread by the stride, with the flipped kernel, the
//! kernel's of input and cotangent with batch and channels exchanged.

use candle_core::{D, Result, Tensor};

use super::Window;
use crate::elementwise::add_in_place;

pub(super) fn forward(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    let y = x.conv2d(weight, window.padding, window.stride, 1, 1)?;
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
        None => Ok(y),
    }
}

pub(super) fn tangent(
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    let (vectors, outputs, inputs, rows, columns) = dweight.dims5()?;
    let folded = dweight.reshape((vectors * outputs, inputs, rows, columns))?;
    let dbias = dbias
        .map(|dbias| dbias.reshape(vectors * outputs))
        .transpose()?;
    let dy = forward(x, &folded, dbias.as_ref(), window)?;
    let (batch, _, height, width) = dy.dims4()?;
    let shape = (batch, vectors, outputs, height, width);
    let dy = dy.reshape(shape)?;
    match dx {
        Some(dx) => dy + forward(&dx.flatten(0, 1)?, weight, None, window)?.reshape(shape)?,
        None => Ok(dy),
    }
}

pub(super) fn input_cotangent(
    weight: &Tensor,
    cotangent: &Tensor,
    input: (usize, usize),
    window: Window,
) -> Result<Tensor> {
    let (batch, vectors, _, _, _) = cotangent.dims5()?;
    let folded = cotangent.flatten(0, 1)?;
    let x_bar = input_gradient(weight, &folded, input, window)?;
    x_bar.reshape((batch, vectors, weight.dim(1)?, input.0, input.1))
}

pub(super) fn accumulate_cotangent(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: Option<&Tensor>,
    window: Window,
) -> Result<()> {
    let (_, _, _, rows, columns) = weight_sum.dims5()?;
    let gradient = kernel_gradient(x, &cotangent.flatten(1, 2)?, (rows, columns), window)?;
    add_in_place(weight_sum, &gradient.reshape(weight_sum.shape())?)?;
    match bias_sum {
        Some(sum) => add_in_place(sum, &cotangent.sum((0, 3, 4))?),
        None => Ok(()),
    }
}

pub(super) fn accumulate_second_order(
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
    window: Window,
) -> Result<()> {
    let (vectors, _, _, rows, columns) = weight_sum.dims5()?;
    for vector in 0..vectors {
        let dx = dx.narrow(1, vector, 1)?.squeeze(1)?;
        let gradient = kernel_gradient(&dx, cotangent, (rows, columns), window)?;
        let sum = weight_sum.narrow(0, vector, 1)?;
        add_in_place(&sum, &gradient.unsqueeze(0)?)?;
    }
    Ok(())
}

pub(super) fn add_second_order(
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
    window: Window,
) -> Result<()> {
    let (_, vectors, _, height, width) = input_sum.dims5()?;
    let terms = (0..vectors)
        .map(|vector| {
            let dweight = dweight.get(vector)?;
            input_gradient(&dweight, cotangent, (height, width), window)
        })
        .collect::<Result<Vec<_>>>()?;
    add_in_place(input_sum, &Tensor::stack(&terms, 1)?)
}

/// (B, I, H, W) of ȳ (B, O, H', W').
fn input_gradient(
    weight: &Tensor,
    cotangent: &Tensor,
    input: (usize, usize),
    Window { stride, padding }: Window,
) -> Result<Tensor> {
    let (_, _, rows, columns) = weight.dims4()?;
    let flipped = weight.flip(&[2, 3])?.transpose(0, 1)?.contiguous()?;
    let spread = spread(&spread(cotangent, 2, stride)?, 3, stride)?;
    let fitted = fit(&spread, 2, rows - 1, padding, input.0 + rows - 1)?;
    let fitted = fit(&fitted, 3, columns - 1, padding, input.1 + columns - 1)?;
    fitted.contiguous()?.conv2d(&flipped, 0, 1, 1, 1)
}

/// `stride` - 1 zeros between neighbours along `axis`.
fn spread(cotangent: &Tensor, axis: usize, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(cotangent.clone());
    }
    let length = cotangent.dim(axis)?;
    cotangent
        .unsqueeze(axis + 1)?
        .pad_with_zeros(axis + 1, 0, stride - 1)?
        .flatten(axis, axis + 1)?
        .narrow(axis, 0, (length - 1) * stride + 1)
}

/// The full support of a correlation of `length` inputs along `axis`: `overhang` zeros in front,
/// less the `padding` that the input had, and what is missing (or too much) behind.
fn fit(
    cotangent: &Tensor,
    axis: usize,
    overhang: usize,
    padding: usize,
    length: usize,
) -> Result<Tensor> {
    let (skipped, front) = (
        padding.saturating_sub(overhang),
        overhang.saturating_sub(padding),
    );
    let there = cotangent.dim(axis)?;
    let kept = there.saturating_sub(skipped).min(length - front);
    cotangent
        .narrow(axis, skipped.min(there), kept)?
        .pad_with_zeros(axis, front, length - front - kept)
}

/// (O, I, kh, kw) of x (B, I, H, W) and ȳ (B, O, H', W').
fn kernel_gradient(
    x: &Tensor,
    cotangent: &Tensor,
    (rows, columns): (usize, usize),
    Window { stride, padding }: Window,
) -> Result<Tensor> {
    let x = x.transpose(0, 1)?.contiguous()?;
    let cotangent = cotangent.transpose(0, 1)?.contiguous()?;
    x.conv2d(&cotangent, padding, 1, stride, 1)?
        .narrow(2, 0, rows)?
        .narrow(D::Minus1, 0, columns)?
        .transpose(0, 1)?
        .contiguous()
}
