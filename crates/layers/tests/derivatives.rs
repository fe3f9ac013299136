//! Loss, gradient and Hessian products of whole networks against candle's autograd and central
//! differences.

use candle_core::Tensor;
use flatness_layers::Loss;
use flatness_testkit::{
    Activation, Autograd, Oracle, Problem, Residual, ResidualAutograd, Statistics, assert_close,
    assert_matrices, coupled_images, finite_difference, gaussian, independent_images, moved,
    residual, statistics, values,
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

/// Of at most four classes.
const WEIGHTS: &[f64] = &[2.0, 0.5, 1.0, 0.25];

/// Logistic regression, one and two hidden layers, all activations and losses.
fn fully_connected() -> Vec<(Problem, Box<dyn Oracle>)> {
    let mut problems: Vec<(Problem, Box<dyn Oracle>)> = Vec::new();
    for widths in [&[5, 4][..], &[4, 6, 3], &[3, 5, 4, 3]] {
        for activation in [Activation::Relu, Activation::Tanh, Activation::Softplus] {
            for loss in [
                Loss::CrossEntropy,
                Loss::SquaredError,
                Loss::BinaryCrossEntropy,
                Loss::LabelSmoothing { smoothing: 0.2 },
                Loss::ClassWeights {
                    weights: &WEIGHTS[..widths[widths.len() - 1]],
                    smoothing: 0.1,
                },
            ] {
                let oracle = Autograd {
                    widths: widths.to_vec(),
                    activation,
                    loss,
                };
                let problem = Problem::new(widths, activation, loss, 7, 11);
                problems.push((problem, Box::new(oracle)));
            }
        }
    }
    problems
}

/// And residual networks with frozen and with batch statistics.
fn with_oracles() -> Vec<(Problem, Box<dyn Oracle>)> {
    let mut problems = fully_connected();
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
                problems.push((moved(network, loss, 4, 11), Box::new(oracle)));
            }
        }
    }
    problems
}

/// Everything that is compared with differences.
fn problems() -> Vec<(String, Problem)> {
    let fully_connected = fully_connected().into_iter();
    fully_connected
        .map(|(problem, oracle)| (format!("{oracle:?}"), problem))
        .chain(independent_images(4, SEED))
        .chain(coupled_images(4, SEED))
        .collect()
}

#[test]
fn loss_and_gradient_equal_candle_autograd() {
    for (problem, oracle) in with_oracles() {
        let (what, theta) = (format!("{oracle:?}"), &problem.theta);
        let (inputs, labels) = (&problem.inputs, &problem.labels);
        let loss = problem.linearize(theta).loss().sum().unwrap();
        let expected = oracle.loss(theta, inputs, labels);
        assert_close(&what, &[loss], &[expected], ROUNDING);
        let expected = oracle.gradient(theta, inputs, labels);
        assert_close(&what, &problem.gradient(theta), &expected, ROUNDING);
    }
}

#[test]
fn gradient_equals_differences_of_the_loss() {
    for (what, problem) in problems() {
        let loss = |theta: &[f64]| problem.linearize(theta).loss().sum().unwrap();
        let expected = finite_difference::gradient(loss, &problem.theta, STEP);
        let gradient = problem.gradient(&problem.theta);
        assert_close(&what, &gradient, &expected, DIFFERENCES);
    }
}

#[test]
fn the_hessian_equals_differences_of_the_gradient() {
    for (what, problem) in problems() {
        let gradient = |theta: &[f64]| problem.gradient(theta);
        let expected = finite_difference::jacobian(gradient, &problem.theta, STEP);
        let hessian = problem.hessian();
        assert_matrices(&what, &hessian, &expected, DIFFERENCES);
    }
}

#[test]
fn hessian_products_equal_candle_double_backward() {
    for (problem, oracle) in with_oracles() {
        let vectors = gaussian((3, problem.dim()), 21);
        let expected = product(&problem, oracle.as_ref(), &vectors);
        let got = problem.hessian_product(&vectors);
        assert_close(&format!("{oracle:?}"), &got, &expected, ROUNDING);
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
        let expected = product(&problem, &oracle, &vector);
        let product = problem.hessian_product(&vector);
        assert_close("one example", &product, &expected, ROUNDING);
    }
}

/// H v of each row of `vectors` (V, P), row by row, by the oracle.
fn product(problem: &Problem, oracle: &dyn Oracle, vectors: &Tensor) -> Vec<f64> {
    let vectors = values(vectors);
    let rows = vectors.chunks(problem.dim());
    let (theta, inputs, labels) = (&problem.theta, &problem.inputs, &problem.labels);
    rows.flat_map(|v| oracle.hessian_product(theta, v, inputs, labels))
        .collect()
}
