//! Loss and curvature along training and under scaling of the parameters (C2).

use flatness_records::Record;

use super::average::{Mean, averaged, reach};
use super::axis::Axis;
use super::chart::{Chart, Guide, HEIGHT, Mark, Series};
use crate::Measure;
use crate::measure::iterates;
use crate::statistic::scaling_reading;

/// Training loss, λ₁, Tr H and ‖H‖_F of one model against the epoch.
pub(super) fn training(model: &str, records: &[&Record]) -> Chart {
    let measures = [
        Measure::TrainLoss,
        Measure::SpectralNorm,
        Measure::Trace,
        Measure::Frobenius,
    ];
    let series = measures.map(|measure| {
        let pairs = records.iter().flat_map(|record| {
            iterates(record).filter_map(move |measurement| {
                Some((
                    f64::from(measurement.epoch),
                    measure.of(record, measurement)?.value,
                ))
            })
        });
        series(measure, Mean::Geometric, pairs)
    });
    let epochs = series
        .iter()
        .flat_map(|series| &series.points)
        .map(|point| point.x);
    let x = Axis::logarithmic_with_zero("epoch", epochs);
    chart(model, x, "loss, curvature (nats)", series.to_vec())
}

/// λ₁, Tr H and ‖H‖_F of one model at a·θ against a.
pub(super) fn scaling(model: &str, records: &[&Record]) -> Chart {
    let measures = [Measure::SpectralNorm, Measure::Trace, Measure::Frobenius];
    let series = measures.map(|measure| {
        let pairs = records.iter().flat_map(|record| {
            let points = record.scaling.iter();
            points.filter_map(move |point| {
                Some((point.scale, scaling_reading(point, measure)?.value))
            })
        });
        // Far out the curvature of one seed may be exactly 0 and that of another not.
        visible(series(measure, Mean::Median, pairs))
    });
    let scales = series
        .iter()
        .flat_map(|series| &series.points)
        .map(|point| point.x);
    let x = Axis::logarithmic("scale a of the parameters", scales);
    chart(model, x, "curvature at a·θ (nats)", series.to_vec())
}

/// The points that are not smaller than a 10¹²th of the largest: what a plot has room for.
fn visible(mut series: Series) -> Series {
    let peak = series
        .points
        .iter()
        .map(|point| point.y)
        .fold(0.0, f64::max);
    series.points.retain(|point| point.y > 1e-12 * peak);
    series
}

fn series(measure: Measure, mean: Mean, pairs: impl Iterator<Item = (f64, f64)>) -> Series {
    Series {
        label: measure.symbol().to_owned(),
        points: averaged(mean, pairs),
        mark: Mark::LineAndMarkers,
    }
}

fn chart(model: &str, x: Axis, y_title: &str, series: Vec<Series>) -> Chart {
    let y = Axis::logarithmic(
        y_title,
        series.iter().flat_map(|series| reach(&series.points)),
    );
    Chart {
        height: HEIGHT,
        title: model.to_owned(),
        x,
        y,
        series,
        guide: Guide::None,
    }
}
