//! Expected rises of a loss that is exactly quadratic, where rise(σ) = ½ σ² Tr T H T and
//! σ* = √(2 target / Tr T H T): coverage of the intervals.

use flatness_layers::{Affine, Loss, Network};
use flatness_measures::{
    Draws, Error, Noise, PacBayesSigma, SigmaSettings, Stop, Watch, pac_bayes_sigma,
};
use flatness_testkit::{Problem, assert_close, values};

use crate::toy::{Toy, counted};

const EXAMPLES: usize = 7;

/// An affine map with squared error.
fn quadratic() -> Toy {
    let network = Network::chain(&[5], vec![("fc".to_owned(), Box::new(Affine::new(5, 4)))]);
    let problem = Problem::of(network.unwrap(), Loss::SquaredError, EXAMPLES, 51);
    Toy::new(problem)
}

/// Tr T H T and ‖T H T‖_F²: the Hessian of each row of the weights with its bias is (1/N) Σ x xᵀ, x
/// augmented by 1.
fn moments(toy: &Toy, noise: Noise) -> (f64, f64) {
    let inputs = values(&toy.problem.inputs);
    let theta = &toy.problem.theta;
    let x = |i: usize, column: usize| {
        if column < 5 {
            inputs[5 * i + column]
        } else {
            1.0
        }
    };
    let (mut trace, mut square) = (0.0, 0.0);
    for row in 0..4 {
        let scale = |column: usize| match noise {
            Noise::Plain => 1.0,
            Noise::WeightScaled if column < 5 => theta[5 * row + column],
            Noise::WeightScaled => theta[20 + row],
        };
        for (a, b) in (0..6).flat_map(|a| (0..6).map(move |b| (a, b))) {
            let second: f64 = (0..EXAMPLES).map(|i| x(i, a) * x(i, b)).sum();
            let entry = scale(a) * scale(b) * second / EXAMPLES as f64;
            square += entry * entry;
            trace += if a == b { entry } else { 0.0 };
        }
    }
    (trace, square)
}

/// Student's 97.5 % quantile for 24 degrees of freedom, those of 25 pairs.
const QUANTILE: f64 = 2.0639;

fn settings(noise: Noise, seed: u64) -> SigmaSettings {
    SigmaSettings {
        target: 0.1,
        initial: 0.01,
        tolerance: 1e-6,
        max_iterations: 60,
        draws: Draws {
            noise,
            pairs: 25,
            seed,
        },
    }
}

#[test]
fn intervals_cover_the_expected_rise_and_the_sigma() {
    let toy = quadratic();
    for noise in [Noise::Plain, Noise::WeightScaled] {
        let (trace, square) = moments(&toy, noise);
        let sigma = (2.0 * 0.1 / trace).sqrt();
        let (mut rises, mut sigmas, mut variance) = (0, 0, 0.0);
        for seed in 0..200 {
            let got = measure(&toy, &settings(noise, seed)).unwrap();
            check_sigma(&got);
            // The rise is quadratic in σ draw by draw, so that any one rise follows from σ*.
            let at = (0.3 / got.sigma.value).powi(2);
            let error = (at * got.rise.value - 0.5 * 0.3 * 0.3 * trace).abs();
            let standard_error = at * got.rise.standard_error;
            variance += standard_error.powi(2) / 200.0;
            rises += usize::from(error <= QUANTILE * standard_error);
            let error = (got.sigma.value - sigma).abs();
            sigmas += usize::from(error <= QUANTILE * got.sigma.standard_error);
        }
        // A quadratic form of normals has the variance 2 ‖½ σ² T H T‖_F²; 200 sample variances of 25
        // pairs average to it within a few per cent.
        let expected = 2.0 * (0.5_f64 * 0.3 * 0.3).powi(2) * square / 25.0;
        assert_close("squared standard error", &[variance], &[expected], 0.1);
        assert!((184..=196).contains(&rises), "{noise:?}: {rises} of 200");
        assert!((184..=196).contains(&sigmas), "{noise:?}: {sigmas} of 200");
    }
}

fn measure(toy: &Toy, settings: &SigmaSettings) -> Result<PacBayesSigma, Error> {
    toy.on(|loss| pac_bayes_sigma(loss, &toy.theta(), settings, Watch::NOBODY))
}

fn check_sigma(got: &PacBayesSigma) {
    assert_eq!(got.stop, Stop::Converged, "{got:?}");
    let ((low, high), sigma) = (got.bracket, got.sigma.value);
    assert!(low < sigma && sigma < high && high <= low * (1.0 + 1e-6));
    assert_close("rise", &[got.rise.value], &[0.1], 1e-5);
    // rise = c σ²: the relative errors of σ are half those of the rise.
    let half = |error: f64| 0.5 * sigma * error / got.rise.value;
    let (rise, errors) = (got.rise, [got.sigma.standard_error, got.sigma.rounding]);
    let expected = [rise.standard_error, rise.rounding].map(half);
    assert_close("standard error", &errors[..1], &expected[..1], 1e-4);
    assert_close("rounding", &errors[1..], &expected[1..], 1e-4);
    // 256 ε of L(θ) and of the losses around it, which are larger by the rise on average.
    let terms = 2.0 * got.loss + rise.value;
    let expected = 256.0 * f64::EPSILON * terms;
    assert_close("rounding", &[rise.rounding], &[expected], 1e-9);
}

#[test]
fn costs_are_counted_and_the_same_seed_gives_the_same_bits() {
    let toy = quadratic();
    let settings = settings(Noise::WeightScaled, 3);
    let (first, losses) = counted(u64::MAX, |watch| {
        toy.on(|loss| pac_bayes_sigma(loss, &toy.theta(), &settings, watch))
    });
    let first = first.unwrap();
    assert_eq!(first.cost.losses, losses);
    assert_eq!((losses - 1) % 50, 0, "a rise takes 25 pairs");
    assert_eq!(measure(&toy, &settings).unwrap(), first);
    // From above, the other way round.
    let above = SigmaSettings {
        initial: 40.0,
        ..settings
    };
    let other = measure(&toy, &above).unwrap();
    let sigmas = [other, first].map(|found| found.sigma.value);
    assert_close("from above", &sigmas[..1], &sigmas[1..], 1e-6);
    let short = SigmaSettings {
        max_iterations: 2,
        ..settings
    };
    let short = measure(&toy, &short).unwrap();
    assert_eq!((short.stop, short.iterations), (Stop::Iterations, 2));
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let toy = quadratic();
    type Change = fn(&mut SigmaSettings);
    let cases: [(Change, &str); 5] = [
        (|it| it.target = 0.0, "the target is 0"),
        (|it| it.initial = -1.0, "the initial sigma is -1"),
        (|it| it.tolerance = f64::NAN, "tolerance is NaN"),
        (|it| it.draws.pairs = 1, "pairs is 1, but a standard error"),
        (|it| it.target = 1e300, "the expected rise does not cross"),
    ];
    for (change, expected) in cases {
        let mut settings = settings(Noise::Plain, 0);
        change(&mut settings);
        let message = measure(&toy, &settings).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
