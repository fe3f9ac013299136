//! Both paths against triple loops in float64.

mod refusals;

use candle_core::{DType, Tensor};

use super::{
    accumulate_cotangent, accumulate_second_order, add_second_order, forward, input_cotangent,
    tangent,
};
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    vectors: usize,
    inputs: usize,
    outputs: usize,
}

/// One example and many, one to three vectors; thin, wide and square maps, none a multiple of a
/// SIMD width.
const SIZES: [Sizes; 6] = {
    const fn sizes(batch: usize, vectors: usize, inputs: usize, outputs: usize) -> Sizes {
        Sizes {
            batch,
            vectors,
            inputs,
            outputs,
        }
    }
    [
        sizes(1, 1, 1, 1),
        sizes(1, 3, 7, 2),
        sizes(5, 1, 17, 1),
        sizes(4, 2, 1, 9),
        sizes(3, 3, 13, 13),
        sizes(33, 2, 65, 10),
    ]
};

/// Operands of every pass, named as in the module's head.
struct Operands {
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    dx: Tensor,
    dweight: Tensor,
    dbias: Tensor,
    /// ȳ of a block, (B, V, O)
    block: Tensor,
    /// ȳ of the primal sweep, (B, O)
    primal: Tensor,
}

impl Operands {
    fn new(sizes: Sizes, dtype: DType) -> Self {
        let Sizes {
            batch,
            vectors,
            inputs,
            outputs,
        } = sizes;
        Self {
            x: uniform((batch, inputs), 1, dtype),
            weight: uniform((outputs, inputs), 2, dtype),
            bias: uniform(outputs, 3, dtype),
            dx: uniform((batch, vectors, inputs), 4, dtype),
            dweight: uniform((vectors, outputs, inputs), 5, dtype),
            dbias: uniform((vectors, outputs), 6, dtype),
            block: uniform((batch, vectors, outputs), 7, dtype),
            primal: uniform((batch, outputs), 8, dtype),
        }
    }
}

/// The elements of a (rows, vectors, columns) tensor by a formula.
fn filled(
    rows: usize,
    middle: usize,
    columns: usize,
    formula: impl Fn(usize, usize, usize) -> f64,
) -> Vec<f64> {
    let mut elements = Vec::with_capacity(rows * middle * columns);
    for row in 0..rows {
        for index in 0..middle {
            for column in 0..columns {
                elements.push(formula(row, index, column));
            }
        }
    }
    elements
}

/// Runs both paths of every pass for every size and number type.
fn for_all(check: impl Fn(Sizes, &Operands, DType, f64)) {
    for sizes in SIZES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let operands = Operands::new(sizes, dtype);
            check(sizes, &operands, dtype, tolerance);
            with_candle_path(|| check(sizes, &operands, dtype, tolerance));
        }
    }
}

#[test]
fn forward_and_tangent_equal_triple_loops() {
    for_all(|sizes, operands, _, tolerance| {
        let Operands {
            x,
            weight,
            bias,
            dx,
            dweight,
            dbias,
            ..
        } = operands;
        let Sizes {
            batch,
            vectors,
            inputs,
            outputs,
        } = sizes;
        let [x_, w, b, dx_, dw, db] = [x, weight, bias, dx, dweight, dbias].map(values);
        let expected = filled(batch, 1, outputs, |i, _, o| {
            b[o] + (0..inputs)
                .map(|k| x_[i * inputs + k] * w[o * inputs + k])
                .sum::<f64>()
        });
        let y = forward(x, weight, bias).unwrap();
        assert_close(&format!("{sizes:?}"), &y, &expected, tolerance);
        for input in [None, Some(dx)] {
            let expected = filled(batch, vectors, outputs, |i, v, o| {
                let from_weight = (0..inputs)
                    .map(|k| x_[i * inputs + k] * dw[(v * outputs + o) * inputs + k])
                    .sum::<f64>();
                let from_input = (0..inputs)
                    .map(|k| dx_[(i * vectors + v) * inputs + k] * w[o * inputs + k])
                    .sum::<f64>();
                db[v * outputs + o] + from_weight + input.map_or(0.0, |_| from_input)
            });
            let dy = tangent(x, weight, input, dweight, dbias).unwrap();
            assert_close(&format!("{sizes:?}"), &dy, &expected, tolerance);
        }
    });
}

#[test]
fn cotangents_equal_triple_loops_and_are_added() {
    for_all(|sizes, operands, dtype, tolerance| {
        let Operands {
            x, weight, block, ..
        } = operands;
        let Sizes {
            batch,
            vectors,
            inputs,
            outputs,
        } = sizes;
        let [x_, w, ybar] = [x, weight, block].map(values);
        let input_expected = filled(batch, vectors, inputs, |i, v, k| {
            (0..outputs)
                .map(|o| ybar[(i * vectors + v) * outputs + o] * w[o * inputs + k])
                .sum()
        });
        let input = input_cotangent(weight, block).unwrap();
        assert_close(&format!("{sizes:?}"), &input, &input_expected, tolerance);
        {
            let weight_sum = uniform((vectors, outputs, inputs), 9, dtype);
            let bias_sum = uniform((vectors, outputs), 10, dtype);
            let [weight_start, bias_start] = [&weight_sum, &bias_sum].map(values);
            accumulate_cotangent(x, block, &weight_sum, &bias_sum).unwrap();
            let weight_expected = filled(vectors, outputs, inputs, |v, o, k| {
                let start = weight_start[(v * outputs + o) * inputs + k];
                start
                    + (0..batch)
                        .map(|i| ybar[(i * vectors + v) * outputs + o] * x_[i * inputs + k])
                        .sum::<f64>()
            });
            let bias_expected = filled(vectors, 1, outputs, |v, _, o| {
                let start = bias_start[v * outputs + o];
                start
                    + (0..batch)
                        .map(|i| ybar[(i * vectors + v) * outputs + o])
                        .sum::<f64>()
            });
            assert_close(
                &format!("{sizes:?}"),
                &weight_sum,
                &weight_expected,
                tolerance,
            );
            assert_close(&format!("{sizes:?}"), &bias_sum, &bias_expected, tolerance);
        }
    });
}

#[test]
fn second_order_terms_equal_triple_loops_and_are_added() {
    for_all(|sizes, operands, dtype, tolerance| {
        let Operands {
            dx,
            dweight,
            primal,
            ..
        } = operands;
        let Sizes {
            batch,
            vectors,
            inputs,
            outputs,
        } = sizes;
        let [dx_, dw, ybar] = [dx, dweight, primal].map(values);
        {
            let sum = uniform((vectors, outputs, inputs), 9, dtype);
            let start = values(&sum);
            accumulate_second_order(primal, dx, &sum).unwrap();
            let expected = filled(vectors, outputs, inputs, |v, o, k| {
                start[(v * outputs + o) * inputs + k]
                    + (0..batch)
                        .map(|i| ybar[i * outputs + o] * dx_[(i * vectors + v) * inputs + k])
                        .sum::<f64>()
            });
            assert_close(&format!("{sizes:?}"), &sum, &expected, tolerance);
        }
        {
            let sum = uniform((batch, vectors, inputs), 9, dtype);
            let start = values(&sum);
            add_second_order(primal, dweight, &sum).unwrap();
            let expected = filled(batch, vectors, inputs, |i, v, k| {
                start[(i * vectors + v) * inputs + k]
                    + (0..outputs)
                        .map(|o| ybar[i * outputs + o] * dw[(v * outputs + o) * inputs + k])
                        .sum::<f64>()
            });
            assert_close(&format!("{sizes:?}"), &sum, &expected, tolerance);
        }
    });
}
