//! The numbers that claims and plots speak of, each read off one measurement of a record.
//!
//! Curvature is always that of the Hessian of the plain mean cross-entropy over the split that the
//! spec names. ‖θ‖² makes the sharpness scale-aware (claim C8).

use flatness_records::{Iterate, Matrix, Measurement, Quantity, Record};
use serde::{Deserialize, Serialize};

/// One number of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// λ₁, the largest absolute eigenvalue of the Hessian.
    SpectralNorm,
    /// Trace of the Hessian.
    Trace,
    /// Frobenius norm of the Hessian.
    Frobenius,
    /// λ₁ ‖θ‖².
    ScaledSpectralNorm,
    /// Tr H ‖θ‖².
    ScaledTrace,
    /// θᵀ G θ.
    FisherRao,
    /// Largest eigenvalue of |θ| H |θ|, elementwise.
    AdaptiveLambdaMax,
    /// ‖θ‖.
    ParameterNorm,
    /// ‖θ − θ₀‖.
    DistanceFromInitialization,
    /// Weight-decay coefficient of the optimiser.
    WeightDecay,
    /// Mean cross-entropy over the training split.
    TrainLoss,
    /// Fraction of the training split classified correctly.
    TrainAccuracy,
    /// Fraction of the test split classified correctly.
    TestAccuracy,
    /// Fraction of the test split classified wrongly.
    TestError,
    /// Test loss minus training loss.
    GeneralizationGap,
}

/// A number with the size of its measurement error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The number.
    pub value: f64,
    /// Standard error or residual bound, in the unit of the number; 0 where it is exact.
    pub error: f64,
}

impl Reading {
    /// Error over absolute value; `None` for a value of zero.
    #[must_use]
    pub fn relative_error(&self) -> Option<f64> {
        let ratio = self.error / self.value.abs();
        ratio.is_finite().then_some(ratio)
    }
}

impl From<&Quantity> for Reading {
    fn from(quantity: &Quantity) -> Self {
        Self {
            value: quantity.value,
            error: quantity.error(),
        }
    }
}

impl Measure {
    /// Measures of sharpness and scale that claim C8 compares, in the order in which they are shown.
    pub const SHARPNESS: [Self; 9] = [
        Self::SpectralNorm,
        Self::Trace,
        Self::Frobenius,
        Self::ScaledSpectralNorm,
        Self::ScaledTrace,
        Self::FisherRao,
        Self::AdaptiveLambdaMax,
        Self::ParameterNorm,
        Self::DistanceFromInitialization,
    ];

    /// The number at `measurement`; `None` when it was not measured or is not finite.
    #[must_use]
    pub fn of(self, record: &Record, measurement: &Measurement) -> Option<Reading> {
        let exact = |value| Reading { value, error: 0.0 };
        let norm_squared = measurement.parameter_norm.powi(2);
        let scaled = |quantity: &Quantity| Reading {
            value: quantity.value * norm_squared,
            error: quantity.error() * norm_squared,
        };
        let hessian = || {
            measurement
                .matrices
                .iter()
                .find(|record| record.matrix == Matrix::Hessian)
        };
        let reading = match self {
            Self::SpectralNorm => Reading::from(&hessian()?.spectral_norm),
            Self::Trace => Reading::from(&hessian()?.trace),
            Self::Frobenius => Reading::from(&hessian()?.frobenius),
            Self::ScaledSpectralNorm => scaled(&hessian()?.spectral_norm),
            Self::ScaledTrace => scaled(&hessian()?.trace),
            Self::FisherRao => Reading::from(&measurement.fisher_rao),
            Self::AdaptiveLambdaMax => Reading::from(&measurement.adaptive_lambda_max),
            Self::ParameterNorm => exact(measurement.parameter_norm),
            Self::DistanceFromInitialization => exact(measurement.distance_from_initialization),
            Self::WeightDecay => exact(weight_decay(record)),
            Self::TrainLoss => exact(measurement.train_loss),
            Self::TrainAccuracy => exact(measurement.train_accuracy),
            Self::TestAccuracy => exact(measurement.test_accuracy),
            Self::TestError => exact(1.0 - measurement.test_accuracy),
            Self::GeneralizationGap => exact(measurement.test_loss - measurement.train_loss),
        };
        reading.value.is_finite().then_some(reading)
    }

    /// The number at the finished parameters, the average where there is one.
    #[must_use]
    pub fn at_end(self, record: &Record) -> Option<Reading> {
        self.of(record, record.measurements.last()?)
    }

    /// The number at the last of the measured parameters of this kind.
    #[must_use]
    pub fn at_last(self, record: &Record, weights: Iterate) -> Option<Reading> {
        let mut measurements = record.measurements.iter().rev();
        self.of(record, measurements.find(|one| one.weights == weights)?)
    }

    /// Short mathematical label; `_F` and `_max` are subscripts.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::SpectralNorm => "λ₁",
            Self::Trace => "Tr H",
            Self::Frobenius => "‖H‖_F",
            Self::ScaledSpectralNorm => "λ₁‖θ‖²",
            Self::ScaledTrace => "Tr H ‖θ‖²",
            Self::FisherRao => "θᵀGθ",
            Self::AdaptiveLambdaMax => "λ_max(|θ|H|θ|)",
            Self::ParameterNorm => "‖θ‖",
            Self::DistanceFromInitialization => "‖θ − θ₀‖",
            Self::WeightDecay => "weight decay",
            Self::TrainLoss => "training loss",
            Self::TrainAccuracy => "training accuracy",
            Self::TestAccuracy => "test accuracy",
            Self::TestError => "test error",
            Self::GeneralizationGap => "test loss − training loss",
        }
    }
}

/// The measured iterates of a run: an average does not lie on the path of training.
pub(crate) fn iterates(record: &Record) -> impl Iterator<Item = &Measurement> {
    let measurements = record.measurements.iter();
    measurements.filter(|measurement| measurement.weights == Iterate::Last)
}

/// Weight-decay coefficient of a run's optimiser, coupled or decoupled.
#[must_use]
pub fn weight_decay(record: &Record) -> f64 {
    record.spec.train.optimizer.weight_decay().0
}
