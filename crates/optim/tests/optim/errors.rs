//! Vectors that do not fit, and vectors that share storage.

use candle_core::{DType, Tensor};
use flatness_optim::{
    Adam, AmsGrad, Average, CoupledL2, Error, MomentSettings, Momentum, Optimizer, Padam, Sgd,
    UniformAverage, clip_by_norm,
};
use flatness_testkit::{gaussian, values};

fn optimizers(theta: &Tensor) -> Vec<Box<dyn Optimizer>> {
    let decay = || CoupledL2::new(0.1).unwrap();
    let published = MomentSettings::PUBLISHED;
    vec![
        Box::new(Sgd::new(Momentum::HeavyBall(0.9), decay(), theta).unwrap()),
        Box::new(Sgd::new(Momentum::Nesterov(0.9), decay(), theta).unwrap()),
        Box::new(Adam::new(published, decay(), theta).unwrap()),
        Box::new(AmsGrad::new(published, decay(), theta).unwrap()),
        Box::new(Padam::new(published, 0.125, decay(), theta).unwrap()),
    ]
}

fn strided() -> Tensor {
    let pairs = gaussian((4, 2), 1);
    pairs.narrow(1, 0, 1).unwrap().squeeze(1).unwrap()
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
    ];
    for mut optimizer in optimizers(&theta) {
        for wrong in &wrong {
            let cases = [
                ("gradient", optimizer.step(&theta, wrong, 0.1)),
                ("parameters", optimizer.step(wrong, &gradient, 0.1)),
            ];
            for (expected, result) in cases {
                let error = result.unwrap_err();
                assert!(
                    matches!(&error, Error::Vector { place, .. } if place == expected),
                    "{error}"
                );
            }
        }
        let strided = [
            ("gradient", optimizer.step(&theta, &strided(), 0.1)),
            ("parameters", optimizer.step(&strided(), &gradient, 0.1)),
        ];
        for (expected, result) in strided {
            let error = result.unwrap_err();
            assert!(
                matches!(error, Error::Strided { place } if place == expected),
                "{error}"
            );
        }
        let message = optimizer.step(&theta, &wrong[0], 0.1).unwrap_err();
        assert_eq!(
            message.to_string(),
            "gradient: expected [4] of F64, got [3] of F64"
        );
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
    for mut optimizer in optimizers(&theta) {
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
        let theta = Tensor::zeros(4, dtype, &candle_core::Device::Cpu).unwrap();
        let decay = || CoupledL2::new(0.0).unwrap();
        let published = MomentSettings::PUBLISHED;
        let errors = [
            Sgd::new(Momentum::HeavyBall(0.9), decay(), &theta).err(),
            Adam::new(published, decay(), &theta).err(),
            UniformAverage::new(0, &theta).err(),
            clip_by_norm(&theta, 1.0).err(),
        ];
        for error in errors {
            let error = error.unwrap();
            assert!(
                matches!(error, Error::NumberType { got } if got == dtype),
                "{error}"
            );
        }
    }
}

#[test]
fn iterates_that_do_not_fit_are_named_and_not_averaged() {
    let mut average = UniformAverage::new(0, &gaussian(4, 1)).unwrap();
    assert!(matches!(average.average().unwrap_err(), Error::NoIterates));
    for wrong in [gaussian(3, 1), gaussian(4, 1).to_dtype(DType::F32).unwrap()] {
        let error = average.add(&wrong).unwrap_err();
        assert!(
            matches!(&error, Error::Vector { place, .. } if place == "iterate"),
            "{error}"
        );
    }
    let error = average.add(&strided()).unwrap_err();
    assert!(
        matches!(error, Error::Strided { place: "iterate" }),
        "{error}"
    );
    assert_eq!(average.count(), 0);
}
