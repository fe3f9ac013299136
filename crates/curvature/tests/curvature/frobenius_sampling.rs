//! The error of a Frobenius norm measured on a sample: against its definition with dense matrices, and
//! against the norm of the whole data.

use std::ops::Range;

use candle_core::{Device, Tensor};
use flatness_curvature::{
    FrobeniusSampling, Matrix, SampledNorm, Selection, frobenius_sampling_error,
};
use flatness_data::{Examples, Subset};
use flatness_layers::Loss;
use flatness_testkit::{Activation, Problem, assert_close, values};
use nalgebra::{DMatrix, DVector};

use crate::setup::{data, matrix_over, with_mean_loss};

const POPULATION: usize = 120;

fn problem() -> Problem {
    let loss = Loss::CrossEntropy;
    Problem::new(&[3, 4, 3], Activation::Tanh, loss, POPULATION, 71)
}

/// The norm over `data` in one sweep.
fn sampled(problem: &Problem, data: &dyn Examples, settings: FrobeniusSampling<'_>) -> SampledNorm {
    let probes = exact_probes(problem.dim(), settings.ranges);
    with_mean_loss(problem, data, (1, data.len()), |mean_loss, theta| {
        frobenius_sampling_error(mean_loss, theta, &settings, &probes).unwrap()
    })
}

/// √P eᵢ for i = 1 … P at the rows that are measured: their mean of z zᵀ is the identity there, exactly.
fn exact_probes(dim: usize, ranges: &[Range<usize>]) -> Tensor {
    let chosen: Vec<usize> = ranges.iter().cloned().flatten().collect();
    let length = (chosen.len() as f64).sqrt();
    let mut probes = vec![0.0; chosen.len() * dim];
    for (row, index) in chosen.iter().enumerate() {
        probes[row * dim + index] = length;
    }
    Tensor::from_vec(probes, (chosen.len(), dim), &Device::Cpu).unwrap()
}

/// The gradient of one example.
fn gradient(problem: &Problem, data: &dyn Examples, index: usize) -> DVector<f64> {
    let one = Subset::new(data, vec![index as u32]).unwrap();
    let (_, gradient) = with_mean_loss(problem, &one, (1, 1), |mean_loss, theta| {
        mean_loss.gradient(theta, Selection::All).unwrap()
    });
    DVector::from_vec(values(&gradient))
}

/// The matrix over some examples, with gradients centred at those of `whole`.
fn dense(
    problem: &Problem,
    data: &dyn Examples,
    matrix: Matrix,
    part: Range<usize>,
    whole: Range<usize>,
) -> DMatrix<f64> {
    if matrix == Matrix::GradientCovariance {
        let mean = whole
            .clone()
            .map(|index| gradient(problem, data, index))
            .sum::<DVector<f64>>()
            / whole.len() as f64;
        let squares = part.clone().map(|index| {
            let away = gradient(problem, data, index) - &mean;
            &away * away.transpose()
        });
        return squares.sum::<DMatrix<f64>>() / part.len() as f64;
    }
    let indices = part.map(|index| index as u32).collect();
    let subset = Subset::new(data, indices).unwrap();
    matrix_over(problem, &subset, subset.len(), matrix)
}

fn block(matrix: &DMatrix<f64>, ranges: &[Range<usize>], shift: f64) -> DMatrix<f64> {
    let chosen: Vec<usize> = ranges.iter().cloned().flatten().collect();
    let block = matrix.select_rows(&chosen).select_columns(&chosen);
    block + DMatrix::identity(chosen.len(), chosen.len()) * shift
}

#[test]
fn value_error_and_bias_are_their_definitions() {
    const EXAMPLES: usize = 17;
    let problem = problem();
    let data = data(&problem);
    let sample = Subset::first(&data, EXAMPLES).unwrap();
    let all = 0..problem.dim();
    let groups = [vec![all.clone()], vec![2..9, 14..all.end]];
    for matrix in Matrix::ALL {
        for (ranges, shift) in groups.iter().zip([0.0, 0.3]) {
            for (folds, rows) in [(2, 1), (5, 4), (EXAMPLES, 100)] {
                let edges = |fold: usize| fold * EXAMPLES / folds;
                let dense = |part: Range<usize>| {
                    let whole = dense(&problem, &data, matrix, part, 0..EXAMPLES);
                    block(&whole, ranges, shift)
                };
                let whole = dense(0..EXAMPLES);
                let (mut spread, mut scatter) = (0.0, 0.0);
                for fold in 0..folds {
                    let part = edges(fold)..edges(fold + 1);
                    let weight = part.len() as f64 / EXAMPLES as f64;
                    let own = dense(part);
                    spread += weight * (whole.dot(&own) - whole.norm_squared()).powi(2);
                    scatter += weight * (own - &whole).norm_squared();
                }
                let correction = (1.0 - EXAMPLES as f64 / POPULATION as f64) / (folds - 1) as f64;
                let excess = (whole.norm_squared() - correction * scatter).max(0.0);
                let expected = [
                    whole.norm(),
                    (correction * spread).sqrt() / whole.norm(),
                    whole.norm() - excess.sqrt(),
                ];
                let settings = FrobeniusSampling {
                    matrix,
                    ranges,
                    shift,
                    block: rows,
                    folds,
                    population: POPULATION,
                };
                let got = sampled(&problem, &sample, settings);
                let numbers = [got.value, got.standard_error, got.bias];
                // Sums of hundreds of products of order one, then differences of their squares.
                let what = format!("{matrix} in {folds}");
                assert_close(&what, &numbers, &expected, 1e-10);
                assert_eq!(got.error(), got.standard_error.hypot(got.bias));
            }
        }
    }
}

/// Over samples of a third of the data, the norm is too large by the bias in the mean, and what is left
/// scatters as the error says: the mean of 300 has a deviation of a seventeenth of the scatter, and the
/// ratio of two root mean squares one of a few hundredths beside the second order that is left out.
#[test]
fn the_norm_of_the_whole_data_is_where_bias_and_error_say() {
    const SAMPLES: u64 = 300;
    let problem = problem();
    let data = data(&problem);
    let all = 0..problem.dim();
    let ranges = std::slice::from_ref(&all);
    for matrix in Matrix::ALL {
        let of = |data: &dyn Examples, folds: usize| -> SampledNorm {
            let settings = FrobeniusSampling {
                matrix,
                ranges,
                shift: 0.0,
                block: 100,
                folds,
                population: POPULATION,
            };
            sampled(&problem, data, settings)
        };
        let whole = of(&data, 2);
        assert_eq!((whole.standard_error, whole.bias), (0.0, 0.0), "{matrix}");
        let (mut excess, mut bias, mut scatter, mut errors) = (0.0, 0.0, 0.0, 0.0);
        for seed in 0..SAMPLES {
            let sample = Subset::random(&data, POPULATION / 3, seed).unwrap();
            let got = of(&sample, 10);
            let away = got.value - whole.value;
            excess += away / SAMPLES as f64;
            bias += got.bias / SAMPLES as f64;
            scatter += (away - got.bias).powi(2) / SAMPLES as f64;
            errors += got.standard_error.powi(2) / SAMPLES as f64;
        }
        let (scatter, errors) = (scatter.sqrt(), errors.sqrt());
        let allowed = 4.0 * scatter / (SAMPLES as f64).sqrt() + 0.1 * bias;
        let away = (excess - bias).abs();
        assert!(
            away <= allowed,
            "{matrix}: {excess:e}, said {bias:e}, off {scatter:e}"
        );
        let ratio = errors / scatter;
        assert!(
            (0.8..=1.25).contains(&ratio),
            "{matrix}: {errors:e}, {scatter:e}"
        );
    }
}
