//! The affine passes on CPU slices: one or two matrix products each, written where they belong.

use candle_core::{Result, Tensor};

use crate::in_place::Values;
use crate::product::{Extent, accumulate, product};
use crate::real::{Real, elements, tensor};

pub(super) fn forward<T: Real>(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let ((batch, inputs), outputs) = (x.dims2()?, weight.dim(0)?);
    let (x_values, weight, bias) = (elements::<T>(x)?, elements(weight)?, elements(bias)?);
    let mut y = repeated(bias.slice()?, batch);
    accumulate(
        &mut y,
        Extent::row_major(batch, outputs),
        (x_values.slice()?, Extent::row_major(batch, inputs)),
        (
            weight.slice()?,
            Extent::row_major(outputs, inputs).transposed(),
        ),
    )?;
    tensor(y, (batch, outputs), x)
}

pub(super) fn tangent<T: Real>(
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: &Tensor,
) -> Result<Tensor> {
    let (vectors, outputs, inputs) = dweight.dims3()?;
    let batch = x.dim(0)?;
    let (x_values, dweight, dbias) = (elements::<T>(x)?, elements(dweight)?, elements(dbias)?);
    let mut dy = repeated(dbias.slice()?, batch);
    accumulate(
        &mut dy,
        Extent::row_major(batch, vectors * outputs),
        (x_values.slice()?, Extent::row_major(batch, inputs)),
        (
            dweight.slice()?,
            Extent::row_major(vectors * outputs, inputs).transposed(),
        ),
    )?;
    if let Some(dx) = dx {
        let (dx, weight) = (elements(dx)?, elements(weight)?);
        accumulate(
            &mut dy,
            Extent::row_major(batch * vectors, outputs),
            (dx.slice()?, Extent::row_major(batch * vectors, inputs)),
            (
                weight.slice()?,
                Extent::row_major(outputs, inputs).transposed(),
            ),
        )?;
    }
    tensor(dy, (batch, vectors, outputs), x)
}

pub(super) fn input_cotangent<T: Real>(weight: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let (batch, vectors, outputs) = cotangent.dims3()?;
    let inputs = weight.dim(1)?;
    let (values, weights) = (elements::<T>(cotangent)?, elements(weight)?);
    let x_bar = product(
        (values.slice()?, Extent::row_major(batch * vectors, outputs)),
        (weights.slice()?, Extent::row_major(outputs, inputs)),
    )?;
    tensor(x_bar, (batch, vectors, inputs), weight)
}

fn repeated<T: Real>(row: &[T], times: usize) -> Vec<T> {
    let mut rows = Vec::with_capacity(row.len() * times);
    for _ in 0..times {
        rows.extend_from_slice(row);
    }
    rows
}

/// (V, O, I) += ȳᵀ x of ȳ (B, V, O), x (B, I).
pub(super) fn outer<T: Real>(
    sum: &mut [T],
    (cotangent, cotangent_shape): Values<'_, T>,
    (x, x_shape): Values<'_, T>,
) -> Result<()> {
    let (batch, vectors, outputs) = cotangent_shape.dims3()?;
    let inputs = x_shape.dims2()?.1;
    accumulate(
        sum,
        Extent::row_major(vectors * outputs, inputs),
        (
            cotangent,
            Extent::row_major(batch, vectors * outputs).transposed(),
        ),
        (x, Extent::row_major(batch, inputs)),
    )
}

/// (V, O) += Σ ȳ of ȳ (B, V, O).
pub(super) fn rows<T: Real>(sum: &mut [T], (cotangent, _): Values<'_, T>) -> Result<()> {
    for row in cotangent.chunks_exact(sum.len().max(1)) {
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, &value)| *sum += value);
    }
    Ok(())
}

/// (V, O, I) += ȳᵀ ẋ of ȳ (B, O), ẋ (B, V, I).
pub(super) fn outer_block<T: Real>(
    sum: &mut [T],
    (cotangent, cotangent_shape): Values<'_, T>,
    (dx, dx_shape): Values<'_, T>,
) -> Result<()> {
    let (batch, outputs) = cotangent_shape.dims2()?;
    let (_, vectors, inputs) = dx_shape.dims3()?;
    (0..vectors).try_for_each(|vector| {
        accumulate(
            sum,
            Extent::outer(outputs, inputs, vector),
            (cotangent, Extent::row_major(batch, outputs).transposed()),
            (dx, Extent::inner(batch, vectors, inputs, vector)),
        )
    })
}

/// (B, V, I) += ȳ Ẇ of ȳ (B, O), Ẇ (V, O, I).
pub(super) fn input_block<T: Real>(
    sum: &mut [T],
    (cotangent, cotangent_shape): Values<'_, T>,
    (dweight, dweight_shape): Values<'_, T>,
) -> Result<()> {
    let (batch, outputs) = cotangent_shape.dims2()?;
    let (vectors, _, inputs) = dweight_shape.dims3()?;
    (0..vectors).try_for_each(|vector| {
        accumulate(
            sum,
            Extent::inner(batch, vectors, inputs, vector),
            (cotangent, Extent::row_major(batch, outputs)),
            (dweight, Extent::outer(outputs, inputs, vector)),
        )
    })
}
