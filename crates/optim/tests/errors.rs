//! Vectors that do not fit, and vectors that share storage.

use candle_core::{DType, Device, Tensor};
use flatness_optim::{Error, Momentum, Sgd};
use flatness_testkit::{gaussian, values};

const MOMENTA: [Momentum; 2] = [Momentum::HeavyBall(0.9), Momentum::Nesterov(0.9)];

#[test]
fn vectors_that_do_not_fit_are_named_and_change_nothing() {
    for momentum in MOMENTA {
        let theta = gaussian(4, 1);
        let before = values(&theta);
        let mut sgd = Sgd::new(momentum, 0.1, &theta).unwrap();
        let right = gaussian(4, 2);
        let wrong = [
            gaussian(3, 3),
            gaussian(5, 3),
            gaussian((2, 2), 3),
            right.to_dtype(DType::F32).unwrap(),
        ];
        for wrong in &wrong {
            let cases = [
                ("gradient", sgd.step(&theta, wrong, 0.1)),
                ("parameters", sgd.step(wrong, &right, 0.1)),
                ("velocity", sgd.restore(wrong)),
            ];
            for (expected, result) in cases {
                let error = result.unwrap_err();
                assert!(
                    matches!(error, Error::Vector { place, .. } if place == expected),
                    "{error}"
                );
            }
        }
        assert_eq!(values(&theta), before);
        assert_eq!(values(sgd.velocity()), [0.0; 4]);
        let message = sgd.step(&theta, &wrong[0], 0.1).unwrap_err().to_string();
        assert_eq!(message, "gradient: expected [4] of F64, got [3] of F64");
    }
}

#[test]
fn strided_parameters_are_an_error() {
    let strided = gaussian((4, 2), 1)
        .narrow(1, 0, 1)
        .unwrap()
        .squeeze(1)
        .unwrap();
    for momentum in MOMENTA {
        let mut sgd = Sgd::new(momentum, 0.0, &strided).unwrap();
        assert!(sgd.step(&strided, &gaussian(4, 2), 0.1).is_err());
        let theta = gaussian(4, 2);
        assert!(sgd.step(&theta, &strided, 0.1).is_err());
    }
}

/// What is written must not be read from the same storage.
#[test]
fn storage_shared_with_what_a_step_writes_is_an_error() {
    for momentum in MOMENTA {
        let theta = gaussian(4, 1);
        let mut sgd = Sgd::new(momentum, 0.0, &theta).unwrap();
        let velocity = sgd.velocity().clone();
        assert!(sgd.step(&theta, &velocity, 0.1).is_err());
        assert!(sgd.step(&velocity, &gaussian(4, 2), 0.1).is_err());
        let before = values(&theta);
        for gradient in [&theta, &theta.narrow(0, 0, 4).unwrap()] {
            let error = sgd.step(&theta, gradient, 0.1).unwrap_err();
            assert!(matches!(error, Error::Shared), "{error}");
        }
        assert_eq!(values(&theta), before);
        assert_eq!(values(sgd.velocity()), [0.0; 4]);
    }
}

#[test]
fn a_velocity_saved_is_a_copy() {
    let theta = gaussian(3, 1);
    let saved = Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap();
    let mut sgd = Sgd::new(Momentum::HeavyBall(0.9), 0.0, &theta).unwrap();
    sgd.restore(&saved).unwrap();
    sgd.step(&theta, &gaussian(3, 2), 0.1).unwrap();
    assert_eq!(values(&saved), [0.0; 3]);
}
