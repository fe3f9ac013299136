//! Pictures of one measurement and of runs along training.

mod synthetic;

use flatness_records::{EpochEvaluation, EpochMetrics, SplitEvaluation, Stem};
use flatness_report::{
    Curve, Error, Landscape, LossLine, TrainedRun, curves_csv, curves_svg, density_svg,
    landscape_svg, loss_line_svg, signed_density_svg, stems_svg,
};
use roxmltree::Document;

use serde_json::json;
use synthetic::{record, sgd, with};

const X: [f64; 3] = [0.1, 1.0, 10.0];

fn curve<'a>(y: &'a [f64], standard_error: &'a [f64]) -> Curve<'a> {
    Curve {
        x: &X,
        y,
        standard_error,
    }
}

/// How many elements of a name are drawn in the colour of a series.
fn drawn(svg: &str, element: &str, series: usize) -> usize {
    let document = Document::parse(svg).expect("well-formed");
    let colour = format!("var(--plot-series-{series},");
    let of_colour = |node: &roxmltree::Node<'_, '_>| {
        let mut colours = ["stroke", "fill"]
            .into_iter()
            .filter_map(|name| node.attribute(name));
        node.has_tag_name(element) && colours.any(|found| found.starts_with(&colour))
    };
    document.descendants().filter(of_colour).count()
}

#[test]
fn pictures_of_one_measurement_are_drawn() {
    let density = curve(&[0.1, 2.0, 1e-3], &[0.05, 0.1, 1e-4]);
    let density = density_svg("mlp <1>", &density).unwrap();
    assert!(density.contains("mlp &lt;1&gt;"));
    assert_eq!(
        (
            drawn(&density, "polyline", 1),
            drawn(&density, "polygon", 1)
        ),
        (1, 1)
    );
    let [above, below] = [&[0.1, 2.0, 1e-3], &[0.3, 0.0, 0.2]].map(|y| curve(y, &[]));
    let signed = signed_density_svg("mlp", &above, &below, 0.25).unwrap();
    assert!(signed.contains("not told from zero: 25 %"), "{signed}");
    // The second breaks where it is zero, and each piece of one point is a marker.
    assert_eq!(
        (drawn(&signed, "polyline", 1), drawn(&signed, "polygon", 2)),
        (2, 2)
    );
    let stems = [(1.0, 0.9), (2.0, 0.1), (3.0, 0.0)].map(|(value, weight)| Stem { value, weight });
    assert_eq!(drawn(&stems_svg("mlp", &stems), "line", 1), 2);
    let line = LossLine {
        direction: "top eigenvector",
        steps: &[-1.0, 0.0, 1.0],
        losses: &[2.0, 1.0, 3.0],
        quadratic: &[2.0, 1.0, 2.0],
    };
    let line = loss_line_svg("mlp", &line).unwrap();
    assert!(line.contains("step along the top eigenvector"));
    let losses = [1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN];
    let plane = plane(&[-1.0, 1.0], &[-1.0, 0.0, 1.0], &losses);
    let svg = landscape_svg("mlp", &plane).unwrap();
    assert!(Document::parse(&svg).is_ok() && svg.contains("#440154") && svg.contains("#fde725"));
}

fn plane<'a>(x: &'a [f64], y: &'a [f64], losses: &'a [f64]) -> Landscape<'a> {
    Landscape {
        x_direction: "a",
        y_direction: "b",
        x,
        y,
        losses,
    }
}

#[test]
fn lengths_that_differ_are_refused() {
    let (steps, quadratic) = (&[0.0, 1.0], &[1.0, 1.0]);
    let short = LossLine {
        direction: "d",
        steps,
        losses: &[1.0],
        quadratic,
    };
    let flat = curve(&[1.0, 1.0, 1.0], &[]);
    for result in [
        density_svg("n", &curve(&[1.0, 2.0], &[])),
        density_svg("n", &curve(&[1.0, 2.0, 3.0], &[0.1])),
        signed_density_svg("n", &flat, &curve(&[1.0], &[]), 0.0),
        loss_line_svg("n", &short),
        landscape_svg("n", &plane(&[0.0], &[0.0, 1.0], &[1.0, 2.0])),
    ] {
        assert!(matches!(result, Err(Error::Length { .. })));
    }
}

/// Train loss `scale`/epoch, test loss 1 more; an average has half the train loss from epoch 3 on.
fn run(label: &str, train: &str, seed: u64, scale: f64) -> TrainedRun {
    let record = with(
        record("vgg <16>", seed, train),
        &json!({ "spectral_norm": 7.0 }),
    );
    let averaged = record.spec.train.average.is_some();
    let split = |loss| SplitEvaluation {
        loss,
        accuracy: Some(0.25),
        top5_accuracy: Some(0.5),
    };
    let evaluation = |loss| EpochEvaluation {
        train: split(loss),
        validation: None,
        test: Some(split(loss + 1.0)),
    };
    let metrics = (1..=4).map(|epoch| {
        let loss = scale / f64::from(epoch);
        EpochMetrics {
            epoch,
            learning_rate: 0.1,
            running_loss: loss,
            running_accuracy: Some(0.5),
            examples_per_second: 100.0,
            evaluation: Some(evaluation(loss)),
            average_evaluation: (averaged && epoch >= 3).then(|| evaluation(loss / 2.0)),
            parameter_norm: 1.0,
            seconds: 1.0,
        }
    });
    TrainedRun {
        label: label.to_owned(),
        metrics: metrics.collect(),
        record,
    }
}

/// Two seeds of a label, and a run with an average; λ₁ is measured at the end of each.
fn runs() -> Vec<TrainedRun> {
    let average = "average = { kind = 'uniform', from_epoch = 2, every = 'epoch' }";
    let swa = format!("{}\n{average}", sgd(5e-4));
    vec![
        run("SGD", &sgd(5e-4), 0, 3.0),
        run("SGD", &sgd(5e-4), 1, 4.0),
        run("<SWA>", &swa, 0, 1.0),
    ]
}

#[test]
fn every_run_is_a_line_in_the_colour_of_its_label_and_averages_are_dashed() {
    let svg = curves_svg(&runs());
    // In two panels of losses: a stroke of the legend and two seeds of SGD; of SWA a stroke of the legend and one.
    assert_eq!(svg.matches("stroke-dasharray").count(), 2 * 2);
    for text in ["training loss", "test loss", "λ₁", "&lt;SWA&gt;, average"] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(Document::parse(&svg).is_ok() && !svg.contains("SGD, average"));
    let unmeasured = runs().into_iter().map(|mut run| {
        run.record.measurements.clear();
        run
    });
    let svg = curves_svg(&unmeasured.collect::<Vec<_>>());
    assert!(!svg.contains("λ₁"));
    assert_eq!(drawn(&svg, "polyline", 1), 2 * 3);
}

#[test]
fn the_numbers_of_curves_are_rows() {
    let text = curves_csv(&runs());
    let rows = csv::Reader::from_reader(text.as_bytes()).into_records();
    let rows: Vec<csv::StringRecord> = rows.map(Result::unwrap).collect();
    let is = |row: &csv::StringRecord, words: [&str; 4]| {
        row.iter()
            .skip(1)
            .zip(words)
            .all(|(cell, word)| cell == word)
    };
    let value = |words: [&str; 4]| {
        let mut found = rows.iter().filter(|row| is(row, words));
        found.next().expect("a row")[5]
            .parse::<f64>()
            .expect("a number")
    };
    assert_eq!(value(["SGD", "3", "last", "train.loss"]), 1.0);
    assert_eq!(value(["<SWA>", "4", "average", "test.loss"]), 1.125);
    assert!(value(["SGD", "4", "last", "test.accuracy"]) == 0.25);
    assert_eq!(value(["SGD", "10", "last", "spectral_norm"]), 7.0);
}
