//! The affine passes on CPU slices: one or two matrix products each, written where they belong.

use candle_core::{Result, Tensor};

use crate::elementwise::update_with;
use crate::product::{Extent, accumulate, product};
use crate::real::{Real, elements, tensor};
use crate::vectorised::add_to;

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

/// W̄ (V, O, I) += ȳᵀ x of ȳ (B, V, O), x (B, I).
pub(super) fn add_outer<T: Real>(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
) -> Result<()> {
    let ((batch, vectors, outputs), inputs) = (cotangent.dims3()?, x.dim(1)?);
    let (x_values, cotangents) = (elements::<T>(x)?, elements::<T>(cotangent)?);
    let (x_values, cotangents) = (x_values.slice()?, cotangents.slice()?);
    let columns = vectors * outputs;
    update_with(weight_sum, &[x, cotangent], |sum| {
        accumulate(
            sum,
            Extent::row_major(columns, inputs),
            (cotangents, Extent::row_major(batch, columns).transposed()),
            (x_values, Extent::row_major(batch, inputs)),
        )
    })
}

/// b̄ (V, O) += Σ ȳ of ȳ (B, V, O).
pub(super) fn add_rows<T: Real>(cotangent: &Tensor, bias_sum: &Tensor) -> Result<()> {
    let cotangents = elements::<T>(cotangent)?;
    let cotangents = cotangents.slice()?;
    update_with(bias_sum, &[cotangent], |sum: &mut [T]| {
        for row in cotangents.chunks_exact(sum.len().max(1)) {
            add_to(sum, row.iter().copied());
        }
        Ok(())
    })
}

/// W̄ (V, O, I) += ȳᵀ ẋ of ȳ (B, O), ẋ (B, V, I).
pub(super) fn add_outer_block<T: Real>(
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
) -> Result<()> {
    let ((batch, outputs), (_, vectors, inputs)) = (cotangent.dims2()?, dx.dims3()?);
    let (cotangents, tangents) = (elements::<T>(cotangent)?, elements::<T>(dx)?);
    let (cotangents, tangents) = (cotangents.slice()?, tangents.slice()?);
    update_with(weight_sum, &[cotangent, dx], |sum| {
        (0..vectors).try_for_each(|vector| {
            accumulate(
                sum,
                Extent::outer(outputs, inputs, vector),
                (cotangents, Extent::row_major(batch, outputs).transposed()),
                (tangents, Extent::inner(batch, vectors, inputs, vector)),
            )
        })
    })
}

/// x̄ (B, V, I) += ȳ Ẇ of ȳ (B, O), Ẇ (V, O, I).
pub(super) fn add_input_block<T: Real>(
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let ((batch, outputs), (vectors, _, inputs)) = (cotangent.dims2()?, dweight.dims3()?);
    let (cotangents, weights) = (elements::<T>(cotangent)?, elements::<T>(dweight)?);
    let (cotangents, weights) = (cotangents.slice()?, weights.slice()?);
    update_with(input_sum, &[cotangent, dweight], |sum| {
        (0..vectors).try_for_each(|vector| {
            accumulate(
                sum,
                Extent::inner(batch, vectors, inputs, vector),
                (cotangents, Extent::row_major(batch, outputs)),
                (weights, Extent::outer(outputs, inputs, vector)),
            )
        })
    })
}
