//! Hessian and Gauss-Newton operators against one batch of the sweeps and against candle's double
//! backward pass.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention, Selection, Settings};
use flatness_data::LabelledTensors;
use flatness_layers::{Loss, Workers};
use flatness_operator::LinearOperator;
use flatness_testkit::{
    Activation, Autograd, Oracle, Problem, assert_close, dense_matrix, gaussian,
    independent_images, values,
};

const EXAMPLES: usize = 23;
const BATCH_SIZES: [usize; 3] = [1, 6, EXAMPLES];
const RETENTIONS: [Retention; 2] = [Retention::Retain, Retention::Recompute];

/// Networks of the layers' own tests, over more examples.
const CASES: [(&[usize], Activation, Loss); 4] = [
    (&[6, 4], Activation::Relu, Loss::CrossEntropy),
    (&[4, 6, 5, 3], Activation::Relu, Loss::CrossEntropy),
    (&[4, 6, 5, 3], Activation::Tanh, Loss::CrossEntropy),
    (&[4, 6, 3], Activation::Tanh, Loss::SquaredError),
];

/// Those, and convolutional ones.
fn problems() -> Vec<Problem> {
    let images = independent_images(EXAMPLES, 91).into_iter();
    let fully_connected = CASES
        .map(|(widths, activation, loss)| Problem::new(widths, activation, loss, EXAMPLES, 91));
    fully_connected
        .into_iter()
        .chain(images.map(|(_, problem)| problem))
        .collect()
}

fn data(problem: &Problem) -> LabelledTensors {
    let classes = problem.classes();
    LabelledTensors::new("toy", &problem.inputs, &problem.labels, classes).unwrap()
}

fn mean_loss<'a>(
    problem: &'a Problem,
    data: &'a LabelledTensors,
    workers: &'a Workers,
    dtype: DType,
    batch_size: usize,
) -> MeanLoss<'a> {
    let settings = Settings {
        dtype,
        device: Device::Cpu,
        batch_size,
    };
    MeanLoss::new(&problem.network, data, problem.loss, workers, settings).unwrap()
}

fn theta(problem: &Problem, dtype: DType) -> Tensor {
    let theta = Tensor::new(problem.theta.as_slice(), &Device::Cpu).unwrap();
    theta.to_dtype(dtype).unwrap()
}

/// Number types with their rounding. Frozen statistics are float64, and so is all that meets them.
fn types(problem: &Problem) -> &'static [(DType, f64)] {
    let parameters = problem.network.layout().parameters();
    let frozen = parameters
        .iter()
        .any(|parameter| parameter.name.contains("bn"));
    if frozen {
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
        for threads in 1..=3 {
            let workers = Workers::new(threads).unwrap();
            for batch_size in BATCH_SIZES {
                for &(dtype, tolerance) in types(&problem) {
                    let mean_loss = mean_loss(&problem, &data, &workers, dtype, batch_size);
                    let vectors = vectors.to_dtype(dtype).unwrap();
                    for retention in RETENTIONS {
                        let curvature = mean_loss
                            .curvature(&theta(&problem, dtype), retention)
                            .unwrap();
                        let what = format!("{threads} {batch_size} {dtype:?} {retention:?}");
                        let product = curvature.hessian().apply_block(&vectors).unwrap();
                        assert_eq!((product.dims(), product.dtype()), (vectors.dims(), dtype));
                        assert_close(&what, &values(&product), &hessian, tolerance);
                        let product = curvature.gauss_newton().apply_block(&vectors).unwrap();
                        assert_close(&what, &values(&product), &gauss_newton, tolerance);
                    }
                }
            }
        }
    }
}

#[test]
fn hessian_products_equal_candle_double_backward_over_the_whole_set() {
    for (problem, (widths, activation, loss)) in problems().into_iter().zip(CASES) {
        let (data, workers) = (data(&problem), Workers::new(2).unwrap());
        let mean_loss = mean_loss(&problem, &data, &workers, DType::F64, 6);
        let theta = theta(&problem, DType::F64);
        let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
        let vector = gaussian(problem.dim(), 93);
        let oracle = Autograd {
            widths: widths.to_vec(),
            activation,
            loss,
        };
        let expected = oracle.hessian_product(
            &problem.theta,
            &values(&vector),
            &problem.inputs,
            &problem.labels,
        );
        let product = curvature.hessian().apply(&vector).unwrap();
        assert_close("H v", &values(&product), &mean(&expected), 1e-12);
    }
}

#[test]
fn the_same_call_gives_the_same_bits_kept_or_computed_anew() {
    for problem in problems() {
        let data = data(&problem);
        for threads in 1..=3 {
            let workers = Workers::new(threads).unwrap();
            for &(dtype, _) in types(&problem) {
                let mean_loss = mean_loss(&problem, &data, &workers, dtype, 6);
                let vectors = gaussian((2, problem.dim()), 94).to_dtype(dtype).unwrap();
                let theta = theta(&problem, dtype);
                let products = RETENTIONS.map(|retention| {
                    let curvature = mean_loss.curvature(&theta, retention).unwrap();
                    let run = || {
                        let hessian = curvature.hessian().apply_block(&vectors).unwrap();
                        let gauss_newton = curvature.gauss_newton().apply_block(&vectors).unwrap();
                        [values(&hessian), values(&gauss_newton)]
                    };
                    let first = run();
                    assert_eq!(run(), first, "{threads} {dtype:?} {retention:?}");
                    first
                });
                assert_eq!(products[0], products[1], "{threads} {dtype:?}");
            }
        }
    }
}

#[test]
fn a_block_equals_its_rows_and_the_dense_matrix_is_that_of_one_batch() {
    for problem in problems() {
        let (data, workers) = (data(&problem), Workers::new(2).unwrap());
        let mean_loss = mean_loss(&problem, &data, &workers, DType::F64, 6);
        let theta = theta(&problem, DType::F64);
        let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
        let (hessian, gauss_newton) = (curvature.hessian(), curvature.gauss_newton());
        let operators: [&dyn LinearOperator; 2] = [&hessian, &gauss_newton];
        let references = [problem.hessian(), problem.gauss_newton()];
        for (operator, reference) in operators.into_iter().zip(references) {
            assert_eq!(operator.dim(), problem.dim());
            assert_eq!(operator.dtype(), DType::F64);
            assert!(operator.device().is_cpu());
            let dense = dense_matrix(operator);
            assert_close(
                "dense",
                dense.as_slice(),
                &mean(reference.as_slice()),
                1e-13,
            );
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
    }
}

#[test]
fn training_on_in_place_does_not_move_the_operator() {
    for problem in problems() {
        let (data, workers) = (data(&problem), Workers::new(2).unwrap());
        let mean_loss = mean_loss(&problem, &data, &workers, DType::F64, 6);
        for retention in RETENTIONS {
            let theta = theta(&problem, DType::F64);
            let curvature = mean_loss.curvature(&theta, retention).unwrap();
            let vector = gaussian(problem.dim(), 96);
            let products = || {
                [
                    values(&curvature.hessian().apply(&vector).unwrap()),
                    values(&curvature.gauss_newton().apply(&vector).unwrap()),
                ]
            };
            let before = products();
            theta.slice_set(&gaussian(problem.dim(), 97), 0, 0).unwrap();
            assert_eq!(products(), before, "{retention:?}");
            // The loss does see the change.
            let (_, gradient) = mean_loss.gradient(&theta, Selection::All).unwrap();
            let moved = problem.gradient(&values(&theta));
            assert_close("gradient", &values(&gradient), &mean(&moved), 1e-13);
        }
    }
}

#[test]
fn vectors_that_do_not_fit_are_errors() {
    let problem = &problems()[1];
    let (data, workers) = (data(problem), Workers::new(2).unwrap());
    let mean_loss = mean_loss(problem, &data, &workers, DType::F64, 6);
    let theta = theta(problem, DType::F64);
    let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
    let (hessian, gauss_newton) = (curvature.hessian(), curvature.gauss_newton());
    let operators: [&dyn LinearOperator; 2] = [&hessian, &gauss_newton];
    let dim = problem.dim();
    for operator in operators {
        for shape in [vec![2, dim - 1], vec![dim], vec![0, dim], vec![1, 1, dim]] {
            assert!(operator.apply_block(&gaussian(shape, 1)).is_err());
        }
        assert!(operator.apply(&gaussian((1, dim), 1)).is_err());
        let single = gaussian((1, dim), 1).to_dtype(DType::F32).unwrap();
        assert!(operator.apply_block(&single).is_err());
        // A strided block is a block like any other.
        let strided = gaussian((dim, 2), 1).t().unwrap();
        let expected = operator
            .apply_block(&strided.contiguous().unwrap())
            .unwrap();
        let product = operator.apply_block(&strided).unwrap();
        assert_eq!(values(&product), values(&expected));
    }
}
