//! Krylov spaces that end before the steps asked for.

use candle_core::DType;

use crate::checks::{check_identities, check_order_and_weights, check_residual_bounds, run};
use crate::matrices::{Matrix, repeated};

#[test]
fn steps_of_the_number_of_distinct_eigenvalues_are_exact() {
    let case = repeated();
    // Asking for more ends at the same place.
    for steps in [3, 4, 30] {
        let result = run(&case.operator(DType::F64), steps);
        assert_eq!(result.steps, 3);
        assert!(result.invariant);
        check_identities(case.name, &case.entries, case.norm(), &result, 1e-12);
        for (ritz, expected) in result.ritz_values().iter().zip([5.0, 1.0, -3.0]) {
            assert!((ritz.value - expected).abs() <= 1e-12);
            assert!(ritz.converged);
            assert!(ritz.residual >= f64::EPSILON * 5.0);
        }
    }
    assert!(!run(&case.operator(DType::F64), 2).invariant);
}

#[test]
fn a_krylov_space_that_ends_early_is_reported() {
    let low_rank: Vec<f64> = [9.0, 4.0, 1.0, -1.0, -6.0]
        .into_iter()
        .chain([0.0; 55])
        .collect();
    let cases = [
        (Matrix::new("rank 5", low_rank), 6),
        (Matrix::new("identity", vec![1.0; 20]), 1),
        (Matrix::new("zero", vec![0.0; 20]), 1),
        (Matrix::new("one by one", vec![-7.0]), 1),
    ];
    for (case, expected) in cases {
        for dtype in [DType::F32, DType::F64] {
            let result = run(&case.operator(dtype), case.dim());
            assert_eq!(result.steps, expected, "{} in {dtype:?}", case.name);
            assert!(result.invariant, "{}", case.name);
            let rounding = if dtype == DType::F32 { 1e-5 } else { 1e-12 };
            check_residual_bounds(case.name, &case.eigenvalues, case.norm(), &result, rounding);
            check_order_and_weights(case.name, &result);
        }
    }
}
