//! Processes that share the examples measure what one process does.

use std::path::Path;

use flatness_engine::{JournalFile, Resources};
use flatness_layers::Workers;
use flatness_records::{BatchNorm, Matrix, Measured, Request};
use flatness_testkit::{Activation, Problem, coupled_images, on_ranks};
use serde_json::Value;

use crate::oracle::{EXAMPLES, Place, WIDTHS, problem, request};

/// The values of a measurement, not their errors, by where they stand.
fn values(measured: &Measured) -> Vec<(String, f64)> {
    fn add(place: &str, value: &Value, values: &mut Vec<(String, f64)>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    add(&format!("{place}[{index}]"), item, values);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field.as_f64() {
                        Some(number) if ["value", "loss"].contains(&name.as_str()) => {
                            values.push((place.to_owned(), number));
                        }
                        _ => add(&format!("{place}.{name}"), field, values),
                    }
                }
            }
            _ => (),
        }
    }
    let mut found = Vec::new();
    add(
        "",
        &serde_json::to_value(measured).expect("JSON"),
        &mut found,
    );
    found
}

type Make<'m> = &'m (dyn Fn() -> Problem + Sync);

fn on(size: usize, threads: usize, problem: Make<'_>, asked: &Request) -> Vec<Measured> {
    on_ranks(size, |ranks| {
        let workers = Workers::new(threads).expect("threads").among(ranks);
        Place::of(problem()).with(workers).measure(asked)
    })
}

const MATRICES: &str = "top=2,bottom,trace,frobenius,diagonal=4,spectrum";
const NETWORK: &str = "norms,fisher-rao,adaptive,relative-flatness,confidence,keskar=1e-3,keskar-ball=1e-3,landscape,\
    scaling=1:2,rescaling=1:2";
const DIFFERENCES: &str = "pac-bayes,quadratic=1e-3:1e-2";

/// Rounding of sums.
const ROUNDING: f64 = 1e-12;
/// That of differences of losses, divided by squares of distances down to 1e-3.
const OF_DIFFERENCES: f64 = 1e-9;

/// Two to four ranks, and more than there are examples, have one rank's values and each the same bits.
fn check(what: &str, problem: Make<'_>, asked: &Request, rounding: f64) {
    let alone = values(&Place::of(problem()).measure(asked));
    for (size, threads) in [(2, 1), (3, 2), (4, 1), (EXAMPLES + 1, 1)] {
        let measured = on(size, threads, problem, asked);
        for one in &measured[1..] {
            assert_eq!(one, &measured[0], "{what}: ranks of {size} differ");
        }
        assert_eq!(
            measured,
            on(size, threads, problem, asked),
            "{what}: the bits do not repeat"
        );
        let together = values(&measured[0]);
        assert_eq!(together.len(), alone.len(), "{what}, {size} ranks");
        for ((place, got), (expected_place, expected)) in together.iter().zip(&alone) {
            assert_eq!(place, expected_place);
            let close = (got - expected).abs() <= rounding * expected.abs().max(1.0);
            assert!(
                close,
                "{what}, {size} ranks: {place} is {got:e}, alone {expected:e}"
            );
        }
    }
}

#[test]
fn every_measure_is_the_same_on_several_ranks() {
    let relu = || problem(&WIDTHS, Activation::Relu);
    for (what, rounding) in [
        (MATRICES, ROUNDING),
        (NETWORK, ROUNDING),
        (DIFFERENCES, OF_DIFFERENCES),
        // The last Ritz values of a small matrix, beyond its rank, are what rounding makes of them.
        ("density,rank,nuclear-norm", f64::INFINITY),
    ] {
        let mut asked = request(what);
        if what != NETWORK {
            asked.matrices = vec![
                Matrix::Hessian,
                Matrix::GaussNewton,
                Matrix::Residual,
                Matrix::EmpiricalFisher,
                Matrix::GradientCovariance,
            ];
        }
        check(what, &relu, &asked, rounding);
    }
}

#[test]
fn batch_norm_is_the_same_on_several_ranks_in_both_meanings() {
    for index in 0..2 {
        let problem = || coupled_images(EXAMPLES, 5).swap_remove(index).1;
        for batch_norm in [BatchNorm::Frozen, BatchNorm::Batch] {
            let mut asked = request("top=2,trace,frobenius,confidence");
            (asked.batch_norm, asked.batch_size) = (batch_norm, Some(5));
            check(
                &format!("network {index}, {batch_norm:?}"),
                &problem,
                &asked,
                ROUNDING,
            );
        }
    }
}

/// The sampling error multiplies the folds of the sample one by one.
#[test]
fn the_error_of_a_sample_is_the_same_on_several_ranks() {
    let mut asked = request("top,trace");
    asked.sample = Some(EXAMPLES - 2);
    check(
        "a sample",
        &|| problem(&WIDTHS, Activation::Tanh),
        &asked,
        ROUNDING,
    );
}

/// Clock, memory and journal are those of one rank, and all others do as it does.
#[test]
fn what_ranks_cannot_both_know_is_decided_by_one() {
    let asked = request("top=2,trace");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("journal");
    let measure = |path: Option<&Path>, expired_on: Option<usize>| {
        on_ranks(2, |ranks| {
            let rank = ranks.rank();
            let mut place = Place::new();
            // A megabyte less on one of them.
            place.vectors = (32 << 20) - ((rank as u64) << 20);
            let place = place.with(Workers::new(1).expect("a thread").among(ranks));
            let resources = Resources {
                interrupt: &|| expired_on == Some(rank),
                journal: path.map(|path| JournalFile { path, identity: "" }),
                ..place.resources()
            };
            let found = place.found_with(&place.subject(), &resources, &asked);
            found.expect("a measurement").measured
        })
    };
    let plain = measure(None, Some(1));
    assert!(
        plain[0].number("lambda_max").is_some(),
        "the clock of rank 1 counts for nothing"
    );
    let expired = measure(None, Some(0));
    assert!(expired.iter().all(|one| one.number("lambda_max").is_none()));
    for _ in 0..2 {
        let journalled = measure(Some(&file), None);
        assert_eq!(journalled[0].numbers, plain[0].numbers);
        assert_eq!(journalled[0], journalled[1]);
        assert!(file.exists());
    }
}

#[test]
fn a_rank_that_ends_ends_the_others_in_a_sentence() {
    let errors = on_ranks(3, |ranks| {
        let rank = ranks.rank();
        let place = Place::new().with(Workers::new(1).expect("a thread").among(ranks));
        if rank == 2 {
            return None;
        }
        let found = place.found(&request("top"));
        Some(found.expect_err("no measurement").to_string())
    });
    let first = errors[0].as_ref().expect("rank 0 was at work");
    assert!(
        first.contains("rank 2 has ended before the others"),
        "{first}"
    );
    assert!(
        errors[1]
            .as_ref()
            .expect("rank 1 was at work")
            .contains("has ended")
    );
}
