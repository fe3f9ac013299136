//! Every name of `--what`, and rises of the loss against plain loops.

use crate::oracle::{Digits, Of, dot, elements, logistic, of_logistic, probabilities};
use crate::program::{Place, curve, value};

const EXAMPLES: usize = 12;

/// Each name with what stands in the table: a number, or a section of its own.
const NAMES: [(&str, &[&str]); 24] = [
    ("top=2", &["lambda_max", "lambda_max_2"]),
    ("bottom=2", &["lambda_min", "lambda_min_2", "spectral_norm"]),
    ("trace", &["trace"]),
    ("frobenius", &["frobenius"]),
    ("density", &["density: "]),
    (
        "diagonal=4",
        &[
            "diagonal_sum",
            "diagonal_norm",
            "diagonal_max",
            "diagonal_min",
        ],
    ),
    ("rank", &["rank(1e-3)"]),
    ("rank=0.25", &["rank(2.5e-1)"]),
    ("effective-rank", &["effective_rank"]),
    ("nuclear-norm", &["nuclear_norm"]),
    ("log-determinant=2", &["log_determinant(2e0)"]),
    ("count=-1:2", &["count(-1e0:2e0)"]),
    ("norms", &["gradient_norm", "parameter_norm", "norm(fc)"]),
    ("fisher-rao", &["fisher_rao"]),
    ("adaptive", &["adaptive_lambda_max"]),
    ("relative-flatness", &["relative_flatness(fc.weight)"]),
    ("confidence", &["confidence_trace", "smallest_margin"]),
    ("pac-bayes", &["pac_bayes_sigma(1e-1)"]),
    ("pac-bayes=0.01", &["pac_bayes_sigma(1e-2)"]),
    ("keskar=1e-3", &["keskar.box"]),
    ("keskar-ball", &["keskar.ball"]),
    ("quadratic=1e-2", &["rise.random", "rise.top"]),
    ("landscape", &[]),
    ("scaling=0.5:1", &["scaling"]),
];

#[test]
fn every_name_gives_its_lines() {
    let place = Place::new("logistic");
    let what = NAMES.map(|(what, _)| what).join(",");
    let line = format!(
        "--examples 4 --threads 1 --budget 400 --what {what} --out {}",
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
        assert!(
            number["value"].as_f64().is_some_and(f64::is_finite),
            "{name}"
        );
        assert!(error.as_f64() >= Some(0.0), "{name}: {error}");
    }
    let table = place.table(&line);
    for (what, names) in NAMES {
        for name in names {
            let starts = |line: &str| {
                line.strip_prefix(name)
                    .is_some_and(|rest| !rest.starts_with('_'))
            };
            assert!(table.lines().any(starts), "{what}: no {name} in\n{table}");
        }
    }
}

/// Mean cross-entropy of a logistic regression.
fn loss(digits: &Digits, theta: &[f64]) -> f64 {
    let losses = digits.inputs.iter().zip(&digits.labels);
    let losses = losses.map(|(x, &label)| -probabilities(&logistic(theta, x))[label].ln());
    losses.sum::<f64>() / digits.inputs.len() as f64
}

#[test]
fn rises_at_a_distance_are_those_of_the_loss() {
    let place = Place::new("logistic");
    let theta = elements(&place);
    let digits = Digits::train(EXAMPLES);
    let what = "--what top,bottom,keskar=1e-3,quadratic";
    let report = place.json(&format!("--examples {EXAMPLES} --threads 1 {what}"));
    let here = loss(&digits, &theta);
    assert!((report["loss"].as_f64().expect("a loss") - here).abs() <= 1e-12 * here);
    // The corner of the box that the gradient prefers is one of its points, and the loss is convex.
    let gradients = of_logistic(&place, EXAMPLES, Of::EmpiricalFisher);
    let root = (EXAMPLES as f64).sqrt();
    let corner: Vec<f64> = (0..theta.len())
        .map(|i| {
            let slope: f64 = gradients.0.iter().map(|column| column[i] / root).sum();
            theta[i] + 1e-3 * (theta[i].abs() + 1.0) * slope.signum()
        })
        .collect();
    let bound = (loss(&digits, &corner) - here) / (1.0 + here);
    let point = &curve(&report, "keskar.box")[0];
    assert_eq!(point["numbers"]["phi"]["method"], "lower-bound");
    let phi = value(point, "phi");
    assert!(
        phi >= 0.99 * bound && phi < 2.0 * bound,
        "{phi:e} {bound:e}"
    );
    // The quadratic prediction is right at a thousandth of ‖θ‖, and less so farther away.
    for name in ["rise.top", "rise.random"] {
        let points = curve(&report, name);
        let away = |index: usize| (value(&points[index], "ratio") - 1.0).abs();
        assert!(
            away(0) < 1e-3 && away(0) < away(1) && away(1) < away(2),
            "{name}: {:e} {:e} {:e}",
            away(0),
            away(1),
            away(2)
        );
        assert_eq!(points[2]["x"], 0.1);
    }
    // Half of λ ‖d‖², along an eigenvector.
    let radius = 1e-3 * dot(&theta, &theta).sqrt();
    let predicted = 0.5 * radius * radius * value(&report, "lambda_max");
    let got = value(&curve(&report, "rise.top")[0], "predicted");
    assert!(
        (got - predicted).abs() <= 1e-12 * predicted,
        "{got:e} {predicted:e}"
    );
}
