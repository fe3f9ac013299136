//! How often the 95 % intervals of the effective rank and the participation ratio contain the truth,
//! over 400 seeds and spectra of every kind.
//!
//! Symmetric intervals of what is skewed and bent err to the wide side: 92 to 99 % are asked for, no
//! less where a ratio is stationary, and 80 % where one eigenvalue holds four fifths of the trace: 86
//! and 89 % of these seeds, where no mean of 8 or 24 squared normal numbers does better.

use candle_core::DType;
use flatness_spectrum::{Quadrature, Rule};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::coverage::SEEDS;
use crate::matrices::Diagonal;
use crate::methods::{self, Function};

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

/// Name, dimension, what the effective rank and the participation ratio do, and eigenvalue i from 1.
type Case = (&'static str, u32, [Slope; 2], fn(f64) -> f64);

const CASES: [Case; 10] = [
    ("flat", 80, [Regular; 2], |i| 1.0 + 0.1 * i.cos()),
    ("root", 80, [Regular; 2], |i| i.powf(-0.5)),
    ("square", 80, [Stationary, Regular], |i| i.powi(-2)),
    ("geometric", 80, [Regular; 2], |i| 0.8_f64.powf(i)),
    ("both signs", 80, [Regular, Stationary], |i| {
        if i % 2.0 == 0.0 {
            -i.recip()
        } else {
            i.recip()
        }
    }),
    ("counting", 40, [Regular; 2], |i| i),
    ("stepped", 120, [Regular; 2], |i| {
        [4.0, 2.0, 1.0, 0.5, -0.5, -1.5][(i as usize - 1) % 6]
    }),
    ("three and one", 2, [Stationary, Regular], |i| 5.0 - 2.0 * i),
    ("one above all", 25, [Stationary, Skewed], |i| {
        if i == 1.0 { 50.5 } else { 0.5 }
    }),
    ("no trace", 60, [Regular, Stationary], |i| {
        if i <= 30.0 { i } else { 30.0 - i }
    }),
];

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
    for (name, dim, slopes, formula) in CASES {
        let eigenvalues: Vec<f64> = (1..=dim).map(|i| formula(f64::from(i))).collect();
        let operator = Diagonal::new(eigenvalues.clone(), DType::F64);
        let mut quadrature = methods::rules(&operator, 2, 1, 0);
        let sum = |function: &dyn Fn(f64) -> f64| -> f64 {
            eigenvalues.iter().map(|value| function(*value)).sum()
        };
        let nuclear = sum(&f64::abs);
        let entropy = -sum(&|value| {
            let share = value.abs() / nuclear;
            share * share.ln()
        });
        let participation = sum(&|value| value).powi(2) / sum(&|value| value * value);
        let ratios: [(f64, Function); 2] = [
            (entropy.exp(), Quadrature::effective_rank),
            (participation, Quadrature::participation_ratio),
        ];
        for probes in [8, 24] {
            let mut inside = [0, 0];
            for seed in 0..SEEDS {
                quadrature.rules = rules(&eigenvalues, probes, seed);
                for (inside, (truth, function)) in inside.iter_mut().zip(&ratios) {
                    let interval = function(&quadrature).unwrap().interval(0.95).unwrap();
                    *inside += u64::from(interval.contains(truth));
                }
            }
            for (ratio, slope) in slopes.into_iter().enumerate() {
                let share = inside[ratio] as f64 / SEEDS as f64;
                let allowed = match slope {
                    Regular => 0.92..=0.99,
                    Stationary => 0.92..=1.0,
                    Skewed => 0.8..=0.98,
                };
                let held = allowed.contains(&share);
                assert!(held, "{name}: ratio {ratio}, {probes} probes: {share}");
            }
        }
    }
}
