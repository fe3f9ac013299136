//! Rank of exact spectra, Keskar's sharpness and rescaling on records whose answers are known by hand, and their figures.

mod synthetic;

use flatness_records::{Record, Region};
use flatness_report::{Estimate, RankBound, Reproduction, RescaledQuantity, Statistic, figures};

/// Records of the logistic model, of one experiment.
fn logistic<'a>(reproduction: &'a Reproduction, experiment: &str) -> Vec<&'a Record> {
    let mut experiments = reproduction.experiments.iter();
    let experiment = experiments.find(|one| one.name == experiment);
    let records = &experiment.expect("an experiment").records;
    let logistic = records
        .iter()
        .filter(|record| record.model.name == "logistic");
    logistic.collect()
}

#[test]
fn statistics_of_known_records() {
    let rank = |bound| Statistic::ExactRank { bound };
    let keskar = |region, epsilon| Statistic::KeskarRatio { region, epsilon };
    let rescaling = |quantity| Statistic::RescalingRange { quantity };
    // Ranks of 590, 600 and 610 have a standard error of 10/√3, ratios of 0.99, 1 and 1.01 of 0.01/√3.
    let (ranks, ratios) = (10.0 / 3f64.sqrt(), 0.01 / 3f64.sqrt());
    // (100 + 1/100) / 2 at both ends, 1 in the middle.
    let moved = 50.005_f64.ln();
    let cases = [
        (
            "rank",
            rank(RankBound::Parameters),
            600.0 / 7850.0,
            ranks / 7850.0,
        ),
        (
            "rank",
            rank(RankBound::NeuronsTimesClasses),
            600.0 / 1100.0,
            ranks / 1100.0,
        ),
        (
            "rank",
            rank(RankBound::ExamplesTimesOtherClasses),
            600.0 / 900.0,
            ranks / 900.0,
        ),
        ("regions", keskar(Region::Ball, 1e-4), 1.0, ratios),
        ("regions", keskar(Region::Box, 1e-5), 1.5, 0.0),
        ("regions", keskar(Region::Subspace, 1e-3), 0.5, 0.0),
        ("rescaling", rescaling(RescaledQuantity::Loss), 0.0, 0.0),
        (
            "rescaling",
            rescaling(RescaledQuantity::SpectralNorm),
            moved,
            0.0,
        ),
        ("rescaling", rescaling(RescaledQuantity::Trace), moved, 0.0),
        (
            "rescaling",
            rescaling(RescaledQuantity::Frobenius),
            moved,
            0.0,
        ),
        (
            "rescaling",
            rescaling(RescaledQuantity::AdaptiveLambdaMax),
            0.0,
            0.0,
        ),
    ];
    let reproduction = synthetic::reproduction();
    for (experiment, statistic, mean, standard_error) in cases {
        let sample = statistic.evaluate(&logistic(&reproduction, experiment));
        let estimate = Estimate::of(&sample.values).expect("three seeds have values");
        let label = statistic.formula();
        assert_eq!(estimate.n, 3, "{label}");
        // A few roundings of numbers of order one to a hundred.
        let difference = estimate.mean - mean;
        assert!(difference.abs() < 1e-12, "{label}: {}", estimate.mean);
        let difference = estimate.standard_error.expect("of three") - standard_error;
        assert!(difference.abs() < 1e-12, "{label}: s.e. {difference}");
    }
}

#[test]
fn what_was_not_measured_has_no_value() {
    let reproduction = synthetic::reproduction();
    let keskar = |epsilon| Statistic::KeskarRatio {
        region: Region::Ball,
        epsilon,
    };
    let bound = RankBound::Parameters;
    let quantity = RescaledQuantity::Loss;
    for (experiment, statistic) in [
        ("decay", Statistic::ExactRank { bound }),
        ("decay", keskar(1e-3)),
        ("decay", Statistic::RescalingRange { quantity }),
        ("regions", keskar(2e-3)),
    ] {
        let sample = statistic.evaluate(&logistic(&reproduction, experiment));
        assert_eq!(sample.values, [] as [f64; 0], "{}", statistic.formula());
    }
}

#[test]
fn a_range_needs_two_factors_and_positive_numbers() {
    let reproduction = synthetic::reproduction();
    let run = logistic(&reproduction, "rescaling")[0];
    let mut single = run.clone();
    single.rescaling.truncate(1);
    let mut vanishing = run.clone();
    vanishing.rescaling[1].loss = 0.0;
    let loss = Statistic::RescalingRange {
        quantity: RescaledQuantity::Loss,
    };
    for (run, expected) in [(run, 1), (&single, 0), (&vanishing, 0)] {
        assert_eq!(loss.evaluate(&[run]).values.len(), expected);
    }
}

#[test]
fn the_errors_of_a_ratio_are_those_of_what_was_estimated() {
    let reproduction = synthetic::reproduction();
    let errors = |experiment: &str, statistic: Statistic| {
        let run = logistic(&reproduction, experiment)[0];
        statistic.evaluate(&[run]).relative_errors
    };
    let bound = RankBound::Parameters;
    assert!(errors("rank", Statistic::ExactRank { bound }).is_empty());
    let region = Region::Ball;
    let epsilon = 1e-3;
    let keskar = errors("regions", Statistic::KeskarRatio { region, epsilon });
    let quantity = RescaledQuantity::Trace;
    let trace = errors("rescaling", Statistic::RescalingRange { quantity });
    // The residuals and standard errors of the records, relative to their values, up to a rounding.
    for (errors, expected) in [(keskar, &[1e-4][..]), (trace, &[0.02; 3])] {
        assert_eq!(errors.len(), expected.len());
        for (error, expected) in errors.iter().zip(expected) {
            assert!((error / expected - 1.0).abs() < 1e-12, "{error}");
        }
    }
}

#[test]
fn every_figure_has_a_marker_for_each_point_that_was_measured() {
    let mut reproduction = synthetic::reproduction();
    // Without α = 1 there is nothing to compare with.
    for record in &mut reproduction.experiments[6].records {
        if record.model.name != "logistic" {
            record.rescaling.remove(1);
        }
    }
    let figures = figures(&reproduction).expect("figures");
    let panels = |id: &str| {
        let figure = figures.iter().find(|figure| figure.id == id);
        figure.expect("a figure").panels.clone()
    };
    // Markers of the first series, with the one in the legend: all models at one P; three ε; three α.
    for (id, number, markers, text) in [
        ("c4-rank", 0, 1, "N(C − 1)"),
        ("c6-regions", 0, 3, "φ, subspace"),
        ("c6-regions", 1, 3, "λ₁ε²/2(1 + L)"),
        ("c7-rescaling", 0, 3, "factor α of the first layer"),
    ] {
        let svg = &panels(id)[number];
        assert_eq!(svg.matches("<circle").count(), markers + 1, "{id}");
        assert!(svg.contains(text), "{id} lacks {text}");
    }
    assert_eq!(panels("c7-rescaling").len(), 1);
    // One line of eigenvalues for each model.
    let lines = &panels("c4-rank")[1];
    for (model, _) in synthetic::MODELS {
        let name = model.split(' ').next().expect("a name");
        assert!(lines.contains(name), "{name}");
    }
}
