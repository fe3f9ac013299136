//! Keskar's sharpness over its prediction from the spectrum: φ(ε) / (λ₁ ε² / (2 (1 + L(θ)))).

use flatness_records::{Record, Region};

use crate::measure::Reading;

/// Sizes come from decimal literals; this only forgives a record that computed ε anew.
const EPSILON_TOLERANCE: f64 = 1e-6;

/// φ is the largest rise that the ascent has found, so the ratio is not above the true one.
pub(super) fn ratio(
    run: &Record,
    region: Region,
    epsilon: f64,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let point = run.keskar.iter().find(|point| {
        point.region == region && (point.epsilon / epsilon - 1.0).abs() < EPSILON_TOLERANCE
    })?;
    readings.push(Reading::from(&point.predicted));
    let ratio = point.phi / point.predicted.value;
    ratio.is_finite().then_some(ratio)
}
