//! Thick-restart block Lanczos against matrices of a chosen spectrum.

use candle_core::{DType, Tensor};
use flatness_spectrum::{Eigenpairs, EigenpairsSettings, Stop};
use nalgebra::{DMatrix, SymmetricEigen};

use crate::diagonal::host;
use crate::matrices::{Matrix, case, cases, diagonal, ending, matrix, vector};
use crate::methods::{SEARCH, near, search, search_within, with};

/// Those that break eigensolvers, and those whose Krylov spaces end early.
fn all() -> impl Iterator<Item = Matrix> {
    cases().into_iter().chain(ending().map(|(case, _)| case))
}

/// The vectors (k, dim) as columns, orthonormal to this rounding.
#[track_caller]
fn orthonormal(name: &str, vectors: &Tensor, rounding: f64) -> DMatrix<f64> {
    let vectors = matrix(vectors).transpose();
    let count = vectors.ncols();
    let gram = vectors.transpose() * &vectors - DMatrix::identity(count, count);
    near(name, gram.amax(), 0.0, rounding);
    vectors
}

/// Orthonormal vectors, residuals that hold, and values that are the ends of the spectrum.
fn check(case: &Matrix, entries: &DMatrix<f64>, result: &Eigenpairs, rounding: f64) {
    let name = case.name;
    // The matrix of the test is itself rounded, by a few epsilon of its norm.
    let slack = 0.01 * rounding * case.norm();
    // In a cluster narrower than what the tolerance tells apart, one may be missed.
    let missed = match name {
        "clustered" => 1e-7,
        "condition 1e12" => 1e-8,
        _ => 0.0,
    };
    let ascending: Vec<f64> = case.eigenvalues.iter().rev().copied().collect();
    for (values, vectors, truths) in [
        (&result.top, result.top_vectors(), &case.eigenvalues),
        (&result.bottom, result.bottom_vectors(), &ascending),
    ] {
        if values.is_empty() {
            continue;
        }
        let vectors = orthonormal(name, &vectors.unwrap(), rounding);
        for ((found, vector), truth) in values.iter().zip(vectors.column_iter()).zip(truths) {
            let allowed = found.residual + slack;
            near(
                name,
                (entries * vector - vector * found.value).norm(),
                0.0,
                allowed,
            );
            near(name, case.distance(found.value), 0.0, allowed);
            near(name, found.value, *truth, allowed + missed);
        }
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
        let (name, operator) = (case.name, case.operator(DType::F64));
        let ends = [SEARCH.top, SEARCH.bottom].map(|count| count.min(case.dim()));
        for (block, basis) in [1, 2, 4]
            .into_iter()
            .flat_map(|block| [16, 24, 200].map(|basis| (block, basis)))
        {
            let settings = with(SEARCH, |it| [it.top, it.bottom] = ends);
            let settings = with(settings, |it| (it.block, it.basis) = (block, basis));
            // A cluster as narrow as the tolerance takes thousands of products in a small basis.
            let result = search_within(600, &operator, &settings);
            check_residuals(&case, &result);
            if result.stop == Stop::Products {
                assert!(basis < 30, "{name}: block {block}, basis {basis}");
                continue;
            }
            assert!(
                matches!(result.stop, Stop::Converged | Stop::Complete),
                "{name}"
            );
            let mut found = result.top.iter().chain(&result.bottom);
            assert!(found.all(|found| found.converged), "{name}");
            check(&case, &case.entries, &result, 1e-11);
        }
    }
}

/// The claim is an equality up to rounding.
#[test]
fn residuals_are_no_larger_than_they_are() {
    for case in cases() {
        let settings = with(SEARCH, |it| it.basis = 60);
        let result = search_within(20, &case.operator(DType::F64), &settings);
        let vectors = matrix(&result.top_vectors().unwrap()).transpose();
        for (found, vector) in result.top.iter().zip(vectors.column_iter()) {
            let residual = (&case.entries * vector - vector * found.value).norm();
            near(case.name, residual, found.residual, 1e-13 * case.norm());
        }
    }
}

#[test]
fn in_float32_the_residuals_hold_through_many_restarts() {
    for case in cases() {
        let operator = case.operator(DType::F32);
        let result = search(&operator, &with(SEARCH, |it| it.tolerance = 1e-5));
        // Beside the residual, products of length up to 100 in a precision of 1.2e-7.
        check(&case, &case.rounded(DType::F32), &result, 1e-4);
        assert!(result.top[0].residual >= f64::from(f32::EPSILON) * case.norm() * 0.99);
    }
}

#[test]
fn a_tolerance_below_the_rounding_ends_and_says_so() {
    let case = case("indefinite");
    let operator = case.operator(DType::F32);
    let result = search(&operator, &with(SEARCH, |it| it.tolerance = 1e-12));
    assert_eq!(result.stop, Stop::Rounding);
    assert!(result.top.iter().all(|found| !found.converged));
    check(&case, &case.rounded(DType::F32), &result, 1e-4);
}

#[test]
fn the_whole_space_gives_the_dense_eigenvalues_of_nalgebra() {
    for case in all() {
        let dim = case.dim();
        let mut dense = SymmetricEigen::new(case.entries.clone()).eigenvalues;
        dense.as_mut_slice().sort_by(f64::total_cmp);
        for block in [1, 3] {
            let whole = with(SEARCH, |it| [it.top, it.bottom, it.basis] = [dim; 3]);
            let settings = with(whole, |it| it.block = block);
            let result = search(&case.operator(DType::F64), &settings);
            assert_eq!(result.stop, Stop::Complete, "{}", case.name);
            for (index, &eigenvalue) in dense.iter().enumerate() {
                for found in [result.bottom[index], result.top[dim - 1 - index]] {
                    near(case.name, found.value, eigenvalue, 1e-12 * case.norm());
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
    let settings = with(SEARCH, |it| (it.top, it.block, it.basis) = (4, 3, 30));
    let result = search(&case.operator(DType::F64), &settings);
    assert_eq!(result.stop, Stop::Converged);
    assert!(result.products < case.dim(), "{}", result.products);
    check(&case, &case.entries, &result, 1e-11);
}

#[test]
fn restarts_cost_few_products_and_none_when_the_basis_is_large() {
    // Evenly spaced to the end, the hard case. Unrestarted Lanczos is the measure.
    let case = Matrix::by("even", 200, |i| i / 200.0);
    let [(unrestarted, none), (restarted, some)] = [200, 40].map(|basis| {
        let settings = EigenpairsSettings {
            top: 5,
            bottom: 0,
            basis,
            tolerance: 1e-6,
            ..SEARCH
        };
        let result = search(&case.operator(DType::F64), &settings);
        check(&case, &case.entries, &result, 1e-11);
        (result.products, result.restarts)
    });
    assert!(none == 0 && some > 1);
    assert!(
        restarted <= unrestarted * 3 / 2,
        "{restarted} {unrestarted}"
    );
}

#[test]
fn the_seed_alone_decides_the_result() {
    let operator = case("outliers over a bulk").operator(DType::F64);
    let [first, again, other] = [SEARCH.seed, SEARCH.seed, 6].map(|seed| {
        let found = search(&operator, &EigenpairsSettings { seed, ..SEARCH });
        (found.top, found.bottom)
    });
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
}

#[test]
fn residuals_at_the_level_of_rounding_hold_over_seeds_and_restarts() {
    // A diagonal matrix is known without rounding, so that no slack is needed.
    let entries: Vec<f64> = (1..=50).map(|i| f64::from(i).powi(-2)).collect();
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6)] {
        let operator = diagonal(&entries, dtype);
        let rounded = host(&vector(&entries, dtype));
        for seed in 0..20 {
            let settings = with(SEARCH, |it| (it.tolerance, it.seed) = (tolerance, seed));
            let settings = with(settings, |it| (it.basis, it.bottom) = (8, 0));
            let result = search(&operator, &settings);
            assert!(result.restarts > 0);
            for (found, truth) in result.top.iter().zip(&rounded) {
                near(seed, found.value, *truth, found.residual);
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
        let settings = with(SEARCH, |it| (it.basis, it.bottom) = (30, 0));
        let settings = with(settings, |it| it.tolerance = tolerance);
        let result = search(&diagonal(&entries, dtype), &settings);
        for (found, expected) in result.top.iter().zip([150.0, 100.0, 50.0]) {
            near("long", found.value, expected, 150.0 * tolerance);
        }
        let vectors = orthonormal("long", &result.top_vectors().unwrap(), tolerance);
        near("first entry", vectors[(2, 0)].abs(), 1.0, 100.0 * tolerance);
    }
}

#[test]
fn asymmetry_enters_the_residuals() {
    let case = case("indefinite");
    let (entries, operator) = case.skewed(1e-3);
    let result = search(&operator, &SEARCH);
    assert_eq!(result.stop, Stop::Rounding);
    assert!(result.asymmetry > 1e-5);
    check(&case, &entries, &result, 1e-11);
}
