//! How far Dinh's rescaling moves a number: ln(max over α of q / min over α of q), and 0 where nothing moves.

use flatness_records::{Record, RescalingPoint};
use serde::{Deserialize, Serialize};

use crate::measure::Reading;

/// A number that is followed under Dinh's rescaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RescaledQuantity {
    /// Mean cross-entropy over the curvature split.
    Loss,
    /// λ₁, the largest absolute eigenvalue of the Hessian.
    SpectralNorm,
    /// Trace of the Hessian.
    Trace,
    /// Frobenius norm of the Hessian.
    Frobenius,
    /// Largest eigenvalue of |θ| H |θ|, elementwise.
    AdaptiveLambdaMax,
}

/// Needs two factors, and positive numbers at all of them.
pub(super) fn range(
    run: &Record,
    quantity: RescaledQuantity,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let points = run.rescaling.iter();
    let curve: Vec<Reading> = points.map(|point| quantity.of(point)).collect();
    readings.extend(&curve);
    let values = || curve.iter().map(|reading| reading.value);
    let (smallest, largest) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    (curve.len() > 1 && smallest > 0.0).then(|| (largest / smallest).ln())
}

impl RescaledQuantity {
    /// The number at one factor.
    #[must_use]
    pub fn of(self, point: &RescalingPoint) -> Reading {
        match self {
            Self::Loss => Reading {
                value: point.loss,
                error: 0.0,
            },
            Self::SpectralNorm => Reading::from(&point.spectral_norm),
            Self::Trace => Reading::from(&point.trace),
            Self::Frobenius => Reading::from(&point.frobenius),
            Self::AdaptiveLambdaMax => Reading::from(&point.adaptive_lambda_max),
        }
    }

    /// Short mathematical label, as [`crate::Measure::symbol`].
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::SpectralNorm => "λ₁",
            Self::Trace => "Tr H",
            Self::Frobenius => "‖H‖_F",
            Self::AdaptiveLambdaMax => "λ_max(|θ|H|θ|)",
        }
    }
}
