//! Curvature of one run at a·θ: its value at the largest a over its peak, and how far the accuracy moves.

use flatness_records::{Record, ScalePoint};

use crate::Measure;
use crate::measure::Reading;

/// The three curvature numbers that a scale point has.
pub(crate) fn reading(point: &ScalePoint, quantity: Measure) -> Option<Reading> {
    match quantity {
        Measure::SpectralNorm => Some(Reading::from(&point.spectral_norm)),
        Measure::Trace => Some(Reading::from(&point.trace)),
        Measure::Frobenius => Some(Reading::from(&point.frobenius)),
        _ => None,
    }
}

/// Needs two scales: a single one is its own peak.
pub(super) fn end_over_peak(
    run: &Record,
    quantity: Measure,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let mut points: Vec<&ScalePoint> = run.scaling.iter().collect();
    points.sort_by(|left, right| left.scale.total_cmp(&right.scale));
    let curve: Vec<Reading> = points
        .into_iter()
        .map(|point| reading(point, quantity))
        .collect::<Option<_>>()?;
    readings.extend(&curve);
    let peak = curve.iter().map(|reading| reading.value).reduce(f64::max)?;
    (curve.len() > 1).then_some(curve.last()?.value / peak)
}

pub(super) fn accuracy_range(run: &Record) -> Option<f64> {
    let accuracies = || run.scaling.iter().map(|point| point.accuracy);
    Some(accuracies().reduce(f64::max)? - accuracies().reduce(f64::min)?)
}
