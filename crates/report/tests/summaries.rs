//! What is taken from a record is what the record says, and its line is the whole of it without spectra.

mod synthetic;

use flatness_records::{Cost, LogDensity, Quantity, Record, Stem, Uncertainty};
use flatness_report::{Reader, Statistic};
use serde::Deserialize;
use serde_json::{Value, json};

use synthetic::{line, record, sgd, summaries};

/// Every kind of spectrum, and words like theirs in other places.
fn tricky() -> Record {
    let mut record = record("a \"density\": [1, 2], \\", 0, &sgd(0.0));
    record.data.source = "{\\\\\" : ☃ ,} \t".to_owned();
    let measured = &mut record.measurements[0].measured;
    let no = ("density".to_owned(), "stems: none".to_owned());
    measured.undefined.extend([no.clone()]);
    let quantity = Quantity::new(
        1.0,
        Uncertainty::Computed { rounding: 0.0 },
        Cost::default(),
    );
    measured
        .numbers
        .insert("eigenvalues".to_owned(), quantity.clone());
    let mut whole = measured.matrices[0].clone();
    whole.undefined.extend([no]);
    whole.stems = vec![Stem {
        value: 1.0,
        weight: 1.0,
    }];
    whole.eigenvalues = vec![3.0, 2.0];
    whole.log_density = Some(LogDensity {
        magnitude: vec![1.0],
        positive: vec![1.0],
        positive_error: vec![0.0],
        negative: vec![0.0],
        negative_error: vec![0.0],
        unresolved: quantity,
        resolution: 1e-9,
        sigma: 0.1,
    });
    measured.matrices.push(whole);
    record
}

#[test]
fn a_line_is_the_record_without_white_space_and_spectra() {
    let records = synthetic::everything().into_iter();
    let records = records.flat_map(|(_, records)| records);
    for record in records.chain([tricky()]) {
        let pretty = serde_json::to_string_pretty(&record).unwrap();
        let compact = serde_json::to_string(&record).unwrap();
        // White space where no writer of ours has it.
        let odd = pretty.replace("\": ", "\" :\t");
        for text in [pretty, compact, odd] {
            let text = text.replace("\" :\t[1, 2]", "\": [1, 2]");
            let (_, got) = Reader::default().read(&text).expect(&text);
            assert_eq!(got, line(&record));
        }
    }
}

#[test]
fn an_error_is_that_of_its_method_and_of_too_few_steps() {
    let statistic = json!({ "kind": "value", "quantity": "trace" });
    let statistic = Statistic::deserialize(statistic).unwrap();
    let (steps, probes, converged) = (9, 8, true);
    for uncertainty in [
        Uncertainty::Computed { rounding: 0.3 },
        Uncertainty::Stochastic {
            standard_error: 0.3,
            probes,
        },
        Uncertainty::Iterative {
            residual: 0.3,
            steps,
            converged,
        },
        Uncertainty::LowerBound {
            gap: 0.3,
            steps,
            converged,
        },
    ] {
        for (step_error, expected) in [(None, 0.3), (Some(0.4), 0.5)] {
            let mut trace = Quantity::new(2.0, uncertainty, Cost::products(3));
            trace.step_error = step_error;
            let mut record = record("mlp", 0, &sgd(0.0));
            let numbers = &mut record.measurements[0].measured.matrices[0].numbers;
            numbers.insert("trace".to_owned(), trace);
            let runs = summaries(&[record]);
            let sample = statistic.evaluate(&runs.iter().collect::<Vec<_>>(), "mlp");
            let seed = sample.seeds[0];
            assert_eq!((seed.value, seed.error), (2.0, expected));
        }
    }
}

#[test]
fn what_is_no_record_is_an_error() {
    let mut without = serde_json::to_value(tricky()).unwrap();
    without["measurements"][0]["numbers"]["eigenvalues"]["rounding"].take();
    let mut reader = Reader::default();
    for text in [
        "",
        "{",
        "\"",
        "[]",
        "{\"id\": \"0\"}",
        &Value::to_string(&without),
    ] {
        assert!(reader.read(text).is_err(), "{text}");
    }
}
