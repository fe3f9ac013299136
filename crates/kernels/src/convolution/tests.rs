//! Both paths against loops over every product of the definition.

use candle_core::{DType, Result, Tensor};

use super::{Grid, add_input, add_output, add_weight};
use crate::bilinear::{Definition, Passes};
use crate::seeded::NUMBER_TYPES;
use crate::{with_candle_path, with_threads};

const PLAIN: Grid = Grid {
    groups: 1,
    stride: [1, 1],
    dilation: [1, 1],
    before: [0, 0],
    behind: [0, 0],
};

/// Inputs and outputs, extents of the image and of the kernel, and where it is laid.
type Case = ([usize; 2], [usize; 2], [usize; 2], Grid);

fn cases() -> [Case; 8] {
    let grid = |groups, stride, dilation, before, behind| Grid {
        groups,
        stride,
        dilation,
        before,
        behind,
    };
    [
        ([1, 1], [1, 1], [1, 1], PLAIN),
        ([2, 3], [4, 5], [2, 3], PLAIN),
        (
            [3, 3],
            [5, 6],
            [3, 3],
            grid(3, [1, 1], [1, 1], [1, 1], [1, 1]),
        ),
        (
            [4, 6],
            [7, 6],
            [3, 3],
            grid(2, [2, 2], [1, 1], [1, 1], [1, 1]),
        ),
        (
            [2, 2],
            [9, 8],
            [3, 2],
            grid(1, [1, 2], [2, 3], [2, 0], [1, 3]),
        ),
        (
            [2, 4],
            [8, 9],
            [4, 4],
            grid(2, [3, 2], [1, 2], [0, 3], [2, 1]),
        ),
        (
            [1, 2],
            [2, 2],
            [3, 3],
            grid(1, [1, 1], [1, 1], [4, 2], [1, 3]),
        ),
        (
            [2, 2],
            [3, 17],
            [1, 5],
            grid(2, [1, 1], [1, 1], [0, 2], [0, 2]),
        ),
    ]
}

/// All products of T by their places in y, W and x.
fn definition((channels, input, kernel, grid): Case) -> Definition {
    let ([inputs, outputs], [height, width]) = (channels, input);
    let [out_height, out_width] = grid.output(input, kernel).unwrap();
    let [of_inputs, of_outputs] = channels.map(|channels| channels / grid.groups);
    let mut products = Vec::new();
    for o in 0..outputs {
        for (i, k) in (0..of_inputs).flat_map(|i| (0..kernel[0]).map(move |k| (i, k))) {
            for (l, p) in (0..kernel[1]).flat_map(|l| (0..out_height).map(move |p| (l, p))) {
                for q in 0..out_width {
                    let row = p * grid.stride[0] + k * grid.dilation[0];
                    let column = q * grid.stride[1] + l * grid.dilation[1];
                    let inside = |from: usize, before: usize, extent: usize| {
                        from.checked_sub(before).filter(|&from| from < extent)
                    };
                    let row = inside(row, grid.before[0], height);
                    let column = inside(column, grid.before[1], width);
                    if let Some((row, column)) = row.zip(column) {
                        let channel = o / of_outputs * of_inputs + i;
                        let places = [
                            (o * out_height + p) * out_width + q,
                            ((o * of_inputs + i) * kernel[0] + k) * kernel[1] + l,
                            (channel * height + row) * width + column,
                        ];
                        products.push(places.map(|place| place as u32));
                    }
                }
            }
        }
    }
    Definition {
        batch: 2,
        vectors: 3,
        input: vec![inputs, height, width],
        result: vec![outputs, out_height, out_width],
        kernel: vec![outputs, of_inputs, kernel[0], kernel[1]],
        outputs: 0,
        products,
    }
}

/// A sum of `shape` that begins with a bias of the channels.
fn biased(bias: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let (vectors, outputs) = (bias.dim(0)?, bias.dim(1)?);
    let bias = bias.reshape((1, vectors, outputs, 1, 1))?;
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
                crate::add_in_place(biases, &y_bar.sum((0, 3, 4))?)
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
    let x = zeros(&[2, 1, 4, 5, 5]).unwrap();
    let [y, weight, none] =
        [[2, 1, 0, 3, 3], [1, 0, 4, 3, 3], [2, 1, 0, 5, 5]].map(|own| zeros(&own).unwrap());
    assert!(add_output(&y, &weight, &x, PLAIN).is_err(), "no outputs");
    let [y, weight] = [[2, 1, 6, 3, 3], [1, 6, 0, 3, 3]].map(|own| zeros(&own).unwrap());
    assert!(add_output(&y, &weight, &none, PLAIN).is_err(), "no inputs");
    let grouped = Grid { groups: 2, ..PLAIN };
    for (y, weight, grid) in [
        ([2, 1, 6, 3, 3], [1, 6, 4, 3, 3], grouped),
        ([2, 1, 5, 3, 3], [1, 5, 2, 3, 3], grouped),
        ([2, 1, 6, 3, 4], [1, 6, 4, 3, 3], PLAIN),
        ([2, 2, 6, 3, 3], [3, 6, 4, 3, 3], PLAIN),
        ([2, 1, 6, 1, 1], [1, 6, 4, 7, 7], PLAIN),
        (
            [2, 1, 6, 3, 3],
            [1, 6, 4, 3, 3],
            Grid {
                stride: [0, 1],
                ..PLAIN
            },
        ),
        (
            [2, 1, 6, 3, 3],
            [1, 6, 4, 3, 3],
            Grid { groups: 0, ..PLAIN },
        ),
    ] {
        let [y, weight] = [zeros(&y).unwrap(), zeros(&weight).unwrap()];
        assert!(add_output(&y, &weight, &x, grid).is_err(), "{grid:?}");
    }
}
