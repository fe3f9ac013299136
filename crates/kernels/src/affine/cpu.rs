//! The affine passes on CPU slices: one or two matrix products each, written where they belong.

use candle_core::{Result, Tensor};

use crate::elementwise::update_with;
use crate::product::{Extent, accumulate, product};
use crate::real::{Real, elements, tensor};
use crate::vectorised::add_to;

pub(super) fn forward<T: Real>(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let ((batch, inputs), outputs) = (x.dims2()?, weight.dim(0)?);
    let mut y = repeated(elements::<T>(bias)?.slice()?, batch);
    add_map(&mut y, x, weight, (batch, outputs, inputs))?;
    tensor(y, (batch, outputs), x)
}

pub(super) fn tangent<T: Real>(
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: &Tensor,
) -> Result<Tensor> {
    let ((vectors, outputs, inputs), batch) = (dweight.dims3()?, x.dim(0)?);
    let mut dy = repeated(elements::<T>(dbias)?.slice()?, batch);
    add_map(&mut dy, x, dweight, (batch, vectors * outputs, inputs))?;
    if let Some(dx) = dx {
        add_map(&mut dy, dx, weight, (batch * vectors, outputs, inputs))?;
    }
    tensor(dy, (batch, vectors, outputs), x)
}

/// y (rows, outputs) += x Wᵀ of x (rows, inputs), W (outputs, inputs).
fn add_map<T: Real>(
    y: &mut [T],
    x: &Tensor,
    weight: &Tensor,
    (rows, outputs, inputs): (usize, usize, usize),
) -> Result<()> {
    let (x, weight) = (elements(x)?, elements(weight)?);
    let map = Extent::row_major(outputs, inputs).transposed();
    let x = (x.slice()?, Extent::row_major(rows, inputs));
    accumulate(
        y,
        Extent::row_major(rows, outputs),
        x,
        (weight.slice()?, map),
    )
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

pub(super) fn accumulate_cotangent<T: Real>(
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: &Tensor,
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
    })?;
    update_with(bias_sum, &[cotangent], |sum: &mut [T]| {
        for row in cotangents.chunks_exact(sum.len().max(1)) {
            add_to(sum, row.iter().copied());
        }
        Ok(())
    })
}

pub(super) fn accumulate_second_order<T: Real>(
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

pub(super) fn add_second_order<T: Real>(
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
