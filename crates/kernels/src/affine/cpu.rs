//! The affine passes on CPU slices: matrix products, written where they belong.

use candle_core::{Result, Tensor};

use super::{Order, Sizes};
use crate::elementwise::update_with;
use crate::product::{Extent, accumulate, product};
use crate::real::{Real, elements, tensor};
use crate::vectorised::add_to;

/// Every matrix (rows, columns) of `weights` with rows and columns exchanged in memory: right operands that are read across
/// their rows are packed anew in every product, which costs small ones as much as the product.
fn turned<T: Real>(weights: &[T], (rows, columns): (usize, usize)) -> Vec<T> {
    const SIDE: usize = 16;
    let mut turned = vec![T::ZERO; weights.len()];
    let size = (rows * columns).max(1);
    for (from, to) in weights
        .chunks_exact(size)
        .zip(turned.chunks_exact_mut(size))
    {
        for start in (0..rows).step_by(SIDE) {
            let part = start..rows.min(start + SIDE);
            for column in 0..columns {
                let target = &mut to[column * rows..][part.clone()];
                for (target, row) in target.iter_mut().zip(part.clone()) {
                    *target = from[row * columns + column];
                }
            }
        }
    }
    turned
}

pub(super) fn forward<T: Real>(
    sizes: Sizes,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (rows, outputs) = (sizes.batch * sizes.positions, sizes.outputs);
    let y = match bias {
        None => {
            let (x, weight) = (elements::<T>(x)?, elements(weight)?);
            let x = (x.slice()?, Extent::row_major(rows, sizes.inputs));
            product(x, (weight.slice()?, sizes.map(0).transposed()))?
        }
        Some(bias) => {
            let mut y = repeated(elements::<T>(bias)?.slice()?, rows);
            add_map(&mut y, (sizes, rows), x, weight)?;
            y
        }
    };
    tensor(y, (rows, outputs), x)
}

pub(super) fn tangent<T: Real>(
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
    let rows = batch * vectors * positions;
    let mut dy = match dbias {
        None => vec![T::ZERO; rows * outputs],
        Some(dbias) => {
            let dbias = elements::<T>(dbias)?;
            let each = dbias.slice()?.chunks(outputs.max(1));
            let block: Vec<T> = each.flat_map(|bias| repeated(bias, positions)).collect();
            repeated(&block, batch)
        }
    };
    if sizes.is_wide() {
        let wide = Sizes {
            outputs: vectors * outputs,
            ..sizes
        };
        add_map(&mut dy, (wide, batch), x, dweight)?;
    } else {
        let (x, dweight) = (elements::<T>(x)?, elements(dweight)?);
        let (x, dweight) = (x.slice()?, dweight.slice()?);
        let turned = (sizes.repeats_maps() && sizes.order == Order::OutputsFirst)
            .then(|| turned(dweight, (outputs, inputs)));
        for (vector, primal, block) in sizes.pairs(inputs, outputs) {
            let map = match &turned {
                Some(turned) => (&turned[..], Extent::outer(inputs, outputs, vector)),
                None => (dweight, sizes.map(vector).transposed()),
            };
            accumulate(&mut dy, block, (x, primal), map)?;
        }
    }
    if let Some(dx) = dx {
        add_map(&mut dy, (sizes, rows), dx, weight)?;
    }
    tensor(dy, (rows, outputs), x)
}

/// y (rows, outputs) += x Wᵀ of x (rows, inputs).
fn add_map<T: Real>(
    y: &mut [T],
    (sizes, rows): (Sizes, usize),
    x: &Tensor,
    weight: &Tensor,
) -> Result<()> {
    let (x, weight) = (elements(x)?, elements(weight)?);
    let x = (x.slice()?, Extent::row_major(rows, sizes.inputs));
    let weight = (weight.slice()?, sizes.map(0).transposed());
    accumulate(y, Extent::row_major(rows, sizes.outputs), x, weight)
}

pub(super) fn input_cotangent<T: Real>(
    sizes: Sizes,
    weight: &Tensor,
    cotangent: &Tensor,
) -> Result<Tensor> {
    let rows = sizes.batch * sizes.vectors * sizes.positions;
    let (values, weights) = (elements::<T>(cotangent)?, elements(weight)?);
    let x_bar = product(
        (values.slice()?, Extent::row_major(rows, sizes.outputs)),
        (weights.slice()?, sizes.map(0)),
    )?;
    tensor(x_bar, (rows, sizes.inputs), weight)
}

fn repeated<T: Real>(row: &[T], times: usize) -> Vec<T> {
    let mut rows = Vec::with_capacity(row.len() * times);
    for _ in 0..times {
        rows.extend_from_slice(row);
    }
    rows
}

pub(super) fn accumulate_cotangent<T: Real>(
    sizes: Sizes,
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: Option<&Tensor>,
) -> Result<()> {
    let Sizes {
        batch,
        vectors,
        positions,
        inputs,
        outputs,
        ..
    } = sizes;
    let (x_values, cotangents) = (elements::<T>(x)?, elements::<T>(cotangent)?);
    let (x_values, cotangents) = (x_values.slice()?, cotangents.slice()?);
    update_with(weight_sum, &[x, cotangent], |sum| {
        if sizes.is_wide() {
            let columns = vectors * outputs;
            return accumulate(
                sum,
                Extent::row_major(columns, inputs),
                (cotangents, Extent::row_major(batch, columns).transposed()),
                (x_values, Extent::row_major(batch, inputs)),
            );
        }
        for (vector, primal, block) in sizes.pairs(inputs, outputs) {
            let cotangents = (cotangents, block.transposed());
            accumulate(sum, sizes.map(vector), cotangents, (x_values, primal))?;
        }
        Ok(())
    })?;
    let Some(bias_sum) = bias_sum else {
        return Ok(());
    };
    update_with(bias_sum, &[cotangent], |sum: &mut [T]| {
        let width = outputs.max(1);
        for rows in cotangents.chunks_exact((vectors * positions * outputs).max(1)) {
            if positions == 1 {
                add_to(sum, rows.iter().copied());
                continue;
            }
            let each = rows.chunks_exact((positions * outputs).max(1));
            for (sum, rows) in sum.chunks_exact_mut(width).zip(each) {
                rows.chunks_exact(width)
                    .for_each(|row| add_to(sum, row.iter().copied()));
            }
        }
        Ok(())
    })
}

pub(super) fn accumulate_second_order<T: Real>(
    sizes: Sizes,
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
) -> Result<()> {
    let (cotangents, tangents) = (elements::<T>(cotangent)?, elements::<T>(dx)?);
    let (cotangents, tangents) = (cotangents.slice()?, tangents.slice()?);
    update_with(weight_sum, &[cotangent, dx], |sum| {
        for (vector, primal, block) in sizes.pairs(sizes.outputs, sizes.inputs) {
            let cotangents = (cotangents, primal.transposed());
            accumulate(sum, sizes.map(vector), cotangents, (tangents, block))?;
        }
        Ok(())
    })
}

pub(super) fn add_second_order<T: Real>(
    sizes: Sizes,
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let (cotangents, weights) = (elements::<T>(cotangent)?, elements::<T>(dweight)?);
    let (cotangents, weights) = (cotangents.slice()?, weights.slice()?);
    let Sizes {
        inputs, outputs, ..
    } = sizes;
    let turned = (sizes.repeats_maps() && sizes.order == Order::InputsFirst)
        .then(|| turned(weights, (inputs, outputs)));
    update_with(input_sum, &[cotangent, dweight], |sum| {
        for (vector, primal, block) in sizes.pairs(outputs, inputs) {
            let map = match &turned {
                Some(turned) => (&turned[..], Extent::outer(outputs, inputs, vector)),
                None => (weights, sizes.map(vector)),
            };
            accumulate(sum, block, (cotangents, primal), map)?;
        }
        Ok(())
    })
}
