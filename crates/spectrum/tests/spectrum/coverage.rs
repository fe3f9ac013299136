//! How often the 95 % intervals contain the truth, over spectra of every kind.
//!
//! Of 400 intervals of exactly 95 % the number that contain the truth has a standard deviation of
//! 1.1 %, so that 92 to 98 % is nearly three of them. Over 1000 seeds those of traces, norms and sums
//! contained it 93.5 to 95.3 % of the time, and those of XDiag in 200 dimensions, over 100 seeds of all
//! entries, 94.5 to 97.5 %, by the spectrum and the probes.
//!
//! Symmetric intervals of what is bent, as ratios are, err to the wide side: 92 to 99 % are asked for, and no
//! less where a ratio is stationary.

use candle_core::DType;
use flatness_spectrum::{Diagonal, Estimate, Quadrature, Rule};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::diagonal::host;
use crate::matrices::{Matrix, diagonal};
use crate::methods::{self, Function, SKETCH, moments, with, xdiag};

const SEEDS: u64 = 400;

pub(crate) fn check_coverage(name: &str, truth: f64, estimate: impl Fn(u64) -> Estimate) {
    let inside = (0..SEEDS)
        .filter(|&seed| estimate(seed).interval(0.95).unwrap().contains(&truth))
        .count() as u64;
    let allowed = SEEDS * 92 / 100..=SEEDS * 98 / 100;
    assert!(allowed.contains(&inside), "{name}: {inside} of {SEEDS}");
}

/// A spectrum of both signs that decays slowly, so that sums over it are nearly normal.
#[test]
fn traces_and_norms() {
    let sign = |i: f64| if i % 4.0 == 3.0 { -1.0 } else { 1.0 };
    let case = Matrix::by("decaying", 200, |i| sign(i) * (1.0 + i).powf(-0.25));
    let operator = case.operator(DType::F64);
    let [trace, squares] = case.moments();
    let squared = |seed| moments(&operator, None, 16, seed).frobenius_squared;
    check_coverage("trace", trace, |seed| {
        moments(&operator, None, 8, seed).trace
    });
    // One step of a Gaussian probe is its form over its squared length.
    check_coverage("trace by Gaussian probes", trace, |seed| {
        let rules = methods::rules(&operator, 8, 1, seed);
        rules.integrate(|value| value).unwrap()
    });
    check_coverage("squared Frobenius norm", squares, squared);
    check_coverage("Frobenius norm", squares.sqrt(), |seed| {
        squared(seed).sqrt().unwrap()
    });
}

/// Six distinct eigenvalues.
fn stepped(i: f64) -> f64 {
    [4.0, 2.0, 1.0, 0.5, -0.5, -1.5][i as usize % 6]
}

/// Six steps integrate six eigenvalues exactly.
#[test]
fn sums_over_the_spectrum() {
    let case = Matrix::by("stepped", 120, stepped);
    let operator = case.operator(DType::F64);
    let results = (0..SEEDS).map(|seed| methods::rules(&operator, 16, 6, seed));
    let results: Vec<Quadrature> = results.collect();
    let [_, squares] = case.moments();
    let logarithm = case.sum(|value| (value + 2.0).ln());
    let functions: [(&str, f64, Function); 5] = [
        ("ln det", logarithm, |rules| rules.log_determinant(2.0)),
        ("nuclear", case.sum(f64::abs), Quadrature::nuclear_norm),
        ("squared norm", squares, Quadrature::frobenius_squared),
        ("rank", 80.0, |rules| rules.numerical_rank(0.75)),
        ("count", 60.0, |rules| rules.count(-0.75..=1.2)),
    ];
    for (name, truth, function) in functions {
        check_coverage(name, truth, |seed| {
            function(&results[seed as usize]).unwrap()
        });
    }
}

/// Eigenvalue i from 1 by formula.
type Formula = fn(f64) -> f64;

/// A name of [`SPECTRA`] stands for its formula.
fn formula(name: &str) -> Formula {
    SPECTRA.into_iter().find(|one| one.0 == name).unwrap().1
}

/// Flat; decaying slowly, fast and faster; of both signs; in clusters; and a Hessian's.
const SPECTRA: [(&str, Formula); 8] = [
    ("flat", |i| 1.0 + 0.1 * i.cos()),
    ("slow", |i| i.powf(-0.25)),
    ("root", |i| i.powf(-0.5)),
    ("square", |i| i.powi(-2)),
    ("geometric", |i| 0.8_f64.powf(i)),
    ("both signs", |i| {
        if i % 2.0 == 0.0 {
            -i.recip()
        } else {
            i.recip()
        }
    }),
    ("clustered", |i| match i {
        1.0..=5.0 => 5.0,
        6.0..=30.0 => 1.0,
        _ => 0.01,
    }),
    ("outliers", |i| match i {
        1.0 => 100.0,
        2.0 => 60.0,
        3.0 => 30.0,
        4.0 => -10.0,
        _ => 0.5 - 0.6 * i / 80.0,
    }),
];

/// With 8 and 20 probes, the results of `seeds` seeds and what each entry is away from the truth.
fn check_sketches(seeds: u64, check: impl Fn(&str, &[(Diagonal, Vec<f64>)])) {
    for (name, formula) in SPECTRA {
        let case = Matrix::by(name, 80, |i| formula(i + 1.0));
        let operator = case.operator(DType::F64);
        let truths = case.entries.diagonal();
        for probes in [8, 20] {
            let sketch = |seed| {
                let settings = with(SKETCH, |it| (it.probes, it.block) = (probes, probes));
                let found = xdiag(&operator, &with(settings, |it| it.seed = seed)).unwrap();
                let pairs = host(&found.values).into_iter().zip(&truths);
                let distances = pairs.map(|(value, truth)| (value - truth).abs()).collect();
                (found, distances)
            };
            let results: Vec<_> = (0..seeds).map(sketch).collect();
            check(&format!("{name}, {probes} probes"), &results);
        }
    }
}

/// Of the whole diagonal, over 100 seeds: the bound of its error holds 95 % of the time at least, and the
/// standard error is that of all seeds together. It was 0.997 to 1.29 of that, most where few entries
/// hold the errors: a covariance that is negative by chance counts as none.
#[test]
fn xdiag_as_a_whole_on_spectra_of_every_kind() {
    check_sketches(100, |name, results| {
        let (mut inside, mut squares, mut stated) = (0, 0.0, 0.0);
        for (result, distances) in results {
            let norm = result.norm().unwrap();
            let square: f64 = distances.iter().map(|one| one * one).sum();
            inside += usize::from(square.sqrt() <= norm.half_width(0.95).unwrap());
            squares += square;
            stated += norm.standard_error.powi(2);
        }
        let ratio = (stated / squares).sqrt();
        assert!(inside >= 95, "{name}: {inside} of 100");
        assert!((0.9..=1.4).contains(&ratio), "{name}: {ratio}");
    });
}

#[test]
fn xdiag_on_spectra_of_every_kind() {
    check_sketches(40, |name, results| {
        let inside = results.iter().flat_map(|(result, distances)| {
            // Student's 97.5 % quantiles for 7 and 19 degrees of freedom.
            let quantile = if result.probes == 8 { 2.365 } else { 2.093 };
            let errors = host(&result.standard_errors).into_iter().zip(distances);
            errors.filter(move |(error, away)| **away <= quantile * error)
        });
        let share = inside.count() as f64 / (results.len() * results[0].1.len()) as f64;
        assert!((0.92..=0.98).contains(&share), "{name}: {share}");
    });
}

/// The rules that as many steps as dimensions find, by their definition: the eigenvalues, and the
/// squared entries of a random unit vector along the eigenvectors.
fn whole_rules(eigenvalues: &[f64], probes: usize, seed: u64) -> Vec<Rule> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rule = || {
        let squares = eigenvalues
            .iter()
            .map(|_| rng.sample::<f64, _>(StandardNormal).powi(2));
        let squares: Vec<f64> = squares.collect();
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

/// With the most that is allowed: all, where the ratio is at an extremum, or so near one that its bend matters more.
#[test]
fn effective_ranks_of_spectra_of_every_kind() {
    let cases: [(&str, u32, f64, Formula); 10] = [
        ("flat", 80, 0.99, formula("flat")),
        ("root", 80, 0.99, formula("root")),
        ("square", 80, 1.0, formula("square")),
        ("geometric", 80, 0.99, formula("geometric")),
        ("both signs", 80, 0.99, formula("both signs")),
        ("counting", 40, 0.99, |i| i),
        ("stepped", 120, 0.99, |i| stepped(i - 1.0)),
        ("three and one", 2, 1.0, |i| 5.0 - 2.0 * i),
        (
            "one above all",
            25,
            1.0,
            |i| if i == 1.0 { 50.5 } else { 0.5 },
        ),
        (
            "no trace",
            60,
            0.99,
            |i| if i <= 30.0 { i } else { 30.0 - i },
        ),
    ];
    for (name, dim, most, formula) in cases {
        let eigenvalues: Vec<f64> = (1..=dim).map(|i| formula(f64::from(i))).collect();
        let operator = diagonal(&eigenvalues, DType::F64);
        let mut quadrature = methods::rules(&operator, 2, 1, 0);
        let nuclear: f64 = eigenvalues.iter().map(|value| value.abs()).sum();
        let shares = eigenvalues.iter().map(|value| value.abs() / nuclear);
        let truth = shares.map(|share| -share * share.ln()).sum::<f64>().exp();
        for probes in [8, 24] {
            let inside = (0..SEEDS).filter(|&seed| {
                quadrature.rules = whole_rules(&eigenvalues, probes, seed);
                let found = quadrature.effective_rank().unwrap();
                found.interval(0.95).unwrap().contains(&truth)
            });
            let share = inside.count() as f64 / SEEDS as f64;
            assert!(
                (0.92..=most).contains(&share),
                "{name}, {probes} probes: {share}"
            );
        }
    }
}
