//! Sums against a loop, who sees those in place, and the refusals.

use candle_core::{DType, Device, Tensor};

use super::{add, add_in_place};
use crate::seeded::{uniform, values};
use crate::with_threads;

#[test]
fn every_tensor_that_shares_the_storage_sees_the_sum() {
    for dtype in [DType::F32, DType::F64] {
        let whole = Tensor::zeros(6, dtype, &Device::Cpu).unwrap();
        let view = whole.narrow(0, 2, 3).unwrap();
        let addend = Tensor::new(&[1.0f64, 2.0, 3.0], &Device::Cpu)
            .and_then(|addend| addend.to_dtype(dtype))
            .unwrap();
        add_in_place(&view, &addend).unwrap();
        add_in_place(&view, &addend).unwrap();
        assert_eq!(values(&whole), [0.0, 0.0, 2.0, 4.0, 6.0, 0.0]);
    }
}

#[test]
fn an_addend_may_be_strided() {
    let sum = Tensor::zeros((3, 2), DType::F64, &Device::Cpu).unwrap();
    let addend = uniform((2, 3), 1, DType::F64).t().unwrap();
    add_in_place(&sum, &addend).unwrap();
    assert_eq!(values(&sum), values(&addend));
}

#[test]
fn a_sum_that_shares_storage_with_its_addend_is_an_error_and_unchanged() {
    let whole = uniform(6, 1, DType::F64);
    let before = values(&whole);
    let parts = [whole.narrow(0, 0, 3), whole.narrow(0, 2, 3)].map(Result::unwrap);
    assert!(add_in_place(&whole, &whole).is_err());
    assert!(add_in_place(&parts[0], &parts[1]).is_err());
    assert_eq!(values(&whole), before);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let sum = uniform((2, 3), 1, DType::F64);
    // As many elements in other axes.
    for shape in [&[3, 2][..], &[6], &[2, 3, 1]] {
        let other = uniform(shape, 2, DType::F64);
        assert!(add_in_place(&sum, &other).is_err() && add(&sum, &other).is_err());
    }
    let single = uniform((2, 3), 2, DType::F32);
    assert!(add_in_place(&sum, &single).is_err() && add(&sum, &single).is_err());
    let strided = uniform((3, 2), 1, DType::F64).t().unwrap();
    assert!(add_in_place(&strided, &sum).is_err());
}

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
