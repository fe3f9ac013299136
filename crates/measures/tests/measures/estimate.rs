//! Ratios of means by hand, by coverage, and where there are none.

use flatness_measures::{Cost, Error, Estimate, Form, LossRise, rise_over_quadratic};
use flatness_testkit::{assert_close, gaussian, values};

use crate::toy::check_coverage;

/// The ratio for these rises over these quadratic rises.
fn ratio(rises: &[f64], quadratic: &[f64]) -> Result<Estimate, Error> {
    let rise = |&even: &f64| LossRise {
        // Odd parts cancel; ½ r² is 1.
        radius: 2.0_f64.sqrt(),
        up: even + 5.0,
        down: even - 5.0,
        rounding: 1e-3,
    };
    let form = |&value: &f64| Form {
        value,
        rounding: 1e-4,
        cost: Cost::default(),
    };
    let rises: Vec<LossRise> = rises.iter().map(rise).collect();
    let forms: Vec<Form> = quadratic.iter().map(form).collect();
    rise_over_quadratic(&rises, &forms)
}

#[test]
fn a_ratio_and_its_errors_are_those_by_hand() {
    // r = 7 / 4; a − r b is −3/4, 1/4, 1/2, the sum of squares 7/8; the mean denominator 4/3.
    let got = ratio(&[1.0, 2.0, 4.0], &[1.0, 1.0, 2.0]).unwrap();
    let standard_error = (7.0_f64 / 8.0 / 6.0).sqrt() * 0.75;
    let rounding = (1e-3 + 1.75 * 1e-4) * 0.75;
    let numbers = [got.value, got.standard_error, got.rounding, got.error()];
    let error = standard_error.hypot(rounding);
    let expected = [1.75, standard_error, rounding, error];
    assert_close("ratio", &numbers, &expected, 1e-12);
    assert_eq!(got.draws, 3);
}

/// Denominators of either sign, whose ratios one by one have no mean.
#[test]
fn intervals_cover_the_ratio_of_means() {
    check_coverage("ratio", |&seed| {
        let normals = values(&gaussian(80, seed));
        let denominators: Vec<f64> = normals[..40].iter().map(|x| 1.0 + x).collect();
        let pairs = denominators.iter().zip(&normals[40..]);
        let numerators: Vec<f64> = pairs.map(|(b, noise)| 2.0 * b + noise).collect();
        let got = ratio(&numerators, &denominators).unwrap();
        // Student's 97.5 % quantile for 39 degrees of freedom.
        (got.value - 2.0).abs() <= 2.0227 * got.standard_error
    });
}

#[test]
fn a_denominator_that_may_be_zero_is_not_resolved() {
    // Mean 1/4; squares of the deviations 27/4, over 12 the square of 3/4.
    match ratio(&[1.0; 4], &[2.0, -1.0, 1.0, -1.0]).unwrap_err() {
        Error::Unresolved { value, error, .. } => {
            let expected = [0.25, 0.75_f64.hypot(1e-4)];
            assert_close("mean and error", &[value, error], &expected, 1e-12);
        }
        error => panic!("{error}"),
    }
    // A single direction whose form is rounding.
    let error = ratio(&[1.0], &[1e-4]).unwrap_err();
    assert!(error.to_string().contains("is not resolved"), "{error}");
    for (rises, forms) in [(2, 1), (0, 0)] {
        let error = ratio(&vec![1.0; rises], &vec![1.0; forms]).unwrap_err();
        assert!(matches!(error, Error::Pairs { .. }), "{error}");
    }
}
