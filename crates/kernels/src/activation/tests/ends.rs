//! Values and derivatives at kinks, near zero and far out, and to how many digits.

use candle_core::{DType, Device, Tensor};

use crate::activation::Activation::{self, *};
use crate::function::Function;
use crate::real::with_candle_path;
use crate::seeded::values;

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
            let (y, slope) = (values(&y), values(&slope[0]));
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

/// Abramowitz and Stegun, table 7.1 and equation 7.1.5, to more digits.
#[test]
fn the_error_function_is_exact_in_double_precision() {
    let x = Tensor::new(&[1e-10f64, 0.5, 1.0, -2.0], &Device::Cpu).unwrap();
    let expected = [
        1.128_379_167_095_512_6e-10,
        0.520_499_877_813_046_5,
        0.842_700_792_949_714_9,
        -0.995_322_265_018_952_7,
    ];
    let check = || {
        let y = values(&Erf.evaluate(&x).unwrap().0);
        for (got, expected) in y.iter().zip(expected) {
            assert!((got / expected - 1.0).abs() < 1e-15, "{got} for {expected}");
        }
    };
    check();
    with_candle_path(check);
}

/// What differences lose: eˣ - 1 and the slopes of functions whose ends overflow.
#[test]
fn nothing_is_lost_near_zero_or_infinite_far_out() {
    for (dtype, tolerance) in [(DType::F64, 1e-15), (DType::F32, 2e-7)] {
        let x = Tensor::new(&[-1e-6f64, -1e4, 1e4], &Device::Cpu);
        let x = x.and_then(|x| x.to_dtype(dtype)).unwrap();
        let check = || {
            let y = values(&Elu { alpha: 1.0 }.evaluate(&x).unwrap().0);
            let x = values(&x)[0];
            assert!(
                (y[0] / (x + x * x / 2.0 + x * x * x / 6.0) - 1.0).abs() < tolerance,
                "{y:?}"
            );
            assert_eq!(y[1..], [-1.0, 1e4]);
        };
        check();
        with_candle_path(check);
        for activation in [Sigmoid, Gelu, GeluTanh, Silu, Mish, HardSwish] {
            let check = || {
                let (y, kept) = activation.evaluate(&x).unwrap();
                let limits = if activation == Sigmoid {
                    [0.0, 1.0]
                } else {
                    [0.0, 1e4]
                };
                assert_eq!(values(&y)[1..], limits, "{activation:?}");
                let slopes = if activation == Sigmoid {
                    [0.0, 0.0]
                } else {
                    [0.0, 1.0]
                };
                assert_eq!(values(&kept[0])[1..], slopes, "{activation:?}");
                assert_eq!(values(&kept[1])[1..], [0.0, 0.0], "{activation:?}");
            };
            check();
            with_candle_path(check);
        }
    }
}

/// Those of PyTorch's backward passes.
#[test]
fn the_derivatives_at_kinks_are_those_of_pytorch() {
    let hard = HardSigmoid {
        slope: 1.0 / 6.0,
        shift: 0.5,
    };
    let kinks: [(Activation, &[f64], &[f64]); 8] = [
        (Relu, &[0.0, -0.0, 1.0], &[0.0, 0.0, 1.0]),
        (LeakyRelu { slope: 0.2 }, &[0.0], &[0.2]),
        (Elu { alpha: 1.3 }, &[0.0], &[1.3]),
        (
            Clip {
                lowest: 0.0,
                highest: 6.0,
            },
            &[0.0, 6.0],
            &[0.0, 0.0],
        ),
        (hard, &[-3.0, 3.0], &[0.0, 0.0]),
        (HardSwish, &[-3.0, 3.0], &[0.0, 1.0]),
        (Abs, &[0.0, -0.0], &[0.0, 0.0]),
        (Power { exponent: 2.0 }, &[0.0], &[0.0]),
    ];
    for (activation, x, expected) in kinks {
        let x = Tensor::new(x, &Device::Cpu)
            .and_then(|x| x.unsqueeze(0))
            .unwrap();
        let ones = x.ones_like().and_then(|ones| ones.unsqueeze(0)).unwrap();
        let check = || {
            let (_, kept) = activation.evaluate(&x).unwrap();
            let slopes = values(&activation.slope_product(&kept, &ones).unwrap());
            assert_eq!(slopes, expected, "{activation:?}");
        };
        check();
        with_candle_path(check);
    }
}

/// 0 · 0⁻¹ must not appear.
#[test]
fn constant_and_linear_powers_have_derivatives_at_zero() {
    for (exponent, expected) in [
        (0.0, [1.0, 0.0, 0.0]),
        (1.0, [0.0, 1.0, 0.0]),
        (2.0, [0.0, 0.0, 2.0]),
    ] {
        assert_eq!(Power { exponent }.derivatives(&0.0), expected);
    }
}
