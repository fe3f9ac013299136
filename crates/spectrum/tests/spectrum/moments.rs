//! Trace and Frobenius norm against the chosen spectrum, and their standard errors against the
//! exact variance and against 200 repetitions.

use candle_core::{DType, Tensor};
use flatness_spectrum::{Error, Estimate, MomentsSettings, Probe, moments};
use nalgebra::DMatrix;

use crate::matrices::{Diagonal, Matrix, case, custom, identity, matrix};

const SEEDS: u64 = 200;
/// A few dominant eigenvalues make zᵀ A z as skewed as χ²; at 64 probes its mean is still skewed
/// enough to leave four standard errors once in 200 seeds, at 256 it is not.
const PROBES: usize = 256;

fn settings(probes: usize, block: usize, seed: u64) -> MomentsSettings {
    MomentsSettings {
        probes,
        block,
        seed,
    }
}

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
            .map(|seed| moments(&operator, &settings(PROBES, 16, seed)).unwrap())
            .collect();
        let traces: Vec<_> = results.iter().map(|moments| moments.trace).collect();
        let squares: Vec<_> = results
            .iter()
            .map(|moments| moments.frobenius_squared)
            .collect();
        check_calibration(
            &format!("trace, {name}"),
            &traces,
            case.eigenvalues.iter().sum(),
            rademacher_deviation(&case.entries),
        );
        check_calibration(
            &format!("squared Frobenius norm, {name}"),
            &squares,
            case.eigenvalues.iter().map(|value| value * value).sum(),
            rademacher_deviation(&(&case.entries * &case.entries)),
        );
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
    let result = moments(&case.operator(DType::F64), &settings(5, 2, 17)).unwrap();
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
        let result = moments(&operator, &settings(3, 2, 1)).unwrap();
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
    let reference = moments(&shifted, &settings(10, 1, 3)).unwrap();
    assert!(reference.trace.standard_error > 0.0);
    for block in [2, 3, 10, 64] {
        assert_eq!(
            moments(&shifted, &settings(10, block, 3)).unwrap(),
            reference
        );
    }
}

#[test]
fn float32_agrees_with_float64() {
    let case = case("indefinite");
    let single = moments(&case.operator(DType::F32), &settings(16, 4, 2)).unwrap();
    let double = moments(&case.operator(DType::F64), &settings(16, 4, 2)).unwrap();
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
    let result = moments(&operator, &settings(2, 2, 0)).unwrap();
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
    let zero = Estimate {
        value: 0.0,
        standard_error: 0.0,
        rounding: 0.0,
        ..estimate
    };
    assert_eq!(zero.sqrt().unwrap(), zero);
    let uncertain = Estimate {
        value: 0.0,
        ..estimate
    };
    assert_eq!(uncertain.sqrt().unwrap().standard_error, f64::INFINITY);
    let negative = Estimate {
        value: -1.0,
        ..estimate
    };
    let error = negative.sqrt().unwrap_err();
    assert!(
        matches!(error, Error::NegativeEstimate { value: -1.0 }),
        "{error}"
    );
}

#[test]
fn bad_settings_and_operators_are_refused() {
    let operator = Diagonal::new(vec![1.0, 2.0], DType::F64);
    for probes in [0, 1] {
        let error = moments(&operator, &settings(probes, 1, 0)).unwrap_err();
        assert!(
            matches!(error, Error::TooFewProbes { got } if got == probes),
            "{error}"
        );
    }
    let error = moments(&operator, &settings(2, 0, 0)).unwrap_err();
    assert!(matches!(error, Error::Zero { field: "block" }), "{error}");
    let empty = custom(0, DType::F64, |block: &Tensor| Ok(block.clone()));
    assert!(matches!(
        moments(&empty, &settings(2, 1, 0)),
        Err(Error::Zero { .. })
    ));
    let half = custom(2, DType::F16, |block: &Tensor| Ok(block.clone()));
    let error = moments(&half, &settings(2, 1, 0)).unwrap_err();
    assert!(
        matches!(error, Error::UnsupportedDType { got: DType::F16 }),
        "{error}"
    );
    let poisoned = Diagonal::new(vec![1.0, f64::NAN], DType::F64);
    let error = moments(&poisoned, &settings(4, 2, 0)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NonFiniteProduct {
                probe: 0,
                product: 0
            }
        ),
        "{error}"
    );
    let cut = custom(2, DType::F64, |block: &Tensor| block.narrow(0, 0, 1));
    let error = moments(&cut, &settings(4, 2, 0)).unwrap_err();
    assert!(matches!(error, Error::ProductMismatch { .. }), "{error}");
}
