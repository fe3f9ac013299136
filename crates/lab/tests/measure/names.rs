//! Every name of `--what`, and the measures that take the parameters' scale or a distance into account.

use serde_json::Value;

use crate::oracle::{Digits, Of, Response, dot, elements, logistic, of_logistic, probabilities};
use crate::program::{Place, assert_within, ended, number, value};

const EXAMPLES: usize = 12;

#[test]
fn every_name_gives_its_line() {
    let place = Place::new("logistic");
    // With both ends of the spectrum beside each, so that it has to be found among others.
    for (what, names) in [
        ("top", &["lambda_max", "spectral_norm"][..]),
        ("top=2", &["lambda_max", "lambda_max_2"]),
        ("bottom=2", &["lambda_min", "lambda_min_2"]),
        ("trace", &["trace"]),
        ("frobenius", &["frobenius"]),
        (
            "diagonal=4",
            &[
                "diagonal_sum",
                "diagonal_norm",
                "diagonal_max",
                "diagonal_min",
            ],
        ),
        ("diagonal", &["diagonal_sum", "diagonal_norm"]),
        ("density", &[]),
        ("rank", &["rank(1e-3)"]),
        ("rank=0.25", &["rank(2.5e-1)"]),
        ("effective-rank", &["effective_rank"]),
        ("nuclear-norm", &["nuclear_norm"]),
        ("log-determinant=2", &["log_determinant(2e0)"]),
        ("count=-1:2", &["count(-1e0:2e0)"]),
        ("norms", &["norm", "norm of fc"]),
        ("fisher-rao", &["fisher_rao"]),
        ("adaptive", &["adaptive_lambda_max"]),
        ("relative-flatness", &["relative_flatness of fc.weight"]),
        ("pac-bayes", &["pac_bayes_sigma"]),
        ("pac-bayes=0.01", &["pac_bayes_sigma"]),
        ("keskar", &["keskar_phi(5e-4)"]),
        ("keskar=1e-3", &["keskar_phi(1e-3)"]),
        (
            "quadratic",
            &[
                "rise_over_quadratic(lambda_max, 1e-2)",
                "rise_over_quadratic(random, 1e-2)",
            ],
        ),
        ("landscape", &["lambda_max", "lambda_max_2"]),
    ] {
        let options = format!("--examples 4 --threads 1 --budget 150 --what {what},top,bottom");
        let report = place.json(&options);
        for name in names {
            let line = &report[name];
            assert!(value(&report, name).is_finite(), "{what}: {name}");
            let error = match line["method"].as_str() {
                Some("stochastic") => line["standard_error"].as_f64(),
                Some("iterative") => line["residual"].as_f64(),
                Some("exact") => Some(0.0),
                other => panic!("{what}: {name} is {other:?}"),
            };
            assert!(error >= Some(0.0), "{what}: {name}: {error:?}");
        }
        let (code, table, error) = ended(place.start(&options));
        assert_eq!((code, error.as_str()), (0, ""), "{what}");
        for name in names {
            assert!(
                table.lines().any(|line| line.starts_with(name)),
                "{what}: no {name} in\n{table}"
            );
        }
    }
}

#[test]
fn what_is_scaled_by_the_parameters_is_its_formula() {
    let place = Place::new("logistic");
    let what = "--what norms,fisher-rao,adaptive,relative-flatness,pac-bayes=1e-4";
    let report = place.json(&format!("--examples {EXAMPLES} --threads 1 {what}"));
    let theta = elements(&place);
    let columns = of_logistic(&place, EXAMPLES, Of::Hessian);
    let close = |name: &str, truth: f64, tolerance: f64| {
        let got = value(&report, name);
        assert!(
            (got - truth).abs() <= tolerance * truth,
            "{name}: {got:e} {truth:e}"
        );
    };
    let norm = dot(&theta, &theta).sqrt();
    for name in ["norm", "norm of fc"] {
        close(name, norm, 1e-13);
    }
    // θᵀ F Fᵀ θ.
    let squares = columns.0.iter().map(|column| dot(column, &theta).powi(2));
    close("fisher_rao", squares.sum(), 1e-11);
    let magnitudes: Vec<f64> = theta.iter().map(|x| x.abs()).collect();
    let adaptive = columns.scaled(&magnitudes).eigenvalues()[0];
    let residual = number(&report, "adaptive_lambda_max", "residual");
    let distance = (value(&report, "adaptive_lambda_max") - adaptive).abs();
    assert!(
        distance <= residual + 1e-12 * adaptive,
        "{distance:e} {residual:e}"
    );
    assert_within(
        &report,
        "relative_flatness of fc.weight",
        relative_flatness(&theta),
    );
    // E[L(θ + σ ξ) - L(θ)] = σ² Tr H / 2 + O(σ⁴): to the 1 % at which σ ends, and its error.
    let trace: f64 = columns.0.iter().flatten().map(|entry| entry * entry).sum();
    let sigma = value(&report, "pac_bayes_sigma");
    let allowed = 4.0 * number(&report, "pac_bayes_sigma", "standard_error") + 0.02 * sigma;
    let expected = (2.0 * 1e-4 / trace).sqrt();
    assert!(
        (sigma - expected).abs() <= allowed,
        "{sigma:e} {expected:e} {allowed:e}"
    );
    assert!(allowed < 0.5 * sigma);
}

/// Σ over classes c, c' of ⟨w_c, w_c'⟩ (1/N) Σ S_cc' ‖x‖².
fn relative_flatness(theta: &[f64]) -> f64 {
    let digits = Digits::train(EXAMPLES);
    let rows: Vec<&[f64]> = theta[..7840].chunks(784).collect();
    let mut sum = 0.0;
    for x in &digits.inputs {
        let p = probabilities(&logistic(theta, x).logits);
        for (c, left) in rows.iter().enumerate() {
            for (d, right) in rows.iter().enumerate() {
                let identity = f64::from(u8::from(c == d));
                sum += dot(left, right) * p[c] * (identity - p[d]) * dot(x, x);
            }
        }
    }
    sum / EXAMPLES as f64
}

/// Mean cross-entropy of a logistic regression.
fn loss(digits: &Digits, theta: &[f64]) -> f64 {
    let losses = digits.inputs.iter().zip(&digits.labels).map(|(x, &label)| {
        let Response { logits, .. } = logistic(theta, x);
        -probabilities(&logits)[label].ln()
    });
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
    let phi = value(&report, "keskar_phi(1e-3)");
    assert_eq!(report["keskar_phi(1e-3)"]["stop"], "a lower bound");
    assert!(
        phi >= 0.99 * bound && phi < 2.0 * bound,
        "{phi:e} {bound:e}"
    );
    check_ratios(&report);
}

/// The quadratic prediction is right at a thousandth of ‖θ‖, and less so farther away.
fn check_ratios(report: &Value) {
    for along in ["lambda_max", "random"] {
        let away = |radius: &str| {
            let name = format!("rise_over_quadratic({along}, {radius})");
            (value(report, &name) - 1.0).abs()
        };
        let [near, middle, far] = ["1e-3", "1e-2", "1e-1"].map(away);
        assert!(
            near < 1e-3 && near < middle && middle < far,
            "{along}: {near:e} {middle:e} {far:e}"
        );
    }
}
