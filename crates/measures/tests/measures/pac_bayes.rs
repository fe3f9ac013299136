//! Expected rises of a loss that is exactly quadratic, where rise(σ) = ½ σ² Tr T H T and
//! σ* = √(2 target / Tr T H T): coverage of the intervals.

use flatness_layers::{Affine, Loss, Network};
use flatness_measures::{
    Draws, Noise, PacBayesSigma, SigmaSettings, expected_rise, pac_bayes_sigma,
};
use flatness_testkit::{Problem, assert_close, values};

use crate::toy::{Toy, unwatched};

const EXAMPLES: usize = 7;

/// An affine map with squared error.
fn quadratic() -> Toy {
    let network = Network::chain(&[5], vec![("fc".to_owned(), Box::new(Affine::new(5, 4)))]);
    Toy::new(Problem::of(
        network.unwrap(),
        Loss::SquaredError,
        EXAMPLES,
        51,
    ))
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

fn draws(noise: Noise, seed: u64) -> Draws {
    Draws {
        noise,
        pairs: 25,
        seed,
    }
}

fn settings(noise: Noise, seed: u64) -> SigmaSettings {
    SigmaSettings {
        target: 0.1,
        initial: 0.01,
        tolerance: 1e-6,
        max_iterations: 60,
        draws: draws(noise, seed),
    }
}

#[test]
fn intervals_cover_the_expected_rise_and_the_sigma() {
    let toy = quadratic();
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    for noise in [Noise::Plain, Noise::WeightScaled] {
        let (trace, square) = moments(&toy, noise);
        let sigma = (2.0 * 0.1 / trace).sqrt();
        let (mut rises, mut sigmas, mut variance) = (0, 0, 0.0);
        for seed in 0..200 {
            let draws = draws(noise, seed);
            let got = expected_rise(&mean_loss, &theta, &[0.3], draws, &mut unwatched());
            let rise = got.unwrap()[0].rise;
            variance += rise.standard_error.powi(2) / 200.0;
            let error = (rise.value - 0.5 * 0.3 * 0.3 * trace).abs();
            rises += usize::from(error <= QUANTILE * rise.standard_error);
            let settings = settings(noise, seed);
            let got = pac_bayes_sigma(&mean_loss, &theta, &settings, &mut unwatched()).unwrap();
            check_sigma(&got);
            // The rise is quadratic in σ draw by draw, so that σ* follows from any one rise.
            let expected = 0.3 * (0.1 / rise.value).sqrt();
            assert_close("sigma", &[got.sigma], &[expected], 1e-6);
            sigmas += usize::from((got.sigma - sigma).abs() <= QUANTILE * got.standard_error);
        }
        // A quadratic form of normals has the variance 2 ‖½ σ² T H T‖_F²; 200 sample variances of 25
        // pairs average to it within a few per cent.
        let expected = 2.0 * (0.5_f64 * 0.3 * 0.3).powi(2) * square / 25.0;
        assert_close("squared standard error", &[variance], &[expected], 0.1);
        assert!((184..=196).contains(&rises), "{noise:?}: {rises} of 200");
        assert!((184..=196).contains(&sigmas), "{noise:?}: {sigmas} of 200");
    }
}

fn check_sigma(got: &PacBayesSigma) {
    assert!(got.converged, "{got:?}");
    let (low, high) = got.bracket;
    assert!(low < got.sigma && got.sigma < high && high <= low * (1.0 + 1e-6));
    assert_close("rise", &[got.rise.value], &[0.1], 1e-5);
    // rise = c σ²: the relative error of σ is half that of the rise.
    let expected = 0.5 * got.sigma * got.rise.standard_error / got.rise.value;
    assert_close("standard error", &[got.standard_error], &[expected], 1e-4);
}

#[test]
fn costs_are_counted_and_the_same_seed_gives_the_same_bits() {
    let toy = quadratic();
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    let mut losses = 0;
    let settings = settings(Noise::WeightScaled, 3);
    let first = pac_bayes_sigma(&mean_loss, &theta, &settings, &mut |done| losses += done).unwrap();
    assert_eq!(first.cost.losses, losses);
    assert_eq!((losses - 1) % 50, 0, "a rise takes 25 pairs");
    let again = pac_bayes_sigma(&mean_loss, &theta, &settings, &mut unwatched()).unwrap();
    assert_eq!(first, again);
    // From above, the other way round.
    let above = SigmaSettings {
        initial: 40.0,
        ..settings
    };
    let other = pac_bayes_sigma(&mean_loss, &theta, &above, &mut unwatched()).unwrap();
    assert_close("from above", &[other.sigma], &[first.sigma], 1e-6);
    let short = SigmaSettings {
        max_iterations: 2,
        ..settings
    };
    let short = pac_bayes_sigma(&mean_loss, &theta, &short, &mut unwatched()).unwrap();
    assert!(!short.converged && short.iterations == 2);
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let toy = quadratic();
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    let sound = settings(Noise::Plain, 0);
    let one = Draws {
        pairs: 1,
        ..sound.draws
    };
    let cases = [
        (
            SigmaSettings {
                target: 0.0,
                ..sound
            },
            "the target is 0",
        ),
        (
            SigmaSettings {
                initial: -1.0,
                ..sound
            },
            "the initial sigma is -1",
        ),
        (
            SigmaSettings {
                tolerance: f64::NAN,
                ..sound
            },
            "tolerance is NaN",
        ),
        (
            SigmaSettings {
                draws: one,
                ..sound
            },
            "pairs is 1, but a standard error needs",
        ),
        (
            SigmaSettings {
                target: 1e300,
                ..sound
            },
            "the expected rise does not cross",
        ),
    ];
    for (settings, expected) in cases {
        let result = pac_bayes_sigma(&mean_loss, &theta, &settings, &mut unwatched());
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let result = expected_rise(
        &mean_loss,
        &theta,
        &[0.1, 0.0],
        sound.draws,
        &mut unwatched(),
    );
    assert!(result.unwrap_err().to_string().starts_with("sigma is 0"));
}
