//! The loss of a spec over the data that are at hand.

use anyhow::{Result, bail};
use candle_core::{DType, Tensor};
use flatness_data::check_probabilities;
use flatness_layers::Loss;
use flatness_records::{ClassWeights, LossSpec, are_class_weights};

/// A loss with what it takes from the data.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedLoss {
    pub(crate) spec: LossSpec,
    /// Weights of the classes (C).
    weights: Option<Vec<f64>>,
}

impl ResolvedLoss {
    /// That of `spec` for outputs of this shape, whose weights of classes are in `tensor` where they have a name.
    pub(crate) fn new(
        spec: LossSpec,
        outputs: &[usize],
        tensor: impl FnOnce(&str) -> Result<Vec<f64>>,
    ) -> Result<Self> {
        let weights = match class_weights(&spec) {
            None => None,
            Some(ClassWeights::Numbers(weights)) => Some(weights.clone()),
            Some(ClassWeights::Tensor(name)) => {
                let weights = tensor(name)?;
                if !are_class_weights(&weights) {
                    bail!(
                        "loss.class_weights (--class-weights) must be finite numbers of at least 0 and not all 0, and those \
                         in {name} are not"
                    );
                }
                Some(weights)
            }
        };
        let classes = outputs.last().copied().unwrap_or(0);
        if let Some(weights) = weights.as_ref().filter(|weights| weights.len() != classes) {
            let got = weights.len();
            bail!(
                "loss.class_weights (--class-weights) must be {classes} numbers, one for each class of the network, got {got}"
            );
        }
        Ok(Self { spec, weights })
    }

    pub(crate) fn loss(&self) -> Loss<'_> {
        let smoothing = match self.spec {
            LossSpec::SquaredError {} => return Loss::SquaredError,
            LossSpec::BinaryCrossEntropy {} => return Loss::BinaryCrossEntropy,
            LossSpec::CrossEntropy {
                label_smoothing, ..
            } => label_smoothing,
        };
        match &self.weights {
            Some(weights) => Loss::ClassWeights { weights, smoothing },
            None if smoothing == 0.0 => Loss::CrossEntropy,
            None => Loss::LabelSmoothing { smoothing },
        }
    }
}

/// The weights that `spec` names.
pub(crate) fn class_weights(spec: &LossSpec) -> Option<&ClassWeights> {
    match spec {
        LossSpec::CrossEntropy { class_weights, .. } => class_weights.as_ref(),
        _ => None,
    }
}

/// The numbers of the tensor `name` (C) of a file.
pub(crate) fn numbers(name: &str, tensor: &Tensor) -> Result<Vec<f64>> {
    if tensor.rank() != 1 {
        let got = tensor.dims();
        bail!("the class weights {name} must have one axis, that of the classes, got {got:?}");
    }
    Ok(tensor.to_dtype(DType::F64)?.to_vec1()?)
}

/// Refuses `labels` of the file `name` that the loss does not take.
pub(crate) fn check_labels(name: &str, labels: &Tensor, spec: &LossSpec) -> Result<()> {
    match spec {
        LossSpec::SquaredError {} => Ok(()),
        LossSpec::BinaryCrossEntropy {} => Ok(check_probabilities(name, labels, false)?),
        LossSpec::CrossEntropy { .. } => Ok(check_probabilities(name, labels, true)?),
    }
}
