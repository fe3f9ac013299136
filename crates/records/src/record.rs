//! What a finished run leaves behind: `record.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    DataRecord, EpochEvaluation, Hits, Measurement, ModelRecord, Provenance, Spec, number,
};

/// Everything known about one finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Hash of the spec, the name of the run's directory.
    pub id: String,
    /// What was asked for.
    pub spec: Spec,
    /// How it ended.
    pub outcome: Outcome,
    /// Program and machine.
    pub provenance: Provenance,
    /// Data.
    pub data: DataRecord,
    /// Network.
    pub model: ModelRecord,
    /// Training as a whole.
    pub training: Training,
    /// Loss and accuracies of the finished parameters; where training diverged, of those before that epoch.
    pub evaluation: EpochEvaluation,
    /// The same of the average of the iterates, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_evaluation: Option<EpochEvaluation>,
    /// Measurements in order of their epoch; the last belongs to the finished parameters. With an
    /// average these are the average, and the last iterate comes before it.
    pub measurements: Vec<Measurement>,
    /// Which test examples, where there are any and each has a class, the finished parameters (the average where there is
    /// one) classify correctly: what two runs' accuracies are compared by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_correct: Option<Hits>,
    /// SHA-256 of the checkpoints of the run, the average's among them, by the names of their files; none in records of former
    /// versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// All epochs were done and all that was asked for was measured.
    Completed,
    /// The loss or the parameters stopped being finite; nothing was measured.
    Diverged {
        /// Epoch in which it happened, from 1.
        epoch: u32,
        /// Learning rate at that moment.
        learning_rate: f64,
        /// Step at which it was seen, from 1 at the beginning of training.
        step: u64,
        /// Mean loss of that step's batch; where all steps were finite and the end is not, of the examples evaluated.
        #[serde(with = "number")]
        loss: f64,
        /// ‖θ‖ at that moment.
        #[serde(with = "number")]
        parameter_norm: f64,
    },
}

/// Training as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Optimiser steps done.
    pub steps: u64,
    /// How much weight decay there was, summed over the steps: rate · decay · (1 − dampening) / (1 − momentum) with
    /// the coupled decay of SGD, whose velocity repeats it; rate · decay with decoupled decay, and with the coupled
    /// decay of adaptive methods, which divide it by a denominator besides.
    pub dose: f64,
    /// Wall time of training in seconds, all parts of an interrupted run together.
    pub train_seconds: f64,
    /// Wall time of measuring in seconds, all parts of an interrupted run together.
    pub measure_seconds: f64,
    /// Largest resident memory of the process in MiB.
    pub peak_rss_mib: f64,
}
