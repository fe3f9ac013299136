//! What the rules do not resolve: thresholds beside a heap of eigenvalues, and the sign of what is near zero.

use candle_core::DType;
use flatness_spectrum::{Error, Estimate, Quadrature};

use crate::matrices::{diagonal, third_negative};
use crate::methods::{self, Function, near};

fn rules(eigenvalues: &[f64], dtype: DType, steps: usize, seed: u64) -> Quadrature {
    methods::rules(&diagonal(eigenvalues, dtype), 8, steps, seed)
}

/// As a network has them: 300 eigenvalues over ten decades, every third of them negative, and a heap of 900
/// around zero, none further from it than 10⁻⁹.
fn heap() -> Vec<f64> {
    let decades = (0..300).map(|i| third_negative(i) * 10_f64.powf(-(i as f64) / 30.0));
    let zeros = (0..900).map(|i| 1e-9 * f64::from(i).sin());
    decades.chain(zeros).collect()
}

/// A count or a rank, and what it counts.
type Counted = (Function, fn(f64) -> bool);

const COUNTS: [Counted; 4] = [
    (|rules| rules.numerical_rank(1e-7), |one| one.abs() > 1e-7),
    (|rules| rules.numerical_rank(1e-8), |one| one.abs() > 1e-8),
    (|rules| rules.count(-1e-6..=1e-6), |one| one.abs() <= 1e-6),
    (
        |rules| rules.count(1e-8..=2.0),
        |one| (1e-8..=2.0).contains(&one),
    ),
];

fn count(eigenvalues: &[f64], counted: impl Fn(f64) -> bool) -> f64 {
    eigenvalues.iter().filter(|value| counted(**value)).count() as f64
}

/// What a function is found to be, and its error of too few steps.
fn counted_by(rules: &Quadrature, function: Function) -> (Estimate, f64) {
    (
        function(rules).unwrap(),
        rules.step_error(function).unwrap(),
    )
}

#[test]
fn a_threshold_beside_a_heap_is_not_said_to_be_exact() {
    let eigenvalues = heap();
    let mut alike = 0;
    let steps = [15, 30, 60].into_iter();
    for (steps, seed) in steps.flat_map(|steps| (0..4).map(move |seed| (steps, seed))) {
        let rules = rules(&eigenvalues, DType::F64, steps, seed);
        for (index, (function, counted)) in COUNTS.into_iter().enumerate() {
            let truth = count(&eigenvalues, counted);
            let (estimate, step_error) = counted_by(&rules, function);
            let (away, errors) = (
                (estimate.value - truth).abs(),
                4.0 * estimate.standard_error,
            );
            near(
                format!("{steps} steps, {index}"),
                estimate.value,
                truth,
                errors + step_error,
            );
            let shorter = [steps / 2, 5 * steps / 8, 3 * steps / 4, 7 * steps / 8];
            let differences = shorter.map(|steps| {
                let shorter = function(&rules.truncated(steps).unwrap()).unwrap();
                (shorter.value - estimate.value).abs()
            });
            let most = differences.into_iter().fold(0.0, f64::max);
            alike += usize::from(away > 100.0 && most + errors < 0.5 * away);
        }
    }
    // Else there would be nothing that shorter rules do not see.
    assert!(alike > 0);
}

#[test]
fn a_threshold_in_a_gap_is_safe() {
    let large = [40.0, 30.0, 20.0, 15.0, -10.0];
    let zeros = (0..400).map(|i| 1e-9 * f64::from(i).sin());
    let eigenvalues: Vec<f64> = large.into_iter().chain(zeros).collect();
    let gaps: [Function; 3] = [
        |rules| rules.numerical_rank(1e-2),
        |rules| rules.count(-1.0..=1.0),
        |rules| rules.count(17.0..=f64::INFINITY),
    ];
    for dtype in [DType::F64, DType::F32] {
        let rules = rules(&eigenvalues, dtype, 16, 1);
        for gap in gaps {
            let (estimate, step_error) = counted_by(&rules, gap);
            near("gap", step_error, 0.0, 1e-4 * estimate.value);
        }
        // Half of the heap is above zero, which products of 40 tell to 7e-14, or 4e-5.
        let above = count(&eigenvalues, |value| (0.0..=1.0).contains(&value));
        let (estimate, step_error) = counted_by(&rules, |rules| rules.count(0.0..=1.0));
        near(
            "above",
            estimate.value,
            above,
            4.0 * estimate.standard_error + step_error,
        );
        assert_eq!(step_error > 300.0, dtype == DType::F32, "{step_error}");
    }
    // As far as the element type goes.
    let rank: Function = |rules| rules.numerical_rank(1e-7);
    let [single, double] = [DType::F32, DType::F64]
        .map(|dtype| rules(&eigenvalues, dtype, 16, 1).step_error(rank).unwrap());
    assert!(single > 300.0 && double < 1.0, "{single} {double}");
}

#[test]
fn what_is_within_the_resolution_of_zero_has_no_sign() {
    let eigenvalues = heap();
    let share = |beyond: f64, sign: f64| {
        count(&eigenvalues, |value| sign * value > beyond) / eigenvalues.len() as f64
    };
    let mut before = f64::INFINITY;
    for steps in [15, 30, 60] {
        let rules = rules(&eigenvalues, DType::F64, steps, 3);
        let signs = rules.signs();
        let known = [signs.positive, signs.negative];
        let sum = signs.positive.value + signs.negative.value + signs.below_resolution.value;
        near(steps, sum, 1.0, 1e-12);
        for (found, sign) in known.into_iter().zip([1.0, -1.0]) {
            // What is not of that sign is not said to be; what is, as far as it is seen.
            let errors = 4.0 * found.standard_error;
            let allowed = share(0.3, sign) - errors..=share(0.0, sign) + errors;
            assert!(allowed.contains(&found.value), "{steps}: {found:?}");
        }
        assert!(signs.below_resolution.value >= 0.7, "{signs:?}");
        assert!(
            signs.resolution > 0.0 && signs.resolution <= before,
            "{signs:?}"
        );
        before = signs.resolution;
        // The curves hold what the shares do.
        let grid: Vec<f64> = (0..1400).map(|i| -12.0 + 0.01 * f64::from(i)).collect();
        let density = rules.log_density(&grid, 0.1).unwrap();
        assert_eq!(density.signs, signs);
        for (half, share) in [density.positive, density.negative].iter().zip(known) {
            let integral: f64 = half.iter().map(|one| 0.01 * one.value).sum();
            near(steps, integral, share.value, 1e-6);
        }
    }
}

#[test]
fn nothing_is_within_the_resolution_of_zero_where_all_steps_are_taken() {
    let eigenvalues = [5.0, 3.0, 1e-6, -1e-6, -2.0, 0.0];
    let signs = rules(&eigenvalues, DType::F64, 6, 1).signs();
    for found in [signs.positive, signs.negative, signs.below_resolution] {
        assert!(found.value > 0.0);
    }
    // Zero itself, to the rounding of 5.
    assert!(signs.resolution <= 1e-14, "{signs:?}");
}

/// A zero matrix has a trace and norms, all zero, and nothing that is relative to its range.
#[test]
fn a_zero_matrix_says_so() {
    for dtype in [DType::F64, DType::F32] {
        let rules = rules(&[0.0; 20], dtype, 5, 1);
        for sum in [
            rules.nuclear_norm(),
            rules.frobenius_squared(),
            rules.numerical_rank(1e-9),
        ] {
            let sum = sum.unwrap();
            assert_eq!((sum.value, sum.standard_error), (0.0, 0.0));
        }
        assert!(matches!(rules.effective_rank(), Err(Error::ZeroOperator)));
        let density = rules.density(&[0.0], 1e-150);
        assert!(matches!(density, Err(Error::ZeroOperator)));
        let signs = rules.log_density(&[0.0], 0.1).unwrap().signs;
        assert_eq!(signs.below_resolution.value, 1.0);
    }
}
