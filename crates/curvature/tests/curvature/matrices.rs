//! Every matrix against its definition example by example, from logits and their finite differences
//! alone, and against the identities between the matrices.
//!
//! ```text
//! H = G + R    F = C + g gᵀ    R_θθ = 0 where logits are affine in each parameter
//! rank G ≤ N (C − 1)    rank F ≤ N    rank C ≤ N − 1
//! ```

use candle_core::{Device, Tensor};
use flatness_curvature::{Matrix, Selection};
use flatness_layers::Loss;
use flatness_operator::LinearOperator;
use flatness_testkit::{
    Activation, Problem, assert_close, assert_small, coupled_images, finite_difference, gaussian,
    independent_images, values,
};
use nalgebra::{DMatrix, DVector};

use crate::setup::{RETENTIONS, data, matrix_over, with_mean_loss};

const EXAMPLES: usize = 10;
/// The partition where examples are coupled: 4 + 4 + 2.
const BATCH_SIZE: usize = 4;

/// Smooth chains, whose second differences exist everywhere.
const SMOOTH: [(&[usize], Loss); 5] = [
    (&[4, 6, 5, 3], Loss::CrossEntropy),
    (&[4, 6, 3], Loss::LabelSmoothing { smoothing: 0.1 }),
    (&[4, 6, 3], Loss::SquaredError),
    (
        &[4, 6, 3],
        Loss::ClassWeights {
            weights: &[0.5, 2.0, 0.25],
            smoothing: 0.0,
        },
    ),
    (
        &[4, 6, 3],
        Loss::ClassWeights {
            weights: &[0.5, 2.0, 0.25],
            smoothing: 0.2,
        },
    ),
];

fn smooth() -> Vec<(String, Problem)> {
    SMOOTH
        .map(|(widths, loss)| {
            let problem = Problem::new(widths, Activation::Tanh, loss, EXAMPLES, 51);
            (format!("tanh {widths:?} {loss:?}"), problem)
        })
        .into()
}

/// Chains of affine layers, ReLU, maxima and frozen batch-norm.
fn piecewise_linear_chains() -> Vec<(String, Problem)> {
    let widths = [4, 6, 5, 3];
    let problem = Problem::new(&widths, Activation::Relu, Loss::CrossEntropy, EXAMPLES, 52);
    let images = independent_images(EXAMPLES, 53).into_iter();
    std::iter::once((format!("relu {widths:?}"), problem))
        .chain(images.filter(|(what, _)| what.contains("VGG")))
        .collect()
}

fn problems() -> Vec<(String, Problem)> {
    let images = independent_images(EXAMPLES, 53);
    let chains = piecewise_linear_chains().into_iter().take(1);
    smooth()
        .into_iter()
        .chain(chains)
        .chain(images)
        .chain(coupled_images(EXAMPLES, 54))
        .collect()
}

fn matrix_of(problem: &Problem, matrix: Matrix) -> DMatrix<f64> {
    matrix_over(problem, &data(problem), BATCH_SIZE, matrix)
}

/// The logits (B, C) of the examples from `start` on at `theta`, row by row.
fn logits(problem: &Problem, theta: &[f64], start: usize, examples: usize) -> Vec<f64> {
    let theta = Tensor::new(theta, &Device::Cpu).unwrap();
    let parameters = problem.network.layout().views(&theta).unwrap();
    let inputs = problem.inputs.narrow(0, start, examples).unwrap();
    values(&problem.network.forward(&parameters, &inputs).unwrap())
}

/// ∂l/∂z and ∂²l/∂z² of one example, by the textbook.
fn loss_derivatives(loss: Loss, logits: &[f64], label: usize) -> (DVector<f64>, DMatrix<f64>) {
    let classes = logits.len();
    let z = DVector::from_column_slice(logits);
    let mut targets = DVector::zeros(classes);
    targets[label] = 1.0;
    if loss == Loss::SquaredError {
        return (z - targets, DMatrix::identity(classes, classes));
    }
    if let Loss::LabelSmoothing { smoothing } | Loss::ClassWeights { smoothing, .. } = loss {
        targets = targets.map(|y| (1.0 - smoothing) * y + smoothing / classes as f64);
    }
    if let Loss::ClassWeights { weights, .. } = loss {
        targets.component_mul_assign(&DVector::from_column_slice(weights));
    }
    let exponentials = z.map(f64::exp);
    let p = &exponentials / exponentials.sum();
    let curvature = DMatrix::from_diagonal(&p) - &p * p.transpose();
    let mass = targets.sum();
    (&p * mass - targets, curvature * mass)
}

/// N over the sum of the weights of the labels: the mean loss is weighted, and so is what is made of it.
fn factor(loss: Loss, labels: &[f64]) -> f64 {
    let Loss::ClassWeights { weights, .. } = loss else {
        return 1.0;
    };
    let total: f64 = labels.iter().map(|&label| weights[label as usize]).sum();
    labels.len() as f64 / total
}

/// One example: J (C, P), ∂l/∂z and ∂²l/∂z².
type Example = (DMatrix<f64>, DVector<f64>, DMatrix<f64>);

/// All examples, batch by batch. A step of 1e-6 leaves rounding of 1e-10 and crosses no kink.
fn examples(problem: &Problem) -> Vec<Example> {
    let (labels, classes) = (values(&problem.labels), problem.classes());
    let mut examples = Vec::new();
    for start in (0..EXAMPLES).step_by(BATCH_SIZE) {
        let count = BATCH_SIZE.min(EXAMPLES - start);
        let of = |theta: &[f64]| logits(problem, theta, start, count);
        let jacobian = finite_difference::jacobian(of, &problem.theta, 1e-6);
        for (example, logits) in of(&problem.theta).chunks(classes).enumerate() {
            let label = labels[start + example] as usize;
            let (slope, curvature) = loss_derivatives(problem.loss, logits, label);
            let factor = factor(problem.loss, &labels);
            let (slope, curvature) = (slope * factor, curvature * factor);
            let rows = jacobian.rows(example * classes, classes).into_owned();
            examples.push((rows, slope, curvature));
        }
    }
    examples
}

#[test]
fn matrices_are_their_definitions_example_by_example() {
    for (what, problem) in problems() {
        let examples = examples(&problem);
        let dim = problem.dim();
        let mean = |of: &dyn Fn(&Example) -> DMatrix<f64>| {
            let sum = examples
                .iter()
                .map(of)
                .fold(DMatrix::zeros(dim, dim), |sum, one| sum + one);
            sum / EXAMPLES as f64
        };
        let own = |(jacobian, slope, _): &Example| jacobian.transpose() * slope;
        let gradient = examples.iter().map(own).sum::<DVector<f64>>() / EXAMPLES as f64;
        let square = |vector: DVector<f64>| &vector * vector.transpose();
        let gauss_newton =
            mean(&|(jacobian, _, curvature)| jacobian.transpose() * curvature * jacobian);
        for (matrix, expected) in [
            (Matrix::GaussNewton, gauss_newton),
            (
                Matrix::EmpiricalFisher,
                mean(&|example| square(own(example))),
            ),
            (
                Matrix::GradientCovariance,
                mean(&|example| square(own(example) - &gradient)),
            ),
        ] {
            let got = matrix_of(&problem, matrix);
            let what = format!("{what}: {matrix}");
            assert_close(&what, got.as_slice(), expected.as_slice(), 1e-7);
        }
    }
}

/// R v is the change along v of Σ_c ∂l/∂z_c ∇z_c with ∂l/∂z held: differences of differences.
#[test]
fn the_residual_is_the_second_difference_of_the_logits_weighted_by_the_slopes() {
    for (what, problem) in smooth() {
        let examples = examples(&problem);
        let weighted = |theta: &[f64]| -> f64 {
            let logits = logits(&problem, theta, 0, EXAMPLES);
            let slopes = examples.iter().flat_map(|(_, slope, _)| slope.iter());
            logits.iter().zip(slopes).map(|(z, s)| z * s).sum()
        };
        let gradient = |theta: &[f64]| finite_difference::gradient(weighted, theta, 1e-3);
        let expected = finite_difference::jacobian(gradient, &problem.theta, 3e-3);
        let expected = expected / EXAMPLES as f64;
        let got = matrix_of(&problem, Matrix::Residual);
        // The outer differences are off by h⁴ = 1e-10 times fifth derivatives, which reach hundreds.
        assert_close(&what, got.as_slice(), expected.as_slice(), 1e-7);
    }
}

#[test]
fn the_hessian_is_gauss_newton_plus_residual_and_fisher_is_covariance_plus_mean() {
    for (what, problem) in problems() {
        let [hessian, gauss_newton, residual, fisher, covariance] =
            Matrix::ALL.map(|matrix| matrix_of(&problem, matrix));
        let sum = gauss_newton + residual;
        assert_close(&what, sum.as_slice(), hessian.as_slice(), 1e-12);
        let gradient = with_mean_loss(&problem, &data(&problem), (1, BATCH_SIZE), |loss, theta| {
            let (_, mean) = loss.gradient(theta, Selection::All).unwrap();
            DVector::from_vec(values(&mean))
        });
        let sum = covariance + &gradient * gradient.transpose();
        assert_close(&what, sum.as_slice(), fisher.as_slice(), 1e-12);
    }
}

#[test]
fn the_residual_has_no_diagonal_where_logits_are_affine_in_each_parameter() {
    for (what, problem) in independent_images(EXAMPLES, 53) {
        let residual = matrix_of(&problem, Matrix::Residual);
        assert!(residual.amax() > 1e-3, "{what}: R itself does not vanish");
        let rounding = 1e-14 * residual.amax();
        assert_small(&what, residual.diagonal().as_slice(), rounding);
        let [hessian, gauss_newton] =
            [Matrix::Hessian, Matrix::GaussNewton].map(|matrix| matrix_of(&problem, matrix));
        let traces = [hessian.trace(), gauss_newton.trace()];
        assert_close(&what, &traces[..1], &traces[1..], 1e-13);
    }
}

#[test]
fn the_residual_of_a_chain_has_no_diagonal_blocks_of_layers() {
    for (what, problem) in piecewise_linear_chains() {
        let residual = matrix_of(&problem, Matrix::Residual);
        assert!(residual.amax() > 1e-3, "{what}: R itself does not vanish");
        for (layer, range) in problem.layers() {
            let (start, size) = ((range.start, range.start), (range.len(), range.len()));
            let block = residual.view(start, size).into_owned();
            let what = format!("{what}: {layer}");
            assert_small(&what, block.as_slice(), 1e-14 * residual.amax());
        }
    }
}

/// Generic inputs reach the bounds on the ranks.
#[test]
fn gauss_newton_and_gradient_matrices_are_semi_definite_with_their_ranks() {
    let widths = [4, 6, 5, 3];
    let loss = Loss::CrossEntropy;
    let problem = Problem::new(&widths, Activation::Tanh, loss, EXAMPLES, 55);
    let cases = [
        (Matrix::GaussNewton, EXAMPLES * (widths[3] - 1)),
        (Matrix::EmpiricalFisher, EXAMPLES),
        (Matrix::GradientCovariance, EXAMPLES - 1),
    ];
    for (matrix, rank) in cases {
        let eigenvalues = matrix_of(&problem, matrix).symmetric_eigenvalues();
        let rounding = 1e-13 * eigenvalues.amax();
        assert!(eigenvalues.min() >= -rounding, "{matrix}: {eigenvalues}");
        let counted = eigenvalues.iter().filter(|&&value| value > rounding);
        assert_eq!(counted.count(), rank, "{matrix}: {eigenvalues}");
    }
}

#[test]
fn products_are_the_same_bits_again_or_anew_and_the_same_for_any_number_of_workers() {
    for (what, problem) in problems() {
        let (data, vectors) = (data(&problem), gaussian((2, problem.dim()), 59));
        for matrix in Matrix::ALL {
            let what = format!("{what}: {matrix}");
            let [one, two, three] = [1, 2, 3].map(|threads| {
                with_mean_loss(
                    &problem,
                    &data,
                    (threads, BATCH_SIZE),
                    |mean_loss, theta| {
                        let [kept, anew] = RETENTIONS.map(|retention| {
                            let curvature = mean_loss.curvature(theta, retention).unwrap();
                            let operator = curvature.operator(matrix).unwrap();
                            let product = || values(&operator.apply_block(&vectors).unwrap());
                            assert_eq!(product(), product(), "{what} of {threads}");
                            product()
                        });
                        assert_eq!(kept, anew, "{what} of {threads}");
                        kept
                    },
                )
            });
            assert_close(&what, &two, &one, 1e-12);
            assert_close(&what, &three, &one, 1e-12);
        }
    }
}
