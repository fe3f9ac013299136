//! Adaptive sharpness against its matrix written out, and under rescaling.

use flatness_curvature::Retention;
use flatness_layers::Loss;
use flatness_measures::{Rescaling, adaptive};
use flatness_testkit::{Activation, Problem, assert_close, dense_matrix};

use crate::toy::Toy;

const EXAMPLES: usize = 9;

#[test]
fn the_operator_is_the_hessian_between_the_magnitudes() {
    let problem = Problem::new(
        &[4, 5, 3],
        Activation::Tanh,
        Loss::CrossEntropy,
        EXAMPLES,
        31,
    );
    let (hessian, theta) = (problem.hessian(), problem.theta.clone());
    let toy = Toy::new(problem);
    let mean_loss = toy.mean_loss();
    let curvature = mean_loss
        .curvature(&toy.theta(), Retention::Retain)
        .unwrap();
    for offset in [0.0, 0.01] {
        let operator = adaptive(curvature.hessian(), &toy.theta(), offset).unwrap();
        let expected = hessian.map_with_location(|i, j, entry| {
            (theta[i].abs() + offset) * (theta[j].abs() + offset) * entry / EXAMPLES as f64
        });
        let dense = dense_matrix(&operator);
        assert_close("T H T", dense.as_slice(), expected.as_slice(), 1e-13);
    }
}

#[test]
fn rescaling_two_layers_does_not_change_it() {
    let problem = Problem::new(
        &[4, 5, 3],
        Activation::Relu,
        Loss::CrossEntropy,
        EXAMPLES,
        32,
    );
    let pair = Rescaling::pairs(&problem.network).remove(0);
    let toy = Toy::new(problem);
    let mean_loss = toy.mean_loss();
    let sharpness = |alpha: f64| {
        let theta = pair.apply(&toy.theta(), alpha).unwrap();
        let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
        let operator = adaptive(curvature.hessian(), &theta, 0.0).unwrap();
        dense_matrix(&operator).symmetric_eigenvalues().max()
    };
    let expected = [sharpness(1.0)];
    for alpha in [1e-2, 1e2] {
        assert_close("lambda_max", &[sharpness(alpha)], &expected, 1e-11);
    }
    let curvature = mean_loss.curvature(&toy.theta(), Retention::Retain);
    let error = adaptive(curvature.unwrap().hessian(), &toy.theta(), -0.1).unwrap_err();
    let expected = "the offset is -0.1; set it to a finite number from 0";
    assert_eq!(error.to_string(), expected);
}
