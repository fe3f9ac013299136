//! Both paths against the textbook formulas with their Jacobians written out, in float64.

use candle_core::{DType, Device, Tensor};

use super::{
    add_second_order, forward, log_add_second_order, log_forward, log_input_cotangent, log_tangent,
    product,
};
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

/// (B, ..., C) and V: one element, one line, several axes, more than the lanes of a sum.
const SHAPES: [(&[usize], usize); 5] = [
    (&[1, 1], 1),
    (&[3, 5], 2),
    (&[2, 3, 4], 3),
    (&[2, 2, 3, 37], 2),
    (&[4, 70], 1),
];

/// Of a line of y, one of ȳ and one of a block.
type OfLines<'a> = dyn Fn(&[f64], &[f64], &[f64]) -> Vec<f64> + 'a;

fn exponentials(x: &[f64]) -> Vec<f64> {
    let total: f64 = x.iter().map(|x| x.exp()).sum();
    x.iter().map(|x| x.exp() / total).collect()
}

/// Σⱼ Jᵢⱼ bⱼ with J = diag(y) - y yᵀ.
fn jacobian(y: &[f64], b: &[f64]) -> Vec<f64> {
    let entry = |i: usize, j: usize| y[i] * (f64::from(i == j) - y[j]);
    (0..y.len())
        .map(|i| (0..y.len()).map(|j| entry(i, j) * b[j]).sum())
        .collect()
}

/// Σₖ ȳₖ ∂²yₖ/∂xᵢ∂xⱼ ẋⱼ with ∂²yₖ/∂xᵢ∂xⱼ = yₖ ((δₖᵢ - yᵢ)(δₖⱼ - yⱼ) - yᵢ (δᵢⱼ - yⱼ)).
fn second(y: &[f64], y_bar: &[f64], dx: &[f64]) -> Vec<f64> {
    let (n, delta) = (y.len(), |a: usize, b: usize| f64::from(a == b));
    let entry = |k: usize, i: usize, j: usize| {
        let both = (delta(k, i) - y[i]) * (delta(k, j) - y[j]);
        y[k] * (both - y[i] * (delta(i, j) - y[j]))
    };
    let row = |i| (0..n).flat_map(move |k| (0..n).map(move |j| (k, i, j)));
    (0..n)
        .map(|i| {
            row(i)
                .map(|(k, i, j)| y_bar[k] * entry(k, i, j) * dx[j])
                .sum()
        })
        .collect()
}

#[test]
fn every_pass_equals_the_jacobians_written_out() {
    for (shape, vectors) in SHAPES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let width = shape[shape.len() - 1];
            let lines: usize = shape[1..shape.len() - 1].iter().product();
            let block_shape = [&shape[..1], &[vectors], &shape[1..]].concat();
            let x = (uniform(shape, 1, dtype) * 3.0).unwrap();
            let (primal, block) = (
                uniform(shape, 2, dtype),
                uniform(block_shape.as_slice(), 3, dtype),
            );
            let (x_, primal_, block_) = (values(&x), values(&primal), values(&block));
            let y: Vec<f64> = x_.chunks(width).flat_map(exponentials).collect();
            // Of each line of the block, with y and ȳ where it belongs.
            let of_block = |of: &OfLines| -> Vec<f64> {
                let each = block_.chunks(width).enumerate().flat_map(|(number, b)| {
                    let start = (number / (vectors * lines) * lines + number % lines) * width;
                    of(&y[start..][..width], &primal_[start..][..width], b)
                });
                each.collect()
            };
            let what = format!("{shape:?} {dtype:?}");
            let sum = || uniform(block_shape.as_slice(), 4, dtype);
            let added = |terms: Vec<f64>| -> Vec<f64> {
                values(&sum())
                    .iter()
                    .zip(terms)
                    .map(|(a, b)| a + b)
                    .collect()
            };
            let total = |line: &[f64]| line.iter().sum::<f64>();
            let check = || {
                let got = forward(&x).unwrap();
                assert_close(&what, &got, &y, tolerance);
                let products = product(&got, &block).unwrap();
                assert_close(
                    &what,
                    &products,
                    &of_block(&|y, _, b| jacobian(y, b)),
                    tolerance,
                );
                let into = sum();
                add_second_order(&got, &primal, &block, &into).unwrap();
                assert_close(&what, &into, &added(of_block(&second)), tolerance);

                let (log, p) = log_forward(&x).unwrap();
                assert_close(
                    &what,
                    &log,
                    &y.iter().map(|y| y.ln()).collect::<Vec<_>>(),
                    4.0 * tolerance,
                );
                assert_close(&what, &p, &y, 4.0 * tolerance);
                let tangents = log_tangent(&p, &block).unwrap();
                let over =
                    |line: Vec<f64>, y: &[f64]| line.iter().zip(y).map(|(a, y)| a / y).collect();
                let expected = of_block(&|y, _, b| over(jacobian(y, b), y));
                assert_close(&what, &tangents, &expected, 10.0 * tolerance);
                let cotangents = log_input_cotangent(&p, &block).unwrap();
                let expected = of_block(&|y, _, b| jacobian(y, &over(b.to_vec(), y)));
                assert_close(&what, &cotangents, &expected, 40.0 * tolerance);
                let into = sum();
                log_add_second_order(&p, &primal, &block, &into).unwrap();
                let bent = |y: &[f64], primal: &[f64], b: &[f64]| {
                    let terms = jacobian(y, b).into_iter();
                    terms.map(|term| -term * total(primal)).collect()
                };
                assert_close(&what, &into, &added(of_block(&bent)), 4.0 * tolerance);
            };
            check();
            with_candle_path(check);
        }
    }
}

#[test]
fn neither_large_nor_masked_elements_overflow() {
    let x = [
        [1e4, 1e4, -1e4],
        [f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY],
    ];
    let x = Tensor::new(&x, &Device::Cpu).unwrap();
    let block = Tensor::ones((2, 1, 3), DType::F64, &Device::Cpu).unwrap();
    let check = || {
        let y = forward(&x).unwrap();
        assert_eq!(values(&y), [0.5, 0.5, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(values(&product(&y, &block).unwrap()), [0.0; 6]);
        let (log, p) = log_forward(&x).unwrap();
        assert_eq!(values(&p), values(&y));
        assert_eq!(
            values(&log)[3..],
            [f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY]
        );
    };
    check();
    with_candle_path(check);
}
