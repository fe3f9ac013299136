//! The loss of a spec.

use std::fmt;

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

impl LossSpec {
    /// That of labels that are classes, or of those that are values, where nothing is said.
    #[must_use]
    pub fn usual(of_classes: bool) -> Self {
        match of_classes {
            true => Self::CrossEntropy {
                label_smoothing: 0.0,
            },
            false => Self::SquaredError {},
        }
    }

    /// The first field out of range, with what is expected and what is there.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str, String)> {
        match *self {
            Self::CrossEntropy { label_smoothing } if !(0.0..1.0).contains(&label_smoothing) => {
                let got = label_smoothing.to_string();
                Some(("label_smoothing", "from 0 and below 1", got))
            }
            _ => None,
        }
    }
}

impl fmt::Display for LossSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrossEntropy { label_smoothing } => {
                formatter.write_str("cross-entropy")?;
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
