//! The sum of squares against a loop.

use candle_core::{DType, Device, Tensor};

use super::{PIECE, squared_norm};
use crate::samples::{uniform, values};

#[test]
fn squares_add_up_to_those_of_a_loop() {
    for dtype in [DType::F64, DType::F32] {
        for shape in [(1, 0), (1, 1), (5, 7), (2, PIECE + 3)] {
            let x = uniform(shape, 1, dtype);
            for x in [x.clone(), x.t().unwrap()] {
                let expected: f64 = values(&x).iter().map(|value| value * value).sum();
                let got = squared_norm(&x).unwrap();
                // Other orders of n additions.
                assert!(
                    (got - expected).abs() <= 1e-11 * expected,
                    "{dtype:?} {shape:?}"
                );
            }
        }
    }
}

#[test]
fn squares_that_single_precision_cannot_hold_are_added_up() {
    let x = Tensor::new(&[1e-30f32, 3e30], &Device::Cpu).unwrap();
    let expected = f64::from(3e30f32).powi(2);
    assert_eq!(squared_norm(&x).unwrap(), expected);
}

#[test]
fn integers_are_refused() {
    let x = Tensor::new(&[1u32, 2], &Device::Cpu).unwrap();
    assert!(squared_norm(&x).is_err());
}
