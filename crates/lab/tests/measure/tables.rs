//! What is printed for people: every name, every stop, every column.

use crate::common::{ended, program};
use crate::program::{Place, number, quantity};

/// Each name of `--what` with the beginnings of its lines in the table: numbers, or a section of their own.
const NAMES: &str = "
    top=2               lambda_max lambda_max_2
    bottom=2            lambda_min lambda_min_2 spectral_norm
    trace               trace
    frobenius           frobenius
    density             density:
    diagonal=4          diagonal_sum diagonal_norm diagonal_max diagonal_min
    rank                rank(1e-3)
    rank=0.25           rank(2.5e-1)
    effective-rank      effective_rank
    nuclear-norm        nuclear_norm
    log-determinant=2   log_determinant(2e0)
    count=-1:2          count(-1e0:2e0)
    norms               gradient_norm parameter_norm norm(fc)
    fisher-rao          fisher_rao
    adaptive            adaptive_lambda_max
    relative-flatness   relative_flatness(fc.weight)
    confidence          confidence_trace smallest_margin
    pac-bayes           pac_bayes_sigma(1e-1)
    pac-bayes=0.01      pac_bayes_sigma(1e-2)
    keskar=1e-3         keskar.box
    keskar-ball         keskar.ball
    quadratic=1e-2      rise.random rise.top
    landscape
    scaling=0.5:1       scaling";

/// The row that begins with `name`, or a heading.
#[track_caller]
fn row<'a>(table: &'a str, name: &str) -> &'a str {
    let starts = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| !rest.starts_with('_'))
    };
    let row = table.lines().find(starts);
    row.unwrap_or_else(|| panic!("no {name} in\n{table}"))
}

#[test]
fn every_name_gives_its_lines() {
    let place = Place::new("logistic");
    let names = || NAMES.lines().map(str::split_whitespace);
    let what: Vec<&str> = names().filter_map(|mut words| words.next()).collect();
    assert_eq!(what.len(), 24);
    let line = format!(
        "--examples 4 --threads 1 --budget 400 --what {} --out {}",
        what.join(","),
        place.path("out").display()
    );
    let report = place.json(&line);
    assert!(report.get("undefined").is_none(), "{report}");
    let numbers = [&report["numbers"], &report["matrices"][0]["numbers"]];
    let numbers = numbers.map(|numbers| numbers.as_object().expect("numbers").iter());
    for (name, number) in numbers.into_iter().flatten() {
        let error = match number["method"].as_str() {
            Some("stochastic") => &number["standard_error"],
            Some("iterative") => &number["residual"],
            Some("computed") => &number["rounding"],
            other => panic!("{name} is {other:?}"),
        };
        let value = number["value"].as_f64();
        assert!(value.is_some_and(f64::is_finite), "{name}: {value:?}");
        assert!(error.as_f64() >= Some(0.0), "{name}: {error}");
    }
    let table = place.table(&line);
    for name in names().flat_map(|words| words.skip(1)) {
        row(&table, name);
    }
}

/// Twenty examples have 180 eigenvalues besides zero, of which the search finds the largest; three steps see no more than
/// three of the others.
#[test]
fn a_function_of_too_few_steps_asks_for_more() {
    let place = Place::new("logistic");
    for (goal, budget, stop, said) in [
        ("5e-2", 2000, "steps", "; enough probes; more --steps"),
        ("1e-6", 300, "budget", "; the budget ended it"),
    ] {
        let options = format!(
            "--examples 20 --threads 1 --what trace,effective-rank --steps 3 --relative-error {goal} --budget {budget}"
        );
        let report = place.json(&options);
        let step_error = number(&report, "effective_rank", "step_error");
        assert!(
            step_error > 5e-2 * number(&report, "effective_rank", "value"),
            "{step_error:e}"
        );
        assert_eq!(quantity(&report, "effective_rank")["stop"], stop);
        assert_eq!(quantity(&report, "trace").get("step_error"), None);
        let table = place.table(&options);
        let row = row(&table, "effective_rank");
        assert!(row.ends_with(said), "{table}");
        // The rows of the matrix come after those of the network, which have no such column. The number ends where its
        // head does.
        let mut heads = table.lines().filter(|line| line.starts_with("measure "));
        let start = heads.next_back().and_then(|head| head.find("step error"));
        let cell = &row[..start.expect("a column") + "step error".len()];
        assert!(cell.ends_with(&format!(" {step_error:.2e}")), "{table}");
        let table = place.table(&format!("{options} --each layer"));
        let cell = format!(" +- {step_error:.1e}*");
        for expected in [&cell, "\nvalue +- standard error +- step error\n"] {
            assert!(table.contains(expected), "{table}");
        }
    }
}

#[test]
fn the_table_has_a_row_for_each_group() {
    let place = Place::new("mlp");
    let line = "--examples 10 --threads 1 --what top,bottom,trace --budget 60 --relative-error 1e-9 --each layer";
    let table = place.table(line);
    let words = |name| row(&table, name).split_whitespace().collect::<Vec<_>>();
    let names = ["lambda_max", "lambda_min", "spectral_norm", "trace"];
    assert_eq!(
        words("group "),
        [&["group", "rows", "products"], &names[..]].concat()
    );
    for (name, rows) in [("fc0", "7850"), ("fc1", "1100"), ("fc2", "1010")] {
        let cells = words(name);
        assert_eq!(
            (cells[1], cells[4], cells.len()),
            (rows, "+-", 15),
            "{table}"
        );
        // The trace cannot be that accurate.
        assert!(cells[14].ends_with('*'), "{table}");
    }
    assert!(table.contains("\n* not as accurate as asked\n"), "{table}");
}

#[test]
fn a_diagonal_says_where_its_largest_entry_is_and_how_accurate_all_of_it() {
    let place = Place::new("logistic");
    let line = "--examples 12 --threads 1 --what diagonal";
    let table = place.table(&format!("{line}=4"));
    let largest = row(&table, "diagonal_max");
    assert!(largest.contains("at fc.weight["), "{table}");
    // Four probes leave errors as large as the entries, and the largest of thousands is one.
    assert!(
        largest.ends_with("no more than the largest of so many errors"),
        "{table}"
    );
    let line = format!("{line} --relative-error 0.3");
    let relative = number(&place.json(&line), "diagonal_norm", "relative_error");
    assert!(relative <= 0.3, "{relative}");
    let table = place.table(&line);
    let said = format!("; as accurate as asked; relative error {relative:.2e}");
    assert!(row(&table, "diagonal_norm").ends_with(&said), "{table}");
}

#[test]
fn an_accuracy_that_is_chance_is_warned_of() {
    let place = Place::new("mlp");
    let run = |options: &str| {
        let mut command = program();
        command.arg("measure").arg(place.checkpoint());
        let line = format!("--what norms --examples 200 {options}");
        ended(
            command
                .args(line.split_whitespace())
                .spawn()
                .expect("the binary starts"),
        )
    };
    let (code, _, error) = run("");
    assert_eq!(code, 0, "{error}");
    assert!(
        error.contains("is no better than chance; were the weights trained"),
        "{error}"
    );
    assert_eq!(run("--quiet").2, "");
}
