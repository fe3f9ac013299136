//! The convolution passes on CPU slices.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, WithDType, bail};

use super::Window;
use super::kernel::Store;
use super::number::Number;
use super::operands::{Extents, Images, Taps};
use super::passes::{Correlation, accumulate_gradient};
use crate::real::{elements, tensor};

pub(super) fn forward<T: Number>(
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

pub(super) fn tangent<T: Number>(
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
fn correlate<T: Number>(
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

pub(super) fn input_cotangent<T: Number>(
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

/// W̄ (V, O, I, kh, kw) += ȳ x of `x` (B, I, H, W) and `cotangent` (B, V, O, H', W'), or of `x`
/// (B, V, I, H, W) and `cotangent` (B, O, H', W').
pub(super) fn accumulate_kernel(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    window: Window,
) -> Result<()> {
    weight_sum.inplace_op3(x, cotangent, &KernelSum(window))
}

/// x̄ (B, V, I, H, W) += Ẇᵀ * ȳ of `cotangent` (B, O, H', W') and `dweight` (V, O, I, kh, kw).
pub(super) fn add_second_order(
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
    window: Window,
) -> Result<()> {
    input_sum.inplace_op3(cotangent, dweight, &InputSum(window))
}

/// b̄ (V, O) += Σ ȳ of `cotangent` (B, V, O, H', W').
pub(super) fn accumulate_bias(cotangent: &Tensor, bias_sum: &Tensor) -> Result<()> {
    bias_sum.inplace_op2(cotangent, &BiasSum)
}

struct KernelSum(Window);
struct InputSum(Window);
struct BiasSum;

/// A contiguous operand and its extents.
type Values<'a, T> = (&'a [T], &'a [usize]);

fn add_to_kernel<T: Number>(
    &KernelSum(window): &KernelSum,
    (sum, dims): (&mut [T], &[usize]),
    (x, x_dims): Values<'_, T>,
    (cotangent, cotangent_dims): Values<'_, T>,
) -> Result<()> {
    let (&[vectors, outputs, inputs, rows, columns], &[batch, .., height, width]) = (dims, x_dims)
    else {
        bail!("expected kernels and images, got {dims:?} and {x_dims:?}");
    };
    let extents = Extents::new((inputs, outputs), (height, width), (rows, columns), window)?;
    let images = Images::packed(x, inputs * extents.image_pixels());
    let cotangents = Images::packed(cotangent, outputs * extents.output_pixels());
    if x_dims.len() < cotangent_dims.len() {
        let wide = Extents {
            outputs: vectors * outputs,
            ..extents
        };
        let cotangents = Images::packed(cotangent, wide.outputs * extents.output_pixels());
        return accumulate_gradient(&wide, images, cotangents, batch, sum);
    }
    for vector in 0..vectors {
        let size = sum.len() / vectors;
        accumulate_gradient(
            &extents,
            images.every(vectors, vector),
            cotangents,
            batch,
            &mut sum[vector * size..][..size],
        )?;
    }
    Ok(())
}

fn add_to_input<T: Number>(
    &InputSum(window): &InputSum,
    (sum, dims): (&mut [T], &[usize]),
    (cotangent, _): Values<'_, T>,
    (dweight, dweight_dims): Values<'_, T>,
) -> Result<()> {
    let (&[batch, vectors, inputs, height, width], &[_, outputs, _, rows, columns]) =
        (dims, dweight_dims)
    else {
        bail!("expected images and kernels, got {dims:?} and {dweight_dims:?}");
    };
    let extents = Extents::new(
        (outputs, vectors * inputs),
        (height, width),
        (rows, columns),
        window,
    )?;
    let taps = Taps::backward(dweight, (outputs, inputs), extents.taps());
    let images = Images::packed(cotangent, outputs * extents.output_pixels());
    Correlation::backward(extents, taps).apply(images, batch, sum, Store::Add)
}

fn add_to_bias<T: Number>(
    _: &BiasSum,
    (sum, _): (&mut [T], &[usize]),
    (cotangent, dims): Values<'_, T>,
) -> Result<()> {
    let &[_, vectors, outputs, height, width] = dims else {
        bail!("expected a block of images, got {dims:?}");
    };
    if sum.is_empty() {
        return Ok(());
    }
    for block in cotangent.chunks_exact(vectors * outputs * height * width) {
        for (sum, plane) in sum.iter_mut().zip(block.chunks_exact(height * width)) {
            *sum += plane.iter().copied().sum::<T>();
        }
    }
    Ok(())
}

fn covered<'a, T: WithDType>(storage: &'a CpuStorage, layout: &'a Layout) -> Result<Values<'a, T>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("expected a contiguous tensor, got {layout:?}");
    };
    Ok((
        &T::cpu_storage_as_slice(storage)?[start..end],
        layout.dims(),
    ))
}

/// An in-place operation by a function that is generic over the number type.
macro_rules! in_place {
    ($operation:ident, $trait:ident, $function:ident, $($operand:ident $layout:ident),*) => {
        impl $trait for $operation {
            fn name(&self) -> &'static str {
                stringify!($function)
            }

            fn cpu_fwd(
                &self,
                target: &mut CpuStorage,
                layout: &Layout,
                $($operand: &CpuStorage, $layout: &Layout),*
            ) -> Result<()> {
                let Some((start, end)) = layout.contiguous_offsets() else {
                    bail!("expected a contiguous tensor, got {layout:?}");
                };
                match target {
                    CpuStorage::F32(target) => {
                        let target = (&mut target[start..end], layout.dims());
                        $function::<f32>(self, target, $(covered($operand, $layout)?),*)
                    }
                    CpuStorage::F64(target) => {
                        let target = (&mut target[start..end], layout.dims());
                        $function::<f64>(self, target, $(covered($operand, $layout)?),*)
                    }
                    _ => bail!("expected a tensor of f32 or f64"),
                }
            }
        }
    };
}
in_place!(KernelSum, InplaceOp3, add_to_kernel, a a_layout, b b_layout);
in_place!(InputSum, InplaceOp3, add_to_input, a a_layout, b b_layout);
in_place!(BiasSum, InplaceOp2, add_to_bias, a a_layout);
