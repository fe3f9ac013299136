//! The decision rule as a table, and every statistic on records whose answers are known by hand.

mod synthetic;

use flatness_records::{Iterate, Outcome, Record};
use flatness_report::{
    Claim, Denominator, Direction, Estimate, Experiment, Measure, Reproduction, Statistic,
    Threshold, Verdict,
};

use Threshold::{Above, Below, Between};
use Verdict::{Fails, Holds, Undecided};

#[test]
fn the_decision_rule() {
    // Two seeds 1 ± 0.1: s.e. = 0.1, h = 6.314 · 0.1 = 0.6314, interval [0.3686, 1.6314].
    let wide = [0.9, 1.1];
    let exact = [1.0, 1.0];
    for (values, threshold, expected) in [
        (&wide[..], Above(0.3), Holds),
        (&wide, Above(0.4), Undecided),
        (&wide, Above(1.6), Undecided),
        (&wide, Above(1.7), Fails),
        (&wide, Below(1.7), Holds),
        (&wide, Below(1.6), Undecided),
        (&wide, Below(0.4), Undecided),
        (&wide, Below(0.3), Fails),
        (&wide, Between(0.3, 1.7), Holds),
        (&wide, Between(0.5, 1.7), Undecided),
        (&wide, Between(0.9, 1.1), Undecided),
        (&wide, Between(1.7, 2.0), Fails),
        (&wide, Between(0.0, 0.3), Fails),
        // No spread: the interval is a point, and the threshold itself is not beyond the threshold.
        (&exact, Above(0.999), Holds),
        (&exact, Above(1.0), Fails),
        (&exact, Below(1.0), Fails),
        (&exact, Between(1.0, 1.0), Holds),
        (&exact, Between(1.1, 1.2), Fails),
        // One seed or none says nothing, however clear it looks.
        (&[5.0], Above(0.0), Undecided),
        (&[], Above(0.0), Undecided),
    ] {
        let verdict = Verdict::decide(Estimate::of(values).as_ref(), threshold);
        assert_eq!(verdict, expected, "{values:?} {threshold}");
    }
}

#[test]
fn a_claim_is_as_good_as_its_worst_predicate() {
    for (parts, expected) in [
        (vec![Holds, Holds], Holds),
        (vec![Holds, Undecided], Undecided),
        (vec![Undecided, Fails, Holds], Fails),
        (vec![Fails, Undecided], Fails),
    ] {
        assert_eq!(Verdict::all(parts.clone()), expected, "{parts:?}");
    }
}

/// Records of the logistic model, of one experiment.
fn logistic<'a>(reproduction: &'a Reproduction, experiment: &str) -> Vec<&'a Record> {
    let experiments = reproduction.experiments.iter();
    let records = experiments
        .filter(|e| e.name == experiment)
        .flat_map(|e| &e.records);
    records
        .filter(|record| record.model.name == "logistic")
        .collect()
}

#[test]
fn statistics_of_known_records() {
    use Measure::{
        Frobenius, ParameterNorm, ScaledSpectralNorm, ScaledTrace, SpectralNorm, TestAccuracy,
        TestError, TrainLoss, WeightDecay,
    };
    let paired = |quantity| Statistic::PairedLogRatio {
        quantity,
        treatment: 5e-4,
        control: 0.0,
    };
    let of_gadam = |quantity| Statistic::OptimizerLogRatio {
        quantity,
        treatment: "Gadam".to_owned(),
        control: "SGD".to_owned(),
    };
    let rank = |x, y| Statistic::RankCorrelation {
        x,
        y,
        weight_decay_up_to: Some(5e-4),
    };
    let perturbation = |direction, denominator, relative_radius| Statistic::PerturbationRatio {
        direction,
        denominator,
        relative_radius,
    };
    let spread = 0.01 / 3f64.sqrt();
    let cases = [
        ("decay", paired(SpectralNorm), 2.0, 0.0),
        ("decay", paired(Frobenius), 2.0, 0.0),
        ("decay", paired(ScaledSpectralNorm), -2.0, 0.0),
        ("decay", paired(ScaledTrace), -2.0, 0.0),
        (
            "decay",
            Statistic::PairedDifference {
                quantity: TestAccuracy,
                treatment: 5e-4,
                control: 0.0,
            },
            0.02,
            0.0,
        ),
        // Gadam is the fourth optimiser and measured at its average, SGD the first.
        ("optimizers", of_gadam(SpectralNorm), 3.0, 0.0),
        ("optimizers", of_gadam(ScaledTrace), -3.0, 0.0),
        (
            "optimizers",
            Statistic::OptimizerDifference {
                quantity: TestAccuracy,
                treatment: "GadamX".to_owned(),
                control: "SWA".to_owned(),
            },
            0.03,
            0.0,
        ),
        ("decay", rank(WeightDecay, SpectralNorm), 1.0, 0.0),
        ("decay", rank(ParameterNorm, TestError), 1.0, 0.0),
        (
            "separable",
            Statistic::PathRankCorrelation {
                x: TrainLoss,
                y: SpectralNorm,
            },
            1.0,
            0.0,
        ),
        (
            "separable",
            Statistic::PathRankCorrelation {
                x: ParameterNorm,
                y: TrainLoss,
            },
            -1.0,
            0.0,
        ),
        (
            "separable",
            Statistic::PathEndOverPeak {
                quantity: SpectralNorm,
            },
            0.5f64.powi(7),
            0.0,
        ),
        (
            "separable",
            Statistic::ScalingEndOverPeak {
                quantity: Frobenius,
            },
            0.01,
            0.0,
        ),
        ("separable", Statistic::ScalingAccuracyRange {}, 0.0, 0.0),
        (
            "decay",
            perturbation(Direction::Random, Denominator::Predicted, 1e-2),
            1.0,
            spread,
        ),
        (
            "decay",
            perturbation(Direction::TopEigenvector, Denominator::Quadratic, 1e-1),
            2.0,
            0.0,
        ),
    ];
    let reproduction = synthetic::reproduction();
    for (experiment, statistic, mean, standard_error) in cases {
        let sample = statistic.evaluate(&logistic(&reproduction, experiment));
        let estimate = Estimate::of(&sample.values).expect("three seeds have values");
        let label = statistic.formula();
        assert_eq!(estimate.n, 3, "{label}");
        // A few roundings of numbers of order one.
        assert!(
            (estimate.mean - mean).abs() < 1e-13,
            "{label}: {}",
            estimate.mean
        );
        let difference = estimate.standard_error.unwrap() - standard_error;
        assert!(
            difference.abs() < 1e-13,
            "{label}: s.e. {:?}",
            estimate.standard_error
        );
    }
}

#[test]
fn what_was_not_measured_has_no_value() {
    let reproduction = synthetic::reproduction();
    let records = logistic(&reproduction, "decay");
    for statistic in [
        // A decay and a radius that no run has, a path of one epoch, a statistic without runs.
        Statistic::PairedDifference {
            quantity: Measure::Trace,
            treatment: 7e-4,
            control: 0.0,
        },
        Statistic::PerturbationRatio {
            direction: Direction::Random,
            denominator: Denominator::Predicted,
            relative_radius: 5e-2,
        },
        Statistic::PathEndOverPeak {
            quantity: Measure::Trace,
        },
        Statistic::PathRankCorrelation {
            x: Measure::TrainLoss,
            y: Measure::Trace,
        },
    ] {
        assert_eq!(
            statistic.evaluate(&records).values,
            [] as [f64; 0],
            "{}",
            statistic.formula()
        );
    }
    assert_eq!(
        Statistic::ScalingAccuracyRange {}.evaluate(&[]).values,
        [] as [f64; 0]
    );
}

#[test]
fn an_average_ends_a_run_but_does_not_lie_on_its_path() {
    let mut run = synthetic::record("logistic", 1.0, 0, 0.0, &[0, 1, 2]);
    let mut average = run.measurements[0].clone();
    average.weights = Iterate::Average;
    average.parameter_norm = 77.0;
    run.measurements.push(average);

    let end = Measure::ParameterNorm.at_end(&run).unwrap();
    assert_eq!(end.value, 77.0);
    let path = Statistic::PathEndOverPeak {
        quantity: Measure::SpectralNorm,
    };
    // The curvature halves twice; the average has that of the beginning.
    let ratio = path.evaluate(&[&run]).values[0];
    assert!((ratio - 0.25).abs() < 1e-15, "{ratio}");
}

#[test]
fn the_seed_of_a_diverged_run_is_left_out() {
    let mut reproduction = synthetic::reproduction();
    let decay = &mut reproduction.experiments[0];
    let treated = decay
        .records
        .iter_mut()
        .find(|record| record.spec.seed == 1 && flatness_report::weight_decay(record) == 5e-4);
    let treated = treated.expect("the grid has this run");
    treated.outcome = Outcome::Diverged {
        epoch: 3,
        learning_rate: 0.01,
        step: None,
        loss: None,
        parameter_norm: None,
    };
    treated.measurements.clear();

    let claims = Claim::embedded().unwrap();
    let verdicts = reproduction.judge(&claims);
    let c1 = &verdicts[0];
    assert_eq!((c1.claim.as_str(), c1.model.as_str()), ("C1", "logistic"));
    assert_eq!(c1.predicates[0].estimate.unwrap().n, 2);
    // The rank correlation of seed 1 still has three decays.
    assert_eq!(c1.predicates[3].estimate.unwrap().n, 3);
    assert_eq!(reproduction.diverged().count(), 1);
}

#[test]
fn claims_are_judged_on_every_model_that_was_run() {
    let reproduction = synthetic::reproduction();
    let claims = Claim::embedded().unwrap();
    let verdicts = reproduction.judge(&claims);
    let names: Vec<(&str, &str)> = verdicts
        .iter()
        .map(|row| (row.claim.as_str(), row.model.as_str()))
        .collect();
    let mlp = synthetic::MODELS[1].0;
    let expected = ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"]
        .map(|claim| [(claim, "logistic"), (claim, mlp)]);
    assert_eq!(names, expected.concat());
    for row in &verdicts {
        assert_eq!(row.verdict, Holds, "{} on {}", row.claim, row.model);
        let command = format!(
            "cargo xtask reproduce --profile synthetic --only {}",
            row.claim
        );
        assert_eq!(row.command, command);
    }
    // The exact-accuracy predicate speaks of logistic regression only.
    assert_eq!(
        verdicts[2].predicates.len(),
        verdicts[3].predicates.len() + 1
    );
    // Half of the readings behind the first predicate are exact to 10⁻⁴, as are the others.
    let error = verdicts[0].predicates[0]
        .relative_measurement_error
        .unwrap();
    assert!((error - 1e-4).abs() < 1e-16, "{error}");
}

#[test]
fn a_claim_whose_experiment_was_not_run_was_not_tried() {
    let mut reproduction = synthetic::reproduction();
    reproduction.experiments.truncate(1);
    let verdicts = reproduction.judge(&Claim::embedded().unwrap());
    assert!(verdicts.iter().all(|row| row.claim != "C2"));

    let nothing = Experiment {
        name: "decay".to_owned(),
        claims: Vec::new(),
        records: Vec::new(),
    };
    reproduction.experiments = vec![nothing];
    assert_eq!(reproduction.judge(&Claim::embedded().unwrap()), []);
}

#[test]
fn one_seed_leaves_every_claim_undecided() {
    let mut reproduction = synthetic::reproduction();
    for experiment in &mut reproduction.experiments {
        experiment.records.retain(|record| record.spec.seed == 0);
    }
    let verdicts = reproduction.judge(&Claim::embedded().unwrap());
    assert!(verdicts.iter().all(|row| row.verdict == Undecided));
}
