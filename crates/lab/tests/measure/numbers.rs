//! What is measured is what was asked for: matrices, blocks, splits, samples and the L2 term against closed forms.

use serde_json::{Value, json};

use crate::oracle::{Block, Digits, Of, fixture};
use crate::program::{
    Place, all_products, assert_within, curve, matrices, number, quantity, value,
};

const PARAMETERS: usize = 7850;

/// Asserts the two moments of a matrix.
#[track_caller]
fn check(record: &Value, digits: &Digits, of: Of, block: Block) {
    let [trace, frobenius] = digits.moments(of, block);
    assert_within(record, "trace", trace);
    assert_within(record, "frobenius", frobenius);
}

/// Three examples have 27 eigenvalues besides zero, which the search finds: nothing is left to chance. A block is also
/// what it is alone, with a budget of its own.
#[test]
fn every_matrix_and_block_is_its_closed_form() {
    let place = Place::new("logistic");
    let digits = Digits::train(&place, 3);
    let line = "--examples 3 --threads 1 --what trace,frobenius --budget 400";
    let known = [
        ("hessian", Some(Of::Hessian)),
        ("gauss-newton", Some(Of::Hessian)),
        ("empirical-fisher", Some(Of::EmpiricalFisher)),
        ("gradient-covariance", Some(Of::GradientCovariance)),
        // H = G, to the last bit of a zero.
        ("residual", None),
    ];
    let names = known.map(|(name, _)| name).join(",");
    let report = place.json(&format!(
        "{line} --matrices {names} --each fc.*,fc.weight,fc.bias"
    ));
    let mut records = matrices(&report).iter();
    for (name, of) in known {
        for (group, rows, block) in [
            ("fc.*", None, Block::All),
            ("fc.weight", Some(PARAMETERS - 10), Block::Weight),
            ("fc.bias", Some(10), Block::Bias),
        ] {
            let record = records.next().expect("a group");
            let expected = [json!(name), json!(group), json!(rows)];
            assert_eq!(
                ["matrix", "group", "rows"].map(|field| &record[field]),
                expected.each_ref()
            );
            match of {
                Some(of) => check(record, &digits, of, block),
                None => assert_eq!(value(record, "trace"), 0.0),
            }
        }
    }
    assert!(records.next().is_none());
    let products = |record: &Value| record["products"].as_u64().expect("a count");
    assert_eq!(
        matrices(&report).iter().map(products).sum::<u64>(),
        all_products(&report)
    );
    // `--matrix` is the old name of the option.
    let alone = place.json(&format!(
        "{line} --parameters fc.bias --matrix empirical-fisher"
    ));
    let [alone, grouped] = [&matrices(&alone)[0], &matrices(&report)[8]];
    for field in ["numbers", "rows", "products", "basis"] {
        assert_eq!(alone[field], grouped[field], "{field}");
    }
    // The Fisher matrix of one example has one eigenvalue.
    let one = place.json("--examples 1 --threads 1 --what top,bottom --matrices empirical-fisher");
    let [truth, _] = Digits::train(&place, 1).moments(Of::EmpiricalFisher, Block::All);
    for name in ["lambda_max", "spectral_norm"] {
        let away = (value(&one, name) - truth).abs();
        assert!(
            away <= number(&one, name, "residual") + 1e-12 * truth,
            "{name}: {away:e}"
        );
    }
}

#[test]
fn each_split_is_measured_on_its_own_examples() {
    let place = Place::new("logistic");
    let mnist = fixture();
    for (options, split, range, training) in [
        (
            "--split validation --validation-examples 6",
            &mnist.train,
            9_994..10_000,
            9_994,
        ),
        ("--split train --train-examples 6", &mnist.train, 0..6, 6),
        ("--split test --examples 6", &mnist.test, 0..6, 10_000),
    ] {
        let report = place.json(&format!("{options} --what trace,frobenius --threads 1"));
        let digits = Digits::new(&place, split, range);
        assert_eq!(report["examples"], 6, "{options}");
        assert_eq!(report["accuracy"], digits.accuracy(), "{options}");
        assert_eq!(report["data"]["train_examples"], training, "{options}");
        let away = report["loss"].as_f64().expect("a loss") / digits.loss() - 1.0;
        assert!(away.abs() <= 1e-12, "{options}: {away:e}");
        check(&report, &digits, Of::Hessian, Block::All);
    }
}

#[test]
fn the_l2_term_shifts_every_eigenvalue() {
    let place = Place::new("logistic");
    let (l2, count) = (0.25, PARAMETERS as f64);
    let report = place.json("--what bottom,trace,frobenius --examples 6 --threads 1 --l2 0.25");
    assert_eq!(report["request"]["l2"], l2);
    let away = (value(&report, "lambda_min") - l2).abs();
    assert!(
        away <= number(&report, "lambda_min", "residual") + 1e-12,
        "{away:e}"
    );
    let [trace, frobenius] = Digits::train(&place, 6).moments(Of::Hessian, Block::All);
    assert_within(&report, "trace", trace + count * l2);
    let square = frobenius.powi(2) + 2.0 * l2 * trace + count * l2 * l2;
    assert_within(&report, "frobenius", square.sqrt());
}

/// Numbers of the whole are within four errors of those of a sample, and so are those of a group of parameters; of
/// everything there is no error left. That of the norm holds its own excess too.
#[test]
fn a_sample_says_how_far_the_whole_may_be() {
    let place = Place::new("logistic");
    let options = "--what top,trace,frobenius --threads 1 --train-examples 40 --budget 300";
    let names = ["trace", "frobenius"];
    for (chosen, block) in [
        ("", Block::All),
        ("--parameters fc.bias", Block::Bias),
        ("--parameters fc.weight", Block::Weight),
    ] {
        let truths = Digits::train(&place, 40).moments(Of::Hessian, block);
        for seed in 0..3 {
            let report = place.json(&format!("{options} {chosen} --sample 20 --seed {seed}"));
            let sizes = [&report["examples"], &report["sampled_from"]];
            assert_eq!(sizes, [20, 40].each_ref());
            for (name, truth) in names.into_iter().zip(truths) {
                let error = number(&report, name, "sampling_error");
                let both = error.hypot(number(&report, name, "standard_error"));
                let distance = (value(&report, name) - truth).abs();
                let what = format!("{chosen} {name}: {distance:e} {error:e} {truth:e}");
                assert!(error > 0.001 * truth && error < 0.5 * truth, "{what}");
                assert!(distance <= 4.0 * both, "{what}");
            }
            assert!(number(&report, "lambda_max", "sampling_error") > 0.0);
        }
        let all = place.json(&format!("{options} {chosen} --sample 40"));
        for name in ["lambda_max", "trace", "frobenius"] {
            assert_eq!(number(&all, name, "sampling_error"), 0.0, "{chosen} {name}");
        }
        let plain = place.json(&format!("{options} {chosen}"));
        assert!(plain["sampled_from"].is_null());
        for (name, truth) in names.into_iter().zip(truths) {
            assert!(quantity(&plain, name)["sampling_error"].is_null());
            // The sum is over the same examples in another order.
            let [all, plain] = [&all, &plain].map(|report| value(report, name));
            assert!(
                (all - plain).abs() <= 1e-10 * plain,
                "{name}: {all} {plain}"
            );
            assert!(
                (plain - truth).abs() <= 0.25 * truth,
                "{name}: {plain} {truth}"
            );
        }
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
fn the_same_seed_gives_the_same_bits_and_another_one_others() {
    let place = Place::new("mlp");
    let options = "--examples 10 --threads 2 --what top=2,bottom,trace,rank --budget 200";
    let text = |seed: u64| place.text(&format!("{options} --seed {seed}"));
    assert_eq!(text(3), text(3));
    assert_ne!(text(3), text(4));
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
    let json = |what: &str| place.json(&format!("--examples 5 --threads 1 --what {what}"));
    assert_eq!(
        json("rank,trace,rank,trace")["matrices"],
        json("rank,trace")["matrices"]
    );
}

#[test]
fn products_and_memory_end_a_diagonal_and_no_time_leaves_no_number() {
    let place = Place::new("logistic");
    let line = "--examples 12 --threads 1 --what diagonal";
    for (options, stop, least, most) in [
        ("--budget 50", "budget", 48, 48),
        ("--budget 9", "budget", 8, 8),
        // Of 7,850 doubles for each vector: 16 for the block and its products beside those of the probes.
        ("--vector-memory 5", "memory", 16, 80),
    ] {
        let report = place.json(&format!("{line} --relative-error 1e-7 {options}"));
        let sum = quantity(&report, "diagonal_sum");
        assert_eq!(sum["stop"], stop, "{options}");
        let products = sum["cost"]["products"].as_u64().expect("a count");
        assert!((least..=most).contains(&products), "{options}: {products}");
    }
    let fixed = place.json(&format!("{line}=60 --budget 25"));
    assert_eq!(quantity(&fixed, "diagonal_sum")["stop"], "budget");
    assert_eq!(number(&fixed, "diagonal_sum", "probes"), 12.0);
    // The limit is looked at before the first product.
    for probes in ["", "=60"] {
        let report = place.json(&format!("{line}{probes} --time-limit 1e-9"));
        let why = &report["matrices"][0]["undefined"][format!("diagonal{probes}")];
        assert!(
            why.as_str()
                .is_some_and(|why| why.contains("the time limit ended it")),
            "{why}"
        );
        assert_eq!(all_products(&report), 0);
    }
}
