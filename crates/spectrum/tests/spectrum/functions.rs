//! Functions of the spectrum with all steps against the chosen spectrum, the cases with closed
//! forms, and what is refused.

use candle_core::DType;
use flatness_spectrum::{Error, Probe, Quadrature, QuadratureSettings, Rule, quadrature};

use crate::matrices::{Diagonal, Matrix, case};

fn rules(operator: &dyn flatness_operator::LinearOperator) -> Quadrature {
    let settings = QuadratureSettings {
        probes: 400,
        steps: operator.dim(),
        block: 50,
        bytes: None,
        probe: Probe::Rademacher,
        seed: 4,
    };
    quadrature(operator, &settings).unwrap()
}

#[test]
fn a_multiple_of_the_identity_is_known_without_error() {
    let dim = 12.0;
    let rules = rules(&Diagonal::new(vec![-2.0; 12], DType::F64));
    for (estimate, truth) in [
        (rules.log_determinant(5.0), dim * 3.0_f64.ln()),
        (rules.nuclear_norm(), 2.0 * dim),
        (rules.frobenius_squared(), 4.0 * dim),
        (rules.numerical_rank(1.9), dim),
        (rules.numerical_rank(2.1), 0.0),
        (rules.count(-3.0..=0.0), dim),
        (rules.count(0.0..=3.0), 0.0),
        (rules.effective_rank(), dim),
        (rules.participation_ratio(), dim),
    ] {
        let estimate = estimate.unwrap();
        assert!(
            (estimate.value - truth).abs() <= 1e-11,
            "{estimate:?} {truth}"
        );
        assert!(estimate.standard_error <= 1e-11, "{estimate:?}");
    }
}

#[test]
fn ratios_of_a_chosen_spectrum() {
    let case = Matrix::new("chosen", vec![8.0, 4.0, 2.0, 1.0, -1.0]);
    let rules = rules(&case.operator(DType::F64));
    let entropy: f64 = [8.0, 4.0, 2.0, 1.0, 1.0]
        .iter()
        .map(|size: &f64| -(size / 16.0) * (size / 16.0).ln())
        .sum();
    for (estimate, truth) in [
        (rules.effective_rank().unwrap(), entropy.exp()),
        (rules.participation_ratio().unwrap(), 14.0 * 14.0 / 86.0),
    ] {
        let distance = (estimate.value - truth).abs();
        assert!(
            distance <= 4.0 * estimate.standard_error,
            "{estimate:?} {truth}"
        );
        assert!(estimate.standard_error < 0.1 * truth);
    }
}

/// A rank-one matrix of ones sends a probe whose signs cancel to zero: without the other one there is
/// no ratio, and so no telling how far off it is.
#[test]
fn the_error_is_infinite_where_one_probe_holds_all() {
    let mut rules = rules(&Diagonal::new(vec![2.0, 0.0], DType::F64));
    let rule = |node| Rule {
        nodes: vec![node],
        weights: vec![1.0],
        residuals: vec![0.0],
        mass: 2.0,
        tridiagonal: None,
    };
    for silent in 1..4 {
        rules.rules = vec![rule(0.0); silent];
        rules.rules.push(rule(2.0));
        for estimate in [rules.effective_rank(), rules.participation_ratio()] {
            let estimate = estimate.unwrap();
            assert!(estimate.value.is_finite(), "{estimate:?}");
            assert_eq!(estimate.standard_error, f64::INFINITY);
        }
    }
}

#[test]
fn the_halves_of_the_log_density_and_what_is_in_neither_add_up_to_one() {
    let case = Matrix::new(
        "signs",
        [100.0, 1.0, 1.0, -0.01, 0.0, 0.0, 0.0, 0.0].to_vec(),
    );
    let rules = rules(&case.operator(DType::F64));
    let step = 0.01;
    let grid: Vec<f64> = (0..=800).map(|i| -4.0 + step * f64::from(i)).collect();
    let density = rules.log_density(&grid, 0.1).unwrap();
    let integral = |half: &[flatness_spectrum::Estimate], from: f64, to: f64| -> f64 {
        half.iter()
            .zip(&grid)
            .filter(|(_, point)| (from..to).contains(*point))
            .map(|(value, _)| value.value * step)
            .sum()
    };
    let whole = integral(&density.positive, -9.0, 9.0)
        + integral(&density.negative, -9.0, 9.0)
        + density.signs.below_resolution.value;
    assert!((whole - 1.0).abs() <= 1e-6, "{whole}");
    // Shares of the eigenvalues, known as well as 400 probes know them.
    for (found, truth) in [
        (integral(&density.positive, 1.0, 3.0), 1.0 / 8.0),
        (integral(&density.positive, -1.0, 1.0), 2.0 / 8.0),
        (integral(&density.negative, -3.0, -1.0), 1.0 / 8.0),
        (density.signs.below_resolution.value, 4.0 / 8.0),
    ] {
        assert!((found - truth).abs() <= 0.05, "{found} {truth}");
    }
}

#[test]
fn what_is_not_defined_is_refused() {
    let indefinite = rules(&case("well separated").operator(DType::F64));
    assert!(matches!(
        indefinite.log_determinant(-20.0),
        Err(Error::NonFiniteIntegrand { .. })
    ));
    assert!(indefinite.numerical_rank(0.0).is_err());
    #[allow(
        clippy::reversed_empty_ranges,
        reason = "an empty interval is what the test is about"
    )]
    let empty = 2.0..=1.0;
    assert!(indefinite.count(empty).is_err());
    assert!(indefinite.count(f64::NAN..=1.0).is_err());
    for (grid, sigma) in [(vec![], 1.0), (vec![f64::NAN], 1.0), (vec![0.0], 0.0)] {
        assert!(indefinite.log_density(&grid, sigma).is_err());
    }
    let zero = rules(&Diagonal::new(vec![0.0; 3], DType::F64));
    assert!(matches!(zero.effective_rank(), Err(Error::ZeroOperator)));
    assert!(matches!(
        zero.participation_ratio(),
        Err(Error::ZeroOperator)
    ));
}
