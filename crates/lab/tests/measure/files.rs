//! What `--out` writes: every picture whole, with the data it shows, and the entries of diagonals.

use std::fs;
use std::path::Path;

use candle_core::{Device, safetensors};
use serde_json::Value;

use crate::common::ended;
use crate::oracle::{Block, Digits, Of};
use crate::program::{Place, assert_within, quantity};

/// Rows of numbers under the heading of a CSV file.
fn rows(path: &Path, heading: &str) -> Vec<Vec<f64>> {
    let text = fs::read_to_string(path).expect("UTF-8");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(heading));
    let row = |line: &str| {
        let numbers = line.split(',').map(|number| number.parse().expect(line));
        let row: Vec<f64> = numbers.collect();
        assert_eq!(row.len(), heading.split(',').count());
        assert!(row.iter().all(|number| number.is_finite()), "{line}");
        row
    };
    lines.map(row).collect()
}

/// The names that a report has of its files, all of which are there.
fn files(report: &Value, out: &Path) -> Vec<String> {
    let files: Vec<String> = serde_json::from_value(report["files"].clone()).expect("names");
    for file in &files {
        let length = fs::metadata(out.join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 0), "{file}");
    }
    files
}

#[test]
fn pictures_and_their_data_are_whole() {
    let place = Place::new("logistic");
    let out = place.path("out");
    let options = "--examples 6 --threads 1 --what top=2,bottom,density,landscape --budget 300";
    let report = place.json(&format!("{options} --out {}", out.display()));
    let pictures = ["density", "log-density", "stems", "line", "landscape"];
    let names = |stem| ["svg", "png", "csv"].map(|extension| format!("{stem}.{extension}"));
    let written = files(&report, &out);
    assert_eq!(written, pictures.map(names).concat());
    // Nothing half-written beside them.
    assert_eq!(
        fs::read_dir(&out).expect("it is there").count(),
        written.len()
    );
    for stem in pictures {
        let bytes = |extension| fs::read(out.join(format!("{stem}.{extension}"))).expect("a file");
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
    let csv = |stem: &str, heading| rows(&out.join(format!("{stem}.csv")), heading);
    let density = csv("density", "eigenvalue,density,standard_error");
    let step = density[1][0] - density[0][0];
    let mass: f64 = density.iter().map(|row| row[1] * step).sum();
    // A density that is one in all; five widths beyond its ends are on the grid.
    assert!((mass - 1.0).abs() < 1e-3, "{mass}");
    let weights: f64 = csv("stems", "ritz_value,weight")
        .iter()
        .map(|row| row[1])
        .sum();
    assert!((weights - 1.0).abs() < 1e-10, "{weights}");
    let heading = "magnitude,positive,positive_standard_error,negative,negative_standard_error";
    assert_eq!(csv("log-density", heading).len(), 400);
    let loss = report["loss"].as_f64().expect("a number");
    let near = |value: f64| (value - loss).abs() <= 1e-12 * loss;
    let line = csv("line", "step_over_norm,loss,quadratic");
    // The middle of an even grid is zero to rounding.
    let middle = &line[20];
    assert_eq!(line.len(), 41);
    assert!(
        middle[0].abs() < 1e-15 && near(middle[1]) && near(middle[2]),
        "{middle:?}"
    );
    let plane = csv("landscape", "first_over_norm,second_over_norm,loss");
    assert_eq!(plane.len(), 17 * 17);
    assert!(near(plane[17 * 8 + 8][2]));
    // Of a convex loss along a curved direction, the middle is below the mean of the ends.
    assert!(2.0 * loss < line[0][1] + line[40][1]);
}

/// Three examples have 27 eigenvalues besides zero, which 32 probes hold and 24 do not: nothing is left to chance.
#[test]
fn a_diagonal_is_written_by_parameter_with_its_errors() {
    let place = Place::new("logistic");
    let digits = Digits::train(&place, 3);
    // The entries of the weight row by row, then those of the bias.
    let entry = |class: usize, pixel: Option<usize>| {
        let examples = digits.inputs.iter().zip(&digits.probabilities);
        let entries = examples.map(|(x, p)| {
            let x = pixel.map_or(1.0, |pixel| x[pixel]);
            p[class] * (1.0 - p[class]) * x * x
        });
        entries.sum::<f64>() / 3.0
    };
    let weight: Vec<f64> = (0..7840)
        .map(|row| entry(row / 784, Some(row % 784)))
        .collect();
    let bias: Vec<f64> = (0..10).map(|row| entry(row, None)).collect();
    let largest = weight.iter().chain(&bias).copied().fold(0.0, f64::max);
    let tensors = |out: &Path, name: &str| {
        let tensors = safetensors::load(out.join(name), &Device::Cpu).expect("a safetensors file");
        tensors
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_dtype(candle_core::DType::F64)))
    };
    for (options, known) in [
        (
            "--what diagonal --relative-error 1e-6",
            &[("fc.weight", &weight), ("fc.bias", &bias)][..],
        ),
        (
            "--what diagonal=10 --parameters fc.bias",
            &[("fc.bias", &bias)],
        ),
    ] {
        let out = place.path(known[0].0);
        let line = format!("--examples 3 --threads 1 {options} --out {}", out.display());
        let report = place.json(&line);
        let names = [
            "diagonal.safetensors",
            "diagonal-standard-errors.safetensors",
        ];
        assert_eq!(files(&report, &out), names);
        let [entries, errors] = names.map(|name| tensors(&out, name));
        assert_eq!((entries.len(), errors.len()), (known.len(), known.len()));
        for (name, tensor) in entries {
            let tensor = tensor.expect("doubles");
            let shape: &[usize] = if name == "fc.weight" {
                &[10, 784]
            } else {
                &[10]
            };
            assert_eq!(tensor.dims(), shape, "{name}");
            let (_, exact) = known.iter().find(|(known, _)| *known == name).expect(&name);
            let got: Vec<f64> = tensor
                .flatten_all()
                .and_then(|flat| flat.to_vec1())
                .expect("f64");
            for (got, exact) in got.iter().zip(*exact) {
                assert!(
                    (got - exact).abs() <= 1e-9 * largest,
                    "{name}: {got:e} {exact:e}"
                );
            }
        }
        // The place of the largest entry, read back.
        let at = quantity(&report, "diagonal_max")["at"]
            .as_str()
            .expect("a place");
        let (name, place) = at
            .strip_suffix(']')
            .and_then(|at| at.split_once('['))
            .expect(at);
        assert_eq!(name, known[0].0);
        let index = place
            .split(", ")
            .map(|index| index.parse::<usize>().expect(at));
        let there = known[0].1[index.fold(0, |row, index| 784 * row + index)];
        let most = known[0].1.iter().copied().fold(0.0, f64::max);
        assert!((there - most).abs() <= 1e-12 * most, "{at}");
        if known.len() == 2 {
            let [trace, _] = digits.moments(Of::Hessian, Block::All);
            assert_within(&report, "diagonal_sum", trace);
            for name in ["diagonal_sum", "diagonal_norm", "diagonal_max"] {
                let number = quantity(&report, name);
                assert_eq!(number["stop"], "accurate", "{name}");
                assert_eq!(
                    [&number["cost"]["products"], &number["probes"]],
                    [64, 32].each_ref()
                );
            }
        }
    }
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
    let files = files(&place.json(&line), &out);
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

/// The numbers come before the files: what cannot be written does not lose them.
#[test]
fn a_file_that_cannot_be_written_is_named_and_loses_no_number() {
    let place = Place::new("logistic");
    let out = place.path("out");
    fs::create_dir_all(out.join("density.svg")).expect("writable");
    let out = out.display();
    let options = format!("--examples 3 --threads 1 --what trace,density --out {out}");
    let (code, output, error) = ended(place.start(&options));
    assert_eq!(code, 2);
    assert!(output.contains("\ntrace "), "{output}");
    assert!(
        error.contains(&format!("cannot write {out}/density.svg")),
        "{error}"
    );
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}

#[test]
fn a_directory_that_takes_no_file_is_refused_before_anything_is_measured() {
    let place = Place::new("logistic");
    let file = place.checkpoint();
    for out in [file.join("out"), file] {
        let line = format!(
            "--examples 3 --threads 1 --what density --out {}",
            out.display()
        );
        let expected = format!("--out: cannot write to the directory {}", out.display());
        place.refused(&line, &[&expected]);
    }
    // Of a directory that takes some, nothing stays that is no result.
    let out = place.path("out");
    let line = "--examples 3 --threads 1 --what diagonal=2";
    let files = files(
        &place.json(&format!("{line} --out {}", out.display())),
        &out,
    );
    assert_eq!(
        fs::read_dir(&out).expect("a directory").count(),
        files.len()
    );
}

#[test]
fn a_landscape_without_its_eigenvectors_is_undefined_and_loses_no_other() {
    let place = Place::new("logistic");
    let out = place.path("out");
    let line = "--examples 3 --threads 1 --what top,landscape --budget 1";
    let report = place.json(&format!("{line} --out {}", out.display()));
    let why = report["undefined"]["landscape"].as_str().expect("a reason");
    assert!(why.contains("it takes 2 leading eigenvectors"), "{why}");
    assert!(
        quantity(&report, "lambda_max")["value"].is_f64(),
        "{report}"
    );
    assert!(report["files"].is_null(), "{report}");
}

/// What is relative to the size of the weights has no meaning where all are zero, and the Hessian has.
#[test]
fn zero_weights_leave_what_is_relative_to_them_undefined_and_lose_no_other() {
    let whole = Place::new("logistic");
    let zeros = whole.theta.zeros_like().expect("zeros");
    let place = Place::with("logistic", whole.network, zeros);
    let what = "trace,pac-bayes,quadratic=1e-2,landscape,keskar-ball=1e-3";
    let line = format!("--examples 3 --threads 1 --what {what} --budget 200 --out");
    let report = place.json(&format!("{line} {}", place.path("out").display()));
    let undefined = report["undefined"].as_object().expect("reasons");
    assert_eq!(undefined.len(), 3, "{undefined:?}");
    for (name, why) in undefined {
        let why = why.as_str().expect("a sentence");
        assert!(
            why.starts_with("undefined at zero weights"),
            "{name}: {why}"
        );
    }
    for name in ["trace", "lambda_max"] {
        assert!(quantity(&report, name)["value"].is_f64(), "{report}");
    }
}
