//! Adaptive sharpness against its matrix written out, against a grid of the ellipse, and under
//! rescaling.

use flatness_curvature::Retention;
use flatness_layers::Loss;
use flatness_measures::{
    AdaptiveSettings, AscentSettings, Rescaling, Stop, Watch, adaptive, adaptive_rise,
};
use flatness_testkit::{Activation, Problem, assert_close, dense_matrix, gaussian, values};

use crate::toy::{Toy, vector};
use crate::two_parameters::CASES;

const EXAMPLES: usize = 9;

fn settings(radius: f64, offset: f64) -> AdaptiveSettings<'static> {
    AdaptiveSettings {
        radius,
        offset,
        directions: &[],
        ascent: AscentSettings {
            random_starts: 10,
            max_iterations: 500,
            tolerance: 1e-6,
            seed: 4,
        },
    }
}

#[test]
fn the_operator_is_the_hessian_between_the_magnitudes() {
    let problem = Problem::new(
        &[4, 5, 3],
        Activation::Tanh,
        Loss::CrossEntropy,
        EXAMPLES,
        31,
    );
    let (hessian, theta) = (problem.hessian(), problem.theta.clone());
    let toy = Toy::new(problem);
    let mean_loss = toy.mean_loss();
    let curvature = mean_loss
        .curvature(&toy.theta(), Retention::Retain)
        .unwrap();
    for offset in [0.0, 0.01] {
        let operator = adaptive(curvature.hessian(), &toy.theta(), offset).unwrap();
        let expected = hessian.map_with_location(|i, j, entry| {
            (theta[i].abs() + offset) * (theta[j].abs() + offset) * entry / EXAMPLES as f64
        });
        let dense = dense_matrix(&operator);
        assert_close("T H T", dense.as_slice(), expected.as_slice(), 1e-13);
    }
}

#[test]
fn the_worst_case_agrees_with_a_grid_of_the_ellipse() {
    const RINGS: i32 = 200;
    const ANGLES: i32 = 2000;
    for (network, loss, formula, theta) in CASES {
        let toy = Toy::new(Problem::of(network(), loss, EXAMPLES, 5));
        let (x, y) = (values(&toy.problem.inputs), values(&toy.problem.labels));
        let center = formula(&x, &y, theta);
        for radius in [1e-2, 0.5, 3.0] {
            let settings = settings(radius, 0.01);
            let ascent = toy
                .on(|loss| adaptive_rise(loss, &vector(&theta), &settings, Watch::NOBODY).unwrap());
            let rise = |ring: i32, angle: i32| {
                let length = radius * f64::from(ring) / f64::from(RINGS);
                let angle = std::f64::consts::TAU * f64::from(angle) / f64::from(ANGLES);
                let scale = theta.map(|weight| length * (weight.abs() + 0.01));
                let moved = [
                    theta[0] + scale[0] * angle.cos(),
                    theta[1] + scale[1] * angle.sin(),
                ];
                formula(&x, &y, moved) - center
            };
            let points = (0..=RINGS).flat_map(|ring| (0..ANGLES).map(move |angle| (ring, angle)));
            let expected = points
                .map(|(ring, angle)| rise(ring, angle))
                .fold(0.0, f64::max);
            let got = ascent.rise;
            // The search ends within its tolerance. On the border the grid misses (2π / 2000)² / 8 of the curvature along it, 1e-6; inside
            // a maximum it misses as little of a ring.
            assert!(got >= expected * (1.0 - 1e-6), "{got:e} below {expected:e}");
            assert!(got <= expected * (1.0 + 1e-3), "{got:e} above {expected:e}");
            assert_eq!(ascent.stop, Stop::Converged, "{ascent:?}");
        }
    }
}

#[test]
fn rescaling_two_layers_changes_neither_number() {
    let problem = Problem::new(
        &[4, 5, 3],
        Activation::Relu,
        Loss::CrossEntropy,
        EXAMPLES,
        32,
    );
    let pair = Rescaling::pairs(&problem.network).remove(0);
    let toy = Toy::new(problem);
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    let both = |alpha: f64| {
        let theta = pair.apply(&theta, alpha).unwrap();
        let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
        let operator = adaptive(curvature.hessian(), &theta, 0.0).unwrap();
        let lambda_max = dense_matrix(&operator).symmetric_eigenvalues().max();
        let settings = settings(0.05, 0.0);
        let ascent = toy.on(|loss| adaptive_rise(loss, &theta, &settings, Watch::NOBODY).unwrap());
        // ½ ρ² λ_max is the rise to second order at a stationary point, which this is not: the slope
        // along the ellipsoid makes the rise the larger of the two.
        assert!(ascent.rise > 0.5 * 0.05_f64.powi(2) * lambda_max);
        [lambda_max, ascent.rise]
    };
    let expected = both(1.0);
    for alpha in [1e-2, 1e2] {
        let got = both(alpha);
        assert_close("lambda_max", &got[..1], &expected[..1], 1e-11);
        // Rounding decides which of two equal steps is taken; both end within the tolerance.
        assert_close("rise", &got[1..], &expected[1..], 1e-5);
    }
}

#[test]
fn directions_are_starts_and_settings_that_make_no_sense_are_errors() {
    let problem = Problem::new(
        &[4, 5, 3],
        Activation::Tanh,
        Loss::CrossEntropy,
        EXAMPLES,
        33,
    );
    let toy = Toy::new(problem);
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    let dim = toy.problem.dim();
    let direction = gaussian(dim, 34);
    let sound = AdaptiveSettings {
        directions: std::slice::from_ref(&direction),
        ..settings(0.1, 0.0)
    };
    let rise = |settings| toy.on(|loss| adaptive_rise(loss, &theta, &settings, Watch::NOBODY));
    let ascent = rise(sound).unwrap();
    assert_eq!(ascent.start_rises.len(), 13);
    let pairs = values(&direction).into_iter().zip(&toy.problem.theta);
    let reach = 0.1 / pairs.map(|(d, w)| (d / w).powi(2)).sum::<f64>().sqrt();
    let loss = mean_loss.evaluate(&theta).unwrap().loss;
    for sign in [-reach, reach] {
        let end = (&theta + (&direction * sign).unwrap()).unwrap();
        assert!(ascent.rise >= mean_loss.evaluate(&end).unwrap().loss - loss);
    }
    let zero = vector(&vec![0.0; dim]);
    let cases = [
        (
            AdaptiveSettings {
                radius: 0.0,
                ..sound
            },
            "the radius is 0",
        ),
        (
            AdaptiveSettings {
                offset: -0.1,
                ..sound
            },
            "the offset is -0.1; set it to a finite number from 0",
        ),
        (
            AdaptiveSettings {
                directions: std::slice::from_ref(&zero),
                ..sound
            },
            "a direction of the ellipsoid has no length",
        ),
    ];
    for (settings, expected) in cases {
        let message = rise(settings).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
