//! Pictures of one measurement and of runs along training.

mod synthetic;

use flatness_records::{EpochEvaluation, EpochMetrics, SplitEvaluation, Stem};
use flatness_report::{
    Curve, Error, Landscape, LossLine, TrainedRun, curves_csv, curves_page, curves_svg,
    density_svg, landscape_svg, loss_line_svg, signed_density_svg, stems_svg,
};
use roxmltree::Document;

use synthetic::{record, sgd};

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
        let colours = ["stroke", "fill"].map(|name| {
            node.attribute(name)
                .unwrap_or_default()
                .starts_with(&colour)
        });
        node.has_tag_name(element) && colours.contains(&true)
    };
    document.descendants().filter(of_colour).count()
}

#[test]
fn pictures_of_one_measurement_are_drawn() {
    let density = density_svg("mlp <1>", &curve(&[0.1, 2.0, 1e-3], &[0.05, 0.1, 1e-4])).unwrap();
    assert!(
        density.contains("mlp &lt;1&gt;")
            && drawn(&density, "polyline", 1) == 1
            && drawn(&density, "polygon", 1) == 1
    );
    let signed = signed_density_svg(
        "mlp",
        &curve(&[0.1, 2.0, 1e-3], &[]),
        &curve(&[0.3, 0.0, 0.2], &[]),
        0.25,
    )
    .unwrap();
    assert!(signed.contains("not told from zero: 25 %"), "{signed}");
    // The second breaks where it is zero, and each piece of one point is a marker.
    assert_eq!(
        (drawn(&signed, "polyline", 1), drawn(&signed, "polygon", 2)),
        (2, 2)
    );
    let stems = stems_svg(
        "mlp",
        &[
            Stem {
                value: 1.0,
                weight: 0.9,
            },
            Stem {
                value: 2.0,
                weight: 0.1,
            },
            Stem {
                value: 3.0,
                weight: 0.0,
            },
        ],
    );
    assert_eq!(drawn(&stems, "line", 1), 2);
    let line = LossLine {
        direction: "top eigenvector",
        steps: &[-1.0, 0.0, 1.0],
        losses: &[2.0, 1.0, 3.0],
        quadratic: &[2.0, 1.0, 2.0],
    };
    assert!(
        loss_line_svg("mlp", &line)
            .unwrap()
            .contains("step along the top eigenvector")
    );
    let plane = Landscape {
        x_direction: "a",
        y_direction: "b",
        x: &[-1.0, 1.0],
        y: &[-1.0, 0.0, 1.0],
        losses: &[1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN],
    };
    let svg = landscape_svg("mlp", &plane).unwrap();
    assert!(Document::parse(&svg).is_ok() && svg.contains("#440154") && svg.contains("#fde725"));
}

#[test]
fn lengths_that_differ_are_refused() {
    let short = LossLine {
        direction: "d",
        steps: &[0.0, 1.0],
        losses: &[1.0],
        quadratic: &[1.0, 1.0],
    };
    let plane = Landscape {
        x_direction: "a",
        y_direction: "b",
        x: &[0.0],
        y: &[0.0, 1.0],
        losses: &[1.0, 2.0],
    };
    let empty = curve(&[1.0, 1.0, 1.0], &[]);
    for result in [
        density_svg("n", &curve(&[1.0, 2.0], &[])),
        density_svg("n", &curve(&[1.0, 2.0, 3.0], &[0.1])),
        signed_density_svg("n", &empty, &curve(&[1.0], &[]), 0.0),
        loss_line_svg("n", &short),
        landscape_svg("n", &plane),
    ] {
        assert!(matches!(result, Err(Error::Length { .. })));
    }
}

/// Train loss `scale`/epoch, test loss 1 more; an average has half the train loss from epoch 3 on.
fn run(train: &str, seed: u64, scale: f64) -> TrainedRun {
    let record = record("vgg <16>", seed, train);
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
    let metrics = (1..=4).map(|epoch| {
        let loss = scale / f64::from(epoch);
        EpochMetrics {
            epoch,
            learning_rate: 0.1,
            running_loss: loss,
            running_accuracy: 0.5,
            examples_per_second: 100.0,
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

fn runs() -> Vec<TrainedRun> {
    let swa = format!(
        "{}\naverage = {{ kind = 'uniform', from_epoch = 2, every = 'epoch' }}",
        sgd(5e-4)
    );
    vec![
        run(&sgd(5e-4), 0, 3.0),
        run(&sgd(5e-4), 1, 4.0),
        run(&swa, 0, 1.0),
    ]
}

#[test]
fn every_run_is_a_line_in_the_colour_of_its_optimiser_and_averages_are_dashed() {
    let svg = curves_svg("vgg <16>", &runs());
    // In two panels: a stroke of the legend and two seeds of SGD; SWA's, its last iterate, its average's stroke and its average.
    assert_eq!(
        (drawn(&svg, "polyline", 1), drawn(&svg, "polyline", 2)),
        (2 * 3, 2 * 4)
    );
    assert_eq!(svg.matches("stroke-dasharray").count(), 2 * 2);
    for text in [
        "vgg &lt;16&gt;: train loss",
        "vgg &lt;16&gt;: test loss",
        "SWA, average",
    ] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(!svg.contains("SGD, average"));
}

#[test]
fn the_numbers_of_curves_are_in_their_files() {
    let text = curves_csv(&runs());
    let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(text.as_bytes())
        .records()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 3 * 4 + 2);
    assert_eq!(rows[2][6].parse::<f64>().unwrap(), 1.0, "3 / 3");
    let page = curves_page(&runs(), "cargo xtask curves runs").unwrap();
    for text in [
        "Made by `cargo xtask curves runs`.",
        "| SGD | 1 | 4 | 1.000 | 2.000 | 25.00 % | 50.00 % |",
        "| SWA, average | 0 | 4 | 0.1250 |",
        "9500 examples for training, 500 for validation, 1000 for testing",
        "train.batch_size = 128\n",
        "SWA:\n\n```toml\ntrain.average.every = \"epoch\"\n",
    ] {
        assert!(page.contains(text), "{text} is missing from\n{page}");
    }
    assert_eq!(page.matches("Data: ").count(), 1);
}
