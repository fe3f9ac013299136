//! Products that are infinite or not a number: refused with the first batch at fault, and never taken
//! for what is merely large.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Matrix, Retention};
use flatness_layers::Loss;
use flatness_operator::LinearOperator;
use flatness_testkit::{Activation, Problem, assert_close, gaussian, values};

use crate::setup::{RETENTIONS, data, with_mean_loss};

const EXAMPLES: usize = 10;
const BATCH_SIZE: usize = 4;

fn problem() -> Problem {
    let loss = Loss::CrossEntropy;
    Problem::new(&[4, 6, 5, 3], Activation::Tanh, loss, EXAMPLES, 51)
}

/// The problem with a value that is not a number in one example.
fn spoiled(example: usize) -> Problem {
    let mut problem = problem();
    let mut inputs = values(&problem.inputs);
    inputs[example * 4 + 1] = f64::NAN;
    problem.inputs = Tensor::from_vec(inputs, (EXAMPLES, 4), &Device::Cpu).unwrap();
    problem
}

#[test]
fn a_product_that_is_not_finite_names_its_first_batch() {
    for (example, batch) in [(1, "0 to 3"), (6, "4 to 7"), (9, "8 to 9")] {
        let problem = spoiled(example);
        let data = data(&problem);
        let named = format!("toy is infinite or not a number, from the examples {batch}");
        with_mean_loss(&problem, &data, (2, BATCH_SIZE), |mean_loss, theta| {
            let matrices = Matrix::ALL.iter();
            for (&matrix, retention) in
                matrices.flat_map(|matrix| RETENTIONS.map(|retention| (matrix, retention)))
            {
                let curvature = mean_loss.curvature(theta, retention).unwrap();
                let vector = gaussian((2, problem.dim()), 56);
                let message = match curvature.operator(matrix) {
                    Ok(operator) => operator.apply_block(&vector).unwrap_err().to_string(),
                    Err(error) => error.to_string(),
                };
                assert!(message.contains(&named), "{matrix}: {message}");
            }
        });
    }
}

#[test]
fn vectors_that_are_not_finite_are_not_blamed_on_a_batch() {
    let problem = problem();
    let data = data(&problem);
    with_mean_loss(&problem, &data, (2, BATCH_SIZE), |mean_loss, theta| {
        let curvature = mean_loss.curvature(theta, Retention::Retain).unwrap();
        let mut vector = values(&gaussian(problem.dim(), 57));
        vector[3] = f64::INFINITY;
        let vector = Tensor::new(vector, &Device::Cpu).unwrap();
        for matrix in Matrix::ALL {
            let error = curvature.operator(matrix).unwrap().apply(&vector);
            let message = error.unwrap_err().to_string();
            assert!(message.starts_with("the vectors"), "{matrix}: {message}");
        }
    });
}

/// The sum of a product may overflow where no element does.
#[test]
fn large_products_are_not_taken_for_infinite_ones() {
    let problem = problem();
    let data = data(&problem);
    with_mean_loss(&problem, &data, (1, BATCH_SIZE), |mean_loss, theta| {
        let curvature = mean_loss.curvature(theta, Retention::Retain).unwrap();
        let gauss_newton = curvature.gauss_newton();
        let vector = gaussian((1, problem.dim()), 58);
        let product = values(&gauss_newton.apply_block(&vector).unwrap());
        let largest = product.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let scale = f64::MAX / 2.0 / largest / EXAMPLES as f64;
        let vector = (vector * scale).unwrap();
        let ones = Tensor::ones((1024, 1), DType::F64, &Device::Cpu).unwrap();
        let block = ones.broadcast_mul(&vector).unwrap();
        let large = values(&gauss_newton.apply_block(&block).unwrap());
        let expected: Vec<f64> = product.iter().map(|x| x * scale).collect();
        assert_close("large", &large[..problem.dim()], &expected, 1e-12);
        assert!(large.iter().sum::<f64>().is_infinite());
    });
}
