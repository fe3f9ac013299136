//! The convolution passes on CPU slices.

use candle_core::{Result, Tensor};

use super::Window;
use super::kernel::Store;
use super::operands::{Extents, Images, Taps};
use super::passes::{Correlation, accumulate_gradient};
use crate::elementwise::update_with;
use crate::parallel::fill_parts;
use crate::real::{elements, tensor};
use crate::vectorised::{reduce, terms};
use crate::vectors::Vectors;

pub(super) fn forward<T: Vectors>(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    let (batch, inputs, height, width) = x.dims4()?;
    let (outputs, _, rows, columns) = weight.dims4()?;
    let extents = Extents::new((inputs, outputs), (height, width), (rows, columns), window)?;
    let mut y = vec![T::ZERO; batch * outputs * extents.output_pixels()];
    correlate(&extents, batch, &mut y, x, weight, bias, Store::Write)?;
    let (height, width) = extents.output;
    tensor(y, (batch, outputs, height, width), x)
}

pub(super) fn tangent<T: Vectors>(
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    let (batch, _, height, width) = x.dims4()?;
    let (vectors, outputs, inputs, rows, columns) = dweight.dims5()?;
    let extents = Extents::new((inputs, outputs), (height, width), (rows, columns), window)?;
    let wide = Extents {
        outputs: vectors * outputs,
        ..extents
    };
    let mut dy = vec![T::ZERO; batch * wide.outputs * extents.output_pixels()];
    correlate(&wide, batch, &mut dy, x, dweight, dbias, Store::Write)?;
    if let Some(dx) = dx {
        let count = batch * vectors;
        correlate(&extents, count, &mut dy, dx, weight, None, Store::Add)?;
    }
    let (height, width) = extents.output;
    tensor(dy, (batch, vectors, outputs, height, width), x)
}

/// y = W * x + b, or y += W * x + b, of `count` images.
fn correlate<T: Vectors>(
    extents: &Extents,
    count: usize,
    y: &mut [T],
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    store: Store,
) -> Result<()> {
    let (x, weight, bias) = (
        elements::<T>(x)?,
        elements::<T>(weight)?,
        bias.map(elements::<T>).transpose()?,
    );
    let bias = bias.as_ref().map(|bias| bias.slice()).transpose()?;
    let taps = Taps::forward(weight.slice()?, extents.channels, extents.taps());
    let images = Images::packed(x.slice()?, extents.channels * extents.image_pixels());
    Correlation::forward(*extents, taps, bias).apply(images, count, y, store)
}

pub(super) fn input_cotangent<T: Vectors>(
    weight: &Tensor,
    cotangent: &Tensor,
    input: (usize, usize),
    window: Window,
) -> Result<Tensor> {
    let (batch, vectors, outputs, _, _) = cotangent.dims5()?;
    let (_, inputs, rows, columns) = weight.dims4()?;
    let extents = Extents::new((outputs, inputs), input, (rows, columns), window)?;
    let mut x_bar = vec![T::ZERO; batch * vectors * inputs * extents.image_pixels()];
    let (weights, cotangents) = (elements::<T>(weight)?, elements::<T>(cotangent)?);
    let taps = Taps::backward(weights.slice()?, (outputs, inputs), extents.taps());
    let images = Images::packed(cotangents.slice()?, outputs * extents.output_pixels());
    Correlation::backward(extents, taps).apply(
        images,
        batch * vectors,
        &mut x_bar,
        Store::Write,
    )?;
    tensor(x_bar, (batch, vectors, inputs, input.0, input.1), weight)
}

pub(super) fn accumulate_cotangent<T: Vectors>(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: Option<&Tensor>,
    window: Window,
) -> Result<()> {
    let (batch, inputs, height, width) = x.dims4()?;
    let (vectors, outputs, _, rows, columns) = weight_sum.dims5()?;
    let channels = (inputs, vectors * outputs);
    let extents = Extents::new(channels, (height, width), (rows, columns), window)?;
    let (x_values, cotangents) = (elements::<T>(x)?, elements::<T>(cotangent)?);
    let images = Images::packed(x_values.slice()?, inputs * extents.image_pixels());
    let length = extents.outputs * extents.output_pixels();
    let cotangents = Images::packed(cotangents.slice()?, length);
    update_with(weight_sum, &[x, cotangent], |sum| {
        accumulate_gradient(&extents, images, cotangents, batch, sum)
    })?;
    match bias_sum {
        Some(sum) => accumulate_bias::<T>(cotangent, sum),
        None => Ok(()),
    }
}

/// W̄ (V, O, I, kh, kw) += ȳ ẋ of `cotangent` (B, O, H', W') and `dx` (B, V, I, H, W).
pub(super) fn accumulate_second_order<T: Vectors>(
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
    window: Window,
) -> Result<()> {
    let (batch, vectors, inputs, height, width) = dx.dims5()?;
    let (_, outputs, _, rows, columns) = weight_sum.dims5()?;
    let extents = Extents::new((inputs, outputs), (height, width), (rows, columns), window)?;
    let (tangents, cotangents) = (elements::<T>(dx)?, elements::<T>(cotangent)?);
    let images = Images::packed(tangents.slice()?, inputs * extents.image_pixels());
    let cotangents = Images::packed(cotangents.slice()?, outputs * extents.output_pixels());
    update_with(weight_sum, &[dx, cotangent], |sum: &mut [T]| {
        let size = sum.len() / vectors.max(1);
        (0..vectors).try_for_each(|vector| {
            let images = images.every(vectors, vector);
            let sum = &mut sum[vector * size..][..size];
            accumulate_gradient(&extents, images, cotangents, batch, sum)
        })
    })
}

/// x̄ (B, V, I, H, W) += Ẇᵀ * ȳ of `cotangent` (B, O, H', W') and `dweight` (V, O, I, kh, kw).
pub(super) fn add_second_order<T: Vectors>(
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
    window: Window,
) -> Result<()> {
    let (batch, vectors, inputs, height, width) = input_sum.dims5()?;
    let (_, outputs, _, rows, columns) = dweight.dims5()?;
    let channels = (outputs, vectors * inputs);
    let extents = Extents::new(channels, (height, width), (rows, columns), window)?;
    let (weights, cotangents) = (elements::<T>(dweight)?, elements::<T>(cotangent)?);
    let taps = Taps::backward(weights.slice()?, (outputs, inputs), extents.taps());
    let images = Images::packed(cotangents.slice()?, outputs * extents.output_pixels());
    update_with(input_sum, &[cotangent, dweight], |sum| {
        Correlation::backward(extents, taps).apply(images, batch, sum, Store::Add)
    })
}

/// b̄ (V, O) += Σ ȳ of `cotangent` (B, V, O, H', W').
fn accumulate_bias<T: Vectors>(cotangent: &Tensor, bias_sum: &Tensor) -> Result<()> {
    let (_, vectors, outputs, height, width) = cotangent.dims5()?;
    let (pixels, cotangents) = (height * width, elements::<T>(cotangent)?);
    let cotangents = cotangents.slice()?;
    let planes = vectors * outputs;
    update_with(bias_sum, &[cotangent], |sum: &mut [T]| {
        fill_parts(sum, planes, |part, sum| {
            for block in cotangents.chunks_exact((planes * pixels).max(1)) {
                let block = &block[part.start * pixels..part.end * pixels];
                for (sum, plane) in sum.iter_mut().zip(block.chunks_exact(pixels)) {
                    let [total] = reduce(plane, plane, T::ZERO, terms::value);
                    *sum += T::from_f64(total);
                }
            }
            Ok(())
        })
    })
}
