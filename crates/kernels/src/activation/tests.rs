//! Both paths against the textbook formulas in float64.

use candle_core::{DType, Device, Tensor};

use super::Activation::{self, Relu, Softplus, Tanh};
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

/// f, f' and f'' from their definitions.
type Formulas = [fn(f64) -> f64; 3];
const FUNCTIONS: [(Activation, Formulas); 3] = [
    (Relu, [|x| x.max(0.0), |x| f64::from(x > 0.0), |_| 0.0]),
    (
        Tanh,
        [
            f64::tanh,
            |x| x.cosh().powi(-2),
            |x| -2.0 * x.tanh() * x.cosh().powi(-2),
        ],
    ),
    (
        Softplus,
        [
            |x| (1.0 + x.exp()).ln(),
            |x| 0.5 * (1.0 + (0.5 * x).tanh()),
            |x| 0.25 * (0.5 * x).cosh().powi(-2),
        ],
    ),
];

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

#[test]
fn functions_and_products_with_their_derivatives_equal_the_formulas_on_both_paths() {
    for (shape, vectors) in SHAPES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let (x, examples) = ((uniform(shape, 1, dtype) * 3.0).unwrap(), shape[0]);
            let block_shape = [&shape[..1], &[vectors], &shape[1..]].concat();
            let block = uniform(block_shape, 2, dtype);
            let cotangent = uniform(shape, 3, dtype);
            for (activation, formulas) in FUNCTIONS {
                let what = format!("{activation:?} {shape:?} {dtype:?}");
                let [expected, slopes, curvatures] =
                    formulas.map(|f| values(&x).into_iter().map(f).collect::<Vec<f64>>());
                let bends: Vec<f64> = (curvatures.iter().zip(values(&cotangent)))
                    .map(|(curvature, cotangent)| curvature * cotangent)
                    .collect();
                let tolerance = if activation == Relu { 0.0 } else { tolerance };
                let check = || {
                    let (y, kept) = activation.evaluate(&x).unwrap();
                    assert_close(&what, &y, &expected, tolerance);
                    let product = activation.slope_product(&kept, &block).unwrap();
                    assert_eq!(product.dims(), block.dims());
                    let slopes = scaled(&slopes, &values(&block), examples, vectors);
                    assert_close(&what, &product, &slopes, tolerance);
                    let terms = activation.curvature_product(&kept, &cotangent, &block);
                    let terms = terms.unwrap();
                    assert_eq!(terms.is_none(), activation == Relu);
                    if let Some(terms) = terms {
                        let bends = scaled(&bends, &values(&block), examples, vectors);
                        assert_close(&what, &terms, &bends, tolerance);
                    }
                };
                check();
                with_candle_path(check);
            }
        }
    }
}

/// Neither end overflows, and small values keep their digits.
#[test]
fn softplus_is_exact_far_out() {
    for (dtype, tolerance) in [(DType::F64, 1e-15), (DType::F32, 2e-7)] {
        let x = Tensor::new(&[-80.0f64, -30.0, 30.0, 80.0, 1e4, -1e4], &Device::Cpu);
        let x = x.and_then(|x| x.to_dtype(dtype)).unwrap();
        // The series of log(1 + e) and e / (1 + e).
        let small = [-80f64, -30.0].map(|x| x.exp());
        let expected = small.map(|e| (e - e * e / 2.0, e - e * e));
        let check = || {
            let (y, slope) = Softplus.evaluate(&x).unwrap();
            let (y, slope) = (values(&y), values(&slope));
            for (got, expected) in y.iter().zip(&slope).zip(expected) {
                assert!((got.0 / expected.0 - 1.0).abs() <= tolerance, "{y:?}");
                assert!((got.1 / expected.1 - 1.0).abs() <= tolerance, "{slope:?}");
            }
            assert_eq!(y[3..], [80.0, 1e4, 0.0]);
            assert_eq!(slope[3..], [1.0, 1.0, 0.0]);
        };
        check();
        with_candle_path(check);
    }
}

#[test]
fn the_derivative_of_relu_at_zero_is_zero() {
    let x = Tensor::new(&[[0.0f64, -0.0, 1.0]], &Device::Cpu).unwrap();
    let ones = Tensor::ones((1, 1, 3), DType::F64, &Device::Cpu).unwrap();
    let slopes = || {
        let (_, kept) = Relu.evaluate(&x).unwrap();
        values(&Relu.slope_product(&kept, &ones).unwrap())
    };
    assert_eq!([slopes(), with_candle_path(slopes)], [[0.0, 0.0, 1.0]; 2]);
}

#[test]
fn what_is_not_a_number_is_handed_on() {
    for activation in [Relu, Tanh, Softplus] {
        let x = Tensor::new(&[f64::NAN, -1.0, 1.0], &Device::Cpu).unwrap();
        let y = values(&activation.evaluate(&x).unwrap().0);
        assert!(y[0].is_nan() && y[1].is_finite() && y[2].is_finite());
    }
}

#[test]
fn an_axis_folded_into_another_is_an_error() {
    let y = uniform((2, 6), 1, DType::F64);
    for activation in [Relu, Tanh, Softplus] {
        for shape in [&[2, 6][..], &[2, 2, 3, 2], &[2]] {
            let block = uniform(shape, 2, DType::F64);
            assert!(activation.slope_product(&y, &block).is_err(), "{shape:?}");
        }
        assert!(activation.evaluate(&y.t().unwrap()).is_err());
    }
}
