//! `--each`: the diagonal blocks of groups of parameters, one by one.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::oracle::{Columns, Of, of_logistic};
use crate::program::{Place, assert_within, ended, number, value};

const NAMES: [&str; 5] = [
    "lambda_max",
    "lambda_min",
    "trace",
    "frobenius",
    "rank(1e-3)",
];

fn groups(report: &Value) -> &[Value] {
    report["groups"].as_array().expect("an array")
}

#[test]
fn each_block_of_a_logistic_regression_is_its_closed_form() {
    let place = Place::new("logistic");
    let line = "--examples 12 --threads 1 --budget 400 --each fc.weight,fc.bias";
    let report = place.json(&format!("{line} --what top,bottom,trace,frobenius"));
    let columns = of_logistic(&place, 12, Of::Hessian);
    for (group, (name, rows)) in groups(&report)
        .iter()
        .zip([("fc.weight", 0..7840), ("fc.bias", 7840..7850)])
    {
        assert_eq!(
            (&group["name"], &group["rows"]),
            (&name.into(), &rows.len().into())
        );
        let block = columns.0.iter().map(|column| column[rows.clone()].to_vec());
        let exact = Columns(block.collect()).eigenvalues();
        let residual = number(group, "lambda_max", "residual");
        let away = (value(group, "lambda_max") - exact[0]).abs();
        assert!(away <= residual + 1e-12 * exact[0], "{name}: {away:e}");
        assert_within(group, "trace", exact.iter().sum());
        let squares: f64 = exact.iter().map(|value| value * value).sum();
        assert_within(group, "frobenius", squares.sqrt());
    }
    let products = groups(&report)
        .iter()
        .map(|group| group["products"].as_u64());
    assert_eq!(products.sum::<Option<u64>>(), report["products"].as_u64());
}

#[test]
fn a_group_is_what_it_is_alone_and_has_a_budget_of_its_own() {
    let place = Place::new("mlp");
    let line =
        "--examples 40 --threads 1 --steps 10 --budget 200 --what top,bottom,trace,frobenius,rank";
    let report = place.json(&format!("{line} --each layer"));
    let names: Vec<&Value> = groups(&report).iter().map(|group| &group["name"]).collect();
    assert_eq!(names, ["fc0", "fc1", "fc2"]);
    assert!(report["trace"].is_null());
    for group in groups(&report) {
        let pattern = group["name"].as_str().expect("a name");
        let alone = place.json(&format!("{line} --parameters {pattern}.*"));
        for name in NAMES {
            assert_eq!(group[name], alone[name], "{pattern}: {name}");
        }
        for field in ["rows", "products", "basis"] {
            assert_eq!(group[field], alone[field], "{pattern}: {field}");
        }
    }
}

#[test]
fn the_table_has_a_row_for_each_group() {
    let place = Place::new("mlp");
    let line =
        "--examples 10 --threads 1 --what top,trace --budget 60 --relative-error 1e-9 --each layer";
    let (code, table, error) = ended(place.start(line));
    assert_eq!((code, error.as_str()), (0, ""));
    let head = table.lines().find(|line| line.starts_with("group "));
    let head: Vec<&str> = head.expect("a head").split_whitespace().collect();
    assert_eq!(
        head,
        [
            "group",
            "rows",
            "products",
            "lambda_max",
            "spectral_norm",
            "trace"
        ]
    );
    for (name, rows) in [("fc0", "7850"), ("fc1", "1100"), ("fc2", "1010")] {
        let row = table.lines().find(|line| line.starts_with(name));
        let cells: Vec<&str> = row.expect("a row").split_whitespace().collect();
        assert_eq!(
            (cells[0], cells[1], cells[4], cells.len()),
            (name, rows, "+-", 12),
            "{table}"
        );
        // The trace cannot be that accurate.
        assert!(cells[11].ends_with('*'), "{table}");
    }
    assert!(table.contains("\n* not as accurate as asked\n"), "{table}");
}

#[test]
fn each_group_has_its_own_files() {
    let place = Place::new("logistic");
    let out = place.path("out");
    let line = "--examples 4 --threads 1 --steps 8 --what density,diagonal=4 --each *.weight,fc.*";
    let report = place.json(&format!("{line} --out {}", out.display()));
    for (group, directory) in groups(&report).iter().zip(["1-_.weight", "2-fc._"]) {
        let files = group["pictures"].as_array().expect("an array");
        assert!(files.len() > 4, "{files:?}");
        for file in files {
            let path = out.join(directory).join(file.as_str().expect("a name"));
            assert!(
                fs::metadata(&path).is_ok_and(|file| file.len() > 0),
                "{path:?}"
            );
        }
    }
}

#[test]
fn groups_killed_midway_go_on_to_the_same_bits() {
    let place = Place::new("mlp");
    let line = "--examples 100 --threads 2 --what top,trace --budget 150 --each layer --json";
    let (code, whole, error) = ended(place.start(line));
    assert_eq!((code, error.as_str()), (0, ""));
    let journal = place.path("journal");
    let line = format!("{line} --journal {}", journal.display());
    let path = |group: usize| place.path(&format!("journal.{group}"));
    let mut child = place.start(&line);
    let started = Instant::now();
    // A product of the second group is of 1,100 doubles.
    while fs::metadata(path(2)).map_or(0, |file| file.len()) < 3 * 8800 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it does not grow"
        );
        sleep(Duration::from_millis(1));
    }
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours");
    assert!(path(1).exists() && path(2).exists());
    let (code, resumed, error) = ended(place.start(&line));
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(resumed, whole);
    for group in 1..=3 {
        assert!(!path(group).exists(), "{group}");
    }
}

#[test]
fn what_is_not_of_a_block_is_refused() {
    let place = Place::new("logistic");
    for (options, expected) in [
        (
            "--each layer --what norms",
            "--each measures blocks of the matrix: top, bottom",
        ),
        (
            "--each layer --what top,landscape",
            "--each measures blocks of the matrix: top, bottom",
        ),
        ("--each layer --parameters fc.bias", "cannot be used with"),
        ("--each fc.bias,conv*", "no parameter is called conv*"),
        (
            "--each fc.weight,fc.bias --what top=11",
            "fc.bias: --what top=11: the matrix has 10",
        ),
    ] {
        let (code, output, error) = ended(place.start(&format!("--examples 3 {options}")));
        assert_eq!((code, output.as_str()), (2, ""), "{options}: {error}");
        let sentence = error.lines().next().unwrap_or_default();
        assert!(sentence.contains(expected), "{options}: {error}");
    }
}
