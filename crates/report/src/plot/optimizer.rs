//! Test accuracy against sharpness, one series per optimiser (C3).

use flatness_records::{Iterate, Outcome, Record};

use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, HEIGHT, Mark, Point, Series};
use crate::reproduction::optimizers;
use crate::{Estimate, Measure, optimizer_name};

/// A trail per optimiser from its last iterate to its average, or the last iterate alone.
pub(super) fn accuracy(model: &str, records: &[&Record], sharpness: Measure) -> Chart {
    let names = optimizers(records.iter().copied());
    let series = names.into_iter().map(|name| {
        let runs: Vec<&Record> = records
            .iter()
            .copied()
            .filter(|run| run.outcome == Outcome::Completed)
            .filter(|run| optimizer_name(&run.spec.train) == name)
            .collect();
        let iterates = [Iterate::Last, Iterate::Average].into_iter();
        let points = iterates.filter_map(|weights| point(&runs, weights, sharpness));
        Series {
            points: points.collect(),
            label: name,
            mark: Mark::Trail,
        }
    });
    let series: Vec<Series> = series.collect();
    let reached = |direction: fn(&Point) -> [f64; 3]| {
        let points = series.iter().flat_map(|series| &series.points);
        points.flat_map(direction).collect::<Vec<_>>().into_iter()
    };
    let x = reached(|point| match point.bar {
        Bar::Both([low, high], _) => [low, point.x, high],
        _ => [point.x; 3],
    });
    let y = reached(|point| match point.bar {
        Bar::Both(_, [low, high]) => [low, point.y, high],
        _ => [point.y; 3],
    });
    Chart {
        height: HEIGHT,
        title: model.to_owned(),
        x: Axis::logarithmic(sharpness.symbol(), x),
        y: Axis::linear("test accuracy", y),
        series,
        guide: Guide::None,
    }
}

/// Geometric mean of the sharpness, arithmetic mean of the accuracy, one standard error each way.
fn point(runs: &[&Record], weights: Iterate, sharpness: Measure) -> Option<Point> {
    let mean = |measure: Measure, scale: fn(f64) -> f64| {
        let readings = runs.iter().filter_map(|run| measure.at_last(run, weights));
        let values: Vec<f64> = readings.map(|reading| scale(reading.value)).collect();
        Estimate::of(&values).filter(|estimate| estimate.mean.is_finite())
    };
    let x = mean(sharpness, f64::ln)?;
    let y = mean(Measure::TestAccuracy, |value| value)?;
    let range = |estimate: Estimate, scale: fn(f64) -> f64| {
        let error = estimate.standard_error?;
        Some([estimate.mean - error, estimate.mean + error].map(scale))
    };
    let ranges = range(x, f64::exp).zip(range(y, |value| value));
    Some(Point {
        x: x.mean.exp(),
        y: y.mean,
        bar: ranges.map_or(Bar::None, |(across, upright)| Bar::Both(across, upright)),
    })
}
