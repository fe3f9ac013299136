//! Train and test loss of one model against the epoch, one colour per optimiser.
//!
//! Every run is a line of its own, L(epoch), the mean cross-entropy of a split without the L2 term;
//! the average of the iterates is the same dashed.

use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, HEIGHT, Mark, Point, Series};
use super::{arranged, theme::SERIES};
use crate::reproduction::optimizers;
use crate::{Error, TrainedRun, optimizer_name};
use flatness_records::{EpochEvaluation, EpochMetrics, Iterate};

/// Ratio of the largest to the smallest loss from which the axis is logarithmic: a decade.
const LOGARITHMIC_FROM: f64 = 10.0;

/// Room for the legend of averages, which the usual panel does not have.
const LEGEND: i32 = 48;

/// Loss of a split.
type Loss = fn(&EpochEvaluation) -> f64;

/// The runs of `model` as one SVG file: the train loss on the left, the test loss on the right.
///
/// # Errors
/// [`Error::Plot`] when the drawing library refuses; [`Error::Colours`] when the runs have more optimisers
/// than there are colours to tell them apart.
pub fn curves_svg(model: &str, runs: &[TrainedRun]) -> Result<String, Error> {
    let runs: Vec<&TrainedRun> = runs
        .iter()
        .filter(|run| run.record.model.name == model)
        .collect();
    let names = optimizers(runs.iter().map(|run| &run.record));
    if names.len() > SERIES {
        return Err(Error::Colours {
            model: model.to_owned(),
            limit: SERIES,
            got: names.len(),
        });
    }
    let losses: [(&str, Loss); 2] = [
        ("train loss", |evaluation| evaluation.train.loss),
        ("test loss", |evaluation| evaluation.test.loss),
    ];
    let panels = losses.map(|(name, loss)| chart(model, name, &names, &runs, loss).draw());
    let panels = panels.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(arranged("Loss along training", &panels, HEIGHT + LEGEND))
}

fn chart(
    model: &str,
    name: &str,
    optimizers: &[String],
    runs: &[&TrainedRun],
    loss: Loss,
) -> Chart {
    let of_optimizer = |optimizer: &String| {
        let of_optimizer: Vec<&TrainedRun> = runs
            .iter()
            .copied()
            .filter(|run| optimizer_name(&run.record.spec.train) == *optimizer)
            .collect();
        [Iterate::Last, Iterate::Average]
            .map(|weights| series(optimizer, &of_optimizer, weights, loss))
    };
    let series: Vec<Series> = optimizers
        .iter()
        .flat_map(of_optimizer)
        // A line without points keeps its colour; a dashed one has none to keep.
        .filter(|series| series.mark != Mark::Dashed || !series.points.is_empty())
        .collect();
    let reached = |coordinate: fn(&Point) -> f64| {
        let points = series.iter().flat_map(|series| &series.points);
        points.map(coordinate).collect::<Vec<_>>().into_iter()
    };
    let (low, high) = reached(|point| point.y).fold((f64::INFINITY, 0.0), |(low, high), y| {
        (f64::min(low, y), f64::max(high, y))
    });
    let axis = if low > 0.0 && high >= LOGARITHMIC_FROM * low {
        Axis::logarithmic
    } else {
        Axis::linear
    };
    let mut epochs = Axis::linear("epoch", reached(|point| point.x));
    // Nothing is evaluated between two epochs.
    epochs.ticks.retain(|(epoch, _)| epoch.fract() == 0.0);
    for (epoch, label) in &mut epochs.ticks {
        *label = epoch.to_string();
    }
    Chart {
        height: HEIGHT + LEGEND,
        title: format!("{model}: {name}"),
        x: epochs,
        y: axis("mean cross-entropy", reached(|point| point.y)),
        series,
        guide: Guide::None,
    }
}

/// The lines of all seeds, one after the other.
fn series(optimizer: &str, runs: &[&TrainedRun], weights: Iterate, loss: Loss) -> Series {
    let (label, mark, evaluation): (_, _, fn(&EpochMetrics) -> Option<EpochEvaluation>) =
        match weights {
            Iterate::Last => (optimizer.to_owned(), Mark::Line, |metrics| {
                metrics.evaluation
            }),
            Iterate::Average => (format!("{optimizer}, average"), Mark::Dashed, |metrics| {
                metrics.average_evaluation
            }),
        };
    let line = |run: &TrainedRun| {
        let points = run.metrics.iter().filter_map(|metrics| {
            Some(Point {
                x: f64::from(metrics.epoch),
                y: loss(&evaluation(metrics)?),
                bar: Bar::None,
            })
        });
        points.collect::<Vec<_>>()
    };
    let lines: Vec<Vec<Point>> = runs
        .iter()
        .map(|run| line(run))
        .filter(|line| !line.is_empty())
        .collect();
    // Without a place on either axis, so that the line is interrupted.
    let end = Point {
        x: f64::NAN,
        y: f64::NAN,
        bar: Bar::None,
    };
    Series {
        label,
        points: lines.join(&end),
        mark,
    }
}
