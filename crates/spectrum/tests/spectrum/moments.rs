//! Trace and Frobenius norm against the chosen spectrum, and their standard errors against the
//! exact variance and against 200 repetitions.

use candle_core::{DType, Tensor};
use flatness_spectrum::{Budget, Error, Estimate, MomentsSettings, Probe, moments_until};
use nalgebra::DMatrix;

use crate::matrices::{Matrix, case, custom, diagonal, identity, matrix, vector};
use crate::methods::{GOAL, check_within, moments, near};

const SEEDS: u64 = 200;
/// A few dominant eigenvalues make zᵀ A z as skewed as χ²; at 64 probes its mean is still skewed
/// enough to leave four standard errors once in 200 seeds, at 256 it is not.
const PROBES: usize = 256;

/// Mean, and sample standard deviation.
fn spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    (mean, (squares.sum::<f64>() / (count - 1.0)).sqrt())
}

/// Standard deviation of zᵀ B z over Rademacher z: √(2 Σ_{i≠j} b_ij²).
fn rademacher_deviation(entries: &DMatrix<f64>) -> f64 {
    let off_diagonal = entries.norm_squared() - entries.diagonal().norm_squared();
    (2.0 * off_diagonal).sqrt()
}

fn check_calibration(name: &str, estimates: &[Estimate], truth: f64, deviation: f64) {
    for estimate in estimates {
        check_within(name, *estimate, truth, 4.0);
    }
    let of = |number: fn(&Estimate) -> f64| estimates.iter().map(number).collect::<Vec<_>>();
    let (mean, deviated) = spread(&of(|estimate| estimate.value));
    let (claimed, _) = spread(&of(|estimate| estimate.standard_error));
    near(name, mean, truth, 4.0 * claimed / (SEEDS as f64).sqrt());
    // A sample deviation of 200 nearly normal values is itself off by 1/√398 = 5 %; four times
    // that.
    near(name, deviated / claimed, 1.0, 0.2);
    // A χ² form has kurtosis 15, so that one claim is off by 12 %, their mean by 1 %, and the root
    // of the variance is biased low by another 1 %.
    let exact = deviation / (PROBES as f64).sqrt();
    near(name, claimed / exact, 1.0, 0.05);
}

#[test]
fn estimates_are_within_four_standard_errors_and_the_errors_are_calibrated() {
    for name in ["indefinite", "outliers over a bulk"] {
        let case = case(name);
        let operator = case.operator(DType::F64);
        let results = (0..SEEDS).map(|seed| moments(&operator, None, PROBES, seed));
        let pairs = results.map(|found| (found.trace, found.frobenius_squared));
        let (traces, squares): (Vec<_>, Vec<_>) = pairs.unzip();
        let [trace, square] = case.moments();
        let deviation = rademacher_deviation(&case.entries);
        check_calibration(&format!("trace, {name}"), &traces, trace, deviation);
        let deviation = rademacher_deviation(&(&case.entries * &case.entries));
        check_calibration(&format!("squares, {name}"), &squares, square, deviation);
    }
}

#[test]
fn each_estimate_is_the_mean_of_the_quadratic_forms_of_its_probes() {
    let case = Matrix::new("small", vec![3.0, 1.0, -2.0, 0.5]);
    let probes = Probe::Rademacher.rows(&identity(4, DType::F64), 0..5, 17);
    let probes = matrix(&probes.unwrap());
    let products = &probes * &case.entries;
    let form = |row| probes.row(row).dot(&products.row(row));
    let square = |row| products.row(row).norm_squared();
    let result = moments(&case.operator(DType::F64), None, 5, 17);
    for (estimate, values) in [
        (result.trace, (0..5).map(form).collect::<Vec<f64>>()),
        (result.frobenius_squared, (0..5).map(square).collect()),
    ] {
        let (mean, deviation) = spread(&values);
        near("mean", estimate.value, mean, 1e-13);
        near(
            "error",
            estimate.standard_error,
            deviation / 5_f64.sqrt(),
            1e-13,
        );
        let counts = (estimate.probes, estimate.products, estimate.seed);
        assert_eq!(counts, (5, 5, 17));
    }
}

#[test]
fn a_diagonal_matrix_has_no_variance() {
    let entries: Vec<f64> = (0..97).map(|i| f64::from(i).cos()).collect();
    let trace: f64 = entries.iter().sum();
    let square: f64 = entries.iter().map(|entry| entry * entry).sum();
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-5)] {
        let result = moments(&diagonal(&entries, dtype), None, 3, 1);
        for (estimate, truth) in [(result.trace, trace), (result.frobenius_squared, square)] {
            near("value", estimate.value, truth, tolerance);
            // Nothing but rounding is left, of sums of 97 terms of magnitude 1 at most.
            assert_eq!(estimate.standard_error, estimate.rounding);
            assert!(estimate.rounding > 0.0 && estimate.rounding <= 97.0 * tolerance);
        }
    }
}

#[test]
fn the_block_changes_neither_probes_nor_results() {
    let entries: Vec<f64> = (0..50).map(|i| f64::from(i).sin()).collect();
    let entries = vector(&entries, DType::F64);
    // Couples neighbours, row by row, so that the forms differ between probes.
    let shifted = custom(50, DType::F64, |block: &Tensor| {
        let padded = block.pad_with_zeros(1, 1, 1)?;
        let neighbours = (padded.narrow(1, 0, 50)? + padded.narrow(1, 2, 50)?)?;
        block.broadcast_mul(&entries)? + neighbours
    });
    let run = |block| {
        let settings = MomentsSettings {
            probes: 10,
            block,
            seed: 3,
        };
        let budget = Budget::of_products(10);
        let found = moments_until(&shifted, &settings, None, &GOAL, &budget, &mut |_| ());
        found.unwrap().result
    };
    let reference = run(1);
    assert!(reference.trace.standard_error > 0.0);
    for block in [2, 3, 10, 64] {
        assert_eq!(run(block), reference);
    }
}

#[test]
fn tiny_curvature_does_not_underflow_in_float32() {
    // Entries of A z are 1e-25, their squares 1e-50: below float32, not below the sums.
    let operator = diagonal(&[1e-25; 4], DType::F32);
    let squares = moments(&operator, None, 2, 0).frobenius_squared;
    near("squares", squares.value / 4e-50, 1.0, 1e-6);
    near("norm", squares.sqrt().unwrap().value / 2e-25, 1.0, 1e-6);
}

#[test]
fn the_square_root_follows_the_delta_method() {
    let of = |value, standard_error, rounding| Estimate {
        value,
        standard_error,
        rounding,
        probes: 5,
        products: 5,
        seed: 1,
    };
    let root = of(9.0, 0.6, 0.06).sqrt().unwrap();
    assert_eq!(root, of(3.0, 0.6 / 6.0, 0.06 / 6.0));
    let zero = of(0.0, 0.0, 0.0);
    assert_eq!(zero.sqrt().unwrap(), zero);
    let uncertain = of(0.0, 0.6, 0.06).sqrt().unwrap();
    assert_eq!(uncertain.standard_error, f64::INFINITY);
    let error = of(-1.0, 0.6, 0.06).sqrt();
    assert!(matches!(
        error,
        Err(Error::NegativeEstimate { value: -1.0 })
    ));
}
