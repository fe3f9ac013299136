//! Traces, norms, functions and ratios of the matrices of `known_answers.rs`.

use flatness_spectrum::{
    Estimate, MomentsSettings, Probe, Quadrature, QuadratureSettings, moments, quadrature,
};

use crate::known_answers::{Known, cases, counting};

const SEED: u64 = 8;

/// With all steps, so that the probes alone err.
fn rules(case: &Known) -> Quadrature {
    let settings = QuadratureSettings {
        probes: 100,
        steps: case.dim(),
        block: 50,
        bytes: None,
        probe: Probe::Gaussian,
        seed: SEED,
    };
    quadrature(&*case.operator, &settings).unwrap()
}

/// Asserts that the truth is in the interval of Student's t that misses once in 10,000 times, and rounding.
#[track_caller]
fn check(name: &str, what: &str, estimate: Estimate, truth: f64) {
    let distance = (estimate.value - truth).abs();
    assert!(
        distance <= estimate.half_width(0.9999).unwrap() + 1e-11 * truth.abs().max(1.0),
        "{name}: {what} is {estimate:?}, not {truth:e}"
    );
}

#[test]
fn traces_and_norms_are_those_of_the_formula() {
    for case in cases() {
        let (name, operator) = (case.name, &*case.operator);
        let settings = MomentsSettings {
            probes: 100,
            block: 20,
            seed: SEED,
        };
        let found = moments(operator, &settings).unwrap();
        check(name, "the trace", found.trace, case.trace);
        check(
            name,
            "the squared norm",
            found.frobenius_squared,
            case.frobenius_squared,
        );
        let found = rules(&case).integrate(|value| value).unwrap();
        check(name, "the trace by Gaussian probes", found, case.trace);
    }
}

#[test]
fn functions_are_those_of_the_formula() {
    for case in cases() {
        let (name, rules) = (case.name, rules(&case));
        let (shift, log_determinant) = case.log_determinant;
        let (half, middle) = (0.51 * case.norm(), 0.26 * case.norm());
        let counted = |keep: &dyn Fn(f64) -> bool| {
            let kept = case.eigenvalues.iter().filter(|value| keep(**value));
            kept.count() as f64
        };
        let rank = counted(&|value| value.abs() > half);
        let inside = counted(&|value| (middle..=half).contains(&value));
        let squares = rules.frobenius_squared();
        for (what, estimate, truth) in [
            ("ln det", rules.log_determinant(shift), log_determinant),
            (
                "the nuclear norm",
                rules.nuclear_norm(),
                case.nuclear_norm(),
            ),
            ("the squared norm", squares, case.frobenius_squared),
            ("the rank", rules.numerical_rank(half), rank),
            ("the count", rules.count(middle..=half), inside),
        ] {
            check(name, what, estimate.unwrap(), truth);
        }
    }
}

#[test]
fn ratios_are_those_of_the_formula() {
    for case in cases() {
        let (name, rules, nuclear) = (case.name, rules(&case), case.nuclear_norm());
        let shares = case.eigenvalues.iter().map(|value| value.abs() / nuclear);
        let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
        let participation = case.trace * case.trace / case.frobenius_squared;
        let found = rules.effective_rank().unwrap();
        check(name, "the effective rank", found, entropy.exp());
        let found = rules.participation_ratio().unwrap();
        check(name, "the participation ratio", found, participation);
    }
}

/// Any random signs give the trace and the norm of a diagonal matrix without error.
#[test]
fn a_diagonal_matrix_is_exact_from_two_probes() {
    let case = counting(40);
    let settings = MomentsSettings {
        probes: 2,
        block: 2,
        seed: SEED,
    };
    let found = moments(&*case.operator, &settings).unwrap();
    for (estimate, truth) in [(found.trace, 820.0), (found.frobenius_squared, 22_140.0)] {
        assert_eq!(estimate.value, truth);
        // Nothing but rounding is left.
        assert_eq!(estimate.standard_error, estimate.rounding);
        assert!(estimate.rounding <= 1e-14 * truth);
    }
}
