//! Lanczos against matrices of a chosen spectrum and against nalgebra's dense eigenvalues.

use candle_core::DType;
use flatness_spectrum::{LanczosSettings, Probe, lanczos};
use nalgebra::{DMatrix, SymmetricEigen};

use crate::checks::{
    SEED, check_identities, check_order_and_weights, check_residual_bounds, run, tridiagonal,
};
use crate::matrices::{Diagonal, case, cases, identity, matrix, repeated};

#[test]
fn identities_and_residual_bounds_hold_at_any_number_of_steps() {
    for case in cases() {
        for steps in [1, 2, 7, 25, case.dim()] {
            let steps = steps.min(case.dim());
            let result = run(&case.operator(DType::F64), steps);
            check_identities(case.name, &case.entries, case.norm(), &result, 1e-12);
            check_residual_bounds(case.name, &case.eigenvalues, case.norm(), &result, 1e-13);
            check_order_and_weights(case.name, &result);
        }
    }
}

#[test]
fn identities_hold_in_float32() {
    for case in cases() {
        let operator = case.operator(DType::F32);
        // The operator's own entries are the rounded ones; eigenvalues move by at most the norm of
        // the rounding.
        let entries = matrix(operator.matrix());
        let result = run(&operator, 25);
        // 25 steps of products of length up to 100 in a precision of 1.2e-7.
        check_identities(case.name, &entries, case.norm(), &result, 1e-5);
        check_residual_bounds(case.name, &case.eigenvalues, case.norm(), &result, 1e-5);
        assert!(
            result.spectral_norm().residual
                >= f64::from(f32::EPSILON) * result.spectral_norm().value.abs()
        );
    }
}

#[test]
fn all_steps_give_the_dense_eigenvalues_of_nalgebra() {
    for case in cases() {
        let result = run(&case.operator(DType::F64), case.dim());
        let mut dense: Vec<f64> = SymmetricEigen::new(case.entries.clone())
            .eigenvalues
            .iter()
            .copied()
            .collect();
        dense.sort_by(|left, right| right.total_cmp(left));
        assert_eq!(result.steps, case.dim(), "{}", case.name);
        for (ritz, eigenvalue) in result.ritz_values().iter().zip(&dense) {
            let difference = (ritz.value - eigenvalue).abs() / case.norm();
            assert!(
                difference <= 1e-12,
                "{}: {} against {eigenvalue}",
                case.name,
                ritz.value
            );
        }
    }
}

#[test]
fn outliers_converge_early_and_never_twice() {
    // Without re-orthogonalisation, 60 steps after the outliers have converged bring ghost copies
    // of them.
    let case = case("outliers over a bulk");
    let result = run(&case.operator(DType::F64), 90);
    for outlier in [100.0, 60.0, 30.0, -10.0] {
        let close: Vec<_> = result
            .ritz_values()
            .iter()
            .filter(|ritz| (ritz.value - outlier).abs() < 1.0)
            .collect();
        assert_eq!(close.len(), 1, "{outlier}");
        assert!(close[0].converged, "{outlier}");
        assert!((close[0].value - outlier).abs() <= 1e-11, "{outlier}");
    }
    assert_eq!(result.lambda_max().value, result.spectral_norm().value);
    let early = run(&case.operator(DType::F64), 3);
    assert!(early.ritz_values().iter().any(|ritz| !ritz.converged));
}

#[test]
fn weights_are_the_squared_shares_of_the_start_vector() {
    let case = repeated();
    let result = run(&case.operator(DType::F64), 3);
    let start = Probe::Gaussian
        .rows(&identity(case.dim(), DType::F64), 0..1, SEED)
        .unwrap();
    let start = matrix(&start).transpose().normalize();
    let shares = case.eigenvectors.transpose() * start;
    for ritz in result.ritz_values() {
        let share: f64 = (0..case.dim())
            .filter(|&i| (case.eigenvalues[i] - ritz.value).abs() < 0.1)
            .map(|i| shares[i].powi(2))
            .sum();
        assert!(
            (ritz.weight - share).abs() <= 1e-12,
            "{} {share}",
            ritz.weight
        );
    }
}

#[test]
fn ritz_vectors_are_orthonormal_and_have_the_residuals_claimed() {
    for case in cases() {
        let result = run(&case.operator(DType::F64), 20);
        let indices = [0, 1, 19];
        let vectors = matrix(&result.ritz_vectors(&indices).unwrap()).transpose();
        assert_eq!(vectors.shape(), (case.dim(), 3));
        let gram = vectors.transpose() * &vectors - DMatrix::identity(3, 3);
        assert!(gram.amax() <= 1e-12, "{}", case.name);
        for (column, index) in indices.into_iter().enumerate() {
            let ritz = result.ritz_values()[index];
            let vector = vectors.column(column);
            let residual = (&case.entries * vector - vector * ritz.value).norm();
            // The claim is an equality up to rounding, and up to the floor of one epsilon.
            let difference = (residual - ritz.residual).abs() / case.norm();
            assert!(
                difference <= 1e-13,
                "{}: {residual:e} {:e}",
                case.name,
                ritz.residual
            );
        }
    }
}

#[test]
fn vectors_longer_than_a_segment_of_the_basis_change_nothing() {
    // The dimension is prime and three times a segment, so that padding and the sum over segments
    // take part.
    let dim = 10_007;
    let entries: Vec<f64> = (0..dim)
        .map(|i| {
            if i < 3 {
                50.0 * (i + 1) as f64
            } else {
                (i as f64).sin()
            }
        })
        .collect();
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        let result = run(&Diagonal::new(entries.clone(), dtype), 30);
        let basis = matrix(&result.basis().unwrap());
        assert_eq!(basis.shape(), (30, dim));
        let gram = &basis * basis.transpose() - DMatrix::identity(30, 30);
        assert!(gram.amax() <= tolerance, "{:e}", gram.amax());
        let product = DMatrix::from_fn(30, dim, |row, column| {
            basis[(row, column)] * entries[column]
        });
        let projected = product * basis.transpose() - tridiagonal(&result);
        assert!(
            projected.amax() <= 150.0 * tolerance,
            "{:e}",
            projected.amax()
        );
        for (ritz, expected) in result.ritz_values().iter().zip([150.0, 100.0, 50.0]) {
            assert!(
                (ritz.value - expected).abs() <= 150.0 * tolerance,
                "{}",
                ritz.value
            );
        }
        let vector = matrix(&result.ritz_vectors(&[0]).unwrap());
        assert!((vector[(0, 2)].abs() - 1.0).abs() <= 100.0 * tolerance);
    }
}

#[test]
fn the_seed_alone_decides_the_result() {
    let case = repeated();
    let operator = case.operator(DType::F64);
    let first = run(&operator, 3);
    assert_eq!(first.diagonal, run(&operator, 3).diagonal);
    let settings = LanczosSettings {
        steps: 3,
        tolerance: 1e-8,
        seed: SEED + 1,
    };
    let other = lanczos(&operator, &settings).unwrap();
    assert_eq!((first.seed, other.seed), (SEED, SEED + 1));
    assert_ne!(first.diagonal, other.diagonal);
}
