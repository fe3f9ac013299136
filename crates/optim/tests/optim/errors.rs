//! Vectors that do not fit, and vectors that share storage.

use candle_core::{DType, Device, Tensor};
use flatness_optim::{
    Adam, Average, Decay, Error, MomentSettings, Momentum, Optimizer, Sgd, clip_by_norm,
};
use flatness_testkit::{gaussian, values};

use crate::optimizers;

fn all(theta: &Tensor) -> Vec<Box<dyn Optimizer>> {
    optimizers(&Decay::coupled(0.1).unwrap(), theta)
}

fn strided() -> Tensor {
    let pairs = gaussian((4, 2), 1);
    pairs.narrow(1, 0, 1).unwrap().squeeze(1).unwrap()
}

#[track_caller]
fn check_place(result: Result<(), Error>, expected: &str) {
    let error = result.unwrap_err();
    let fits = match &error {
        Error::Vector { place, .. } => place == expected,
        Error::Strided { place } => *place == expected,
        _ => false,
    };
    assert!(fits, "{error}");
}

#[test]
fn vectors_that_do_not_fit_are_named_and_change_nothing() {
    let (theta, gradient) = (gaussian(4, 1), gaussian(4, 2));
    let before = values(&theta);
    let wrong = [
        gaussian(3, 3),
        gaussian(5, 3),
        gaussian((2, 2), 3),
        gradient.to_dtype(DType::F32).unwrap(),
        strided(),
    ];
    for mut optimizer in all(&theta) {
        for wrong in &wrong {
            check_place(optimizer.step(&theta, wrong, 0.1), "gradient");
            check_place(optimizer.step(wrong, &gradient, 0.1), "parameters");
        }
        let message = optimizer.step(&theta, &wrong[0], 0.1).unwrap_err();
        let expected = "gradient: expected [4] of F64, got [3] of F64";
        assert_eq!(message.to_string(), expected);
        let message = optimizer.step(&theta, &strided(), 0.1).unwrap_err();
        assert!(message.to_string().contains("expected contiguous elements"));
        unchanged(&*optimizer);
    }
    assert_eq!(values(&theta), before);
}

fn unchanged(optimizer: &dyn Optimizer) {
    let state = optimizer.state().unwrap();
    assert_eq!(state.steps, 0);
    for vector in state.vectors.values() {
        assert_eq!(values(vector), [0.0; 4]);
    }
}

/// What is written must not be read from the same storage.
#[test]
fn storage_shared_by_parameters_and_gradient_is_an_error() {
    let theta = gaussian(4, 1);
    let before = values(&theta);
    for mut optimizer in all(&theta) {
        for gradient in [&theta, &theta.narrow(0, 0, 4).unwrap()] {
            let error = optimizer.step(&theta, gradient, 0.1).unwrap_err();
            assert!(matches!(error, Error::Shared), "{error}");
        }
        unchanged(&*optimizer);
    }
    assert_eq!(values(&theta), before);
}

#[test]
fn only_floats_of_single_and_double_precision_have_optimisers_and_averages() {
    for dtype in [DType::F16, DType::BF16, DType::U32] {
        let theta = Tensor::zeros(4, dtype, &Device::Cpu).unwrap();
        let decay = || Decay::coupled(0.0).unwrap();
        for error in [
            Sgd::new(Momentum::HeavyBall(0.9), decay(), &theta).err(),
            Adam::new(MomentSettings::PUBLISHED, decay(), &theta).err(),
            Average::uniform(0, &theta).err(),
            clip_by_norm(&theta, 1.0).err(),
        ] {
            let is_named = matches!(error, Some(Error::NumberType { got }) if got == dtype);
            assert!(is_named, "{error:?}");
        }
    }
}

#[test]
fn iterates_that_do_not_fit_are_named_and_not_averaged() {
    let mut average = Average::uniform(0, &gaussian(4, 1)).unwrap();
    assert!(matches!(average.average().unwrap_err(), Error::NoIterates));
    let single = gaussian(4, 1).to_dtype(DType::F32).unwrap();
    for wrong in [gaussian(3, 1), single, strided()] {
        check_place(average.add(&wrong), "iterate");
    }
    assert_eq!(average.count(), 0);
}
