//! `--loss` and `--label-smoothing`.

use anyhow::{Result, bail};
use clap::Args;
use flatness_records::LossSpec;
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
        let Some(smoothing) = self.label_smoothing else {
            return Ok(named);
        };
        let mut spec = named.unwrap_or_else(|| LossSpec::usual(true));
        let LossSpec::CrossEntropy { label_smoothing } = &mut spec else {
            bail!("--label-smoothing is of --loss cross-entropy; leave it out");
        };
        *label_smoothing = smoothing;
        if let Some((field, expected, got)) = spec.problem() {
            let option = field.replace('_', "-");
            bail!("--{option} must be {expected}, got {got}");
        }
        Ok(Some(spec))
    }
}
