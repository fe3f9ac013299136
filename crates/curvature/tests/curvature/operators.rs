//! Operators against one batch of the sweeps, which the tests of the layers hold to candle's double
//! backward pass.

use candle_core::{DType, Tensor};
use flatness_curvature::{CurvatureOperator, MeanLoss, Retention, Selection};
use flatness_layers::{Loss, Workers};
use flatness_operator::LinearOperator;
use flatness_testkit::{
    Activation, Problem, assert_close, dense_matrix, gaussian, independent_images, values,
};

use crate::setup::{RETENTIONS, data, settings, theta, with_mean_loss};

const EXAMPLES: usize = 23;

/// Networks of the layers' own tests, over more examples, and convolutional ones.
fn problems() -> Vec<Problem> {
    let cases: [(&[usize], Activation, Loss); 4] = [
        (&[6, 4], Activation::Relu, Loss::CrossEntropy),
        (&[4, 6, 5, 3], Activation::Relu, Loss::CrossEntropy),
        (&[4, 6, 5, 3], Activation::Tanh, Loss::CrossEntropy),
        (&[4, 6, 3], Activation::Tanh, Loss::SquaredError),
    ];
    let connected = cases
        .map(|(widths, activation, loss)| Problem::new(widths, activation, loss, EXAMPLES, 91));
    let images = independent_images(EXAMPLES, 91).into_iter();
    connected
        .into_iter()
        .chain(images.map(|(_, problem)| problem))
        .collect()
}

/// Hessian and Gauss-Newton operators over batches of 6 by two workers, with θ.
fn with_operators(problem: &Problem, check: impl Fn([CurvatureOperator<'_>; 2])) {
    with_mean_loss(problem, &data(problem), (2, 6), |mean_loss, theta| {
        let curvature = mean_loss.curvature(theta, Retention::Retain).unwrap();
        check([curvature.hessian(), curvature.gauss_newton()]);
    });
}

/// Number types with their rounding. Frozen statistics are float64, and so is all that meets them.
fn types(problem: &Problem) -> &'static [(DType, f64)] {
    let mut parameters = problem.network.layout().parameters().iter();
    if parameters.any(|parameter| parameter.name.contains("bn")) {
        return &[(DType::F64, 1e-13)];
    }
    &[(DType::F64, 1e-13), (DType::F32, 1e-5)]
}

fn mean(sums: &[f64]) -> Vec<f64> {
    sums.iter().map(|sum| sum / EXAMPLES as f64).collect()
}

#[test]
fn products_are_means_however_the_examples_are_cut() {
    for problem in problems() {
        let data = data(&problem);
        let vectors = gaussian((3, problem.dim()), 92);
        let hessian = mean(&problem.hessian_product(&vectors));
        let gauss_newton = mean(&problem.gauss_newton_product(&vectors));
        let check = |what: &str, mean_loss: &MeanLoss<'_>, retention, tolerance| {
            let dtype = mean_loss.settings().dtype;
            let [theta, vectors] =
                [&theta(&problem), &vectors].map(|tensor| tensor.to_dtype(dtype).unwrap());
            let curvature = mean_loss.curvature(&theta, retention).unwrap();
            for (operator, expected) in [
                (curvature.hessian(), &hessian),
                (curvature.gauss_newton(), &gauss_newton),
            ] {
                let product = operator.apply_block(&vectors).unwrap();
                assert_eq!((product.dims(), product.dtype()), (vectors.dims(), dtype));
                assert_close(what, &values(&product), expected, tolerance);
            }
        };
        for threads in 1..=3 {
            let workers = Workers::new(threads).unwrap();
            for (batch_size, &(dtype, tolerance)) in [1, 6, EXAMPLES]
                .into_iter()
                .flat_map(|size| types(&problem).iter().map(move |one| (size, one)))
            {
                let (network, settings) = (&problem.network, settings(dtype, batch_size));
                let mean_loss = MeanLoss::new(network, &data, problem.loss, &workers, settings);
                for retention in RETENTIONS {
                    let what = format!("{threads} {batch_size} {dtype:?} {retention:?}");
                    check(&what, mean_loss.as_ref().unwrap(), retention, tolerance);
                }
            }
        }
    }
}

#[test]
fn a_block_equals_its_rows_and_the_matrix_is_symmetric() {
    for problem in problems() {
        with_operators(&problem, |operators| {
            for operator in operators {
                assert_eq!(
                    (operator.dim(), operator.dtype()),
                    (problem.dim(), DType::F64)
                );
                assert!(operator.device().is_cpu());
                let dense = dense_matrix(&operator);
                let transposed = dense.transpose();
                assert_close("symmetry", dense.as_slice(), transposed.as_slice(), 1e-13);
                let vectors = gaussian((3, problem.dim()), 95);
                let block = operator.apply_block(&vectors).unwrap();
                for row in 0..3 {
                    let alone = operator.apply(&vectors.get(row).unwrap()).unwrap();
                    let together = values(&block.get(row).unwrap());
                    assert_close("row", &together, &values(&alone), 1e-14);
                }
            }
        });
    }
}

#[test]
fn training_on_in_place_does_not_move_the_operator() {
    for problem in problems() {
        with_mean_loss(&problem, &data(&problem), (2, 6), |mean_loss, theta| {
            for retention in RETENTIONS {
                let theta = theta.copy().unwrap();
                let curvature = mean_loss.curvature(&theta, retention).unwrap();
                let vector = gaussian(problem.dim(), 96);
                let products = || {
                    let operators = [curvature.hessian(), curvature.gauss_newton()];
                    operators.map(|operator| values(&operator.apply(&vector).unwrap()))
                };
                let before = products();
                theta.slice_set(&gaussian(problem.dim(), 97), 0, 0).unwrap();
                assert_eq!(products(), before, "{retention:?}");
                // The loss does see the change.
                let (_, gradient) = mean_loss.gradient(&theta, Selection::All).unwrap();
                let moved = problem.gradient(&values(&theta));
                assert_close("gradient", &values(&gradient), &mean(&moved), 1e-13);
            }
        });
    }
}

#[test]
fn vectors_that_do_not_fit_are_errors() {
    let problem = &problems()[1];
    let dim = problem.dim();
    with_operators(problem, |operators| {
        for operator in operators {
            let refuses = |block: &Tensor| assert!(operator.apply_block(block).is_err());
            for shape in [vec![2, dim - 1], vec![dim], vec![0, dim], vec![1, 1, dim]] {
                refuses(&gaussian(shape, 1));
            }
            refuses(&gaussian((1, dim), 1).to_dtype(DType::F32).unwrap());
            assert!(operator.apply(&gaussian((1, dim), 1)).is_err());
            // A strided block is a block like any other.
            let strided = gaussian((dim, 2), 1).t().unwrap();
            let [got, expected] = [&strided, &strided.contiguous().unwrap()]
                .map(|block| values(&operator.apply_block(block).unwrap()));
            assert_eq!(got, expected);
        }
    });
}
