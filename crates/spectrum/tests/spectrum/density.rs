//! The density against the broadened spectrum.

use candle_core::DType;
use flatness_spectrum::{Error, Probe, QuadratureSettings, quadrature};

use crate::matrices::case;

const SETTINGS: QuadratureSettings = QuadratureSettings {
    probes: 100,
    steps: 60,
    block: 20,
    bytes: None,
    probe: Probe::Gaussian,
    seed: 23,
};

#[test]
fn the_density_has_integral_one_and_is_the_broadened_spectrum() {
    let case = case("indefinite");
    let sigma = 0.4;
    let result = quadrature(&case.operator(DType::F64), &SETTINGS).unwrap();
    // Ten sigma beyond the ends of the spectrum nothing is left; the trapezoidal rule on a Gaussian
    // sampled at 0.05 sigma is exact to rounding.
    let step = 0.05 * sigma;
    let grid: Vec<f64> = (0..)
        .map(|i| -7.0 + step * f64::from(i))
        .take_while(|&point| point <= 9.0)
        .collect();
    let density = result.density(&grid, sigma).unwrap();
    assert_eq!(density.grid, grid);
    assert_eq!(
        (
            density.sigma,
            density.probes,
            density.products,
            density.seed
        ),
        (sigma, 100, 6_000, 23)
    );
    let integral: f64 = density.values.iter().sum::<f64>() * step;
    assert!((integral - 1.0).abs() <= 1e-12, "{integral}");
    for ((&point, value), error) in grid
        .iter()
        .zip(&density.values)
        .zip(&density.standard_errors)
    {
        let truth: f64 = case
            .eigenvalues
            .iter()
            .map(|eigenvalue| {
                let distance = (point - eigenvalue) / sigma;
                (-distance * distance / 2.0).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt())
            })
            .sum::<f64>()
            / 60.0;
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
fn widths_and_grids_that_make_no_sense_are_refused() {
    let settings = QuadratureSettings {
        probes: 2,
        steps: 3,
        ..SETTINGS
    };
    let result = quadrature(&case("indefinite").operator(DType::F64), &settings).unwrap();
    for sigma in [0.0, -1.0, f64::NAN] {
        let error = result.density(&[0.0], sigma).unwrap_err();
        assert!(
            matches!(error, Error::OutOfRange { field: "sigma", .. }),
            "{error}"
        );
    }
    assert!(matches!(result.density(&[], 1.0), Err(Error::Zero { .. })));
    assert!(matches!(
        result.density(&[0.0, f64::NAN], 1.0),
        Err(Error::OutOfRange { .. })
    ));
}
