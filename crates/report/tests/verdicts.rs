//! The arithmetic of verdicts against scipy and against numbers worked by hand.

mod synthetic;

use flatness_records::{Outcome, Record};
use flatness_report::{
    Claim, ClaimVerdict, Estimate, Judged, Reproduction, Sample, SeedValue, Test, Threshold,
    Verdict, holm, kendall_tau, student_quantile, student_tail,
};
use serde_json::json;

use synthetic::{record, reproduction, sgd, with};

fn sample(values: &[f64], error: f64) -> Sample {
    let seed = |(seed, &value): (u64, &f64)| SeedValue {
        seed,
        value,
        error,
        relative_error: 0.0,
        chance: 0.5,
    };
    Sample {
        seeds: (0..).zip(values).map(seed).collect(),
        ..Sample::default()
    }
}

fn close(got: f64, expected: f64) {
    // Fifteen digits were printed; the sums are of a few terms.
    let away = (got - expected).abs();
    assert!(away <= 1e-11 * expected.abs(), "{got} is not {expected}");
}

/// The test of a mean that is no logarithm.
fn test(values: &[f64], threshold: Threshold) -> Test {
    Test::of(&sample(values, 0.0), threshold, Judged::Mean, false).unwrap()
}

/// The standard error of the mean.
fn error(sample: &Sample) -> f64 {
    Estimate::of(sample).unwrap().standard_error.unwrap()
}

/// Seeds of which scipy says t and p.
const SEEDS: [f64; 5] = [0.52, 0.47, 0.55, 0.1, 0.3];

#[test]
fn student_is_scipys() {
    // [scipy.stats.t.sf(1.5, d) for d in (1, 2, 5, 30)]
    for (degrees, tail) in [
        (1, 0.18716704181099886),
        (2, 0.13619656244550055),
        (5, 0.09695184012123664),
        (30, 0.072032964564323),
    ] {
        close(student_tail(1.5, degrees), tail);
        close(student_tail(-1.5, degrees), 1.0 - tail);
    }
    // scipy.stats.t.ppf(.95, 11), scipy.stats.t.ppf(.95, 2)
    close(student_quantile(0.05, 11), 1.7958848187040433);
    close(student_quantile(0.05, 2), 2.9199855803537242);
}

#[test]
fn a_mean_is_tested_as_scipy_tests_it() {
    // x = [.52, .47, .55, .1, .3]; scipy.stats.ttest_1samp(x, .2, alternative='greater'), (x, .5, alternative='less')
    let p = 0.044389060995835;
    close(test(&SEEDS, Threshold::Above(0.2)).p_holds, p);
    close(test(&SEEDS, Threshold::Above(0.2)).p_fails, 1.0 - p);
    close(
        test(&SEEDS, Threshold::Below(0.5)).p_holds,
        0.12661583660257134,
    );
    // A range holds at the larger of the two, and fails at twice the smaller of its two outer ones.
    close(
        test(&SEEDS, Threshold::Between(0.2, 0.5)).p_holds,
        0.12661583660257134,
    );
    close(test(&SEEDS, Threshold::Between(-1.0, 0.2)).p_fails, 2.0 * p);
    let seeds = sample(&SEEDS, 0.0);
    let interval = Estimate::of(&seeds).unwrap().interval.unwrap();
    // scipy.stats.t.interval(.95, 4, loc=.388, scale=s)
    close(interval[0], 0.15481166642382116);
    close(interval[1], 0.6211883335761789);
    // Factors are compared by their logarithms.
    let factor = Test::of(&seeds, Threshold::Above(0.2f64.exp()), Judged::Mean, true).unwrap();
    assert!((factor.p_holds - p).abs() < 1e-12);
}

#[test]
fn measurement_error_is_a_floor_and_shared_error_is_added() {
    let spread = 0.08398809439438426f64;
    // Root of five times 0.2², over five.
    close(error(&sample(&[1.0; 5], 0.2)), 0.2 / 5f64.sqrt());
    close(error(&sample(&SEEDS, 1e-3)), spread);
    let shared = Sample {
        shared_error: Some(0.3),
        ..sample(&SEEDS, 0.0)
    };
    close(error(&shared), (spread.powi(2) + 0.09).sqrt());
}

#[test]
fn seeds_that_agree_to_the_last_digit_take_an_exact_test() {
    for (n, p) in [(3, 0.125), (5, 0.03125)] {
        let inside = test(&vec![1.0; n], Threshold::Above(0.0));
        assert_eq!(
            (inside.p_holds, inside.p_fails, inside.exact),
            (p, 1.0, true)
        );
        let outside = test(&vec![1.0; n], Threshold::Below(0.0));
        assert_eq!((outside.p_holds, outside.p_fails), (1.0, p));
    }
    let one = sample(&[1.0], 0.0);
    assert_eq!(
        Test::of(&one, Threshold::Above(0.0), Judged::Mean, false),
        None
    );
}

#[test]
fn what_is_judged_in_every_seed_is_refuted_by_one() {
    let exactly = Threshold::Between(0.0, 0.0);
    for (values, p_holds) in [([0.0, 0.0], 0.0), ([0.0, 1e-9], 1.0)] {
        let test = Test::of(&sample(&values, 0.0), exactly, Judged::Every, false);
        assert_eq!(test.unwrap().p_holds, p_holds);
    }
}

#[test]
fn holm_stops_at_the_first_that_is_not_rejected() {
    // 0.01 ≤ 0.05/4, 0.016 ≤ 0.05/3, 0.03 > 0.05/2, and 0.04 is not looked at.
    assert_eq!(holm(&[0.04, 0.01, 0.03, 0.016]), [false, true, false, true]);
    assert_eq!(holm(&[0.02, 0.9]), [true, false]);
    assert_eq!(holm(&[0.026, 0.9]), [false, false]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn tau_is_kendalls() {
    // One swap of three pairs: (2 - 1) / 3. A tie: 2 / sqrt(2 · 3). Nothing for a constant.
    close(
        kendall_tau(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]).unwrap(),
        1.0 / 3.0,
    );
    close(
        kendall_tau(&[1.0, 1.0, 2.0], &[1.0, 2.0, 3.0]).unwrap(),
        2.0 / 6f64.sqrt(),
    );
    assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), None);
}

const CLAIM: &str = r#"
    id = "T"
    version = 1
    title = "t"
    statement = "s"
    source = "s"
    note = "n"
    needs = "n"
    [[gate]]
    text = "there is a dose"
    experiment = "decay"
    statistic = { kind = "value", quantity = "dose" }
    threshold = { above = 0.5 }
    [[predicate]]
    text = "larger"
    experiment = "decay"
    statistic = { kind = "log-ratio", quantity = "spectral_norm", treatment = { weight_decay = 5e-4 }, control = { weight_decay = 0.0 } }
    threshold = { above = 1.0 }
    [[predicate]]
    text = "more than 4 times"
    experiment = "decay"
    statistic = { kind = "log-ratio", quantity = "spectral_norm", treatment = { weight_decay = 5e-4 }, control = { weight_decay = 0.0 } }
    threshold = { above = 4.0 }
"#;

/// The verdict on runs whose λ₁ with decay is these factors of that without.
fn verdict(factors: &[f64], dose: f64) -> ClaimVerdict {
    judged(&reproduction(vec![("decay", runs(factors, dose))]))
}

fn judged(reproduction: &Reproduction) -> ClaimVerdict {
    let claims = [Claim::from_toml(CLAIM, "test").unwrap()];
    reproduction.judge(&claims).remove(0)
}

fn runs(factors: &[f64], dose: f64) -> Vec<Record> {
    let runs = (0..).zip(factors).flat_map(|(seed, factor)| {
        let run = |decay: f64, lambda: f64| {
            let values = json!({ "spectral_norm": lambda, "dose": dose });
            with(record("mlp", seed, &sgd(decay)), &values)
        };
        [run(0.0, 7.0), run(5e-4, 7.0 * factor)]
    });
    runs.collect()
}

#[test]
fn a_claim_holds_fails_is_undecided_or_not_tested() {
    for (factors, dose, expected) in [
        ([5.0, 5.1, 5.2, 4.9], 1.0, Verdict::Holds),
        ([2.0, 2.1, 2.2, 1.9], 1.0, Verdict::Fails),
        ([5.0, 2.0, 9.0, 3.0], 1.0, Verdict::Undecided),
        // Only one of the two fails at 0.05, and none at 0.025.
        ([3.0, 3.7, 2.2, 4.3], 1.0, Verdict::Undecided),
        ([5.0, 5.1, 5.2, 4.9], 0.3, Verdict::NotTested),
    ] {
        let verdict = verdict(&factors, dose).verdict;
        assert_eq!(verdict, Some(expected), "{factors:?}");
    }
    let summary = verdict(&[5.0, 5.1, 5.2, 4.9], 0.3).summary();
    let expected = "it must be that there is a dose: 0.30 where above 0.5 is needed (4 of 4 seeds)";
    assert_eq!(summary, expected);
}

#[test]
fn runs_that_are_missing_or_diverged_leave_it_undecided() {
    let factors = [5.0, 5.1, 5.2, 4.9];
    let of = |diverged: bool, missing: usize, dose: f64| {
        let mut whole = runs(&factors, dose);
        if diverged {
            whole[3].outcome = Outcome::Diverged {
                epoch: 2,
                learning_rate: 0.03,
                step: 7,
                loss: f64::INFINITY,
                parameter_norm: 9.0,
            };
        }
        let mut reproduction = reproduction(vec![("decay", whole)]);
        let missing = std::iter::repeat_n("mlp".to_owned(), missing);
        reproduction.experiments[0].missing = missing.collect();
        judged(&reproduction)
    };
    assert_eq!(of(false, 0, 1.0).verdict, Some(Verdict::Holds));
    assert_eq!(of(true, 0, 1.0).verdict, Some(Verdict::Undecided));
    let waiting = of(false, 2, 1.0);
    assert_eq!(waiting.verdict, Some(Verdict::Undecided));
    assert_eq!(waiting.summary(), "waits for 2 runs");
    // A condition that a run has missed stays missed.
    assert_eq!(of(false, 2, 0.3).verdict, Some(Verdict::NotTested));
}

/// The probability that τ over runs of these decays is above 0 in each of `seeds` by chance, where λ₁ grows with all of them.
fn chance(decays: &[f64], seeds: u64) -> Option<f64> {
    let runs = (0..seeds).flat_map(|seed| {
        let run = move |&decay: &f64| {
            let values = json!({ "spectral_norm": 1.0 + decay });
            with(record("mlp", seed, &sgd(decay)), &values)
        };
        decays.iter().map(run)
    });
    let claim = CLAIM.split("[[gate]]").next().unwrap().to_owned()
        + "[[predicate]]\ntext = 'grows'\nexperiment = 'decay'\nthreshold = { above = 0.0 }\n\
           statistic = { kind = 'rank-correlation', x = 'weight_decay', y = 'spectral_norm' }\n";
    let claims = [Claim::from_toml(&claim, "test").unwrap()];
    let reproduction = reproduction(vec![("decay", runs.collect())]);
    let verdict = reproduction.judge(&claims).pop()?;
    Some(verdict.predicates[0].test?.p_holds)
}

#[test]
fn perfect_orders_have_the_chance_of_a_permutation_and_two_runs_have_no_order() {
    assert_eq!(chance(&[0.0, 1e-4, 5e-4], 3), Some(1.0 / 216.0));
    assert_eq!(chance(&[0.0, 1e-4, 5e-4, 1e-3], 2), Some(1.0 / 576.0));
    assert_eq!(chance(&[0.0, 5e-4], 5), None);
}

#[test]
fn verdicts_combine_to_the_worst() {
    use Verdict::{Fails, Holds, Undecided};
    for (parts, whole) in [
        (vec![], Holds),
        (vec![Holds, Undecided], Undecided),
        (vec![Undecided, Fails, Holds], Fails),
    ] {
        assert_eq!(Verdict::all(parts), whole);
    }
}
