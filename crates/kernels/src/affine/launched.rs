//! The affine passes as matrix products on a device, added up where they belong.

use candle_core::{Result, Tensor};

use super::Sizes;
use crate::launch::{Extents, Launcher, Matrix, Operand, Product, Source, map, sums};
use crate::product::Extent;

/// The sum (+)= left right.
fn multiply(
    launcher: &dyn Launcher,
    (sum, sum_extent): (&Tensor, Extent),
    (left, left_extent): (&Tensor, Extent),
    (right, right_extent): (&Tensor, Extent),
    accumulate: bool,
) -> Result<()> {
    let product = Product {
        sum: Matrix::new(sum, sum_extent),
        left: Matrix::new(left, left_extent),
        right: Matrix::new(right, right_extent),
        accumulate,
    };
    product.ask(launcher)
}

/// A new tensor (rows, outputs), to be `filled` with the biases (V, O), or with zeros, where it will be added to.
fn room(
    sizes: Sizes,
    launcher: &dyn Launcher,
    bias: Option<&Tensor>,
    filled: bool,
    like: &Tensor,
) -> Result<Tensor> {
    let rows = sizes.batch * sizes.vectors * sizes.positions;
    let y = launcher.room(&[rows, sizes.outputs], like.dtype(), like)?;
    // Positions stand between vectors and outputs: the places of a channel in front of it.
    let extents = Extents {
        batch: sizes.batch,
        vectors: sizes.vectors,
        channels: sizes.positions,
        area: sizes.outputs,
    };
    let out = Operand::written("out", "bvca", &y);
    match bias {
        Some(bias) => {
            let operands = [Operand::read("bias", "va", bias), out];
            map(
                launcher,
                Source::new("fill", "out = bias;"),
                extents,
                &operands,
            )?;
        }
        None if filled => map(launcher, Source::new("zero", "out = 0;"), extents, &[out])?,
        None => {}
    }
    Ok(y)
}

pub(super) fn forward(
    launcher: &dyn Launcher,
    sizes: Sizes,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let rows = sizes.batch * sizes.positions;
    let y = room(sizes, launcher, bias, sizes.inputs == 0, x)?;
    multiply(
        launcher,
        (&y, Extent::row_major(rows, sizes.outputs)),
        (x, Extent::row_major(rows, sizes.inputs)),
        (weight, sizes.map(0).transposed()),
        bias.is_some(),
    )?;
    Ok(y)
}

pub(super) fn tangent(
    launcher: &dyn Launcher,
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
    let accumulate = dbias.is_some();
    let dy = room(sizes, launcher, dbias, inputs == 0, x)?;
    if sizes.is_wide() {
        let columns = vectors * outputs;
        multiply(
            launcher,
            (&dy, Extent::row_major(batch, columns)),
            (x, Extent::row_major(batch, inputs)),
            (dweight, Extent::row_major(columns, inputs).transposed()),
            accumulate,
        )?;
    } else {
        for (vector, primal, block) in sizes.pairs(inputs, outputs) {
            let map = (dweight, sizes.map(vector).transposed());
            multiply(launcher, (&dy, block), (x, primal), map, accumulate)?;
        }
    }
    if let Some(dx) = dx {
        let rows = batch * vectors * positions;
        multiply(
            launcher,
            (&dy, Extent::row_major(rows, outputs)),
            (dx, Extent::row_major(rows, inputs)),
            (weight, sizes.map(0).transposed()),
            true,
        )?;
    }
    Ok(dy)
}

pub(super) fn input_cotangent(
    launcher: &dyn Launcher,
    sizes: Sizes,
    weight: &Tensor,
    cotangent: &Tensor,
) -> Result<Tensor> {
    let rows = sizes.batch * sizes.vectors * sizes.positions;
    let turned = Sizes {
        inputs: sizes.outputs,
        outputs: sizes.inputs,
        ..sizes
    };
    let x_bar = room(turned, launcher, None, sizes.outputs == 0, cotangent)?;
    multiply(
        launcher,
        (&x_bar, Extent::row_major(rows, sizes.inputs)),
        (cotangent, Extent::row_major(rows, sizes.outputs)),
        (weight, sizes.map(0)),
        false,
    )?;
    Ok(x_bar)
}

pub(super) fn accumulate_cotangent(
    launcher: &dyn Launcher,
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
    if sizes.is_wide() {
        let columns = vectors * outputs;
        multiply(
            launcher,
            (weight_sum, Extent::row_major(columns, inputs)),
            (cotangent, Extent::row_major(batch, columns).transposed()),
            (x, Extent::row_major(batch, inputs)),
            true,
        )?;
    } else {
        for (vector, primal, block) in sizes.pairs(inputs, outputs) {
            let cotangents = (cotangent, block.transposed());
            multiply(
                launcher,
                (weight_sum, sizes.map(vector)),
                cotangents,
                (x, primal),
                true,
            )?;
        }
    }
    let Some(bias_sum) = bias_sum else {
        return Ok(());
    };
    let extents = Extents {
        batch: batch * positions,
        vectors,
        channels: outputs,
        area: 1,
    };
    let operands = [
        Operand::pointer("cotangent", cotangent.elem_count(), cotangent),
        Operand::written("bias_sum", "vc", bias_sum),
    ];
    let source = Source {
        sizes: &[("POSITIONS", positions)],
        ..Source::new("bias_sums", "bias_sum += sum0;")
    };
    let term = "cotangent[((b / POSITIONS * V + v) * POSITIONS + b % POSITIONS) * C + c]";
    sums(launcher, source, extents, &operands, &[term])
}

pub(super) fn accumulate_second_order(
    launcher: &dyn Launcher,
    sizes: Sizes,
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
) -> Result<()> {
    for (vector, primal, block) in sizes.pairs(sizes.outputs, sizes.inputs) {
        let cotangents = (cotangent, primal.transposed());
        multiply(
            launcher,
            (weight_sum, sizes.map(vector)),
            cotangents,
            (dx, block),
            true,
        )?;
    }
    Ok(())
}

pub(super) fn add_second_order(
    launcher: &dyn Launcher,
    sizes: Sizes,
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    for (vector, primal, block) in sizes.pairs(sizes.outputs, sizes.inputs) {
        let map = (dweight, sizes.map(vector));
        multiply(launcher, (input_sum, block), (cotangent, primal), map, true)?;
    }
    Ok(())
}
