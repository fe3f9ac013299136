//! Against weight decay: curvature (C1), accuracy (C1), raw and scale-aware sharpness (C8).

use flatness_records::Record;

use super::average::{Mean, averaged, reach};
use super::axis::Axis;
use super::chart::{Chart, Guide, HEIGHT, Mark, Series};
use crate::Measure;
use crate::measure::weight_decay;

const X_TITLE: &str = "weight decay";

/// λ₁, Tr H and ‖H‖_F of one model.
pub(super) fn curvature(model: &str, records: &[&Record]) -> Chart {
    let measures = [Measure::SpectralNorm, Measure::Trace, Measure::Frobenius];
    let series = measures
        .map(|measure| absolute(measure, Mean::Geometric, records))
        .to_vec();
    let y = Axis::logarithmic("curvature (nats)", values(&series));
    chart(model, y, series, Guide::None)
}

/// Test accuracy of one model.
pub(super) fn accuracy(model: &str, records: &[&Record]) -> Chart {
    let series = vec![absolute(Measure::TestAccuracy, Mean::Arithmetic, records)];
    let y = Axis::linear("fraction correct", values(&series));
    chart(model, y, series, Guide::None)
}

/// Measures of sharpness of one model, each over its value without decay at the same seed.
pub(super) fn relative_sharpness(model: &str, records: &[&Record]) -> Chart {
    let measures = [
        Measure::SpectralNorm,
        Measure::ScaledSpectralNorm,
        Measure::FisherRao,
        Measure::AdaptiveLambdaMax,
    ];
    let series = measures.map(|measure| relative(measure, records)).to_vec();
    let y = Axis::logarithmic(
        "ratio to its value without decay",
        values(&series).chain([1.0]),
    );
    chart(model, y, series, Guide::Horizontal(1.0))
}

fn chart(model: &str, y: Axis, series: Vec<Series>, guide: Guide) -> Chart {
    let decays = series
        .iter()
        .flat_map(|series| &series.points)
        .map(|point| point.x);
    let x = Axis::logarithmic_with_zero(X_TITLE, decays);
    Chart {
        height: HEIGHT,
        title: model.to_owned(),
        x,
        y,
        series,
        guide,
    }
}

fn absolute(measure: Measure, mean: Mean, records: &[&Record]) -> Series {
    let pairs = records
        .iter()
        .filter_map(|record| Some((weight_decay(record), measure.at_end(record)?.value)));
    series(measure, averaged(mean, pairs))
}

fn relative(measure: Measure, records: &[&Record]) -> Series {
    let control = |seed| {
        let mut controls = records.iter().filter(|record| weight_decay(record) == 0.0);
        measure.at_end(controls.find(|record| record.spec.seed == seed)?)
    };
    let pairs = records.iter().filter_map(|record| {
        let value = measure.at_end(record)?.value;
        Some((
            weight_decay(record),
            value / control(record.spec.seed)?.value,
        ))
    });
    series(measure, averaged(Mean::Geometric, pairs))
}

fn series(measure: Measure, points: Vec<super::chart::Point>) -> Series {
    Series {
        label: measure.symbol().to_owned(),
        points,
        mark: Mark::LineAndMarkers,
    }
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> {
    series.iter().flat_map(|series| reach(&series.points))
}
