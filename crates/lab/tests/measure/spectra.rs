//! Eigenvalues, trace, norms and functions of each matrix against closed forms.

use serde_json::Value;

use crate::oracle::{Columns, Digits, Of, elements, of_logistic, relu_network};
use crate::program::{Place, assert_within, ended, number, value};

const PARAMETERS: f64 = 7850.0;

/// Asserts that the eigenvalue of that name is as close to `truth` as its residual says.
#[track_caller]
fn assert_eigenvalue(report: &Value, name: &str, truth: f64, norm: f64) {
    let (value, residual) = (value(report, name), number(report, name, "residual"));
    assert!(
        (value - truth).abs() <= residual + 1e-12 * norm,
        "{name}: {value:e}, residual {residual:e}, but it is {truth:e}"
    );
    assert!(residual <= 1e-3 * norm, "{name}: residual {residual:e}");
}

/// Asserts the whole spectrum of `columns`, all of `dim` eigenvalues.
#[track_caller]
fn check_spectrum(report: &Value, columns: &Columns, dim: usize) {
    let exact = columns.eigenvalues();
    let norm = exact[0];
    for (index, &truth) in exact.iter().take(3).enumerate() {
        let name = match index {
            0 => "lambda_max".to_owned(),
            index => format!("lambda_max_{}", index + 1),
        };
        assert_eigenvalue(report, &name, truth, norm);
    }
    let smallest = if dim > exact.len() {
        0.0
    } else {
        exact[dim - 1]
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
        assert!(report[name]["products"].as_u64() > Some(0), "{name}");
        assert_eq!(report[name]["stop"], "as accurate as asked", "{name}");
    }
    // Eigenvalues share their products, and the two moments build on them; a check comes before.
    let products = |name: &str| report[name]["products"].as_u64().expect("a count");
    let (eigen, moments) = (products("lambda_max"), products("trace"));
    let whole = report["products"].as_u64().expect("a count");
    assert!(
        moments > eigen && whole > moments && whole <= 1000 + 10,
        "{whole}"
    );
}

#[test]
fn every_matrix_of_a_logistic_regression_is_its_closed_form() {
    let place = Place::new("logistic");
    for (matrix, of) in [
        ("hessian", Of::Hessian),
        ("gauss-newton", Of::Hessian),
        ("empirical-fisher", Of::EmpiricalFisher),
        ("gradient-covariance", Of::GradientCovariance),
    ] {
        let what = "--what top=3,bottom,trace,frobenius --budget 400";
        let report = place.json(&format!(
            "--examples 12 --threads 1 {what} --matrix {matrix}"
        ));
        assert_eq!(report["matrix"], matrix);
        check_spectrum(&report, &of_logistic(&place, 12, of), 7850);
    }
    // H = G, to the last bit of a zero.
    let report = place.json("--examples 12 --threads 1 --matrix residual");
    for name in [
        "lambda_max",
        "lambda_min",
        "spectral_norm",
        "trace",
        "frobenius",
    ] {
        assert_eq!(value(&report, name), 0.0, "{name}");
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
    let zeros = PARAMETERS - exact.len() as f64;
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
        assert_eq!(report[name]["stop"], "as accurate as asked", "{name}");
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
    for (goal, products, stop) in [
        ("5e-2", 2000, "enough probes; more --steps"),
        ("1e-6", 300, "the budget ended it; more --steps"),
    ] {
        let options = format!("{options} {goal} --budget {products}");
        let report = place.json(&options);
        let step_error = number(&report, "effective_rank", "step_error");
        assert!(step_error > 5e-2 * truth, "{step_error:e} of {truth:e}");
        let away = (value(&report, "effective_rank") - truth).abs();
        let error = 4.0 * number(&report, "effective_rank", "standard_error") + step_error;
        assert!(away <= error, "{away:e} {error:e}");
        assert_eq!(report["effective_rank"]["stop"], stop);
        assert_eq!(report["trace"].get("step_error"), None);
        let (code, table, _) = ended(place.start(&options));
        assert_eq!(code, 0);
        let lines: Vec<&str> = table.lines().collect();
        let row = |name| lines.iter().find(|line| line.starts_with(name));
        let (head, row) = (row("measure"), row("effective_rank"));
        let (head, row) = (head.expect("a head"), row.expect("a row"));
        assert!(row.ends_with(&format!("; {stop}")), "{table}");
        // The number ends where its head does.
        let column = |head: &str| {
            head.find("step error")
                .map(|start| start + "step error".len())
        };
        let end = column(head).expect("a column");
        assert!(
            row[..end].ends_with(&format!(" {step_error:.2e}")),
            "{table}"
        );
        let (_, table, _) = ended(place.start(&format!("{options} --each layer")));
        assert!(table.contains(&format!(" +- {step_error:.1e}*")), "{table}");
        assert!(
            table.contains("\nvalue +- standard error +- step error\n"),
            "{table}"
        );
    }
}

#[test]
fn a_block_of_the_first_layer_is_its_closed_form() {
    let place = Place::new("mlp");
    let theta = elements(&place);
    let respond = |x: &[f64]| relu_network(&theta, x, &[10, 100, 10]);
    let columns = Digits::train(8).columns(respond, Of::Hessian);
    // Within its first layer a ReLU network is linear, piece by piece, so that H = G there.
    for matrix in ["hessian", "gauss-newton"] {
        let options = "--what top=3,bottom,trace,frobenius --examples 8 --threads 1";
        for (pattern, rows) in [
            ("fc0.*", 0..7850),
            ("fc0.weight", 0..7840),
            ("fc0.bias", 7840..7850),
        ] {
            let dim = rows.len();
            let line = format!("{options} --parameters {pattern} --matrix {matrix}");
            let report = place.json(&line);
            assert_eq!(report["rows"], dim);
            check_spectrum(&report, &columns.rows(rows), dim);
        }
    }
}

#[test]
fn the_residual_is_what_the_gauss_newton_matrix_leaves_of_the_hessian() {
    let place = Place::new("mlp");
    let options = "--what trace --budget 300 --relative-error 1e-9 --examples 20 --threads 1";
    let [hessian, gauss_newton, residual] = ["hessian", "gauss-newton", "residual"].map(|matrix| {
        let report = place.json(&format!("{options} --matrix {matrix}"));
        let error = number(&report, "trace", "standard_error");
        (value(&report, "trace"), error)
    });
    assert!(residual.0 != 0.0);
    let away = (residual.0 - (hessian.0 - gauss_newton.0)).abs();
    let error = hessian.1.hypot(gauss_newton.1).hypot(residual.1);
    assert!(away <= 4.0 * error, "{away:e} {error:e}");
    assert!(error < 0.2 * hessian.0, "{error:e} of {}", hessian.0);
    let ends = place.json("--what top,bottom --matrix residual --examples 20 --threads 1");
    assert!(value(&ends, "lambda_max") > 0.0 && value(&ends, "lambda_min") < 0.0);
}

#[test]
fn one_end_of_the_spectrum_is_measured_without_the_other() {
    let place = Place::new("logistic");
    let exact = of_logistic(&place, 5, Of::Hessian).eigenvalues();
    for (what, name, truth) in [
        ("top", "lambda_max", exact[0]),
        ("landscape", "lambda_max", exact[0]),
        ("keskar", "lambda_max", exact[0]),
        ("quadratic", "lambda_max", exact[0]),
        ("bottom", "lambda_min", 0.0),
    ] {
        let report = place.json(&format!("--what {what} --examples 5 --threads 1"));
        assert_eigenvalue(&report, name, truth, exact[0]);
    }
}
