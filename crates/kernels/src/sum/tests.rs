//! The sum against a loop, and the refusals.

use candle_core::DType;

use super::add;
use crate::samples::{uniform, values};
use crate::with_threads;

#[test]
fn sums_equal_a_loop_for_any_layout_and_threads() {
    for dtype in [DType::F64, DType::F32] {
        let (a, b) = (uniform((5, 7), 1, dtype), uniform((7, 5), 2, dtype));
        let b = b.t().unwrap();
        let expected: Vec<_> = (values(&a).iter().zip(values(&b)).map(|(a, b)| a + b)).collect();
        for threads in [1, 3] {
            let sum = with_threads(threads, || add(&a, &b)).unwrap();
            assert_eq!(sum.dims(), [5, 7]);
            for (got, expected) in values(&sum).iter().zip(&expected) {
                // One rounding of f32.
                assert!((got - expected).abs() <= 1e-7 * expected.abs(), "{dtype:?}");
            }
        }
    }
}

#[test]
fn other_shapes_and_number_types_are_refused() {
    let a = uniform((2, 3), 1, DType::F64);
    for b in [
        uniform((3, 2), 2, DType::F64),
        uniform((2, 3), 2, DType::F32),
    ] {
        assert!(add(&a, &b).is_err());
    }
}
