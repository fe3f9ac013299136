//! Both paths against the textbook formulas in float64.

use candle_core::{DType, Device, Tensor};

use super::{plain, relu, relu_gate, tanh, tanh_gate, tanh_second_order};
use crate::samples::{NUMBER_TYPES, assert_close, uniform, values};

/// (shape of one example's values with the batch axis in front, vectors)
const SHAPES: [(&[usize], usize); 5] = [
    (&[1], 1),
    (&[1, 1], 3),
    (&[4, 7], 1),
    (&[3, 2, 5], 2),
    (&[2, 3, 4, 5], 3),
];

fn block_shape(shape: &[usize], vectors: usize) -> Vec<usize> {
    [&shape[..1], &[vectors], &shape[1..]].concat()
}

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
fn functions_equal_their_formulas() {
    for (shape, _) in SHAPES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let x = uniform(shape, 1, dtype);
            let rectified: Vec<f64> = values(&x).iter().map(|x| x.max(0.0)).collect();
            let hyperbolic: Vec<f64> = values(&x).iter().map(|x| x.tanh()).collect();
            assert_close("relu", &relu(&x).unwrap(), &rectified, 0.0);
            assert_close("tanh", &tanh(&x).unwrap(), &hyperbolic, tolerance);
        }
    }
}

#[test]
fn gates_equal_their_formulas_on_both_paths() {
    for (shape, vectors) in SHAPES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let (x, examples) = (uniform(shape, 1, dtype), shape[0]);
            let block = uniform(block_shape(shape, vectors), 2, dtype);
            let step: Vec<f64> = values(&x)
                .iter()
                .map(|&x| f64::from(u8::from(x > 0.0)))
                .collect();
            let expected = scaled(&step, &values(&block), examples, vectors);
            let y = relu(&x).unwrap();
            for gated in [relu_gate(&y, &block), plain::relu_gate(&y, &block)] {
                let gated = gated.unwrap();
                assert_eq!(gated.dims(), block.dims());
                assert_close("relu gate", &gated, &expected, 0.0);
            }

            let y = tanh(&x).unwrap();
            let slope: Vec<f64> = values(&x).iter().map(|x| x.cosh().powi(-2)).collect();
            let expected = scaled(&slope, &values(&block), examples, vectors);
            for gated in [tanh_gate(&y, &block), plain::tanh_gate(&y, &block)] {
                assert_close("tanh gate", &gated.unwrap(), &expected, tolerance);
            }

            let cotangent = uniform(shape, 3, dtype);
            let bend: Vec<f64> = values(&x)
                .iter()
                .zip(values(&cotangent))
                .map(|(x, cotangent)| -2.0 * cotangent * x.tanh() * x.cosh().powi(-2))
                .collect();
            let expected = scaled(&bend, &values(&block), examples, vectors);
            let term = tanh_second_order(&y, &cotangent, &block).unwrap();
            assert_close("tanh second order", &term, &expected, tolerance);
        }
    }
}

#[test]
fn the_derivative_of_relu_at_zero_is_zero() {
    let x = Tensor::new(&[[0.0f64, -0.0, 1.0]], &Device::Cpu).unwrap();
    let y = relu(&x).unwrap();
    let ones = Tensor::ones((1, 1, 3), DType::F64, &Device::Cpu).unwrap();
    for gated in [relu_gate(&y, &ones), plain::relu_gate(&y, &ones)] {
        assert_eq!(values(&gated.unwrap()), [0.0, 0.0, 1.0]);
    }
}

#[test]
fn relu_and_tanh_hand_on_what_is_not_a_number() {
    for function in [relu, tanh] {
        let x = Tensor::new(&[f64::NAN, -1.0, 1.0], &Device::Cpu).unwrap();
        let y = values(&function(&x).unwrap());
        assert!(y[0].is_nan() && y[1].is_finite() && y[2].is_finite());
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let y = uniform((2, 6), 1, DType::F64);
    for shape in [
        &[2, 6][..],
        &[2, 2, 5],
        &[1, 2, 6],
        &[3, 2, 6],
        &[2, 2, 3, 2],
        &[2],
    ] {
        let block = uniform(shape, 2, DType::F64);
        assert!(relu_gate(&y, &block).is_err(), "{shape:?}");
        assert!(tanh_gate(&y, &block).is_err(), "{shape:?}");
    }
    let block = uniform((2, 2, 6), 2, DType::F32);
    assert!(relu_gate(&y, &block).is_err());
    assert!(relu(&y.t().unwrap()).is_err());
    assert!(relu(&y.to_dtype(DType::F16).unwrap()).is_err());
    let empty = Tensor::zeros((2, 0, 6), DType::F64, &Device::Cpu).unwrap();
    assert_eq!(relu_gate(&y, &empty).unwrap().dims(), [2, 0, 6]);
}
