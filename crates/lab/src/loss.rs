//! The loss of a spec over the data that are at hand.

use anyhow::Result;
use candle_core::Tensor;
use flatness_data::check_probabilities;
use flatness_layers::Loss;
use flatness_records::LossSpec;

/// The loss that `spec` names.
pub(crate) fn loss(spec: &LossSpec) -> Loss {
    match *spec {
        LossSpec::CrossEntropy {
            label_smoothing: 0.0,
        } => Loss::CrossEntropy,
        LossSpec::CrossEntropy { label_smoothing } => Loss::LabelSmoothing {
            smoothing: label_smoothing,
        },
        LossSpec::SquaredError {} => Loss::SquaredError,
        LossSpec::BinaryCrossEntropy {} => Loss::BinaryCrossEntropy,
    }
}

/// Refuses `labels` of the file `name` that the loss does not take.
pub(crate) fn check_labels(name: &str, labels: &Tensor, spec: &LossSpec) -> Result<()> {
    match spec {
        LossSpec::SquaredError {} => Ok(()),
        LossSpec::BinaryCrossEntropy {} => Ok(check_probabilities(name, labels, false)?),
        LossSpec::CrossEntropy { .. } => Ok(check_probabilities(name, labels, true)?),
    }
}
