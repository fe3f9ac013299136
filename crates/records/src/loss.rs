//! The loss of a spec.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the outputs of an example are held to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossSpec {
    /// Of the softmax of the outputs, in nats.
    CrossEntropy {
        /// Share of the labels that is spread over all classes, from 0 and below 1.
        #[serde(default, skip_serializing_if = "is_none")]
        label_smoothing: f64,
        /// What the terms of each class are multiplied by; absent: one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class_weights: Option<ClassWeights>,
    },
    /// Half the squared distance of the outputs to the label.
    SquaredError {},
    /// Summed over the outputs, each the logit of an event of its own, in nats.
    BinaryCrossEntropy {},
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is what serde calls"
)]
fn is_none(share: &f64) -> bool {
    *share == 0.0
}

/// Weights of classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a list of numbers or the name of a tensor")]
pub enum ClassWeights {
    /// One for each class, from 0.
    Numbers(Vec<f64>),
    /// The tensor (C) of this name in the file of the data.
    Tensor(String),
}

impl FromStr for ClassWeights {
    type Err = std::convert::Infallible;

    /// Numbers between commas, or else a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
        Ok(numbers.map_or_else(|_| Self::Tensor(text.to_owned()), Self::Numbers))
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(weights) => {
                let weights: Vec<String> = weights.iter().map(f64::to_string).collect();
                formatter.write_str(&weights.join(","))
            }
            Self::Tensor(name) => formatter.write_str(name),
        }
    }
}

/// Whether these are weights, whatever the labels.
#[must_use]
pub fn are_class_weights(weights: &[f64]) -> bool {
    let mut each = weights.iter();
    each.all(|weight| weight.is_finite() && *weight >= 0.0) && weights.iter().any(|&w| w > 0.0)
}

impl LossSpec {
    /// That of labels that are classes, or of those that are values, where nothing is said.
    #[must_use]
    pub fn usual(of_classes: bool) -> Self {
        match of_classes {
            true => Self::CrossEntropy {
                label_smoothing: 0.0,
                class_weights: None,
            },
            false => Self::SquaredError {},
        }
    }

    /// The first field out of range, with what is expected and what is there.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str, String)> {
        let Self::CrossEntropy {
            label_smoothing,
            class_weights,
        } = self
        else {
            return None;
        };
        if !(0.0..1.0).contains(label_smoothing) {
            let got = label_smoothing.to_string();
            return Some(("label_smoothing", "from 0 and below 1", got));
        }
        match class_weights {
            Some(ClassWeights::Numbers(weights)) if !are_class_weights(weights) => Some((
                "class_weights",
                "finite numbers of at least 0 and not all 0",
                format!("{weights:?}"),
            )),
            _ => None,
        }
    }
}

impl fmt::Display for LossSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrossEntropy {
                label_smoothing,
                class_weights,
            } => {
                formatter.write_str("cross-entropy")?;
                if let Some(weights) = class_weights {
                    write!(formatter, ", class weights {weights}")?;
                }
                match *label_smoothing {
                    0.0 => Ok(()),
                    smoothing => write!(formatter, ", label smoothing {smoothing}"),
                }
            }
            Self::SquaredError {} => formatter.write_str("squared-error"),
            Self::BinaryCrossEntropy {} => formatter.write_str("binary-cross-entropy"),
        }
    }
}
