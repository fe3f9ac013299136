//! Pooling as kernels: every element of the result looks at its windows, in the order of the entries.

use candle_core::{DType, Result, Tensor};

use super::{Pooling, plain};
use crate::launch::{Extents, Launcher, Operand, Source, map};

pub(super) fn max_forward(
    launcher: &dyn Launcher,
    x: &Tensor,
    pooling: Pooling,
    (height, width): (usize, usize),
) -> Result<(Tensor, Tensor)> {
    let (batch, channels, input_height, input_width) = x.dims4()?;
    let shape = [batch, channels, height, width];
    let (y, argmax) = (
        launcher.room(&shape, x.dtype(), x)?,
        launcher.room(&shape, DType::U32, x)?,
    );
    let operands = [
        Operand::pointer("x", x.elem_count(), x),
        Operand::written("y", "bca", &y),
        Operand::written("argmax", "bca", &argmax),
    ];
    let source = Source {
        name: "max_forward",
        sizes: &[
            ("AREA", input_height * input_width),
            ("WIDTH", input_width),
            ("COLUMNS", width),
            ("KERNEL_SIDE", pooling.kernel),
            ("STRIDE", pooling.stride),
        ],
        numbers: &[],
        body: "x += (b * C + c) * AREA;
        const unsigned first = a / COLUMNS * STRIDE * WIDTH + a % COLUMNS * STRIDE;
        argmax = first; y = x[first];
        for (unsigned row = 0; row < KERNEL_SIDE; row++)
            for (unsigned column = 0; column < KERNEL_SIDE; column++) {
                const unsigned place = first + row * WIDTH + column;
                const T entry = x[place];
                if (entry > y || entry != entry) { y = entry; argmax = place; }
            }
        x -= (b * C + c) * AREA;",
    };
    let extents = Extents {
        batch,
        vectors: 1,
        channels,
        area: height * width,
    };
    map(launcher, source, extents, &operands)?;
    Ok((y, argmax))
}

/// A place outside the plane, which is no argmax, gives what is not a number.
pub(super) fn max_gather(
    launcher: &dyn Launcher,
    argmax: &Tensor,
    block: &Tensor,
) -> Result<Tensor> {
    let (batch, vectors, channels, input_height, input_width) = block.dims5()?;
    let (_, _, height, width) = argmax.dims4()?;
    let out = launcher.room(
        &[batch, vectors, channels, height, width],
        block.dtype(),
        block,
    )?;
    let operands = [
        Operand::pointer("block", block.elem_count(), block),
        Operand::read("argmax", "bca", argmax),
        Operand::written("out", "bvca", &out),
    ];
    let source = Source {
        sizes: &[("AREA", input_height * input_width)],
        ..Source::new(
            "max_gather",
            "out = argmax < AREA ? block[((b * V + v) * C + c) * AREA + argmax] : T(0.0 / 0.0);",
        )
    };
    map(launcher, source, Extents::block(&out)?, &operands)?;
    Ok(out)
}

/// Rows and columns of the windows that hold entry a of a plane: `first` to `last`, none where they are the other way round.
const WINDOWS: &str = "const unsigned row = a / WIDTH, column = a % WIDTH;
        const unsigned first_row = row < KERNEL_SIDE ? 0 : (row - KERNEL_SIDE) / STRIDE + 1;
        const unsigned first_column = column < KERNEL_SIDE ? 0 : (column - KERNEL_SIDE) / STRIDE + 1;
        T sum = 0;
        for (unsigned h = first_row; h <= row / STRIDE && h < ROWS; h++)
            for (unsigned w = first_column; w <= column / STRIDE && w < COLUMNS; w++)";

pub(super) fn max_scatter(
    launcher: &dyn Launcher,
    argmax: &Tensor,
    cotangent: &Tensor,
    (input_height, input_width): (usize, usize),
    pooling: Option<Pooling>,
) -> Result<Tensor> {
    let Some(pooling) = pooling else {
        return plain::max_scatter(argmax, cotangent, (input_height, input_width), pooling);
    };
    let (batch, vectors, channels, height, width) = cotangent.dims5()?;
    let shape = [batch, vectors, channels, input_height, input_width];
    let out = launcher.room(&shape, cotangent.dtype(), cotangent)?;
    let operands = [
        Operand::pointer("cotangent", cotangent.elem_count(), cotangent),
        Operand::pointer("argmax", argmax.elem_count(), argmax),
        Operand::written("out", "bvca", &out),
    ];
    let body = format!(
        "const unsigned shared = (b * C + c) * ROWS * COLUMNS, own = ((b * V + v) * C + c) * ROWS * COLUMNS;
        {WINDOWS}
                if (argmax[shared + h * COLUMNS + w] == a) sum += cotangent[own + h * COLUMNS + w];
        out = sum;"
    );
    let source = Source {
        sizes: &[
            ("WIDTH", input_width),
            ("ROWS", height),
            ("COLUMNS", width),
            ("KERNEL_SIDE", pooling.kernel),
            ("STRIDE", pooling.stride),
        ],
        ..Source::new("max_scatter", &body)
    };
    map(launcher, source, Extents::block(&out)?, &operands)?;
    Ok(out)
}

fn planes(planes: usize, area: usize) -> Extents {
    Extents::flat(planes, 1, area)
}

pub(super) fn average(
    launcher: &dyn Launcher,
    x: &Tensor,
    Pooling { kernel, stride }: Pooling,
    (height, width): (usize, usize),
) -> Result<Tensor> {
    let (count, input_height, input_width) = x.dims3()?;
    let out = launcher.room(&[count, height, width], x.dtype(), x)?;
    let operands = [
        Operand::pointer("x", x.elem_count(), x),
        Operand::written("out", "ba", &out),
    ];
    let source = Source {
        sizes: &[
            ("AREA", input_height * input_width),
            ("WIDTH", input_width),
            ("COLUMNS", width),
            ("KERNEL_SIDE", kernel),
            ("STRIDE", stride),
        ],
        ..Source::new(
            "average",
            "const unsigned first = b * AREA + a / COLUMNS * STRIDE * WIDTH + a % COLUMNS * STRIDE;
        T sum = 0;
        for (unsigned row = 0; row < KERNEL_SIDE; row++)
            for (unsigned column = 0; column < KERNEL_SIDE; column++) sum += x[first + row * WIDTH + column];
        out = sum / T(KERNEL_SIDE * KERNEL_SIDE);",
        )
    };
    map(launcher, source, planes(count, height * width), &operands)?;
    Ok(out)
}

pub(super) fn average_transposed(
    launcher: &dyn Launcher,
    cotangent: &Tensor,
    (input_height, input_width): (usize, usize),
    Pooling { kernel, stride }: Pooling,
) -> Result<Tensor> {
    let (count, height, width) = cotangent.dims3()?;
    let shape = [count, input_height, input_width];
    let out = launcher.room(&shape, cotangent.dtype(), cotangent)?;
    let operands = [
        Operand::pointer("cotangent", cotangent.elem_count(), cotangent),
        Operand::written("out", "ba", &out),
    ];
    let body = format!(
        "{WINDOWS} sum += cotangent[(b * ROWS + h) * COLUMNS + w];
        out = sum / T(KERNEL_SIDE * KERNEL_SIDE);"
    );
    let source = Source {
        sizes: &[
            ("WIDTH", input_width),
            ("ROWS", height),
            ("COLUMNS", width),
            ("KERNEL_SIDE", kernel),
            ("STRIDE", stride),
        ],
        ..Source::new("average_transposed", &body)
    };
    map(
        launcher,
        source,
        planes(count, input_height * input_width),
        &operands,
    )?;
    Ok(out)
}

pub(super) fn global_average(launcher: &dyn Launcher, x: &Tensor) -> Result<Tensor> {
    let (count, area) = x.dims2()?;
    let out = launcher.room(&[count], x.dtype(), x)?;
    let operands = [
        Operand::pointer("x", x.elem_count(), x),
        Operand::written("out", "b", &out),
    ];
    let source = Source {
        sizes: &[("AREA", area)],
        ..Source::new(
            "global_average",
            "double sum = 0;
        for (unsigned place = 0; place < AREA; place++) sum += x[b * AREA + place];
        out = sum / AREA;",
        )
    };
    map(launcher, source, planes(count, 1), &operands)?;
    Ok(out)
}

pub(super) fn global_average_transposed(
    launcher: &dyn Launcher,
    cotangent: &Tensor,
    area: usize,
) -> Result<Tensor> {
    let count = cotangent.elem_count();
    let out = launcher.room(&[count, area], cotangent.dtype(), cotangent)?;
    let operands = [
        Operand::read("cotangent", "b", cotangent),
        Operand::written("out", "ba", &out),
    ];
    let source = Source::new("global_average_transposed", "out = cotangent / T(A);");
    map(launcher, source, planes(count, area), &operands)?;
    Ok(out)
}
