//! The error of curvature measured on a sample: its values against the operators, its intervals against
//! the whole data.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Error, Matrix, MeanLoss, QuadraticForm, Retention, sampling_error};
use flatness_data::{LabelledTensors, Subset};
use flatness_layers::Loss;
use flatness_operator::LinearOperator;
use flatness_testkit::{Activation, Problem, assert_close, coupled_images, gaussian, values};

use crate::setup::{data, with_mean_loss};

const POPULATION: usize = 120;
const VECTORS: usize = 3;

fn problem() -> Problem {
    let loss = Loss::CrossEntropy;
    Problem::new(&[4, 5, 3], Activation::Tanh, loss, POPULATION, 61)
}

/// vᵀ A v over all the data of `mean_loss`, from the operator.
fn forms(mean_loss: &MeanLoss<'_>, theta: &Tensor, matrix: Matrix, v: &Tensor) -> Vec<f64> {
    let curvature = mean_loss.curvature(theta, Retention::Retain).unwrap();
    let product = curvature.operator(matrix).unwrap().apply_block(v).unwrap();
    let (rows, products) = (values(v), values(&product));
    let dim = rows.len() / v.dims()[0];
    rows.chunks(dim)
        .zip(products.chunks(dim))
        .map(|(v, w)| v.iter().zip(w).map(|(v, w)| v * w).sum())
        .collect()
}

fn column(forms: &[QuadraticForm], of: impl Fn(&QuadraticForm) -> f64) -> Vec<f64> {
    forms.iter().map(of).collect()
}

#[test]
fn values_are_those_of_the_operator_and_the_whole_population_has_no_error() {
    let problem = problem();
    let data = data(&problem);
    let v = gaussian((VECTORS, problem.dim()), 62);
    with_mean_loss(&problem, &data, (1, 50), |mean_loss, theta| {
        for matrix in Matrix::ALL {
            let expected = forms(mean_loss, theta, matrix, &v);
            for folds in [2, 7, POPULATION] {
                let [whole, twice] = [POPULATION, 2 * POPULATION].map(|population| {
                    sampling_error(mean_loss, theta, matrix, &v, folds, population).unwrap()
                });
                let what = format!("{matrix} in {folds}");
                assert_close(&what, &column(&whole, |form| form.value), &expected, 1e-12);
                let errors = |forms| column(forms, |form| form.standard_error);
                assert_eq!(errors(&whole), [0.0; VECTORS], "{what}");
                assert!(errors(&twice).iter().all(|error| *error > 0.0), "{what}");
            }
        }
    });
}

/// With folds of one example, the error is that of a mean of independent numbers.
#[test]
fn the_error_of_single_examples_is_that_of_their_mean() {
    let problem = problem();
    let data = data(&problem);
    let v = gaussian((1, problem.dim()), 63);
    let sample = Subset::first(&data, 30).unwrap();
    let form = |index| {
        let one = Subset::new(&data, vec![index]).unwrap();
        with_mean_loss(&problem, &one, (1, 1), |mean_loss, theta| {
            forms(mean_loss, theta, Matrix::Hessian, &v)[0]
        })
    };
    let single: Vec<f64> = (0..30).map(form).collect();
    let mean = single.iter().sum::<f64>() / 30.0;
    let squares: f64 = single.iter().map(|q| (q - mean).powi(2)).sum();
    let expected = (squares / 29.0 / 30.0 * (1.0 - 30.0 / 120.0)).sqrt();
    let got = with_mean_loss(&problem, &sample, (1, 7), |mean_loss, theta| {
        sampling_error(mean_loss, theta, Matrix::Hessian, &v, 30, POPULATION).unwrap()
    });
    assert_close("value", &[got[0].value], &[mean], 1e-12);
    assert_close("error", &[got[0].standard_error], &[expected], 1e-10);
}

/// 95 % intervals over samples of a third of the data. They cover 0.95 of 1200 with a deviation of
/// 0.006; the bounds leave room for quadratic forms, which are skewed.
#[test]
fn intervals_cover_the_value_of_the_whole_data() {
    const SAMPLES: u64 = 400;
    const FOLDS: usize = 8;
    /// 97.5 % quantile of Student's t with 7 degrees of freedom.
    const QUANTILE: f64 = 2.364_624;
    let problem = problem();
    let data = data(&problem);
    let v = gaussian((VECTORS, problem.dim()), 64);
    for matrix in Matrix::ALL {
        let truth = with_mean_loss(&problem, &data, (1, POPULATION), |mean_loss, theta| {
            forms(mean_loss, theta, matrix, &v)
        });
        let mut covered = 0;
        for seed in 0..SAMPLES {
            let sample = Subset::random(&data, POPULATION / 3, seed).unwrap();
            let got = with_mean_loss(&problem, &sample, (1, 40), |mean_loss, theta| {
                sampling_error(mean_loss, theta, matrix, &v, FOLDS, POPULATION)
            });
            let inside = |(form, truth): &(&QuadraticForm, &f64)| {
                (form.value - **truth).abs() <= QUANTILE * form.standard_error
            };
            covered += got.unwrap().iter().zip(&truth).filter(inside).count();
        }
        let share = covered as f64 / (SAMPLES as usize * VECTORS) as f64;
        assert!((0.90..=0.99).contains(&share), "{matrix}: {share}");
    }
}

#[test]
fn folds_are_of_whole_batches_where_examples_are_coupled() {
    for (what, problem) in coupled_images(10, 65) {
        let data = data(&problem);
        let v = gaussian((VECTORS, problem.dim()), 66);
        // 4 + 4 + 2 examples: at most three folds.
        with_mean_loss(&problem, &data, (1, 4), |mean_loss, theta| {
            for matrix in Matrix::ALL {
                let expected = forms(mean_loss, theta, matrix, &v);
                for folds in [2, 3] {
                    let got = sampling_error(mean_loss, theta, matrix, &v, folds, 20);
                    let got = column(&got.unwrap(), |form| form.value);
                    let what = format!("{what}: {matrix} in {folds}");
                    assert_close(&what, &got, &expected, 1e-11);
                }
            }
            let error = sampling_error(mean_loss, theta, Matrix::Hessian, &v, 4, 20);
            assert!(matches!(error, Err(Error::Folds { units: 3, got: 4 })));
        });
    }
}

#[test]
fn what_cannot_be_estimated_is_an_error() {
    let mut problem = problem();
    let good = data(&problem);
    let v = gaussian((1, problem.dim()), 67);
    let of = |problem: &Problem, data: &LabelledTensors, v: &Tensor, folds, population| {
        with_mean_loss(problem, data, (1, 50), |mean_loss, theta| {
            sampling_error(mean_loss, theta, Matrix::Hessian, v, folds, population)
        })
    };
    for folds in [0, 1, POPULATION + 1] {
        let error = of(&problem, &good, &v, folds, POPULATION);
        assert!(matches!(error, Err(Error::Folds { units: POPULATION, got }) if got == folds));
    }
    let error = of(&problem, &good, &v, 2, POPULATION - 1);
    assert!(matches!(error, Err(Error::Population { got: 119, .. })));
    let single = v.to_dtype(DType::F32).unwrap();
    assert!(of(&problem, &good, &single, 2, POPULATION).is_err());
    let short = gaussian((1, problem.dim() - 1), 67);
    assert!(of(&problem, &good, &short, 2, POPULATION).is_err());
    // Example 70 is in the second half, and is named by its place in the whole.
    let mut inputs = values(&problem.inputs);
    inputs[70 * 4] = f64::NAN;
    problem.inputs = Tensor::from_vec(inputs, (POPULATION, 4), &Device::Cpu).unwrap();
    let bad = data(&problem);
    let error = of(&problem, &bad, &v, 2, POPULATION).unwrap_err();
    let Error::NonFinite { first, last, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((first, last), (60, 109));
}
