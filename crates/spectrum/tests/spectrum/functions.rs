//! Functions of the spectrum and its densities with all steps against the chosen spectrum, the cases with closed
//! forms, and what is refused.

use candle_core::DType;
use flatness_spectrum::{Error, Estimate, Probe, Quadrature, Rule};

use crate::matrices::{Matrix, case, diagonal, gaussian_kernel};
use crate::methods::{self, RULES, near, quadrature, with};

fn rules(operator: &dyn flatness_operator::LinearOperator) -> Quadrature {
    let settings = with(RULES, |it| {
        (it.probes, it.steps, it.block) = (400, operator.dim(), 50)
    });
    let settings = with(settings, |it| (it.probe, it.seed) = (Probe::Rademacher, 4));
    quadrature(operator, None, &settings).unwrap()
}

#[test]
fn a_multiple_of_the_identity_is_known_without_error() {
    let dim = 12.0;
    let rules = rules(&diagonal(&[-2.0; 12], DType::F64));
    for (estimate, truth) in [
        (rules.log_determinant(5.0), dim * 3.0_f64.ln()),
        (rules.nuclear_norm(), 2.0 * dim),
        (rules.frobenius_squared(), 4.0 * dim),
        (rules.numerical_rank(1.9), dim),
        (rules.numerical_rank(2.1), 0.0),
        (rules.count(-3.0..=0.0), dim),
        (rules.count(0.0..=3.0), 0.0),
        (rules.effective_rank(), dim),
    ] {
        let estimate = estimate.unwrap();
        near("value", estimate.value, truth, 1e-11);
        near("error", estimate.standard_error, 0.0, 1e-11);
    }
}

/// A rank-one matrix of ones sends a probe whose signs cancel to zero: without the other one there is
/// no ratio, and so no telling how far off it is.
#[test]
fn the_error_is_infinite_where_one_probe_holds_all() {
    let mut rules = rules(&diagonal(&[2.0, 0.0], DType::F64));
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
        let estimate = rules.effective_rank().unwrap();
        assert!(estimate.value.is_finite(), "{estimate:?}");
        assert_eq!(estimate.standard_error, f64::INFINITY);
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
    let grid: Vec<f64> = (0..=800).map(|i| -7.0 + step * f64::from(i)).collect();
    let density = result.density(&grid, sigma).unwrap();
    let integral = step * density.iter().map(|found| found.value).sum::<f64>();
    near("integral", integral, 1.0, 1e-12);
    for (&point, found) in grid.iter().zip(&density) {
        let truth = case.sum(|value| gaussian_kernel(point - value, sigma)) / 60.0;
        // In the far tails one eigenvalue decides and 100 probes do not settle the error itself; what
        // is left out there is 1e-4 of a density of order 0.1.
        let allowed = 4.0 * found.standard_error + 1e-4;
        near(point, found.value, truth, allowed);
    }
    assert!(density.iter().any(|found| found.standard_error > 1e-4));
}

#[test]
fn the_halves_of_the_log_density_and_what_is_in_neither_add_up_to_one() {
    let case = Matrix::new("signs", vec![100.0, 1.0, 1.0, -0.01, 0.0, 0.0, 0.0, 0.0]);
    let rules = rules(&case.operator(DType::F64));
    let step = 0.01;
    let grid: Vec<f64> = (0..=800).map(|i| -4.0 + step * f64::from(i)).collect();
    let density = rules.log_density(&grid, 0.1).unwrap();
    let integral = |half: &[Estimate], from: f64, to: f64| -> f64 {
        let points = half.iter().zip(&grid);
        let inside = points.filter(|(_, point)| (from..to).contains(*point));
        inside.map(|(value, _)| value.value * step).sum()
    };
    let halves = [&density.positive, &density.negative].map(|half| integral(half, -9.0, 9.0));
    let neither = density.signs.below_resolution.value;
    near("whole", halves[0] + halves[1] + neither, 1.0, 1e-6);
    // Shares of the eigenvalues, known as well as 400 probes know them.
    for (found, truth) in [
        (integral(&density.positive, 1.0, 3.0), 1.0 / 8.0),
        (integral(&density.positive, -1.0, 1.0), 2.0 / 8.0),
        (integral(&density.negative, -3.0, -1.0), 1.0 / 8.0),
        (neither, 4.0 / 8.0),
    ] {
        near("share", found, truth, 0.05);
    }
}

/// Over seven decades and of either sign, one point at a time.
#[test]
fn the_log_density_is_the_broadened_spectrum_of_each_sign() {
    let sign = |i: f64| if i % 3.0 == 1.0 { -1.0 } else { 1.0 };
    let case = Matrix::by("decades", 60, |i| sign(i) * 10_f64.powf(3.0 - i / 8.5));
    let rules = methods::rules(&case.operator(DType::F64), 60, 60, 9);
    let grid: Vec<f64> = (-10..=8).map(|i| 0.5 * f64::from(i)).collect();
    let density = rules.log_density(&grid, 0.2).unwrap();
    for (half, sign) in [(&density.positive, 1.0), (&density.negative, -1.0)] {
        for (&point, found) in grid.iter().zip(half) {
            let height = |value: f64| {
                let kernel = gaussian_kernel(point - value.abs().log10(), 0.2);
                if sign * value > 0.0 { kernel } else { 0.0 }
            };
            // The rules' nodes are right to rounding, 1e-15 of the largest of seven decades.
            let allowed = found.half_width(0.9999).unwrap() + 1e-8;
            near(point, found.value, case.sum(height) / 60.0, allowed);
        }
    }
    assert_eq!(density.signs.below_resolution.value, 0.0);
}

#[test]
fn what_is_not_defined_is_refused() {
    let indefinite = rules(&case("well separated").operator(DType::F64));
    let error = indefinite.log_determinant(-20.0);
    assert!(matches!(error, Err(Error::NonFiniteIntegrand { .. })));
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
        let linear = indefinite.density(&grid, sigma).unwrap_err();
        let logarithmic = indefinite.log_density(&grid, sigma).unwrap_err();
        for message in [linear, logarithmic].map(|error| error.to_string()) {
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
