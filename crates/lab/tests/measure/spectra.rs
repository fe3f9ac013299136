//! Eigenvalues, trace, norms and functions of each matrix against closed forms.

use serde_json::Value;

use crate::oracle::{Columns, Of, of_logistic};
use crate::program::{
    Place, all_products, assert_within, matrices, number, products, quantity, value,
};

const PARAMETERS: usize = 7850;

/// Asserts that the eigenvalue of that name is as close to `truth` as its residual says.
#[track_caller]
pub(crate) fn assert_eigenvalue(report: &Value, name: &str, truth: f64, norm: f64) {
    let (value, residual) = (value(report, name), number(report, name, "residual"));
    assert!(
        (value - truth).abs() <= residual + 1e-12 * norm,
        "{name}: {value:e}, residual {residual:e}, but it is {truth:e}"
    );
    assert!(residual <= 1e-3 * norm, "{name}: residual {residual:e}");
}

/// Asserts the whole spectrum of `columns`, all of `dim` eigenvalues.
#[track_caller]
pub(crate) fn check_spectrum(report: &Value, columns: &Columns, dim: usize) {
    let exact = columns.eigenvalues();
    let norm = exact[0];
    for (index, name) in ["lambda_max", "lambda_max_2", "lambda_max_3"]
        .iter()
        .enumerate()
    {
        assert_eigenvalue(report, name, exact[index], norm);
    }
    let smallest = match exact.get(dim - 1) {
        Some(&smallest) => smallest,
        None => 0.0,
    };
    assert_eigenvalue(report, "lambda_min", smallest, norm);
    assert_eigenvalue(report, "spectral_norm", norm, norm);
    assert_within(report, "trace", exact.iter().sum());
    let squares = exact.iter().map(|value| value * value);
    assert_within(report, "frobenius", squares.sum::<f64>().sqrt());
}

#[test]
fn the_usual_numbers_come_with_value_error_products_and_stop() {
    let place = Place::new("logistic");
    let report = place.json("--examples 12 --threads 1");
    for (name, error) in [
        ("lambda_max", "residual"),
        ("lambda_min", "residual"),
        ("spectral_norm", "residual"),
        ("trace", "standard_error"),
        ("frobenius", "standard_error"),
    ] {
        assert!(value(&report, name).is_finite(), "{name}");
        assert!(number(&report, name, error) >= 0.0, "{name}");
        assert!(products(&report, name) > 0, "{name}");
        assert_eq!(quantity(&report, name)["stop"], "accurate", "{name}");
    }
    // Eigenvalues share their products, and the two moments build on them; a check comes before.
    let (eigen, moments) = (products(&report, "lambda_max"), products(&report, "trace"));
    let whole = all_products(&report);
    assert!(
        moments > eigen && whole > moments && whole <= 1000 + 10,
        "{whole}"
    );
}

#[test]
fn every_matrix_of_a_logistic_regression_is_its_closed_form() {
    let place = Place::new("logistic");
    let names = [
        ("hessian", Of::Hessian),
        ("gauss-newton", Of::Hessian),
        ("empirical-fisher", Of::EmpiricalFisher),
        ("gradient-covariance", Of::GradientCovariance),
    ];
    let what = "--what top=3,bottom,trace,frobenius --budget 400 --examples 12 --threads 1";
    let report = place.json(&format!(
        "{what} --matrices {},residual",
        names.map(|(name, _)| name).join(",")
    ));
    let measured = matrices(&report);
    assert_eq!(measured.len(), 5);
    for (record, (name, of)) in measured.iter().zip(names) {
        assert_eq!(record["matrix"], name);
        check_spectrum(record, &of_logistic(&place, 12, of), PARAMETERS);
        // The old name of the option.
        let alone = place.json(&format!("{what} --matrix {name}"));
        assert_eq!(&alone["matrices"][0], record);
    }
    // H = G, to the last bit of a zero.
    for name in [
        "lambda_max",
        "lambda_min",
        "spectral_norm",
        "trace",
        "frobenius",
    ] {
        assert_eq!(value(&measured[4], name), 0.0, "{name}");
    }
}

/// Three examples have 27 eigenvalues besides zero, which the search finds and 30 steps resolve: nothing is
/// left to chance.
#[test]
fn functions_of_the_matrix_are_those_of_its_eigenvalues() {
    let place = Place::new("logistic");
    let what = "density,rank=0.2,effective-rank,nuclear-norm,log-determinant=0.5,count=1:30";
    let report = place.json(&format!(
        "--examples 3 --threads 1 --what {what} --budget 2000 --relative-error 0.001"
    ));
    let exact: Vec<f64> = of_logistic(&place, 3, Of::Hessian).eigenvalues()[..27].to_vec();
    let sum: f64 = exact.iter().sum();
    let counted = |keep: &dyn Fn(f64) -> bool| exact.iter().filter(|value| keep(**value)).count();
    let rank = counted(&|value| value > 0.2 * exact[0]);
    let inside = counted(&|value| (1.0..=30.0).contains(&value));
    // Both leave some of the eigenvalues out.
    assert!(
        rank < 27 && inside < 27 && rank.min(inside) > 2,
        "{exact:?}"
    );
    let entropy = exact
        .iter()
        .map(|value| -(value / sum) * (value / sum).ln());
    let zeros = (PARAMETERS - exact.len()) as f64;
    let logarithms = exact.iter().map(|value| (value + 0.5).ln());
    for (name, truth) in [
        ("rank(2e-1)", rank as f64),
        ("effective_rank", entropy.sum::<f64>().exp()),
        ("nuclear_norm", sum),
        (
            "log_determinant(5e-1)",
            logarithms.sum::<f64>() + zeros * 0.5f64.ln(),
        ),
        ("count(1e0:3e1)", inside as f64),
    ] {
        assert_within(&report, name, truth);
        assert_eq!(quantity(&report, name)["stop"], "accurate", "{name}");
        let step_error = number(&report, name, "step_error");
        assert!(step_error <= 1e-3 * truth.abs(), "{name}: {step_error:e}");
    }
}

/// Twenty examples have 180 eigenvalues besides zero, of which the search finds the largest; three steps see
/// no more than three of the others.
#[test]
fn a_function_of_too_few_steps_asks_for_more() {
    let place = Place::new("logistic");
    let exact = of_logistic(&place, 20, Of::Hessian).eigenvalues();
    let sum: f64 = exact.iter().sum();
    let positive = exact[..180].iter();
    let entropy = positive.map(|value| -(value / sum) * (value / sum).ln());
    let truth = entropy.sum::<f64>().exp();
    let options =
        "--examples 20 --threads 1 --what trace,effective-rank --steps 3 --relative-error";
    for (goal, budget, stop, said) in [
        ("5e-2", 2000, "steps", "enough probes; more --steps"),
        ("1e-6", 300, "budget", "the budget ended it"),
    ] {
        let options = format!("{options} {goal} --budget {budget}");
        let report = place.json(&options);
        let step_error = number(&report, "effective_rank", "step_error");
        assert!(step_error > 5e-2 * truth, "{step_error:e} of {truth:e}");
        let away = (value(&report, "effective_rank") - truth).abs();
        let error = 4.0 * number(&report, "effective_rank", "standard_error") + step_error;
        assert!(away <= error, "{away:e} {error:e}");
        assert_eq!(quantity(&report, "effective_rank")["stop"], stop);
        assert_eq!(quantity(&report, "trace").get("step_error"), None);
        let table = place.table(&options);
        let row = |name| table.lines().find(|line| line.starts_with(name));
        // The rows of the matrix come after those of the network, which have no such column.
        let mut heads = table.lines().filter(|line| line.starts_with("measure "));
        let head = heads.next_back().expect("a head");
        let row = row("effective_rank").expect("a row");
        assert!(row.ends_with(&format!("; {said}")), "{table}");
        // The number ends where its head does.
        let start = head.find("step error").expect("a column");
        assert!(
            row[..start + "step error".len()].ends_with(&format!(" {step_error:.2e}")),
            "{table}"
        );
        let table = place.table(&format!("{options} --each layer"));
        for expected in [
            &format!(" +- {step_error:.1e}*"),
            "\nvalue +- standard error +- step error\n",
        ] {
            assert!(table.contains(expected), "{table}");
        }
    }
}

/// The norm is there where the space of the search holds the other end too, and then it is right.
#[test]
fn one_end_of_the_spectrum_is_measured_without_the_other() {
    let place = Place::new("logistic");
    let exact = of_logistic(&place, 5, Of::Hessian).eigenvalues();
    for (what, name, truth) in [
        ("top", "lambda_max", exact[0]),
        ("bottom", "lambda_min", 0.0),
    ] {
        let report = place.json(&format!("--what {what} --examples 5 --threads 1"));
        assert_eigenvalue(&report, name, truth, exact[0]);
        if !quantity(&report, "spectral_norm").is_null() {
            assert_eigenvalue(&report, "spectral_norm", exact[0], exact[0]);
        }
    }
}
