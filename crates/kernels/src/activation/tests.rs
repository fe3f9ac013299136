//! Both paths against the textbook formulas in float64, and derivatives against differences.

mod ends;

use candle_core::{DType, Device, Tensor};

use super::Activation::{self, *};
use crate::function::Function;
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

/// f from its definition.
type Definition = fn(f64) -> f64;
const FUNCTIONS: [(Activation, Definition); 28] = [
    (Relu, |x| x.max(0.0)),
    (Tanh, f64::tanh),
    (Softplus, |x| (1.0 + x.exp()).ln()),
    (Sigmoid, |x| 0.5 * (1.0 + (0.5 * x).tanh())),
    (Gelu, |x| x * normal_distribution(x)),
    (GeluTanh, |x| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + inner.tanh())
    }),
    (Silu, |x| x / (1.0 + (-x).exp())),
    (LeakyRelu { slope: 0.2 }, |x| x.max(0.2 * x)),
    (LeakyRelu { slope: -1.5 }, |x| {
        if x > 0.0 { x } else { -1.5 * x }
    }),
    (Elu { alpha: 1.3 }, |x| {
        x.max(0.0) + 1.3 * (x.min(0.0).exp() - 1.0)
    }),
    (
        HardSigmoid {
            slope: 1.0 / 6.0,
            shift: 0.5,
        },
        |x| (x / 6.0 + 0.5).clamp(0.0, 1.0),
    ),
    (HardSwish, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
    (Mish, |x| x * (1.0 + x.exp()).ln().tanh()),
    (
        Clip {
            lowest: 0.0,
            highest: 6.0,
        },
        |x| x.clamp(0.0, 6.0),
    ),
    (
        Clip {
            lowest: -1.2,
            highest: f64::INFINITY,
        },
        |x| x.max(-1.2),
    ),
    (Exp, f64::exp),
    (Log, f64::ln),
    (Sqrt, |x| x.powf(0.5)),
    (Reciprocal, |x| 1.0 / x),
    (Power { exponent: 1.7 }, |x| (1.7 * x.ln()).exp()),
    (Power { exponent: 2.0 }, |x| x * x),
    (Power { exponent: 1.0 }, |x| x),
    (Erf, |x| {
        2.0 * normal_distribution(std::f64::consts::SQRT_2 * x) - 1.0
    }),
    (Abs, |x| (x * x).sqrt()),
    (
        Linear {
            scale: -2.5,
            shift: 0.3,
        },
        |x| 0.3 - 2.5 * x,
    ),
    (Sin, |x| (std::f64::consts::FRAC_PI_2 - x).cos()),
    (Cos, |x| (std::f64::consts::FRAC_PI_2 - x).sin()),
    (Step { at_zero: 0.5 }, |x| f64::from(u8::from(x > 0.0))),
];

/// Φ(x) from its Taylor series, whose terms grow to e^(x²/2) before they fall: good to 1e-13 for |x| below 6.
fn normal_distribution(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= -x * x / (2.0 * f64::from(k));
        sum += term / f64::from(2 * k + 1);
    }
    0.5 + sum / std::f64::consts::TAU.sqrt()
}

/// Whether f is for positive numbers only.
fn needs_positive(activation: Activation) -> bool {
    matches!(activation, Log | Sqrt | Reciprocal | Power { .. })
}

/// Between -4 and 4, or -2 and 2 where the series above is good, or 0.5 and 4.5, and at least 0.05 from the kinks of the functions above.
fn inputs(shape: &[usize], activation: Activation, dtype: DType) -> Tensor {
    let x = values(&uniform(shape, 1, DType::F64)).into_iter();
    let moved = x.map(|x| {
        let x = match activation {
            _ if needs_positive(activation) => 2.5 + 2.0 * x,
            Erf => 2.0 * x,
            _ => 4.0 * x,
        };
        let kink = [-3.0, -1.2, 0.0, 3.0]
            .into_iter()
            .find(|kink: &f64| (x - kink).abs() < 0.05);
        x + if kink.is_some() { 0.11 } else { 0.0 }
    });
    let moved = Tensor::from_vec(moved.collect(), shape, &Device::Cpu);
    moved.unwrap().to_dtype(dtype).unwrap()
}

/// (shape of one example's values with the batch axis in front, vectors)
const SHAPES: [(&[usize], usize); 5] = [
    (&[1], 1),
    (&[1, 1], 3),
    (&[4, 7], 1),
    (&[3, 2, 5], 2),
    (&[2, 3, 4, 5], 3),
];

/// weight(b, k) · block(b, v, k), with the weights of an example shared by its vectors.
fn scaled(weights: &[f64], block: &[f64], examples: usize, vectors: usize) -> Vec<f64> {
    let width = weights.len() / examples;
    let scaled = |(index, element): (usize, &f64)| {
        let example = index / (vectors * width);
        weights[example * width + index % width] * element
    };
    block.iter().enumerate().map(scaled).collect()
}

/// Of order four, whose error for functions of order one is below 1e-10.
fn difference(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3;
    (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * h)
}

#[test]
fn derivatives_are_those_of_the_definitions() {
    for (activation, definition) in FUNCTIONS {
        for x in values(&inputs(&[40], activation, DType::F64)) {
            let [f, first, second] = activation.derivatives(&x);
            let slope = |x: f64| activation.derivatives(&x)[1];
            let expected = [
                definition(x),
                difference(definition, x),
                difference(slope, x),
            ];
            for (got, expected) in [f, first, second].into_iter().zip(expected) {
                let apart = (got - expected).abs();
                assert!(
                    apart < 2e-9 * (1.0 + expected.abs()),
                    "{activation:?} at {x}: {got} for {expected}"
                );
            }
            assert!(!activation.is_piecewise_linear() || second == 0.0);
        }
    }
}

#[test]
fn functions_and_products_with_their_derivatives_equal_the_formulas_on_both_paths() {
    for (shape, vectors) in SHAPES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let examples = shape[0];
            let block_shape = [&shape[..1], &[vectors], &shape[1..]].concat();
            let block = uniform(block_shape.as_slice(), 2, dtype);
            let cotangent = uniform(shape, 3, dtype);
            for (activation, definition) in FUNCTIONS {
                let x = inputs(shape, activation, dtype);
                let what = format!("{activation:?} {shape:?} {dtype:?}");
                let y: Vec<f64> = values(&x).into_iter().map(definition).collect();
                let [slopes, curvatures] = [1, 2].map(|order| {
                    let x = values(&x).into_iter();
                    x.map(|x| activation.derivatives(&x)[order])
                        .collect::<Vec<f64>>()
                });
                let bends: Vec<f64> = (curvatures.iter().zip(values(&cotangent)))
                    .map(|(curvature, cotangent)| curvature * cotangent)
                    .collect();
                // The largest result is e⁴, and a tanh is off where its argument is.
                let tolerance = if activation == Relu {
                    0.0
                } else {
                    60.0 * tolerance
                };
                let check = || {
                    let (got, kept) = activation.evaluate(&x).unwrap();
                    assert_close(&what, &got, &y, tolerance);
                    let product = activation.slope_product(&kept, &block).unwrap();
                    assert_eq!(product.dims(), block.dims());
                    let slopes = scaled(&slopes, &values(&block), examples, vectors);
                    assert_close(&what, &product, &slopes, tolerance);
                    let sum = uniform(block_shape.as_slice(), 4, dtype);
                    let mut expected = values(&sum);
                    let bends = scaled(&bends, &values(&block), examples, vectors);
                    expected
                        .iter_mut()
                        .zip(bends)
                        .for_each(|(sum, bend)| *sum += bend);
                    (activation.add_curvature_product(&kept, &cotangent, &block, &sum)).unwrap();
                    assert_close(&what, &sum, &expected, tolerance);
                };
                check();
                with_candle_path(check);
            }
        }
    }
}

#[test]
fn what_is_not_a_number_is_handed_on() {
    for (activation, _) in FUNCTIONS {
        let x = Tensor::new(&[f64::NAN, 0.5, 1.0], &Device::Cpu).unwrap();
        let y = values(&activation.evaluate(&x).unwrap().0);
        assert!(
            y[0].is_nan() && y[1].is_finite() && y[2].is_finite(),
            "{activation:?}"
        );
    }
}

#[test]
fn an_axis_folded_into_another_is_an_error() {
    let x = uniform((2, 6), 1, DType::F64);
    for activation in [Relu, Tanh, Softplus, Gelu] {
        let (_, kept) = activation.evaluate(&x).unwrap();
        for shape in [&[2, 6][..], &[2, 2, 3, 2], &[2]] {
            let block = uniform(shape, 2, DType::F64);
            assert!(
                activation.slope_product(&kept, &block).is_err(),
                "{shape:?}"
            );
            let added = activation.add_curvature_product(&kept, &x, &block, &block.copy().unwrap());
            assert_eq!(added.is_err(), activation != Relu, "{shape:?}");
        }
        assert!(activation.evaluate(&x.t().unwrap()).is_err());
    }
}
