//! The passes as matrix products with patches, by operations of candle.

use candle_core::{Result, Tensor};

use super::Extents;
use crate::elementwise::add_in_place;

/// Places of the padded input that element `k` of the kernel meets along `axis`.
fn places(extents: &Extents, axis: usize, k: usize, like: &Tensor) -> Result<Tensor> {
    let (stride, shift) = (extents.grid.stride[axis], k * extents.grid.dilation[axis]);
    let places = (0..extents.output[axis]).map(|place| (place * stride + shift) as u32);
    Tensor::from_iter(places, like.device())
}

/// Every element of the kernel, with the places that it meets.
fn taps(extents: &Extents, like: &Tensor) -> Result<Vec<[Tensor; 2]>> {
    let [rows, columns] = extents.kernel;
    let all = (0..rows).flat_map(|row| (0..columns).map(move |column| [row, column]));
    let places = |[row, column]: [usize; 2]| {
        Ok([
            places(extents, 0, row, like)?,
            places(extents, 1, column, like)?,
        ])
    };
    all.map(places).collect()
}

/// (B, V, G, channels of a group · kh · kw, H' · W') of `x`.
fn patches(extents: &Extents, x: &Tensor) -> Result<Tensor> {
    let ([before, behind], (batch, vectors)) = (
        [extents.grid.before, extents.grid.behind],
        (x.dim(0)?, x.dim(1)?),
    );
    let x = x.flatten(0, 1)?;
    let x = x.pad_with_zeros(2, before[0], behind[0])?;
    let x = x.pad_with_zeros(3, before[1], behind[1])?;
    let taps = taps(extents, &x)?.into_iter();
    let taps = taps.map(|[rows, columns]| x.index_select(&rows, 2)?.index_select(&columns, 3));
    let patches = Tensor::stack(&taps.collect::<Result<Vec<_>>>()?, 2)?;
    let area = extents.output[0] * extents.output[1];
    patches.reshape((batch, vectors, extents.grid.groups, (), area))
}

/// The transpose of [`patches`].
fn folded(extents: &Extents, patches: &Tensor) -> Result<Tensor> {
    let ([rows, columns], [height, width]) = (extents.kernel, extents.output);
    let (batch, vectors, inputs) = (patches.dim(0)?, patches.dim(1)?, extents.channels[1]);
    let patches =
        patches.reshape(&[batch * vectors, inputs, rows * columns, height * width][..])?;
    let grid = extents.grid;
    let padded = |axis: usize| extents.input[axis] + grid.before[axis] + grid.behind[axis];
    let like = (patches.dtype(), patches.device());
    let shape = (batch * vectors, inputs, padded(0), padded(1));
    let mut sum = Tensor::zeros(shape, like.0, like.1)?;
    for (tap, [rows, columns]) in taps(extents, &patches)?.into_iter().enumerate() {
        let tap = patches.narrow(2, tap, 1)?.contiguous()?;
        let tap = tap.reshape((batch * vectors, inputs, height, width))?;
        let wide = (batch * vectors, inputs, height, padded(1));
        let wide = Tensor::zeros(wide, like.0, like.1)?.index_add(&columns, &tap, 3)?;
        sum = sum.index_add(&rows, &wide, 2)?;
    }
    let inner = sum.narrow(2, grid.before[0], extents.input[0])?;
    let inner = inner
        .narrow(3, grid.before[1], extents.input[1])?
        .contiguous()?;
    inner.reshape((batch, vectors, inputs, extents.input[0], extents.input[1]))
}

/// (1, V, G, outputs of a group, inputs of a group · kh · kw) of the weight.
fn matrices(extents: &Extents, weight: &Tensor) -> Result<Tensor> {
    weight.reshape((
        1,
        weight.dim(0)?,
        extents.grid.groups,
        extents.of_group()[0],
        (),
    ))
}

/// (B, V, G, outputs of a group, H' · W') of the output.
fn planes(extents: &Extents, y: &Tensor) -> Result<Tensor> {
    y.reshape((
        y.dim(0)?,
        y.dim(1)?,
        extents.grid.groups,
        extents.of_group()[0],
        (),
    ))
}

/// Products of matrices (B, V, G, ·, ·), where one example or vector serves all; candle knows one such axis.
fn products(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let leading = |x: &Tensor| -> Result<_> { Ok([x.dim(0)?, x.dim(1)?, x.dim(2)?]) };
    let ([a_leading, b_leading], [rows, columns]) =
        ([leading(a)?, leading(b)?], [a.dim(3)?, b.dim(4)?]);
    let leading = [0, 1, 2].map(|axis| a_leading[axis].max(b_leading[axis]));
    let count = leading.iter().product::<usize>();
    let all = |x: &Tensor| {
        let matrix = [x.dim(3)?, x.dim(4)?];
        let spread = x
            .broadcast_as([&leading[..], &matrix].concat())?
            .contiguous()?;
        spread.reshape((count, matrix[0], matrix[1]))
    };
    let product = all(a)?.matmul(&all(b)?)?;
    product.reshape([&leading[..], &[rows, columns]].concat())
}

pub(super) fn add_output(y: &Tensor, weight: &Tensor, x: &Tensor, extents: Extents) -> Result<()> {
    let product = products(&matrices(&extents, weight)?, &patches(&extents, x)?)?;
    let spread = product.broadcast_as(planes(&extents, y)?.shape())?;
    add_in_place(y, &spread.contiguous()?.reshape(y.shape())?)
}

pub(super) fn add_input(y: &Tensor, weight: &Tensor, x: &Tensor, extents: Extents) -> Result<()> {
    let transposed = matrices(&extents, weight)?.transpose(3, 4)?;
    let product = products(&transposed, &planes(&extents, y)?)?;
    let folded = folded(&extents, &product)?.broadcast_as(x.shape())?;
    add_in_place(x, &folded.contiguous()?)
}

pub(super) fn add_weight(y: &Tensor, weight: &Tensor, x: &Tensor, extents: Extents) -> Result<()> {
    let patches = patches(&extents, x)?.transpose(3, 4)?;
    let product = products(&planes(&extents, y)?, &patches)?.sum(0)?;
    let spread = product.broadcast_as(matrices(&extents, weight)?.squeeze(0)?.shape())?;
    add_in_place(weight, &spread.contiguous()?.reshape(weight.shape())?)
}
