//! What the rules do not resolve: thresholds beside a heap of eigenvalues, and the sign of what is near zero.

use candle_core::DType;
use flatness_spectrum::{Error, Quadrature};

use crate::matrices::Diagonal;
use crate::methods::{self, Function};

fn rules(eigenvalues: &[f64], dtype: DType, steps: usize, seed: u64) -> Quadrature {
    methods::rules(&Diagonal::new(eigenvalues.to_vec(), dtype), 8, steps, seed)
}

/// As a network has them: 300 eigenvalues over ten decades, every third of them negative, and a heap of 900
/// around zero, none further from it than 10⁻⁹.
fn heap() -> Vec<f64> {
    let decades = (0..300).map(|i| {
        let sign = if i % 3 == 1 { -1.0 } else { 1.0 };
        sign * 10_f64.powf(-f64::from(i) / 30.0)
    });
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

#[test]
fn a_threshold_beside_a_heap_is_not_said_to_be_exact() {
    let eigenvalues = heap();
    let mut alike = 0;
    for (steps, seed) in [15, 30, 60]
        .into_iter()
        .flat_map(|steps| (0..4).map(move |seed| (steps, seed)))
    {
        let rules = rules(&eigenvalues, DType::F64, steps, seed);
        for (index, (function, counted)) in COUNTS.into_iter().enumerate() {
            let truth = eigenvalues.iter().filter(|value| counted(**value)).count() as f64;
            let estimate = function(&rules).unwrap();
            let step_error = rules.step_error(function).unwrap();
            let away = (estimate.value - truth).abs();
            assert!(
                away <= 4.0 * estimate.standard_error + step_error,
                "{steps} steps, {index}: {estimate:?} {step_error} for {truth}"
            );
            let shorter = [steps / 2, 5 * steps / 8, 3 * steps / 4, 7 * steps / 8];
            let differences = shorter.map(|steps| {
                let shorter = function(&rules.truncated(steps).unwrap()).unwrap();
                (shorter.value - estimate.value).abs()
            });
            let most = differences.into_iter().fold(0.0, f64::max);
            alike += usize::from(away > 100.0 && most + 4.0 * estimate.standard_error < 0.5 * away);
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
            let estimate = gap(&rules).unwrap();
            let step_error = rules.step_error(gap).unwrap();
            assert!(
                step_error <= 1e-4 * estimate.value,
                "{dtype:?}: {step_error:e} {estimate:?}"
            );
        }
        // Half of the heap is above zero, which products of 40 tell to 7e-14, or 4e-5.
        let inside: Function = |rules| rules.count(0.0..=1.0);
        let above = eigenvalues
            .iter()
            .filter(|value| (0.0..=1.0).contains(*value));
        let estimate = inside(&rules).unwrap();
        let away = (estimate.value - above.count() as f64).abs();
        let step_error = rules.step_error(inside).unwrap();
        assert!(
            away <= 4.0 * estimate.standard_error + step_error,
            "{dtype:?}: {estimate:?}"
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
    let dim = eigenvalues.len() as f64;
    let share = |keep: &dyn Fn(f64) -> bool| {
        eigenvalues.iter().filter(|value| keep(**value)).count() as f64 / dim
    };
    let mut before = f64::INFINITY;
    for steps in [15, 30, 60] {
        let rules = rules(&eigenvalues, DType::F64, steps, 3);
        let signs = rules.signs();
        let known = [signs.positive, signs.negative];
        let sum = signs.positive.value + signs.negative.value + signs.below_resolution.value;
        assert!((sum - 1.0).abs() <= 1e-12, "{sum}");
        for (found, sign) in known.into_iter().zip([1.0, -1.0]) {
            // What is not of that sign is not said to be; what is, as far as it is seen.
            let truth = share(&|value| sign * value > 0.0);
            assert!(
                found.value <= truth + 4.0 * found.standard_error,
                "{steps}: {found:?}"
            );
            let seen = share(&|value| sign * value > 0.3);
            assert!(
                found.value >= seen - 4.0 * found.standard_error,
                "{steps}: {found:?}"
            );
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
            assert!(
                (integral - share.value).abs() <= 1e-6,
                "{steps}: {integral} {share:?}"
            );
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
        for ratio in [rules.effective_rank(), rules.participation_ratio()] {
            assert!(matches!(ratio, Err(Error::ZeroOperator)));
        }
        assert!(matches!(
            rules.density(&[0.0], 1e-150),
            Err(Error::ZeroOperator)
        ));
        let signs = rules.log_density(&[0.0], 0.1).unwrap().signs;
        assert_eq!(signs.below_resolution.value, 1.0);
    }
}
