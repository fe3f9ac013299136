//! Adaptive sharpness against its matrix written out, and under rescaling.

use flatness_measures::{Rescaling, adaptive};
use flatness_testkit::{Activation, assert_close, dense_matrix};

use crate::toy::{Toy, classifier};

const EXAMPLES: usize = 9;

#[test]
fn the_operator_is_the_hessian_between_the_magnitudes() {
    let problem = classifier(&[4, 5, 3], Activation::Tanh, EXAMPLES, 31);
    let (hessian, theta) = (problem.hessian(), problem.theta.clone());
    let toy = Toy::new(problem);
    for offset in [0.0, 0.01] {
        let expected = hessian.map_with_location(|i, j, entry| {
            (theta[i].abs() + offset) * (theta[j].abs() + offset) * entry / EXAMPLES as f64
        });
        let dense = toy.curved(&toy.theta(), |curvature| {
            dense_matrix(&adaptive(curvature.hessian(), &toy.theta(), offset).unwrap())
        });
        assert_close("T H T", dense.as_slice(), expected.as_slice(), 1e-13);
    }
}

#[test]
fn rescaling_two_layers_does_not_change_it() {
    let problem = classifier(&[4, 5, 3], Activation::Relu, EXAMPLES, 32);
    let pair = Rescaling::pairs(&problem.network).remove(0);
    let toy = Toy::new(problem);
    let sharpness = |alpha: f64| {
        let theta = pair.apply(&toy.theta(), alpha).unwrap();
        toy.curved(&theta, |curvature| {
            let operator = adaptive(curvature.hessian(), &theta, 0.0).unwrap();
            dense_matrix(&operator).symmetric_eigenvalues().max()
        })
    };
    let expected = [sharpness(1.0)];
    for alpha in [1e-2, 1e2] {
        assert_close("lambda_max", &[sharpness(alpha)], &expected, 1e-11);
    }
    let error = toy.curved(&toy.theta(), |curvature| {
        adaptive(curvature.hessian(), &toy.theta(), -0.1).unwrap_err()
    });
    let expected = "the offset is -0.1; set it to a finite number from 0";
    assert_eq!(error.to_string(), expected);
}
