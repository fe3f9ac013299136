//! Functions of the spectrum and its densities with all steps against the chosen spectrum, the cases with closed
//! forms, and what is refused.

use candle_core::DType;
use flatness_spectrum::{Error, Probe, Quadrature, QuadratureSettings, Rule};

use crate::matrices::{Diagonal, Matrix, case};
use crate::methods::{self, RULES, quadrature};

fn rules(operator: &dyn flatness_operator::LinearOperator) -> Quadrature {
    let settings = QuadratureSettings {
        probes: 400,
        steps: operator.dim(),
        block: 50,
        probe: Probe::Rademacher,
        seed: 4,
        ..RULES
    };
    quadrature(operator, None, &settings).unwrap()
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
fn the_density_has_integral_one_and_is_the_broadened_spectrum() {
    let case = case("indefinite");
    let sigma = 0.4;
    let result = methods::rules(&case.operator(DType::F64), 100, 60, 23);
    // Ten sigma beyond the ends of the spectrum nothing is left; the trapezoidal rule on a Gaussian
    // sampled at 0.05 sigma is exact to rounding.
    let step = 0.05 * sigma;
    let grid: Vec<f64> = (0..)
        .map(|i| -7.0 + step * f64::from(i))
        .take_while(|&point| point <= 9.0)
        .collect();
    let density = result.density(&grid, sigma).unwrap();
    assert_eq!(density.grid, grid);
    assert_eq!((density.sigma, density.probes), (sigma, 100));
    assert_eq!((density.products, density.seed), (6_000, 23));
    let integral: f64 = density.values.iter().sum::<f64>() * step;
    assert!((integral - 1.0).abs() <= 1e-12, "{integral}");
    for ((&point, value), error) in grid
        .iter()
        .zip(&density.values)
        .zip(&density.standard_errors)
    {
        let height = |value: f64| {
            let distance = (point - value) / sigma;
            (-distance * distance / 2.0).exp() / (sigma * std::f64::consts::TAU.sqrt())
        };
        let truth = case.sum(height) / 60.0;
        // In the far tails one eigenvalue decides and 100 probes do not settle the error itself; what
        // is left out there is 1e-4 of a density of order 0.1.
        assert!(
            (value - truth).abs() <= 4.0 * error + 1e-4,
            "at {point}: {value} against {truth} ± {error}"
        );
    }
    assert!(density.standard_errors.iter().any(|&error| error > 1e-4));
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
    for (grid, sigma, expected) in [
        (vec![], 1.0, "the number of grid points is 0"),
        (vec![0.0, f64::NAN], 1.0, "a grid point is NaN"),
        (vec![0.0], 0.0, "sigma is 0"),
        (vec![0.0], -1.0, "sigma is -1"),
        (vec![0.0], f64::NAN, "sigma is NaN"),
    ] {
        let [linear, logarithmic] = [
            indefinite.density(&grid, sigma).unwrap_err().to_string(),
            indefinite
                .log_density(&grid, sigma)
                .unwrap_err()
                .to_string(),
        ];
        assert!(linear.starts_with(expected), "{linear}");
        assert!(logarithmic.starts_with(expected), "{logarithmic}");
    }
}
