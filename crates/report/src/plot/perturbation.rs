//! Loss rise over its quadratic prediction against the length of the perturbation (C5).

use flatness_records::Record;

use super::average::{Mean, averaged, reach};
use super::axis::Axis;
use super::chart::{Chart, Guide, HEIGHT, Mark, Series};
use crate::{Denominator, Direction};

/// The three ratios of one model: where they leave the band, the quadratic law ends.
pub(super) fn ratio(model: &str, records: &[&Record]) -> Chart {
    let series = [
        (
            "random / spectrum",
            Direction::Random,
            Denominator::Predicted,
        ),
        ("random / ½dᵀHd", Direction::Random, Denominator::Quadratic),
        (
            "top eigenvector / spectrum",
            Direction::TopEigenvector,
            Denominator::Predicted,
        ),
    ]
    .map(|(label, direction, denominator)| {
        let rows = records.iter().flat_map(|record| &record.perturbations);
        let ratios = rows
            .filter(|row| row.direction == direction.name())
            .map(|row| {
                (
                    row.relative_radius,
                    row.rise.value / denominator.of(row).value,
                )
            });
        Series {
            label: label.to_owned(),
            points: averaged(Mean::Arithmetic, ratios),
            mark: Mark::LineAndMarkers,
        }
    });
    let radii = series
        .iter()
        .flat_map(|series| &series.points)
        .map(|point| point.x);
    let x = Axis::logarithmic("‖d‖ / ‖θ‖", radii);
    let reached = series.iter().flat_map(|series| reach(&series.points));
    let y = Axis::logarithmic("loss rise / prediction", reached.chain([0.8, 1.25]));
    Chart {
        height: HEIGHT,
        title: model.to_owned(),
        x,
        y,
        series: series.to_vec(),
        guide: Guide::Band(0.9, 1.1),
    }
}
