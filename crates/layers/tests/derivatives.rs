//! Loss, gradient and Hessian products of whole networks against candle's autograd and central
//! differences.

use candle_core::Tensor;
use flatness_layers::Loss;
use flatness_testkit::{Activation, Problem, assert_close, finite_difference, gaussian, values};

/// Against autograd: the same function by other operations in another order, rounding only.
const ROUNDING: f64 = 1e-12;
/// Against differences: step and seeds keep every ReLU on its side of the kink (a step across one
/// gives an error of order one); truncation is far below rounding, ε/step = 1e-12 for numbers of
/// order ten.
const STEP: f64 = 1e-4;
const DIFFERENCES: f64 = 1e-9;

/// Logistic regression, one and two hidden layers, both activations and losses.
fn problems() -> Vec<(String, Problem)> {
    let mut problems = Vec::new();
    for widths in [&[5, 4][..], &[4, 6, 3], &[3, 5, 4, 3]] {
        for activation in [Activation::Relu, Activation::Tanh] {
            for loss in [Loss::CrossEntropy, Loss::SquaredError] {
                let what = format!("{widths:?} {activation:?} {loss:?}");
                problems.push((what, Problem::new(widths, activation, loss, 7, 11)));
            }
        }
    }
    problems
}

#[test]
fn loss_and_gradient_equal_candle_autograd() {
    for (what, problem) in problems() {
        let Problem {
            theta,
            inputs,
            labels,
            ..
        } = &problem;
        let oracle = problem.autograd();
        let point = problem.linearize(theta);
        let loss = oracle.loss(theta, inputs, labels);
        assert_close(&what, &[point.loss().sum()], &[loss], ROUNDING);
        let gradient = oracle.gradient(theta, inputs, labels);
        assert_close(&what, &problem.gradient(theta), &gradient, ROUNDING);
    }
}

#[test]
fn gradient_equals_differences_of_the_loss() {
    for (what, problem) in problems() {
        let expected = finite_difference::gradient(
            |theta| problem.linearize(theta).loss().sum(),
            &problem.theta,
            STEP,
        );
        let gradient = problem.gradient(&problem.theta);
        assert_close(&what, &gradient, &expected, DIFFERENCES);
    }
}

#[test]
fn the_hessian_equals_differences_of_the_gradient() {
    for (what, problem) in problems() {
        let expected =
            finite_difference::jacobian(|theta| problem.gradient(theta), &problem.theta, STEP);
        let hessian = problem.hessian();
        assert_close(&what, hessian.as_slice(), expected.as_slice(), DIFFERENCES);
    }
}

#[test]
fn hessian_products_equal_candle_double_backward() {
    for (what, problem) in problems() {
        let vectors = gaussian((3, problem.dim()), 21);
        let expected: Vec<f64> = rows(&vectors)
            .iter()
            .flat_map(|vector| {
                problem.autograd().hessian_product(
                    &problem.theta,
                    vector,
                    &problem.inputs,
                    &problem.labels,
                )
            })
            .collect();
        let product = problem.hessian_product(&vectors);
        assert_close(&what, &product, &expected, ROUNDING);
    }
}

#[test]
fn one_example_alone_is_no_special_case() {
    for activation in [Activation::Relu, Activation::Tanh] {
        let problem = Problem::new(&[3, 4, 2], activation, Loss::CrossEntropy, 1, 5);
        let vector = gaussian((1, problem.dim()), 6);
        let expected = problem.autograd().hessian_product(
            &problem.theta,
            &values(&vector),
            &problem.inputs,
            &problem.labels,
        );
        let product = problem.hessian_product(&vector);
        assert_close("one example", &product, &expected, ROUNDING);
    }
}

fn rows(vectors: &Tensor) -> Vec<Vec<f64>> {
    vectors.to_vec2().unwrap()
}
