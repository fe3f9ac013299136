//! Nodes, weights and residuals of the Lanczos recurrence: bounds that hold, spaces that end, and asymmetry.

use candle_core::DType;
use flatness_spectrum::Quadrature;

use crate::matrices::{Matrix, case, cases, ending, largest};
use crate::methods::{near, rules};

const SEED: u64 = 11;

/// Every node is as close to an eigenvalue as its residual says, up to the `rounding` of the dense matrix; nodes
/// descend, and weights add up to 1.
fn check(case: &Matrix, found: &Quadrature, epsilon: f64, rounding: f64) {
    let name = case.name;
    let ones = found.integrate(|_| 1.0).unwrap();
    let dim = case.dim() as f64;
    near(name, ones.value, dim, 1e-12 * dim);
    near(
        name,
        ones.standard_error,
        0.0,
        ones.rounding.max(1e-12 * dim),
    );
    for rule in &found.rules {
        assert!(rule.nodes.is_sorted_by(|one, next| one >= next), "{name}");
        assert!(rule.weights.iter().all(|&weight| weight >= 0.0), "{name}");
        near(name, rule.weights.iter().sum(), 1.0, 1e-12);
        for (&node, &residual) in rule.nodes.iter().zip(&rule.residuals) {
            let allowed = residual + found.asymmetry + rounding * case.norm();
            near(name, case.distance(node), 0.0, allowed);
            assert!(
                residual >= epsilon * largest(&rule.nodes),
                "{name}: {residual:e}"
            );
        }
    }
}

#[test]
fn residual_bounds_hold_at_any_number_of_steps() {
    for case in cases() {
        for steps in [1, 2, 7, 25, case.dim()] {
            let found = rules(&case.operator(DType::F64), 2, steps, SEED);
            check(&case, &found, f64::EPSILON, 1e-13);
            assert!(found.asymmetry <= 1e-12 * case.norm(), "{}", case.name);
            // Products of length up to 100 in a precision of 1.2e-7.
            let found = rules(&case.operator(DType::F32), 2, steps, SEED);
            check(&case, &found, f64::from(f32::EPSILON), 1e-5);
            assert!(found.asymmetry <= 1e-5 * case.norm(), "{}", case.name);
        }
    }
}

#[test]
fn a_krylov_space_that_ends_early_is_exact() {
    for (case, nodes) in ending() {
        for (dtype, epsilon, rounding) in [
            (DType::F32, f64::from(f32::EPSILON), 1e-5),
            (DType::F64, f64::EPSILON, 1e-12),
        ] {
            for steps in [nodes, case.dim()] {
                let found = rules(&case.operator(dtype), 2, steps, SEED);
                assert_eq!(found.products, 2 * nodes, "{}", case.name);
                check(&case, &found, epsilon, rounding);
                // Shorter rules differ, and say nothing.
                let step_error = found.step_error(Quadrature::nuclear_norm).unwrap();
                assert_eq!(step_error, 0.0, "{}", case.name);
                assert_eq!(found.truncated(1).unwrap().rules, found.rules);
                for rule in &found.rules {
                    assert_eq!(rule.nodes.len(), nodes, "{} in {dtype:?}", case.name);
                    assert!(rule.tridiagonal.is_none(), "{}", case.name);
                    let exact = rule.nodes.iter().map(|&node| case.distance(node));
                    assert!(exact.fold(0.0, f64::max) <= rounding * case.norm());
                }
            }
            if nodes > 1 {
                let found = rules(&case.operator(dtype), 2, nodes - 1, SEED);
                assert!(found.rules.iter().all(|rule| rule.tridiagonal.is_some()));
            }
        }
    }
}

/// Without re-orthogonalisation, 60 steps after the outliers have converged bring ghost copies of them.
#[test]
fn outliers_are_found_once() {
    let case = case("outliers over a bulk");
    for rule in rules(&case.operator(DType::F64), 2, 90, SEED).rules {
        for outlier in [100.0, 60.0, 30.0, -10.0] {
            let near = rule.nodes.iter().map(|node| (node - outlier).abs());
            let close: Vec<f64> = near.filter(|distance| *distance < 1.0).collect();
            assert!(
                close.len() == 1 && close[0] <= 1e-11,
                "{outlier}: {close:?}"
            );
        }
    }
}

/// With all steps Qᵀ A Q is T and what asymmetry leaves above it, so that its norm is ‖A − Aᵀ‖_F / √2: with
/// ± s added across the diagonal 2 s.
#[test]
fn asymmetry_is_measured() {
    let case = Matrix::by("indefinite", 40, |i| i - 10.0);
    let (_, operator) = case.skewed(1e-3);
    let found = rules(&operator, 2, 40, SEED);
    near("asymmetry", found.asymmetry, 2e-3, 1e-12 * case.norm());
}
