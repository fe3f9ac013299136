//! How often the 95 % intervals of the effective rank and the participation ratio contain the truth,
//! over 400 seeds and spectra of every kind.
//!
//! Symmetric intervals of what is skewed and bent err to the wide side: 92 to 99 % are asked for, no
//! less where a ratio is stationary, and 80 % where one eigenvalue holds four fifths of the trace: 86
//! and 89 % of these seeds, where no mean of 8 or 24 squared normal numbers does better.

use candle_core::DType;
use flatness_spectrum::{Error, Estimate, Probe, Quadrature, QuadratureSettings, Rule, quadrature};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::coverage::SEEDS;
use crate::matrices::Diagonal;

/// What a ratio does near its truth.
#[derive(Clone, Copy)]
enum Slope {
    /// It changes with the probes in proportion.
    Regular,
    /// It is at an extremum, or so near one that its bend matters more.
    Stationary,
    /// It changes in proportion to the square of a single normal number.
    Skewed,
}

use Slope::{Regular, Skewed, Stationary};

struct Case {
    name: &'static str,
    eigenvalues: Vec<f64>,
    effective_rank: Slope,
    participation: Slope,
}

fn cases() -> Vec<Case> {
    let case = |name, eigenvalues, effective_rank, participation| Case {
        name,
        eigenvalues,
        effective_rank,
        participation,
    };
    let by_formula =
        |dim: i32, formula: fn(f64) -> f64| (1..=dim).map(|i| formula(f64::from(i))).collect();
    let sign = |i: f64| if i % 2.0 == 0.0 { -1.0 } else { 1.0 };
    vec![
        case(
            "flat",
            by_formula(80, |i| 1.0 + 0.1 * i.cos()),
            Regular,
            Regular,
        ),
        case("root", by_formula(80, |i| i.powf(-0.5)), Regular, Regular),
        case(
            "square",
            by_formula(80, |i| i.powi(-2)),
            Stationary,
            Regular,
        ),
        case(
            "geometric",
            by_formula(80, |i| 0.8_f64.powf(i)),
            Regular,
            Regular,
        ),
        case(
            "both signs",
            (1..=80).map(f64::from).map(|i| sign(i) / i).collect(),
            Regular,
            Stationary,
        ),
        case("counting", by_formula(40, |i| i), Regular, Regular),
        case(
            "stepped",
            (0..120)
                .map(|i| [4.0, 2.0, 1.0, 0.5, -0.5, -1.5][i % 6])
                .collect(),
            Regular,
            Regular,
        ),
        case("two eigenvalues", vec![3.0, 1.0], Stationary, Regular),
        case(
            "one above the others",
            by_formula(25, |i| if i == 1.0 { 50.5 } else { 0.5 }),
            Stationary,
            Skewed,
        ),
        case(
            "no trace",
            by_formula(60, |i| if i <= 30.0 { i } else { 30.0 - i }),
            Regular,
            Stationary,
        ),
    ]
}

/// The rules that as many steps as dimensions find, by their definition: the eigenvalues, and the
/// squared entries of a random unit vector along the eigenvectors.
fn rules(eigenvalues: &[f64], probes: usize, seed: u64) -> Vec<Rule> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rule = || {
        let squares: Vec<f64> = (0..eigenvalues.len())
            .map(|_| rng.sample::<f64, _>(StandardNormal).powi(2))
            .collect();
        let sum: f64 = squares.iter().sum();
        Rule {
            nodes: eigenvalues.to_vec(),
            weights: squares.iter().map(|square| square / sum).collect(),
            residuals: vec![0.0; eigenvalues.len()],
            mass: eigenvalues.len() as f64,
            tridiagonal: None,
        }
    };
    (0..probes).map(|_| rule()).collect()
}

#[test]
fn ratios_of_spectra_of_every_kind() {
    for case in cases() {
        let settings = QuadratureSettings {
            probes: 2,
            steps: 1,
            block: 2,
            bytes: None,
            probe: Probe::Gaussian,
            seed: 0,
        };
        let operator = Diagonal::new(case.eigenvalues.clone(), DType::F64);
        let mut quadrature = quadrature(&operator, &settings).unwrap();
        let sum = |function: &dyn Fn(f64) -> f64| -> f64 {
            case.eigenvalues.iter().map(|value| function(*value)).sum()
        };
        let nuclear = sum(&f64::abs);
        let entropy = -sum(&|value| {
            let share = value.abs() / nuclear;
            if share == 0.0 {
                0.0
            } else {
                share * share.ln()
            }
        });
        let participation = sum(&|value| value).powi(2) / sum(&|value| value * value);
        type Function = fn(&Quadrature) -> Result<Estimate, Error>;
        let ratios: [(&str, f64, Slope, Function); 2] = [
            (
                "effective rank",
                entropy.exp(),
                case.effective_rank,
                Quadrature::effective_rank,
            ),
            (
                "participation ratio",
                participation,
                case.participation,
                Quadrature::participation_ratio,
            ),
        ];
        for probes in [8, 24] {
            let mut inside = [0, 0];
            for seed in 0..SEEDS {
                quadrature.rules = rules(&case.eigenvalues, probes, seed);
                for (inside, (_, truth, _, function)) in inside.iter_mut().zip(&ratios) {
                    let interval = function(&quadrature).unwrap().interval(0.95).unwrap();
                    *inside += u64::from(interval.contains(truth));
                }
            }
            for (inside, (ratio, _, slope, _)) in inside.iter().zip(&ratios) {
                let share = *inside as f64 / SEEDS as f64;
                let allowed = match slope {
                    Regular => 0.92..=0.99,
                    Stationary => 0.92..=1.0,
                    Skewed => 0.8..=0.98,
                };
                assert!(
                    allowed.contains(&share),
                    "{}: {ratio}, {probes} probes: {share}",
                    case.name
                );
            }
        }
    }
}
