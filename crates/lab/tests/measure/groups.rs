//! `--each` and `--parameters`: the diagonal blocks of groups of parameters.

use std::fs;

use serde_json::Value;

use crate::oracle::{Of, of_logistic};
use crate::program::{Place, all_products, matrices};
use crate::spectra::check_spectrum;

/// A block is also what it is alone, with a budget of its own.
#[test]
fn each_block_of_a_logistic_regression_is_its_closed_form() {
    let place = Place::new("logistic");
    let line = "--examples 12 --threads 1 --budget 400 --what top=3,bottom,trace,frobenius";
    let names = ["fc.weight", "fc.bias"];
    let report = place.json(&format!(
        "{line} --each fc.weight,fc.bias --matrices hessian,empirical-fisher"
    ));
    let mut records = matrices(&report).iter();
    let mut products = 0;
    for (matrix, of) in [
        ("hessian", Of::Hessian),
        ("empirical-fisher", Of::EmpiricalFisher),
    ] {
        let columns = of_logistic(&place, 12, of);
        for (name, rows) in names.into_iter().zip([0..7840, 7840..7850]) {
            let record = records.next().expect("a group");
            let dim = rows.len();
            assert_eq!(
                [&record["matrix"], &record["group"], &record["rows"]],
                [&Value::from(matrix), &name.into(), &dim.into()]
            );
            check_spectrum(record, &columns.rows(rows), dim);
            products += record["products"].as_u64().expect("a count");
            let alone = place.json(&format!("{line} --parameters {name} --matrices {matrix}"));
            for field in ["numbers", "rows", "products", "basis"] {
                assert_eq!(
                    alone["matrices"][0][field], record[field],
                    "{name}: {field}"
                );
            }
        }
    }
    assert!(records.next().is_none());
    assert_eq!(products, all_products(&report));
}

#[test]
fn the_table_has_a_row_for_each_group() {
    let place = Place::new("mlp");
    let line = "--examples 10 --threads 1 --what top,bottom,trace --budget 60 --relative-error 1e-9 --each layer";
    let table = place.table(line);
    let head = table.lines().find(|line| line.starts_with("group "));
    let head: Vec<&str> = head.expect("a head").split_whitespace().collect();
    let names = ["lambda_max", "lambda_min", "spectral_norm", "trace"];
    assert_eq!(head, [&["group", "rows", "products"], &names[..]].concat());
    for (name, rows) in [("fc0", "7850"), ("fc1", "1100"), ("fc2", "1010")] {
        let row = table.lines().find(|line| line.starts_with(name));
        let cells: Vec<&str> = row.expect("a row").split_whitespace().collect();
        assert_eq!(
            (cells[0], cells[1], cells[4], cells.len()),
            (name, rows, "+-", 15),
            "{table}"
        );
        // The trace cannot be that accurate.
        assert!(cells[14].ends_with('*'), "{table}");
    }
    assert!(table.contains("\n* not as accurate as asked\n"), "{table}");
}

#[test]
fn each_matrix_and_group_has_its_own_files() {
    let place = Place::new("logistic");
    let out = place.path("out");
    let line = "--examples 4 --threads 1 --steps 8 --what density,diagonal=4 --each *.weight,fc.*";
    let line = format!(
        "{line} --matrices hessian,gauss-newton --out {}",
        out.display()
    );
    let report = place.json(&line);
    let files: Vec<&str> = (report["files"].as_array().expect("an array").iter())
        .map(|file| file.as_str().expect("a name"))
        .collect();
    for file in &files {
        let length = fs::metadata(out.join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 0), "{file}");
    }
    let of = |directory: &str| {
        let inside = files.iter().filter_map(|file| file.strip_prefix(directory));
        inside.collect::<Vec<_>>()
    };
    let first = of("hessian/all.weight/");
    // Three pictures in three forms, and the diagonal with its errors.
    assert_eq!(first.len(), 3 * 3 + 2, "{files:?}");
    for directory in [
        "hessian/fc.all/",
        "gauss-newton/all.weight/",
        "gauss-newton/fc.all/",
    ] {
        assert_eq!(of(directory), first, "{files:?}");
    }
    assert_eq!(files.len(), 4 * first.len());
}
