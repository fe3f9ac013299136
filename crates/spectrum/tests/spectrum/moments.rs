//! Trace and Frobenius norm against the chosen spectrum, and their standard errors against the
//! exact variance and against 200 repetitions.

use candle_core::{DType, Tensor};
use flatness_spectrum::{Budget, Error, Estimate, Goal, MomentsSettings, Probe, moments_until};
use nalgebra::DMatrix;

use crate::matrices::{Diagonal, Matrix, case, custom, identity, matrix};
use crate::methods::moments;

const SEEDS: u64 = 200;
/// A few dominant eigenvalues make zᵀ A z as skewed as χ²; at 64 probes its mean is still skewed
/// enough to leave four standard errors once in 200 seeds, at 256 it is not.
const PROBES: usize = 256;

/// Standard deviation of zᵀ B z over Rademacher z: √(2 Σ_{i≠j} b_ij²).
fn rademacher_deviation(entries: &DMatrix<f64>) -> f64 {
    let off_diagonal = entries.norm_squared() - entries.diagonal().norm_squared();
    (2.0 * off_diagonal).sqrt()
}

fn check_calibration(name: &str, estimates: &[Estimate], truth: f64, deviation: f64) {
    let count = estimates.len() as f64;
    for estimate in estimates {
        let distance = (estimate.value - truth).abs() / estimate.standard_error;
        assert!(
            distance <= 4.0,
            "{name}: seed {} is {distance} standard errors off",
            estimate.seed
        );
    }
    let mean = estimates.iter().map(|estimate| estimate.value).sum::<f64>() / count;
    let claimed = estimates
        .iter()
        .map(|estimate| estimate.standard_error)
        .sum::<f64>()
        / count;
    let variance = estimates
        .iter()
        .map(|estimate| (estimate.value - mean).powi(2))
        .sum::<f64>()
        / (count - 1.0);
    assert!(
        (mean - truth).abs() <= 4.0 * claimed / count.sqrt(),
        "{name}: biased, {mean} against {truth}"
    );
    // A sample deviation of 200 nearly normal values is itself off by 1/√398 = 5 %; four times
    // that.
    let ratio = variance.sqrt() / claimed;
    assert!(
        (0.8..1.2).contains(&ratio),
        "{name}: the claimed error is off by a factor of {ratio}"
    );
    // A χ² form has kurtosis 15, so that one claim is off by 12 %, their mean by 1 %, and the root
    // of the variance is biased low by another 1 %.
    let exact = deviation / (PROBES as f64).sqrt();
    assert!(
        (claimed / exact - 1.0).abs() <= 0.05,
        "{name}: {claimed} claimed, {exact} exact"
    );
}

#[test]
fn estimates_are_within_four_standard_errors_and_the_errors_are_calibrated() {
    for name in ["indefinite", "outliers over a bulk"] {
        let case = case(name);
        let operator = case.operator(DType::F64);
        let results: Vec<_> = (0..SEEDS)
            .map(|seed| moments(&operator, None, PROBES, seed))
            .collect();
        let traces: Vec<_> = results.iter().map(|found| found.trace).collect();
        let squares: Vec<_> = results
            .iter()
            .map(|found| found.frobenius_squared)
            .collect();
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
    let probes = Probe::Rademacher
        .rows(&identity(4, DType::F64), 0..5, 17)
        .unwrap();
    let probes = matrix(&probes);
    let products = &probes * &case.entries;
    let forms: Vec<f64> = (0..5)
        .map(|row| probes.row(row).dot(&products.row(row)))
        .collect();
    let squares: Vec<f64> = (0..5).map(|row| products.row(row).norm_squared()).collect();
    let result = moments(&case.operator(DType::F64), None, 5, 17);
    for (estimate, values) in [(result.trace, forms), (result.frobenius_squared, squares)] {
        let mean = values.iter().sum::<f64>() / 5.0;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / 4.0;
        assert!((estimate.value - mean).abs() <= 1e-13);
        assert!((estimate.standard_error - (variance / 5.0).sqrt()).abs() <= 1e-13);
        assert_eq!(
            (estimate.probes, estimate.products, estimate.seed),
            (5, 5, 17)
        );
    }
}

#[test]
fn a_diagonal_matrix_has_no_variance() {
    let entries: Vec<f64> = (0..97).map(|i| f64::from(i).cos()).collect();
    let trace: f64 = entries.iter().sum();
    let square: f64 = entries.iter().map(|entry| entry * entry).sum();
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-5)] {
        let operator = Diagonal::new(entries.clone(), dtype);
        let result = moments(&operator, None, 3, 1);
        assert!((result.trace.value - trace).abs() <= tolerance);
        assert!((result.frobenius_squared.value - square).abs() <= tolerance);
        for estimate in [result.trace, result.frobenius_squared] {
            // Nothing but rounding is left, of sums of 97 terms of magnitude 1 at most.
            assert_eq!(estimate.standard_error, estimate.rounding);
            assert!((estimate.value / 97.0).abs() <= 1.0 && estimate.rounding > 0.0);
            assert!(estimate.rounding <= 97.0 * tolerance, "{estimate:?}");
        }
    }
}

#[test]
fn the_block_changes_neither_probes_nor_results() {
    let entries: Vec<f64> = (0..50).map(|i| f64::from(i).sin()).collect();
    let operator = Diagonal::new(entries, DType::F64);
    // Couples neighbours, row by row, so that the forms differ between probes.
    let shifted = custom(50, DType::F64, |block: &Tensor| {
        let zeros = Tensor::zeros((block.dim(0)?, 1), DType::F64, block.device())?;
        let left = Tensor::cat(&[&block.narrow(1, 1, 49)?, &zeros], 1)?;
        let right = Tensor::cat(&[&zeros, &block.narrow(1, 0, 49)?], 1)?;
        block.broadcast_mul(&operator.0)? + (left + right)?
    });
    let run = |block| {
        let settings = MomentsSettings {
            probes: 10,
            block,
            seed: 3,
        };
        let (goal, budget) = (Goal::relative(1e-9), Budget::of_products(10));
        let found = moments_until(&shifted, &settings, None, &goal, &budget, &mut |_| ());
        found.unwrap().result
    };
    let reference = run(1);
    assert!(reference.trace.standard_error > 0.0);
    for block in [2, 3, 10, 64] {
        assert_eq!(run(block), reference);
    }
}

#[test]
fn float32_agrees_with_float64() {
    let case = case("indefinite");
    let single = moments(&case.operator(DType::F32), None, 16, 2);
    let double = moments(&case.operator(DType::F64), None, 16, 2);
    for (single, double) in [
        (single.trace, double.trace),
        (single.frobenius_squared, double.frobenius_squared),
    ] {
        // The same probes; entries rounded to 6e-8 of a norm of 5, summed over 60 × 60 entries of
        // either sign.
        assert!((single.value - double.value).abs() <= 1e-5 * double.value.abs());
        assert!(
            (single.standard_error - double.standard_error).abs() <= 1e-4 * double.standard_error
        );
    }
}

#[test]
fn tiny_curvature_does_not_underflow_in_float32() {
    // Entries of A z are 1e-25, their squares 1e-50: below float32, not below the sums.
    let operator = Diagonal::new(vec![1e-25; 4], DType::F32);
    let result = moments(&operator, None, 2, 0);
    assert!((result.frobenius_squared.value / 4e-50 - 1.0).abs() <= 1e-6);
    assert!((result.frobenius_squared.sqrt().unwrap().value / 2e-25 - 1.0).abs() <= 1e-6);
}

#[test]
fn the_square_root_follows_the_delta_method() {
    let estimate = Estimate {
        value: 9.0,
        standard_error: 0.6,
        rounding: 0.06,
        probes: 5,
        products: 5,
        seed: 1,
    };
    let root = estimate.sqrt().unwrap();
    assert_eq!((root.value, root.standard_error), (3.0, 0.6 / 6.0));
    assert_eq!(root.rounding, 0.06 / 6.0);
    assert_eq!((root.probes, root.products, root.seed), (5, 5, 1));
    let of = |value, standard_error, rounding| Estimate {
        value,
        standard_error,
        rounding,
        ..estimate
    };
    let zero = of(0.0, 0.0, 0.0);
    assert_eq!(zero.sqrt().unwrap(), zero);
    let uncertain = of(0.0, 0.6, 0.06).sqrt().unwrap();
    assert_eq!(uncertain.standard_error, f64::INFINITY);
    let error = of(-1.0, 0.6, 0.06).sqrt().unwrap_err();
    assert!(
        matches!(error, Error::NegativeEstimate { value: -1.0 }),
        "{error}"
    );
}
