//! `--loss`, `--label-smoothing` and `--class-weights`.

use anyhow::{Result, bail};
use clap::Args;
use flatness_records::{ClassWeights, LossSpec};
use serde::Deserialize;

use super::named;

/// What an example's outputs are held to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct LossOptions {
    /// Loss of an example, whose mean is minimised and measured [default: cross-entropy of classes, squared-error of values]
    #[arg(long = "loss", value_name = "LOSS", value_parser = named::<LossName>(&[
        "cross-entropy: Of the softmax of the outputs, in nats",
        "squared-error: Half the squared distance of the outputs to the label",
        "binary-cross-entropy: Summed over the outputs, each the logit of an event of its own",
    ]))]
    name: Option<LossName>,
    /// Take this share of the labels of cross-entropy from them and spread it over all classes [default: 0]
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
    /// Multiply the terms of each class of cross-entropy, and divide by the weights of the labels, as PyTorch does: a number for
    /// each class, or the name of a tensor in the file of the data [default: none]
    #[arg(long, value_name = "LIST or NAME")]
    class_weights: Option<ClassWeights>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LossName {
    CrossEntropy,
    SquaredError,
    BinaryCrossEntropy,
}

impl LossOptions {
    /// What is given, or else `of_run`; none: the usual loss of the labels.
    pub(crate) fn spec(&self, of_run: Option<&LossSpec>) -> Result<Option<LossSpec>> {
        let named = match self.name {
            None => of_run.cloned(),
            Some(LossName::CrossEntropy) => Some(LossSpec::usual(true)),
            Some(LossName::SquaredError) => Some(LossSpec::SquaredError {}),
            Some(LossName::BinaryCrossEntropy) => Some(LossSpec::BinaryCrossEntropy {}),
        };
        let given = match (self.label_smoothing, &self.class_weights) {
            (None, None) => return Ok(named),
            (Some(_), _) => "--label-smoothing",
            (None, Some(_)) => "--class-weights",
        };
        let mut spec = named.unwrap_or_else(|| LossSpec::usual(true));
        let LossSpec::CrossEntropy {
            label_smoothing,
            class_weights,
        } = &mut spec
        else {
            bail!("{given} is of --loss cross-entropy; leave it out");
        };
        *label_smoothing = self.label_smoothing.unwrap_or(*label_smoothing);
        *class_weights = self.class_weights.clone().or(class_weights.take());
        if let Some((field, expected, got)) = spec.problem() {
            let option = field.replace('_', "-");
            bail!("--{option} must be {expected}, got {got}");
        }
        Ok(Some(spec))
    }
}
