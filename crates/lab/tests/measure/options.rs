//! Splits, samples, the L2 term and the seed.

use crate::oracle::{Digits, Of, dot, elements, fixture, logistic, of_logistic};
use crate::program::{Place, assert_within, curve, matrices, number, quantity, value};
use crate::spectra::assert_eigenvalue;

#[test]
fn the_same_seed_gives_the_same_bits_and_another_one_others() {
    let place = Place::new("mlp");
    let text = |seed: u64| {
        let options = "--examples 10 --threads 2 --what top=2,bottom,trace,rank --budget 200";
        place.text(&format!("{options} --seed {seed}"))
    };
    assert_eq!(text(3), text(3));
    assert_ne!(text(3), text(4));
}

#[test]
fn the_l2_term_shifts_every_eigenvalue() {
    let place = Place::new("logistic");
    let options = "--what top,bottom,trace,frobenius --examples 6 --threads 1 --l2 0.25";
    let report = place.json(options);
    assert_eq!(report["request"]["l2"], 0.25);
    let exact = of_logistic(&place, 6, Of::Hessian).eigenvalues();
    let zeros = 7850.0 - exact.len() as f64;
    let shifted = || exact.iter().map(|value| value + 0.25);
    for (name, truth) in [("lambda_max", exact[0] + 0.25), ("lambda_min", 0.25)] {
        assert_eigenvalue(&report, name, truth, exact[0] + 0.25);
    }
    assert_within(&report, "trace", shifted().sum::<f64>() + zeros * 0.25);
    let squares = shifted().map(|value| value * value).sum::<f64>() + zeros * 0.25 * 0.25;
    assert_within(&report, "frobenius", squares.sqrt());
}

#[test]
fn each_split_is_measured_on_its_own_examples() {
    let place = Place::new("logistic");
    let theta = elements(&place);
    let mnist = fixture();
    let held_out = Digits::new(&mnist.train, 9_994..10_000);
    let test = Digits::new(&mnist.test, 0..6);
    for (options, digits, training) in [
        (
            "--split validation --validation-examples 6",
            held_out,
            9_994,
        ),
        ("--split train --train-examples 6", Digits::train(6), 6),
        ("--split test --examples 6", test, 10_000),
    ] {
        let what = "--what top,bottom,trace --threads 1";
        let report = place.json(&format!("{options} {what}"));
        let exact = digits.columns(&theta, Of::Hessian).eigenvalues();
        assert_eq!(report["examples"], 6, "{options}");
        let correct = digits
            .inputs
            .iter()
            .zip(&digits.labels)
            .filter(|(x, label)| {
                let logits = logistic(&theta, x);
                logits.iter().all(|logit| *logit <= logits[**label])
            });
        let accuracy = correct.count() as f64 / 6.0;
        assert_eq!(report["accuracy"], accuracy, "{options}");
        assert_eq!(report["data"]["train_examples"], training, "{options}");
        assert_eigenvalue(&report, "lambda_max", exact[0], exact[0]);
        assert_within(&report, "trace", exact.iter().sum());
    }
}

/// Numbers of the whole are within four errors of those of a sample, and so are those of a group of parameters; of
/// everything there is no error left. That of the norm holds its own excess too.
#[test]
fn a_sample_says_how_far_the_whole_may_be() {
    let place = Place::new("logistic");
    let options = "--what top,trace,frobenius --threads 1 --train-examples 40 --budget 300";
    let columns = of_logistic(&place, 40, Of::Hessian);
    for (chosen, rows) in [
        ("", 0..7850),
        ("--parameters fc.bias", 7840..7850),
        ("--parameters fc.weight", 0..7840),
    ] {
        let block = columns.rows(rows).0;
        // Σ over columns of ‖f‖² and over pairs of them of (f·f')².
        let trace: f64 = block.iter().map(|column| dot(column, column)).sum();
        let pairs = block
            .iter()
            .flat_map(|left| block.iter().map(|right| dot(left, right)));
        let square: f64 = pairs.map(|product| product * product).sum();
        let truths = [("trace", trace), ("frobenius", square.sqrt())];
        for seed in 0..3 {
            let report = place.json(&format!("{options} {chosen} --sample 20 --seed {seed}"));
            assert_eq!(
                [&report["examples"], &report["sampled_from"]],
                [20, 40].each_ref()
            );
            for (name, truth) in truths {
                let error = number(&report, name, "sampling_error");
                let both = error.hypot(number(&report, name, "standard_error"));
                let distance = (value(&report, name) - truth).abs();
                let what = format!("{chosen} {name}: {distance:e} {error:e} {truth:e}");
                assert!(error > 0.001 * truth && error < 0.5 * truth, "{what}");
                assert!(distance <= 4.0 * both, "{what}");
            }
            assert!(number(&report, "lambda_max", "sampling_error") > 0.0);
        }
        // The sum is over the same examples in another order.
        let [all, plain] =
            ["--sample 40", ""].map(|sample| place.json(&format!("{options} {chosen} {sample}")));
        for name in ["lambda_max", "trace", "frobenius"] {
            assert_eq!(number(&all, name, "sampling_error"), 0.0, "{chosen} {name}");
            assert!(quantity(&plain, name)["sampling_error"].is_null());
            let [all, plain] = [&all, &plain].map(|report| value(report, name));
            assert!(
                (all - plain).abs() <= 1e-10 * plain,
                "{name}: {all} {plain}"
            );
        }
        assert!(plain["sampled_from"].is_null());
        assert_within(&plain, "trace", trace);
    }
    let report = place.json(&format!("{options} --each fc.weight,fc.bias --sample 20"));
    for group in matrices(&report) {
        assert!(
            number(group, "frobenius", "sampling_error") > 0.0,
            "{group}"
        );
    }
}

#[test]
fn a_limit_beyond_every_clock_is_none() {
    let place = Place::new("logistic");
    let report = place.json("--examples 10 --what top --time-limit 1e300");
    assert_eq!(quantity(&report, "lambda_max")["stop"], "accurate");
}

#[test]
fn rises_are_held_against_the_hessian_whatever_matrix_is_measured() {
    let place = Place::new("logistic");
    let line = "--examples 10 --threads 1 --what top,quadratic,keskar";
    let plain = place.json(line);
    let fisher = place.json(&format!("{line} --matrices empirical-fisher"));
    assert_ne!(value(&plain, "lambda_max"), value(&fisher, "lambda_max"));
    for report in [&plain, &fisher] {
        let ratio = value(&curve(report, "rise.top")[0], "ratio");
        // Logistic regression has no kinks, and a thousandth of the norm is a short step.
        assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
    }
}

#[test]
fn what_is_asked_for_twice_is_measured_once() {
    let place = Place::new("logistic");
    let text = |what: &str| place.text(&format!("--examples 5 --threads 1 --what {what}"));
    let twice = text("rank,trace,rank,trace");
    assert_eq!(twice.matches("\"rank(1e-3)\"").count(), 1, "{twice}");
    let results = |text: &str| {
        let report: serde_json::Value = serde_json::from_str(text).expect("JSON");
        report["matrices"].clone()
    };
    assert_eq!(results(&twice), results(&text("rank,trace")));
}
