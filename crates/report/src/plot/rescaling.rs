//! Loss and curvature under Dinh's rescaling, each over its value at α = 1, against α (C7).

use flatness_records::{Record, RescalingPoint};

use super::average::{Mean, averaged, reach};
use super::axis::Axis;
use super::chart::{Chart, Guide, HEIGHT, Mark, Series};
use crate::RescaledQuantity;

/// The five numbers of one model.
pub(super) fn relative(model: &str, records: &[&Record]) -> Chart {
    let quantities = [
        RescaledQuantity::Loss,
        RescaledQuantity::SpectralNorm,
        RescaledQuantity::Trace,
        RescaledQuantity::Frobenius,
        RescaledQuantity::AdaptiveLambdaMax,
    ];
    let series = quantities.map(|quantity| {
        let ratios = records.iter().filter_map(|record| {
            let unscaled = record.rescaling.iter().find(|point| point.alpha == 1.0)?;
            let unscaled = quantity.of(unscaled).value;
            let ratio = move |point: &RescalingPoint| quantity.of(point).value / unscaled;
            let points = record.rescaling.iter();
            Some(points.map(move |point| (point.alpha, ratio(point))))
        });
        Series {
            label: quantity.symbol().to_owned(),
            points: averaged(Mean::Geometric, ratios.flatten()),
            mark: Mark::LineAndMarkers,
        }
    });
    let alphas = series.iter().flat_map(|series| &series.points);
    let x = Axis::logarithmic("factor α of the first layer", alphas.map(|point| point.x));
    let reached = series.iter().flat_map(|series| reach(&series.points));
    let y = Axis::logarithmic("ratio to its value at α = 1", reached.chain([1.0]));
    Chart {
        height: HEIGHT,
        title: model.to_owned(),
        x,
        y,
        series: series.to_vec(),
        guide: Guide::Horizontal(1.0),
    }
}
