//! What is written: each format parses back and escapes what it must.

mod page;
mod synthetic;

use flatness_records::{Iterate, Outcome};
use flatness_report::{
    Claim, ClaimVerdict, Reproduction, Verdict, figures, results_csv, results_json,
    results_markdown, terminal_table,
};

fn judged() -> (Reproduction, Vec<Claim>, Vec<ClaimVerdict>) {
    let mut reproduction = synthetic::reproduction();
    let last = reproduction.experiments[0]
        .records
        .last_mut()
        .expect("there are runs");
    last.outcome = Outcome::Diverged {
        epoch: 7,
        learning_rate: 0.25,
        step: Some(530),
        loss: Some(123.4),
        parameter_norm: None,
    };
    last.measurements.clear();
    last.scaling.clear();
    last.perturbations.clear();
    let claims = Claim::embedded().unwrap();
    let verdicts = reproduction.judge(&claims);
    (reproduction, claims, verdicts)
}

fn one_failure() -> (Vec<Claim>, Vec<ClaimVerdict>) {
    let (_, claims, mut verdicts) = judged();
    let mut of_claim = verdicts.iter_mut().filter(|row| row.claim == "C5");
    let failing = of_claim.next().expect("C5 was tried");
    failing.verdict = Verdict::Fails;
    failing.predicates[1].verdict = Verdict::Fails;
    (claims, verdicts)
}

#[test]
fn the_markdown_has_a_row_for_each_claim_and_a_cell_for_each_column() {
    let (mut claims, verdicts) = one_failure();
    claims[4].reason = Some("units of |θ| switch".to_owned());
    let text = results_markdown(&claims, &verdicts);
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 2 + claims.len());
    for row in &rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 4, "{row}");
    }
    assert!(text.starts_with(
        "Of 16 verdicts (8 claims on 2 models), 15 hold, 1 fails and 0 are undecided."
    ));
    let of_claim = rows.iter().find(|row| row.contains("**C5**")).unwrap();
    assert!(of_claim.contains("**fails** (2 of 3)"), "{of_claim}");
    assert!(of_claim.contains("units of \\|θ\\| switch"), "{of_claim}");
    assert!(
        text.contains("mlp &lt;&\"'> **holds**"),
        "names are no HTML"
    );
    assert_eq!(results_markdown(&claims, &[]), "No claim was tried.\n");
}

#[test]
fn plots_are_well_formed_and_every_colour_follows_the_reader() {
    let (reproduction, _, _) = judged();
    let figures = figures(&reproduction).unwrap();
    let ids: Vec<&str> = figures.iter().map(|figure| figure.id).collect();
    let expected = [
        "c1-curvature",
        "c1-accuracy",
        "c1-density",
        "c2-training",
        "c2-scaling",
        "c3-sharpness",
        "c4-rank",
        "c5-rise",
        "c6-regions",
        "c7-rescaling",
        "c8-scale",
        "c8-correlation",
    ];
    assert_eq!(ids, expected);
    for figure in &figures {
        // Two models with one panel each, or two panels for all models together.
        let panels = if figure.id == "c3-sharpness" { 4 } else { 2 };
        assert_eq!(figure.panels.len(), panels, "{}", figure.id);
        for svg in figure.panels.iter().chain([&figure.standalone()]) {
            let document = roxmltree::Document::parse(svg)
                .unwrap_or_else(|error| panic!("{}: {error}", figure.id));
            for element in document.descendants().filter(|node| node.is_element()) {
                for attribute in ["fill", "stroke"] {
                    let colour = element.attribute(attribute).unwrap_or("none");
                    let resolved = colour == "none" || colour.starts_with("var(--plot-");
                    assert!(resolved, "{}: {attribute} {colour}", figure.id);
                }
            }
        }
    }
}

#[test]
fn legends_and_labels_stay_inside_their_panel() {
    let (reproduction, _, _) = judged();
    for figure in figures(&reproduction).unwrap() {
        for svg in &figure.panels {
            let document = roxmltree::Document::parse(svg).unwrap();
            let view: Vec<f64> = document
                .root_element()
                .attribute("viewBox")
                .unwrap()
                .split(' ')
                .map(|number| number.parse().unwrap())
                .collect();
            for text in document
                .descendants()
                .filter(|node| node.has_tag_name("text"))
            {
                let number = |name| text.attribute(name).unwrap().parse::<f64>().unwrap();
                let parts = text.descendants().filter(|node| node.is_text());
                let characters: String = parts.filter_map(|node| node.text()).collect();
                // Half an em a character is a fair average of a sans-serif face.
                let width = 0.5 * number("font-size") * characters.trim().chars().count() as f64;
                let (left, right) = match text.attribute("text-anchor") {
                    Some("end") => (number("x") - width, number("x")),
                    Some("middle") => (number("x") - width / 2.0, number("x") + width / 2.0),
                    _ => (number("x"), number("x") + width),
                };
                let inside = left >= 0.0 && right <= view[2] && number("y") <= view[3];
                assert!(
                    inside,
                    "{}: `{}` from {left} to {right}",
                    figure.id,
                    characters.trim()
                );
            }
        }
    }
}

#[test]
fn the_csv_parses_back_to_the_same_bits() {
    let (reproduction, _, _) = judged();
    let text = results_csv(&reproduction);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|other| other == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let expected: usize = reproduction
        .records()
        .map(|(_, record)| record.measurements.len().max(1))
        .sum();
    assert_eq!(rows.len(), expected);

    let mut rows = rows.iter();
    for (experiment, record) in reproduction.records() {
        for measurement in &record.measurements {
            let row = rows.next().unwrap();
            assert_eq!(&row[column("experiment")], experiment);
            assert_eq!(row[column("model")], record.model.name);
            let averaged = &row[column("weights")] == "average";
            assert_eq!(averaged, measurement.weights == Iterate::Average);
            assert_eq!(
                row[column("optimizer")],
                flatness_report::optimizer_name(&record.spec.train)
            );
            assert_eq!(&row[column("train_top5_accuracy")], "", "as in the record");
            assert_eq!(&row[column("test_top5_accuracy")], "0.99");
            let hessian = &measurement.matrices[0];
            for (name, value) in [
                ("train_loss", measurement.train_loss),
                ("test_accuracy", measurement.test_accuracy),
                ("hessian_spectral_norm", hessian.spectral_norm.value),
                ("hessian_trace_error", hessian.trace.error()),
                ("weight_decay", flatness_report::weight_decay(record)),
            ] {
                assert_eq!(row[column(name)].parse::<f64>().unwrap(), value, "{name}");
            }
            assert_eq!(
                &row[column("gauss_newton_trace")],
                "",
                "it was not measured"
            );
        }
        if record.measurements.is_empty() {
            assert_eq!(&rows.next().unwrap()[column("outcome")], "diverged");
        }
    }
}

#[test]
fn the_json_holds_verdicts_and_records() {
    let (reproduction, _, verdicts) = judged();
    let json = results_json(&reproduction, &verdicts).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["verdicts"].as_array().unwrap().len(), verdicts.len());
    assert_eq!(value["verdicts"][0]["verdict"], "holds");
    assert_eq!(
        value["verdicts"][0]["predicates"][0]["threshold"]["above"],
        0.0
    );
    let records = value["experiments"][0]["records"].as_array().unwrap();
    assert_eq!(records.len(), reproduction.experiments[0].records.len());
    let matrix = &records[0]["measurements"][0]["matrices"][0];
    assert_eq!(matrix["ritz"].as_array().unwrap().len(), 0);
    assert!(matrix["trace"]["standard_error"].is_number());
    let exact = &value["experiments"][4]["records"][0]["exact_spectrum"];
    assert_eq!(exact["eigenvalues"].as_array().unwrap().len(), 0);
    assert_eq!(exact["rank"], 590);
    let keskar = &value["experiments"][5]["records"][0]["keskar"];
    assert_eq!(keskar.as_array().unwrap().len(), 9);
    let rescaling = &value["experiments"][6]["records"][0]["rescaling"];
    assert_eq!(rescaling[2]["alpha"], 10.0);
    // Nine measures, two targets; two models and both together.
    assert_eq!(value["correlations"].as_array().unwrap().len(), 9 * 2 * 3);
}

#[test]
fn the_terminal_table_fits_and_shows_every_predicate() {
    let (_, claims, verdicts) = judged();
    let table = terminal_table(&claims, &verdicts);
    for line in table.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for row in &verdicts {
        assert!(table.contains(&row.command));
        for predicate in &row.predicates {
            assert!(table.contains(&predicate.text), "{}", predicate.text);
        }
    }
}
