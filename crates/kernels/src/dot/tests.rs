//! Sums of products against a loop.

use candle_core::{DType, Device, Tensor};

use super::{PIECE, dot, norm};
use crate::seeded::{uniform, values};

#[test]
fn products_add_up_to_those_of_a_loop() {
    for dtype in [DType::F64, DType::F32] {
        for shape in [(1, 0), (1, 1), (5, 7), (2, PIECE + 3)] {
            let (x, y) = (uniform(shape, 1, dtype), uniform(shape, 2, dtype));
            for (x, y) in [(x.clone(), y.clone()), (x.t().unwrap(), y.t().unwrap())] {
                let products = values(&x).into_iter().zip(values(&y)).map(|(x, y)| x * y);
                let (sum, size) = products.fold((0.0, 0.0), |(sum, size), product: f64| {
                    (sum + product, size + product.abs())
                });
                // Other orders of n additions.
                let error = (dot(&x, &y).unwrap() - sum).abs();
                assert!(error <= 1e-13 * size, "{dtype:?} {shape:?}: {error:e}");
                let squares: f64 = values(&x).iter().map(|value| value * value).sum();
                let error = (norm(&x).unwrap() - squares.sqrt()).abs();
                assert!(
                    error <= 1e-13 * squares.sqrt(),
                    "{dtype:?} {shape:?}: {error:e}"
                );
            }
        }
    }
}

#[test]
fn squares_that_single_precision_cannot_hold_are_added_up() {
    let x = Tensor::new(&[1e-30f32, 3e30], &Device::Cpu).unwrap();
    assert_eq!(norm(&x).unwrap(), f64::from(3e30f32));
}

#[test]
fn integers_and_other_shapes_are_refused() {
    let x = Tensor::new(&[1u32, 2], &Device::Cpu).unwrap();
    assert!(norm(&x).is_err());
    let x = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
    assert!(dot(&x, &x.unsqueeze(0).unwrap()).is_err());
    assert!(dot(&x, &x.to_dtype(DType::F64).unwrap()).is_err());
}
