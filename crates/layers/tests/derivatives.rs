//! Loss, gradient and Hessian products of whole networks against candle's autograd and central
//! differences.

use candle_core::Tensor;
use flatness_layers::Loss;
use flatness_testkit::{
    Activation, Autograd, Problem, Residual, ResidualAutograd, Statistics, assert_close,
    coupled_images, finite_difference, gaussian, independent_images, moved, residual, statistics,
    values,
};

/// Against autograd: the same function by other operations in another order, rounding only.
const ROUNDING: f64 = 1e-12;
/// Against differences: step and seeds keep every ReLU on its side of the kink (a step across one
/// gives an error of order one); truncation is far below rounding, ε/step = 1e-11 for numbers of
/// order ten.
const STEP: f64 = 1e-5;
const DIFFERENCES: f64 = 1e-9;
/// Of the networks for images.
const SEED: u64 = 11;

/// Logistic regression, one and two hidden layers, both activations and losses.
fn fully_connected() -> Vec<(String, Problem, Autograd)> {
    let mut problems = Vec::new();
    for widths in [&[5, 4][..], &[4, 6, 3], &[3, 5, 4, 3]] {
        for activation in [Activation::Relu, Activation::Tanh, Activation::Softplus] {
            for loss in [
                Loss::CrossEntropy,
                Loss::SquaredError,
                Loss::LabelSmoothing { smoothing: 0.2 },
            ] {
                let what = format!("{widths:?} {activation:?} {loss:?}");
                let problem = Problem::new(widths, activation, loss, 7, 11);
                let oracle = Autograd {
                    widths: widths.to_vec(),
                    activation,
                    loss,
                };
                problems.push((what, problem, oracle));
            }
        }
    }
    problems
}

/// Residual networks with frozen and with batch statistics.
fn residual_networks() -> Vec<(String, Problem, ResidualAutograd)> {
    let mut problems = Vec::new();
    for form in [Residual::PreActivation, Residual::Wide] {
        for loss in [Loss::CrossEntropy, Loss::LabelSmoothing { smoothing: 0.2 }] {
            let network = residual(form);
            let fixed = statistics(&network, 15);
            let frozen = network.freeze(&fixed).unwrap();
            for (network, statistics) in [
                (network, Statistics::Batch),
                (frozen, Statistics::Fixed(fixed)),
            ] {
                let oracle = ResidualAutograd {
                    form,
                    statistics,
                    loss,
                };
                problems.push((format!("{oracle:?}"), moved(network, loss, 4, 11), oracle));
            }
        }
    }
    problems
}

/// Everything that is compared with differences.
fn problems() -> Vec<(String, Problem)> {
    let fully_connected = fully_connected().into_iter();
    fully_connected
        .map(|(what, problem, _)| (what, problem))
        .chain(independent_images(4, SEED))
        .chain(coupled_images(4, SEED))
        .collect()
}

#[test]
fn loss_and_gradient_equal_candle_autograd() {
    let check = |what: &str, problem: &Problem, loss: f64, gradient: &[f64]| {
        let point = problem.linearize(&problem.theta);
        assert_close(what, &[point.loss().sum()], &[loss], ROUNDING);
        assert_close(what, &problem.gradient(&problem.theta), gradient, ROUNDING);
    };
    for (what, problem, oracle) in fully_connected() {
        let (theta, inputs, labels) = (&problem.theta, &problem.inputs, &problem.labels);
        let loss = oracle.loss(theta, inputs, labels);
        check(
            &what,
            &problem,
            loss,
            &oracle.gradient(theta, inputs, labels),
        );
    }
    for (what, problem, oracle) in residual_networks() {
        let (theta, inputs, labels) = (&problem.theta, &problem.inputs, &problem.labels);
        let loss = oracle.loss(theta, inputs, labels);
        check(
            &what,
            &problem,
            loss,
            &oracle.gradient(theta, inputs, labels),
        );
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
    let vectors = |problem: &Problem| gaussian((3, problem.dim()), 21);
    let check = |what: &str, problem: &Problem, product: &dyn Fn(&[f64]) -> Vec<f64>| {
        let vectors = vectors(problem);
        let expected = rows(&vectors)
            .iter()
            .flat_map(|v| product(v))
            .collect::<Vec<_>>();
        assert_close(
            what,
            &problem.hessian_product(&vectors),
            &expected,
            ROUNDING,
        );
    };
    for (what, problem, oracle) in fully_connected() {
        let (theta, inputs, labels) = (&problem.theta, &problem.inputs, &problem.labels);
        check(&what, &problem, &|v| {
            oracle.hessian_product(theta, v, inputs, labels)
        });
    }
    for (what, problem, oracle) in residual_networks() {
        let (theta, inputs, labels) = (&problem.theta, &problem.inputs, &problem.labels);
        check(&what, &problem, &|v| {
            oracle.hessian_product(theta, v, inputs, labels)
        });
    }
}

#[test]
fn one_example_alone_is_no_special_case() {
    for activation in [Activation::Relu, Activation::Tanh, Activation::Softplus] {
        let oracle = Autograd {
            widths: vec![3, 4, 2],
            activation,
            loss: Loss::CrossEntropy,
        };
        let problem = Problem::new(&oracle.widths, activation, oracle.loss, 1, 5);
        let vector = gaussian((1, problem.dim()), 6);
        let expected = oracle.hessian_product(
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
