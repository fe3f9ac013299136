//! The perturbation of sharpness-aware minimisation.

use candle_core::{DType, Device, Tensor};
use flatness_optim::SharpnessAware;
use flatness_testkit::{assert_close, gaussian, values};

#[test]
fn the_perturbation_lies_on_the_sphere_along_the_gradient() {
    let (theta, gradient) = (gaussian(6, 1), gaussian(6, 2));
    let perturbed = SharpnessAware::new(0.3).and_then(|sam| sam.perturbed(&theta, &gradient));
    let gradient = values(&gradient);
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let expected: Vec<f64> = (values(&theta).iter().zip(&gradient))
        .map(|(theta, g)| theta + 0.3 * g / norm)
        .collect();
    // The 1e-12 beside a norm of order one.
    assert_close("θ + ε", &values(&perturbed.unwrap()), &expected, 1e-11);
}

/// Only the 1e-12 keeps 0 / 0 away.
#[test]
fn a_gradient_of_zero_perturbs_nothing() {
    let theta = gaussian(6, 1);
    let zero = Tensor::zeros(6, DType::F64, &Device::Cpu).unwrap();
    let perturbed = SharpnessAware::new(0.3).and_then(|sam| sam.perturbed(&theta, &zero));
    assert_eq!(values(&perturbed.unwrap()), values(&theta));
}
