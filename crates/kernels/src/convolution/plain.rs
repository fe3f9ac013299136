//! The passes as matrix products with patches, by operations of candle.

use candle_core::{Result, Tensor};

use super::Extents;
use crate::elementwise::add_in_place;

/// The axes of a stack of images (N, C, D, H, W).
const AXES: [usize; 3] = [2, 3, 4];

/// Every element of the kernel, with the places of the padded input that it meets along each axis.
fn taps(extents: &Extents, like: &Tensor) -> Result<Vec<[Tensor; 3]>> {
    let places = |axis: usize, k: usize| {
        let along = extents.grid.axes[axis];
        let place = |place: usize| (place * along.stride + k * along.dilation) as u32;
        Tensor::from_iter((0..extents.output[axis]).map(place), like.device())
    };
    let [depth, rows, columns] = extents.kernel;
    let planes = (0..depth).flat_map(|l| (0..rows).map(move |k| (l, k)));
    let all = planes.flat_map(|(l, k)| (0..columns).map(move |column| [l, k, column]));
    all.map(|[l, k, column]| Ok([places(0, l)?, places(1, k)?, places(2, column)?]))
        .collect()
}

/// (B, V, G, channels of a group · kd · kh · kw, D' · H' · W') of `x`.
fn patches(extents: &Extents, x: &Tensor) -> Result<Tensor> {
    let (batch, vectors) = (x.dim(0)?, x.dim(1)?);
    let mut x = x.flatten(0, 1)?;
    for (axis, along) in AXES.into_iter().zip(extents.grid.axes) {
        x = x.pad_with_zeros(axis, along.before, along.behind)?;
    }
    let taps = taps(extents, &x)?.into_iter().map(|places| {
        let mut axes = AXES.into_iter().zip(places);
        axes.try_fold(x.clone(), |x, (axis, places)| x.index_select(&places, axis))
    });
    let patches = Tensor::stack(&taps.collect::<Result<Vec<_>>>()?, 2)?;
    let area: usize = extents.output.iter().product();
    patches.reshape((batch, vectors, extents.grid.groups, (), area))
}

/// The transpose of [`patches`].
fn folded(extents: &Extents, patches: &Tensor) -> Result<Tensor> {
    let (batch, vectors, inputs) = (patches.dim(0)?, patches.dim(1)?, extents.channels[1]);
    let images = [batch * vectors, inputs];
    let [taps_in_all, area] = [extents.kernel, extents.output].map(|own| own.iter().product());
    let patches = patches.reshape(&[images[0], inputs, taps_in_all, area][..])?;
    let grid = extents.grid.axes;
    let padded = |axis: usize| extents.input[axis] + grid[axis].before + grid[axis].behind;
    let zeros = |own: [usize; 3]| {
        let shape = [&images, &own[..]].concat();
        Tensor::zeros(shape, patches.dtype(), patches.device())
    };
    let mut sum = zeros([0, 1, 2].map(padded))?;
    let [depth, rows, _] = extents.output;
    for (tap, [planes, lines, columns]) in taps(extents, &patches)?.into_iter().enumerate() {
        let tap = patches.narrow(2, tap, 1)?.contiguous()?;
        let tap = tap.reshape([&images, &extents.output[..]].concat())?;
        let wide = zeros([depth, rows, padded(2)])?.index_add(&columns, &tap, 4)?;
        let high = zeros([depth, padded(1), padded(2)])?.index_add(&lines, &wide, 3)?;
        sum = sum.index_add(&planes, &high, 2)?;
    }
    for (number, axis) in AXES.into_iter().enumerate() {
        sum = sum.narrow(axis, grid[number].before, extents.input[number])?;
    }
    let sum = sum.contiguous()?;
    sum.reshape([&[batch, vectors, inputs], &extents.input[..]].concat())
}

/// (1, V, G, outputs of a group, inputs of a group · kd · kh · kw) of the weight.
fn matrices(extents: &Extents, weight: &Tensor) -> Result<Tensor> {
    weight.reshape((
        1,
        weight.dim(0)?,
        extents.grid.groups,
        extents.of_group()[0],
        (),
    ))
}

/// (B, V, G, outputs of a group, D' · H' · W') of the output.
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
