//! Clipping by the norm.

use candle_core::{DType, Device, Tensor};
use flatness_optim::clip_by_norm;
use flatness_testkit::{assert_close, gaussian, values};

#[test]
fn a_gradient_above_the_bound_is_scaled_to_it() {
    // One piece and two of what is squared at a time.
    for length in [5, 300_000] {
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
            let gradient = gaussian(length, 1).to_dtype(dtype).unwrap();
            let before = values(&gradient);
            let norm = before.iter().map(|x| x * x).sum::<f64>().sqrt();
            let got = clip_by_norm(&gradient, norm / 3.0).unwrap();
            assert_close("norm", &[got], &[norm], 1e-12);
            let factor = norm / 3.0 / (norm + 1e-6);
            let expected: Vec<f64> = before.iter().map(|x| factor * x).collect();
            assert_close("gradient", &values(&gradient), &expected, tolerance);
        }
    }
}

#[test]
fn a_gradient_below_the_bound_keeps_its_bits() {
    let gradient = gaussian(5, 1);
    let before = values(&gradient);
    let norm = clip_by_norm(&gradient, 1e3).unwrap();
    assert!(norm < 1e3);
    assert_eq!(values(&gradient), before);
}

#[test]
fn a_norm_that_is_not_finite_is_reported_and_changes_nothing() {
    for wrong in [f64::NAN, f64::INFINITY] {
        let gradient = Tensor::new(&[1.0, wrong, 2.0], &Device::Cpu).unwrap();
        let norm = clip_by_norm(&gradient, 1.0).unwrap();
        assert!(!norm.is_finite());
        assert_eq!(values(&gradient)[0], 1.0);
        assert_eq!(values(&gradient)[2], 2.0);
    }
}
