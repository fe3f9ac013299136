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
    let average = "average = { kind = 'uniform', from_epoch = 2, every = 'epoch' }";
    let swa = format!("{}\n{average}", sgd(5e-4));
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
        [1, 2].map(|series| drawn(&svg, "polyline", series)),
        [2 * 3, 2 * 4]
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
