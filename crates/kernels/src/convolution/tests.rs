//! Both paths against loops over every product of the definition.

use candle_core::{DType, Result, Tensor};

use super::{Axis, Grid, add_input, add_output, add_weight};
use crate::bilinear::{Definition, Passes};
use crate::seeded::NUMBER_TYPES;
use crate::{with_candle_path, with_threads};

const PLAIN: Grid = Grid {
    groups: 1,
    axes: [Axis::PLAIN; 3],
};

/// Inputs and outputs, extents of the image and of the kernel, and where it is laid.
type Case = ([usize; 2], [usize; 3], [usize; 3], Grid);

fn cases() -> [Case; 10] {
    let axis = |[stride, dilation, before, behind]: [usize; 4]| Axis {
        stride,
        dilation,
        before,
        behind,
    };
    let grid = |groups, rows, columns| Grid::new(groups, &[axis(rows), axis(columns)]);
    let same = [1, 1, 1, 1];
    let deep = [[2, 1, 1, 0], [1, 2, 0, 2], [3, 1, 2, 1]].map(axis);
    [
        ([1, 1], [1, 1, 1], [1, 1, 1], PLAIN),
        ([2, 3], [1, 4, 5], [1, 2, 3], PLAIN),
        ([3, 3], [1, 5, 6], [1, 3, 3], grid(3, same, same)),
        (
            [4, 6],
            [1, 7, 6],
            [1, 3, 3],
            grid(2, [2, 1, 1, 1], [2, 1, 1, 1]),
        ),
        (
            [2, 2],
            [1, 9, 8],
            [1, 3, 2],
            grid(1, [1, 2, 2, 1], [2, 3, 0, 3]),
        ),
        (
            [2, 4],
            [1, 8, 9],
            [1, 4, 4],
            grid(2, [3, 1, 0, 2], [2, 2, 3, 1]),
        ),
        (
            [1, 2],
            [1, 2, 2],
            [1, 3, 3],
            grid(1, [1, 1, 4, 1], [1, 1, 2, 3]),
        ),
        (
            [2, 2],
            [1, 3, 17],
            [1, 1, 5],
            grid(2, [1, 1, 0, 0], [1, 1, 2, 2]),
        ),
        ([2, 3], [3, 2, 4], [2, 2, 3], PLAIN),
        ([4, 2], [4, 5, 6], [3, 2, 2], Grid::new(2, &deep)),
    ]
}

/// Every place of an array of `extents`, in row-major order.
fn places(extents: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [depth, rows, columns] = extents;
    let all = 0..depth * rows * columns;
    all.map(move |place| {
        [
            place / columns / rows,
            place / columns % rows,
            place % columns,
        ]
    })
}

fn number([depth, row, column]: [usize; 3], [_, rows, columns]: [usize; 3]) -> usize {
    (depth * rows + row) * columns + column
}

/// All products of T by their places in y, W and x.
fn definition((channels, input, kernel, grid): Case) -> Definition {
    let [inputs, outputs] = channels;
    let output = grid.output(input, kernel).unwrap();
    let [of_inputs, of_outputs] = channels.map(|channels| channels / grid.groups);
    let area = |own: [usize; 3]| own.iter().product::<usize>();
    let mut products = Vec::new();
    for (o, i) in (0..outputs).flat_map(|o| (0..of_inputs).map(move |i| (o, i))) {
        for (k, p) in places(kernel).flat_map(|k| places(output).map(move |p| (k, p))) {
            let from = [0, 1, 2].map(|axis: usize| {
                let along = grid.axes[axis];
                (p[axis] * along.stride + k[axis] * along.dilation)
                    .checked_sub(along.before)
                    .filter(|&from| from < input[axis])
            });
            if let [Some(depth), Some(row), Some(column)] = from {
                let channel = o / of_outputs * of_inputs + i;
                let places = [
                    o * area(output) + number(p, output),
                    (o * of_inputs + i) * area(kernel) + number(k, kernel),
                    channel * area(input) + number([depth, row, column], input),
                ];
                products.push(places.map(|place| place as u32));
            }
        }
    }
    let with = |channels: &[usize], own: [usize; 3]| [channels, &own].concat();
    Definition {
        batch: 2,
        vectors: 3,
        input: with(&[inputs], input),
        result: with(&[outputs], output),
        kernel: with(&[outputs, of_inputs], kernel),
        outputs: 0,
        products,
    }
}

/// A sum of `shape` that begins with a bias of the channels.
fn biased(bias: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let (vectors, outputs) = (bias.dim(0)?, bias.dim(1)?);
    let bias = bias.reshape((1, vectors, outputs, 1, 1, 1))?;
    bias.broadcast_as(shape)?.contiguous()
}

#[test]
fn every_pass_equals_loops_over_every_product() {
    for case in cases() {
        let (definition, grid) = (definition(case), case.3);
        let (batch, vectors) = (definition.batch, definition.vectors);
        let shape = |vectors: usize, own: &[usize]| [&[batch, vectors], own].concat();
        let zeros =
            |shape: Vec<usize>, like: &Tensor| Tensor::zeros(shape, like.dtype(), like.device());
        let passes = Passes {
            forward: &|x, weight, bias| {
                let y = biased(&bias.unsqueeze(0)?, &shape(1, &definition.result))?;
                add_output(&y, &weight.unsqueeze(0)?, &x.unsqueeze(1)?, grid)?;
                y.squeeze(1)
            },
            tangent: &|x, weight, dx, dweight, dbias| {
                let dy = biased(dbias, &shape(vectors, &definition.result))?;
                add_output(&dy, dweight, &x.unsqueeze(1)?, grid)?;
                if let Some(dx) = dx {
                    add_output(&dy, &weight.unsqueeze(0)?, dx, grid)?;
                }
                Ok(dy)
            },
            input_cotangent: &|weight, y_bar| {
                let x_bar = zeros(shape(vectors, &definition.input), y_bar)?;
                add_input(y_bar, &weight.unsqueeze(0)?, &x_bar, grid)?;
                Ok(x_bar)
            },
            accumulate_cotangent: &|x, y_bar, [weights, biases]| {
                add_weight(y_bar, weights, &x.unsqueeze(1)?, grid)?;
                crate::add_in_place(biases, &y_bar.sum(vec![0, 3, 4, 5])?)
            },
            accumulate_second_order: &|y_bar, dx, sum| {
                add_weight(&y_bar.unsqueeze(1)?, sum, dx, grid)
            },
            add_second_order: &|y_bar, dweight, sum| {
                add_input(&y_bar.unsqueeze(1)?, dweight, sum, grid)
            },
        };
        for (dtype, rounding) in NUMBER_TYPES {
            let check = || definition.check(dtype, |_| rounding, &passes);
            with_candle_path(check);
            check();
            with_threads(3, check);
        }
    }
}

#[test]
fn factors_that_do_not_fit_are_errors() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &candle_core::Device::Cpu);
    let x = zeros(&[2, 1, 4, 1, 5, 5]).unwrap();
    let [y, weight, none] = [[2, 1, 0, 1, 3, 3], [1, 0, 4, 1, 3, 3], [2, 1, 0, 1, 5, 5]]
        .map(|own| zeros(&own).unwrap());
    assert!(add_output(&y, &weight, &x, PLAIN).is_err(), "no outputs");
    let [y, weight] = [[2, 1, 6, 1, 3, 3], [1, 6, 0, 1, 3, 3]].map(|own| zeros(&own).unwrap());
    assert!(add_output(&y, &weight, &none, PLAIN).is_err(), "no inputs");
    let grouped = Grid { groups: 2, ..PLAIN };
    for (y, weight, grid) in [
        ([2, 1, 6, 1, 3, 3], [1, 6, 4, 1, 3, 3], grouped),
        ([2, 1, 5, 1, 3, 3], [1, 5, 2, 1, 3, 3], grouped),
        ([2, 1, 6, 1, 3, 4], [1, 6, 4, 1, 3, 3], PLAIN),
        ([2, 2, 6, 1, 3, 3], [3, 6, 4, 1, 3, 3], PLAIN),
        ([2, 1, 6, 1, 1, 1], [1, 6, 4, 1, 7, 7], PLAIN),
        (
            [2, 1, 6, 1, 3, 3],
            [1, 6, 4, 1, 3, 3],
            Grid::new(
                1,
                &[
                    Axis {
                        stride: 0,
                        ..Axis::PLAIN
                    },
                    Axis::PLAIN,
                ],
            ),
        ),
        (
            [2, 1, 6, 1, 3, 3],
            [1, 6, 4, 1, 3, 3],
            Grid { groups: 0, ..PLAIN },
        ),
    ] {
        let [y, weight] = [zeros(&y).unwrap(), zeros(&weight).unwrap()];
        assert!(add_output(&y, &weight, &x, grid).is_err(), "{grid:?}");
    }
}
