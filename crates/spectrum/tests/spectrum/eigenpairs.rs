//! Thick-restart block Lanczos against matrices of a chosen spectrum.

use candle_core::{DType, Tensor};
use flatness_spectrum::{Budget, Eigenpairs, EigenpairsSettings, Eigenvalue, Stop, eigenpairs};
use nalgebra::{DMatrix, SymmetricEigen};

use crate::matrices::{Diagonal, Matrix, case, cases, custom, ending, matrix, tensor};
use crate::methods::{SEARCH, search};

/// Those that break eigensolvers, and those whose Krylov spaces end early.
fn all() -> impl Iterator<Item = Matrix> {
    cases().into_iter().chain(ending().map(|(case, _)| case))
}

fn fitting(case: &Matrix, settings: EigenpairsSettings) -> EigenpairsSettings {
    EigenpairsSettings {
        top: settings.top.min(case.dim()),
        bottom: settings.bottom.min(case.dim()),
        ..settings
    }
}

/// Orthonormal vectors, residuals that hold, and values that are the ends of the spectrum.
fn check(case: &Matrix, entries: &DMatrix<f64>, result: &Eigenpairs, rounding: f64) {
    let name = case.name;
    let check_end = |values: &[Eigenvalue], vectors: &Tensor, truth: Vec<f64>| {
        let vectors = matrix(vectors).transpose();
        let count = values.len();
        let gram = vectors.transpose() * &vectors - DMatrix::identity(count, count);
        assert!(gram.amax() <= rounding, "{name}: {:e}", gram.amax());
        for (index, (found, truth)) in values.iter().zip(truth).enumerate() {
            let vector = vectors.column(index);
            let residual = (entries * vector - vector * found.value).norm();
            // The matrix of the test is itself rounded, by a few epsilon of its norm.
            let slack = 0.01 * rounding * case.norm();
            assert!(
                residual <= found.residual + slack,
                "{name}: residual {residual:e}, claimed {:e}",
                found.residual
            );
            let nearest = case.distance(found.value);
            assert!(nearest <= found.residual + slack, "{name}: {nearest:e}");
            // In a cluster narrower than what the tolerance tells apart, one may be missed.
            let missed = match name {
                "clustered" => 1e-7,
                "condition 1e12" => 1e-8,
                _ => 0.0,
            };
            let distance = (found.value - truth).abs();
            assert!(
                distance <= found.residual + slack + missed,
                "{name}: {} for {truth}, claimed {:e}",
                found.value,
                found.residual
            );
        }
    };
    let ascending: Vec<f64> = case.eigenvalues.iter().rev().copied().collect();
    check_end(
        &result.top,
        &result.top_vectors().unwrap(),
        case.eigenvalues.clone(),
    );
    if !result.bottom.is_empty() {
        check_end(&result.bottom, &result.bottom_vectors().unwrap(), ascending);
    }
}

/// Every value is within its residual of the spectrum, converged or not.
pub(crate) fn check_residuals(case: &Matrix, result: &Eigenpairs) {
    for found in result.top.iter().chain(&result.bottom) {
        assert!(case.distance(found.value) <= found.residual + 1e-13 * case.norm());
    }
}

#[test]
fn both_ends_are_found_with_residuals_that_hold() {
    for case in all() {
        for block in [1, 2, 4] {
            for basis in [16, 24, 200] {
                let settings = fitting(
                    &case,
                    EigenpairsSettings {
                        block,
                        basis,
                        ..SEARCH
                    },
                );
                // A cluster as narrow as the tolerance takes thousands of products in a small basis.
                let budget = Budget::of_products(600);
                let operator = case.operator(DType::F64);
                let result = eigenpairs(&operator, &settings, &budget, &mut |_| ()).unwrap();
                check_residuals(&case, &result);
                let (name, stop) = (case.name, result.stop);
                if stop == Stop::Products {
                    assert!(basis < 30, "{name}: block {block}, basis {basis}");
                    continue;
                }
                assert!(matches!(stop, Stop::Converged | Stop::Complete), "{name}");
                let mut found = result.top.iter().chain(&result.bottom);
                assert!(found.all(|found| found.converged), "{name}");
                check(&case, &case.entries, &result, 1e-11);
            }
        }
    }
}

/// The claim is an equality up to rounding.
#[test]
fn residuals_are_no_larger_than_they_are() {
    for case in cases() {
        let settings = EigenpairsSettings {
            basis: 60,
            ..SEARCH
        };
        let (operator, budget) = (case.operator(DType::F64), Budget::of_products(20));
        let result = eigenpairs(&operator, &settings, &budget, &mut |_| ()).unwrap();
        let vectors = matrix(&result.top_vectors().unwrap()).transpose();
        for (found, vector) in result.top.iter().zip(vectors.column_iter()) {
            let residual = (&case.entries * vector - vector * found.value).norm();
            let difference = (residual - found.residual).abs();
            assert!(difference <= 1e-13 * case.norm(), "{}", case.name);
        }
    }
}

#[test]
fn in_float32_the_residuals_hold_through_many_restarts() {
    for case in cases() {
        let operator = case.operator(DType::F32);
        let entries = matrix(operator.matrix());
        let settings = EigenpairsSettings {
            tolerance: 1e-5,
            ..SEARCH
        };
        let result = search(&operator, &settings);
        // Beside the residual, products of length up to 100 in a precision of 1.2e-7.
        check(&case, &entries, &result, 1e-4);
        assert!(result.top[0].residual >= f64::from(f32::EPSILON) * case.norm() * 0.99);
    }
}

#[test]
fn a_tolerance_below_the_rounding_ends_and_says_so() {
    let case = case("indefinite");
    let settings = EigenpairsSettings {
        tolerance: 1e-12,
        ..SEARCH
    };
    let result = search(&case.operator(DType::F32), &settings);
    assert_eq!(result.stop, Stop::Rounding);
    assert!(result.top.iter().all(|found| !found.converged));
    let entries = matrix(case.operator(DType::F32).matrix());
    check(&case, &entries, &result, 1e-4);
}

#[test]
fn the_whole_space_gives_the_dense_eigenvalues_of_nalgebra() {
    for case in all() {
        let dim = case.dim();
        for block in [1, 3] {
            let settings = EigenpairsSettings {
                top: dim,
                bottom: dim,
                block,
                basis: dim,
                ..SEARCH
            };
            let result = search(&case.operator(DType::F64), &settings);
            let mut dense = SymmetricEigen::new(case.entries.clone()).eigenvalues;
            dense.as_mut_slice().sort_by(f64::total_cmp);
            assert_eq!(result.stop, Stop::Complete, "{}", case.name);
            for (index, &eigenvalue) in dense.iter().enumerate() {
                for found in [result.bottom[index], result.top[dim - 1 - index]] {
                    let difference = (found.value - eigenvalue).abs();
                    assert!(difference <= 1e-12 * case.norm(), "{}", case.name);
                }
            }
        }
    }
}

#[test]
fn a_block_sees_as_many_copies_of_an_eigenvalue_at_once() {
    // Twenty distinct eigenvalues, the ends repeated: a space of one vector sees no second copy
    // before it is invariant.
    let middle = (0..60).map(|i| f64::from(i) / 30.0 - 1.0);
    let eigenvalues = [8.0, 8.0, 8.0, 6.0, -5.0, -5.0].into_iter().chain(middle);
    let case = Matrix::new("repeated ends", eigenvalues.collect());
    let settings = EigenpairsSettings {
        top: 4,
        bottom: 2,
        block: 3,
        basis: 30,
        ..SEARCH
    };
    let result = search(&case.operator(DType::F64), &settings);
    assert_eq!(result.stop, Stop::Converged);
    assert!(result.products < case.dim(), "{}", result.products);
    check(&case, &case.entries, &result, 1e-11);
}

#[test]
fn restarts_cost_few_products_and_none_when_the_basis_is_large() {
    // Evenly spaced to the end, the hard case. Unrestarted Lanczos is the measure.
    let case = Matrix::new("even", (0..200).map(|i| f64::from(i) / 200.0).collect());
    let products = |basis, block| {
        let settings = EigenpairsSettings {
            top: 5,
            bottom: 0,
            basis,
            block,
            tolerance: 1e-6,
            ..SEARCH
        };
        let result = search(&case.operator(DType::F64), &settings);
        check(&case, &case.entries, &result, 1e-11);
        (result.products, result.restarts)
    };
    let (unrestarted, restarts) = products(200, 1);
    assert_eq!(restarts, 0);
    let (restarted, restarts) = products(40, 1);
    assert!(restarts > 1);
    assert!(
        restarted <= unrestarted * 3 / 2,
        "{restarted} {unrestarted}"
    );
}

#[test]
fn the_seed_alone_decides_the_result() {
    let operator = case("outliers over a bulk").operator(DType::F64);
    let first = search(&operator, &SEARCH);
    let again = search(&operator, &SEARCH);
    assert_eq!(first.top, again.top);
    assert_eq!(first.bottom, again.bottom);
    let other = search(&operator, &EigenpairsSettings { seed: 6, ..SEARCH });
    assert_ne!(first.top, other.top);
}

#[test]
fn residuals_at_the_level_of_rounding_hold_over_seeds_and_restarts() {
    // A diagonal matrix is known without rounding, so that no slack is needed.
    let entries: Vec<f64> = (1..=50).map(|i| f64::from(i).powi(-2)).collect();
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6)] {
        let operator = Diagonal::new(entries.clone(), dtype);
        let rounded: Vec<f64> = operator.0.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
        for seed in 0..20 {
            let settings = EigenpairsSettings {
                tolerance,
                basis: 8,
                seed,
                bottom: 0,
                ..SEARCH
            };
            let result = search(&operator, &settings);
            assert!(result.restarts > 0);
            for (found, truth) in result.top.iter().zip(&rounded) {
                let distance = (found.value - truth).abs();
                assert!(distance <= found.residual, "{distance:e} {found:?}");
            }
        }
    }
}

/// The dimension is prime and more than a segment of the basis, so that padding and sums over segments take part.
#[test]
fn vectors_longer_than_a_segment_of_the_basis_change_nothing() {
    let mut entries: Vec<f64> = (0..10_007).map(|i| f64::from(i).sin()).collect();
    entries[..3].copy_from_slice(&[50.0, 100.0, 150.0]);
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        let settings = EigenpairsSettings {
            basis: 30,
            tolerance,
            bottom: 0,
            ..SEARCH
        };
        let result = search(&Diagonal::new(entries.clone(), dtype), &settings);
        for (found, expected) in result.top.iter().zip([150.0, 100.0, 50.0]) {
            let distance = (found.value - expected).abs();
            assert!(distance <= 150.0 * tolerance, "{found:?}");
        }
        let vectors = matrix(&result.top_vectors().unwrap());
        let gram = &vectors * vectors.transpose() - DMatrix::identity(3, 3);
        assert!(gram.amax() <= tolerance, "{:e}", gram.amax());
        assert!((vectors[(0, 2)].abs() - 1.0).abs() <= 100.0 * tolerance);
    }
}

#[test]
fn asymmetry_enters_the_residuals() {
    let case = case("indefinite");
    let mut entries = case.entries.clone();
    entries[(3, 17)] += 1e-3;
    entries[(17, 3)] -= 1e-3;
    let transposed = tensor(&entries.transpose());
    let operator = custom(60, DType::F64, |block: &Tensor| block.matmul(&transposed));
    let result = search(&operator, &SEARCH);
    assert_eq!(result.stop, Stop::Rounding);
    assert!(result.asymmetry > 1e-5);
    check(&case, &entries, &result, 1e-11);
}
