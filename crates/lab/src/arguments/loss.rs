//! `--loss` and `--label-smoothing`.

use anyhow::{Result, bail};
use clap::Args;
use flatness_layers::Loss;
use serde::Deserialize;

use super::named;

/// What an example's outputs are held to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct LossOptions {
    /// Loss of an example, whose mean is measured [default: cross-entropy of classes, squared-error of values]
    #[arg(long = "loss", value_name = "LOSS", value_parser = named::<LossName>(&[
        "cross-entropy: Of the softmax of the outputs, in nats",
        "squared-error: Half the squared distance of the outputs to the label",
        "binary-cross-entropy: Summed over the outputs, each the logit of an event of its own",
    ]))]
    name: Option<LossName>,
    /// Take this share of the labels of cross-entropy from them and spread it over all classes [default: 0]
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LossName {
    CrossEntropy,
    SquaredError,
    BinaryCrossEntropy,
}

impl LossOptions {
    /// The loss of labels that are classes or values.
    pub(crate) fn loss(&self, of_classes: bool) -> Result<Loss> {
        let default = if of_classes {
            LossName::CrossEntropy
        } else {
            LossName::SquaredError
        };
        match (self.name.unwrap_or(default), self.label_smoothing) {
            (LossName::CrossEntropy, None) => Ok(Loss::CrossEntropy),
            (LossName::CrossEntropy, Some(smoothing)) if (0.0..1.0).contains(&smoothing) => {
                Ok(Loss::LabelSmoothing { smoothing })
            }
            (LossName::CrossEntropy, Some(got)) => {
                bail!("--label-smoothing must be from 0 and below 1, got {got}")
            }
            (_, Some(_)) => bail!("--label-smoothing is of --loss cross-entropy; leave it out"),
            (LossName::SquaredError, None) => Ok(Loss::SquaredError),
            (LossName::BinaryCrossEntropy, None) => Ok(Loss::BinaryCrossEntropy),
        }
    }

    /// What a result calls `loss`.
    pub(crate) fn name(loss: Loss) -> String {
        match loss {
            Loss::CrossEntropy => "cross-entropy".to_owned(),
            Loss::LabelSmoothing { smoothing } => {
                format!("cross-entropy, label smoothing {smoothing}")
            }
            Loss::SquaredError => "squared-error".to_owned(),
            Loss::BinaryCrossEntropy => "binary-cross-entropy".to_owned(),
        }
    }
}
