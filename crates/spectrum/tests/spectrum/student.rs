//! Student's t quantiles against published tables and closed forms.

use flatness_spectrum::{Error, Estimate};

use crate::methods::near;

fn estimate(probes: usize) -> Estimate {
    Estimate {
        value: 10.0,
        standard_error: 2.0,
        rounding: 0.0,
        probes,
        products: probes,
        seed: 0,
    }
}

/// Half-widths in standard errors.
fn quantile(degrees: usize, confidence: f64) -> f64 {
    estimate(degrees + 1).half_width(confidence).unwrap() / 2.0
}

#[test]
fn half_widths_are_the_published_quantiles_of_student() {
    // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, columns 0.975 and 0.95.
    for (degrees, two_sided_95, two_sided_90) in [
        (1, 12.706, 6.314),
        (2, 4.303, 2.920),
        (3, 3.182, 2.353),
        (4, 2.776, 2.132),
        (7, 2.365, 1.895),
        (10, 2.228, 1.812),
        (29, 2.045, 1.699),
        (30, 2.042, 1.697),
        (100, 1.984, 1.660),
    ] {
        // The table has three decimals.
        near(degrees, quantile(degrees, 0.95), two_sided_95, 0.5001e-3);
        near(degrees, quantile(degrees, 0.9), two_sided_90, 0.5001e-3);
    }
    near("limit", quantile(999_999, 0.95) / 1.959_964, 1.0, 1.4e-3);
}

#[test]
fn one_and_two_degrees_of_freedom_are_the_closed_forms() {
    for confidence in [0.5, 0.8, 0.95, 0.999] {
        let cauchy = (std::f64::consts::FRAC_PI_2 * confidence).tan();
        let two = confidence * (2.0 / (1.0 - confidence * confidence)).sqrt();
        near(confidence, quantile(1, confidence) / cauchy, 1.0, 1e-11);
        near(confidence, quantile(2, confidence) / two, 1.0, 1e-11);
    }
}

#[test]
fn the_interval_is_centred_and_nonsense_is_refused() {
    let interval = estimate(2).interval(0.5).unwrap();
    near("start", *interval.start(), 8.0, 1e-12);
    near("end", *interval.end(), 12.0, 1e-12);
    for confidence in [0.0, 1.0, -0.5, f64::NAN] {
        match estimate(5).half_width(confidence) {
            Err(Error::OutOfRange { field, .. }) => assert_eq!(field, "confidence"),
            other => panic!("{other:?}"),
        }
    }
    let error = estimate(1).half_width(0.95);
    assert!(matches!(error, Err(Error::TooFewProbes { got: 1 })));
}
