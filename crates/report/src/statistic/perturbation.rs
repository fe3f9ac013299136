//! Loss rise over its quadratic prediction: [(L(θ+d) + L(θ−d))/2 − L(θ)] / (½ dᵀHd, or its mean from the spectrum).

use flatness_records::Record;

use super::{Denominator, Direction};
use crate::measure::Reading;

/// Radii come from decimal literals; this only forgives a record that computed ‖d‖ / ‖θ‖ anew.
const RADIUS_TOLERANCE: f64 = 1e-6;

pub(super) fn ratio(
    run: &Record,
    direction: Direction,
    denominator: Denominator,
    relative_radius: f64,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let row = run.perturbations.iter().find(|row| {
        row.direction == direction.name()
            && (row.relative_radius / relative_radius - 1.0).abs() < RADIUS_TOLERANCE
    })?;
    let denominator = denominator.of(row);
    readings.extend([Reading::from(&row.rise), Reading::from(denominator)]);
    let ratio = row.rise.value / denominator.value;
    ratio.is_finite().then_some(ratio)
}
