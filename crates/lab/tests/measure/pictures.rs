//! What `--out` writes: every picture whole, with the data it shows.

use std::fs;

use serde_json::Value;

use crate::program::Place;

/// Rows of numbers under the heading of a CSV file.
fn rows(text: &str, heading: &str) -> Vec<Vec<f64>> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(heading));
    let columns = heading.split(',').count();
    let rows: Vec<Vec<f64>> = lines
        .map(|line| {
            let numbers = line.split(',').map(|number| number.parse().expect(line));
            numbers.collect()
        })
        .collect();
    for row in &rows {
        assert_eq!(row.len(), columns);
        assert!(row.iter().all(|number| number.is_finite()), "{row:?}");
    }
    rows
}

#[test]
fn pictures_and_their_data_are_whole() {
    let place = Place::new("logistic");
    let out = place.path("out");
    let options = "--examples 6 --threads 1 --what top=2,bottom,density,landscape --budget 300";
    let report = place.json(&format!("{options} --out {}", out.display()));
    let pictures = ["density", "log-density", "stems", "line", "landscape"];
    let mut expected: Vec<String> = pictures
        .iter()
        .flat_map(|stem| ["svg", "png", "csv"].map(|extension| format!("{stem}.{extension}")))
        .collect();
    assert_eq!(report["files"], Value::from(expected.clone()));
    let entries = fs::read_dir(&out).expect("it is there");
    let mut written: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().into_string())
        .map(|name| name.expect("UTF-8"))
        .collect();
    expected.sort();
    written.sort();
    // Nothing half-written beside them.
    assert_eq!(written, expected);
    for stem in pictures {
        let bytes = |extension: &str| {
            fs::read(out.join(format!("{stem}.{extension}"))).expect("it is there")
        };
        let svg = String::from_utf8(bytes("svg")).expect("UTF-8");
        assert!(svg.trim_start().starts_with("<svg"), "{stem}");
        assert!(svg.trim_end().ends_with("</svg>"), "{stem}");
        let title = match stem {
            "line" | "landscape" => "logistic, mnist-train",
            _ => "logistic, mnist-train, hessian",
        };
        assert!(svg.contains(title), "{stem}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{stem}");
        let png = bytes("png");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{stem}");
        // The last chunk of a whole file.
        assert!(png.ends_with(b"IEND\xaeB`\x82"), "{stem}");
    }
    let csv = |stem: &str| fs::read_to_string(out.join(format!("{stem}.csv"))).expect("UTF-8");
    let density = rows(&csv("density"), "eigenvalue,density,standard_error");
    let step = density[1][0] - density[0][0];
    let mass: f64 = density.iter().map(|row| row[1] * step).sum();
    // A density that is one in all; five widths beyond its ends are on the grid.
    assert!((mass - 1.0).abs() < 1e-3, "{mass}");
    let stems = rows(&csv("stems"), "ritz_value,weight");
    let weights: f64 = stems.iter().map(|row| row[1]).sum();
    assert!((weights - 1.0).abs() < 1e-10, "{weights}");
    let heading = "magnitude,positive,positive_standard_error,negative,negative_standard_error";
    assert_eq!(rows(&csv("log-density"), heading).len(), 400);
    let loss = report["loss"].as_f64().expect("a number");
    let line = rows(&csv("line"), "step_over_norm,loss,quadratic");
    assert_eq!(line.len(), 41);
    let middle = &line[20];
    // The middle of an even grid is zero to rounding.
    assert!(middle[0].abs() < 1e-15, "{middle:?}");
    assert!(
        middle[1..]
            .iter()
            .all(|at| (at - loss).abs() <= 1e-12 * loss),
        "{middle:?}"
    );
    let plane = rows(&csv("landscape"), "first_over_norm,second_over_norm,loss");
    assert_eq!(plane.len(), 17 * 17);
    assert!((plane[17 * 8 + 8][2] - loss).abs() <= 1e-12 * loss);
    // Of a convex loss along a curved direction, the middle is below the mean of the ends.
    assert!(2.0 * loss < line[0][1] + line[40][1]);
}

#[test]
fn a_directory_that_cannot_be_made_is_named_and_loses_no_number() {
    let place = Place::new("logistic");
    let out = place.checkpoint().join("out");
    let options = format!(
        "--examples 3 --threads 1 --what trace,density --out {}",
        out.display()
    );
    let (code, output, error) = crate::program::ended(place.start(&options));
    // The numbers come before the files: what cannot be written does not lose them.
    assert_eq!(code, 2);
    assert!(output.contains("\ntrace "), "{output}");
    assert!(
        error.contains(&format!("cannot write {}/density.svg", out.display())),
        "{error}"
    );
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}
