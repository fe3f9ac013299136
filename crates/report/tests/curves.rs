//! Losses along training: a line for each run and iterate, and every number in the file.

use flatness_records::{EpochEvaluation, EpochMetrics, Record, SplitEvaluation};
use flatness_report::{Error, TrainedRun, curves_csv, curves_page, curves_svg};
use roxmltree::Document;

const EPOCHS: u32 = 4;

/// Train loss `scale`/epoch, test loss 1 more; the average, from epoch 3 on, has half the
/// train loss.
fn run(name: &str, train: &str, seed: u64, scale: f64) -> TrainedRun {
    let record: Record = serde_json::from_str(&format!(
        r#"{{
            "id": "{name}-{seed}",
            "spec": {{
                "seed": {seed},
                "data": {{ "set": "cifar-100", "validation_examples": 0 }},
                "model": {{ "name": "vgg <16>", "dtype": "f32" }},
                "train": {{ "epochs": {EPOCHS}, "batch_size": 128, "schedule": {{ "kind": "constant" }}, {train} }}
            }},
            "outcome": {{ "kind": "completed" }},
            "provenance": {{
                "version": "0.1.0", "commit": "unknown", "dirty": false, "rustc": "rustc", "cpu": "cpu", "threads": 1,
                "device": "cpu", "started": "2026-01-01T00:00:00Z", "command": "flatness run"
            }},
            "data": {{
                "set": "cifar-100", "source": "a directory", "digest": "abc", "train_examples": 50000,
                "validation_examples": 0, "test_examples": 10000, "curvature_split": null
            }},
            "model": {{ "name": "vgg <16>", "parameters": 10, "batch_norm": "frozen", "dtype": "f32" }},
            "training": {{ "steps": 1, "train_seconds": 1.0, "measure_seconds": 0.0, "peak_rss_mib": 1.0 }},
            "measurements": [], "scaling": [], "perturbations": []
        }}"#
    ))
    .expect("a record");
    let averaged = record.spec.train.average.is_some();
    let split = |loss| SplitEvaluation {
        loss,
        accuracy: 0.25,
        top5_accuracy: 0.5,
    };
    let evaluation = |loss| EpochEvaluation {
        train: split(loss),
        validation: None,
        test: split(loss + 1.0),
    };
    let metrics = (1..=EPOCHS).map(|epoch| {
        let loss = scale / f64::from(epoch);
        EpochMetrics {
            epoch,
            learning_rate: 0.1,
            running_loss: loss,
            running_accuracy: None,
            examples_per_second: None,
            evaluation: Some(evaluation(loss)),
            average_evaluation: (averaged && epoch >= 3).then(|| evaluation(loss / 2.0)),
            parameter_norm: 1.0,
            seconds: 1.0,
        }
    });
    TrainedRun {
        metrics: metrics.collect(),
        record,
    }
}

const SGD: &str = r#""optimizer": { "kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": false, "weight_decay": 0.0005 }"#;
const ADAM: &str =
    r#""optimizer": { "kind": "adam", "learning_rate": 0.001, "weight_decay": 0.0005 }"#;

fn swa() -> String {
    format!(r#"{SGD}, "average": {{ "kind": "uniform", "from_epoch": 2, "every": "epoch" }}"#)
}

fn runs() -> Vec<TrainedRun> {
    vec![
        run("adam", ADAM, 0, 2.0),
        run("sgd", SGD, 0, 3.0),
        run("sgd", SGD, 1, 4.0),
        run("swa", &swa(), 0, 1.0),
    ]
}

/// Polylines of each panel in the colour of this series, their points in drawing units, without
/// the strokes of the legend, which are level.
fn lines(svg: &str, series: usize) -> Vec<Vec<Vec<(i32, i32)>>> {
    let document = Document::parse(svg).expect("well-formed");
    let panels = document.root_element().children();
    let panels = panels.filter(|node| node.has_tag_name("svg"));
    panels
        .map(|panel| {
            let lines = panel
                .descendants()
                .filter(|node| node.has_tag_name("polyline"));
            let coloured = lines.filter(|node| {
                let stroke = node.attribute("stroke").expect("a stroke");
                stroke.starts_with(&format!("var(--plot-series-{series},"))
            });
            let points = coloured.map(|node| {
                let pairs = node.attribute("points").expect("points").split_whitespace();
                let pairs = pairs.map(|pair| pair.split_once(',').expect("a pair"));
                pairs
                    .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
                    .collect::<Vec<(i32, i32)>>()
            });
            points
                .filter(|points| points.iter().any(|point| point.1 != points[0].1))
                .collect()
        })
        .collect()
}

#[test]
fn every_run_is_a_line_in_the_colour_of_its_optimiser() {
    let svg = curves_svg("vgg <16>", &runs()).unwrap();
    // Adam, SGD with two seeds, SWA; dashes have their own test.
    for (series, expected) in [(1, 1), (2, 2), (3, 1), (4, 0)] {
        let panels = lines(&svg, series);
        assert_eq!(panels.len(), 2, "train and test loss");
        for panel in panels {
            let whole: Vec<_> = panel
                .iter()
                .filter(|points| points.len() == EPOCHS as usize)
                .collect();
            assert_eq!(whole.len(), expected, "series {series}");
            for points in whole {
                // Falling losses go down the page, epochs to the right at equal distances.
                assert!(points.is_sorted_by(|left, right| left.1 < right.1));
                let steps: Vec<i32> = points
                    .windows(2)
                    .map(|pair| pair[1].0 - pair[0].0)
                    .collect();
                // Places are rounded to integers.
                assert!(steps.iter().all(|step| (step - steps[0]).abs() <= 1));
            }
        }
    }
    for title in [
        "vgg &lt;16&gt;: train loss",
        "vgg &lt;16&gt;: test loss",
        "SWA, average",
    ] {
        assert!(svg.contains(title), "{title} is missing");
    }
    assert!(
        !svg.contains("SGD, average"),
        "SGD without an average has no line of one"
    );
}

#[test]
fn the_average_is_dashed_from_its_first_to_its_last_epoch() {
    let svg = curves_svg("vgg <16>", &[run("swa", &swa(), 0, 1.0)]).unwrap();
    for panel in lines(&svg, 1) {
        let (whole, dashes): (Vec<_>, Vec<_>) = panel
            .into_iter()
            .partition(|points| points.len() == EPOCHS as usize);
        assert!(dashes.len() > 2, "one stroke is no dashed line");
        let last = &whole[0];
        let mut places = dashes.iter().flatten().map(|point| point.0);
        assert!(places.clone().all(|x| (last[2].0..=last[3].0).contains(&x)));
        assert_eq!(places.next(), Some(last[2].0), "it begins at epoch 3");
        // The average's loss of epoch 3 lies below the last iterate's of any epoch.
        assert!(dashes.iter().flatten().all(|point| point.1 > last[3].1));
    }
}

#[test]
fn the_loss_axis_is_logarithmic_from_a_decade_on() {
    // Train losses from 1/4 to `scale`, test losses from 5/4 to `scale` + 1.
    for (scale, logarithmic) in [
        (2.0, [false, false]),
        (3.0, [true, false]),
        (14.0, [true, true]),
    ] {
        let runs = [run("sgd", SGD, 0, 1.0), run("adam", ADAM, 0, scale)];
        let svg = curves_svg("vgg <16>", &runs).unwrap();
        let panels = lines(&svg, 1);
        for (panel, (excess, logarithmic)) in
            panels.iter().zip([0.0, 1.0].into_iter().zip(logarithmic))
        {
            let height = |value: f64| if logarithmic { value.ln() } else { value };
            // The first, second and last loss of SGD.
            let [first, second, last] = [1.0, 0.5, 0.25].map(|loss| height(loss + excess));
            let expected = (first - second) / (first - last);
            let [first, second, last] = [0, 1, 3].map(|epoch| f64::from(panel[0][epoch].1));
            let share = (first - second) / (first - last);
            // Places are integers, and the line is a few dozen of them high; the other scale is 0.03 off or more.
            assert!(
                (share - expected).abs() < 0.015,
                "{scale}: {share}, {expected}"
            );
        }
    }
}

#[test]
fn an_average_of_one_epoch_is_a_marker() {
    let mut run = run("swa", &swa(), 0, 1.0);
    run.metrics[2].average_evaluation = None;
    let svg = curves_svg("vgg <16>", &[run]).unwrap();
    let document = Document::parse(&svg).unwrap();
    let circles = document
        .descendants()
        .filter(|node| node.has_tag_name("circle"));
    assert_eq!(circles.count(), 2, "one in each panel");
}

#[test]
fn more_optimisers_than_colours_are_refused() {
    let padam = |decay: &str| {
        format!(
            r#""optimizer": {{ "kind": "padam", "learning_rate": 0.1, "partial": 0.125, "weight_decay": 0.1, "decay": "{decay}" }}"#
        )
    };
    let mut runs = runs();
    runs.push(run(
        "amsgrad",
        &ADAM.replace("\"adam\"", "\"amsgrad\""),
        0,
        1.0,
    ));
    runs.push(run("padam", &padam("coupled"), 0, 1.0));
    runs.push(run("padamw", &padam("decoupled"), 0, 1.0));
    assert!(curves_svg("vgg <16>", &runs).is_ok(), "six have a colour");
    runs.push(run(
        "sam",
        &format!(r#"{SGD}, "sharpness_aware": 0.05"#),
        0,
        1.0,
    ));
    assert!(matches!(
        curves_svg("vgg <16>", &runs),
        Err(Error::Colours { got: 7, .. })
    ));
}

#[test]
fn the_csv_holds_every_evaluation() {
    let text = curves_csv(&runs());
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(rows.len(), 4 * 4 + 2, "four runs, and an average of two");
    let average = [
        "swa-0", "vgg <16>", "SWA", "0", "4", "average", "0.125", "0.25", "0.5", "1.125", "0.25",
        "0.5",
    ];
    assert_eq!(rows.last().unwrap(), &average);
    let third: f64 = rows[2][6].parse().unwrap();
    assert_eq!(third, 2.0 / 3.0, "at full precision");
}

#[test]
fn the_page_holds_endings_data_and_settings() {
    let page = curves_page(&runs(), "cargo xtask curves runs --out curves").unwrap();
    for expected in [
        "Made by `cargo xtask curves runs --out curves`.",
        "| SGD | 1 | 4 | 1.000 | 2.000 | 25.00 % | 50.00 % |",
        "| SWA | 0 | 4 | 0.2500 | 1.250 | 25.00 % | 50.00 % |",
        "| SWA, average | 0 | 4 | 0.1250 | 1.125 | 25.00 % | 50.00 % |",
        "Data: cifar-100, 50000 examples for training, 10000 for testing; a directory; SHA-256 `abc`.",
        "train.batch_size = 128\n",
        "Adam:\n\n```toml\ntrain.optimizer.beta1 = 0.9\n",
        "train.optimizer.kind = \"adam\"\ntrain.optimizer.learning_rate = 0.001\n```",
    ] {
        assert!(
            page.contains(expected),
            "{expected} is missing from\n{page}"
        );
    }
    for once in ["train.epochs = 4", "weight_decay = 0.0005", "Data: "] {
        assert_eq!(page.matches(once).count(), 1, "{once}");
    }
    assert!(
        !page.contains("seed = "),
        "the seeds are in the table alone"
    );
}
