//! Where a record comes from: program, machine, data, network.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Dtype, SubsetSpec};

/// Program and machine that made a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Compiler.
    pub rustc: String,
    /// Command line that makes this record again.
    pub command: String,
    /// The parts of the run in order, at least one: a new one begins where the run went on with something else.
    pub segments: Vec<Segment>,
    /// End of the run, RFC 3339, UTC.
    pub finished: String,
}

/// A part of a run by one program on one machine: what the bits of a result depend on besides spec and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Optimiser steps done before it.
    pub from_step: u64,
    /// Worker threads, of each process.
    pub threads: usize,
    /// Processes that shared the measurements.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub ranks: usize,
    /// Version of the program.
    pub version: String,
    /// Commit the program was built from, or `unknown`.
    pub commit: String,
    /// Whether the source differed from that commit.
    pub dirty: bool,
    /// Processor.
    pub cpu: String,
    /// Device, such as `cpu` or `cuda:0`.
    pub device: String,
    /// Its start, RFC 3339, UTC.
    pub started: String,
}

fn one() -> usize {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_one(ranks: &usize) -> bool {
    *ranks == 1
}

impl Segment {
    /// Whether both were made by the same program, machine and numbers of threads and processes.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let of_the_other = Self {
            from_step: other.from_step,
            started: other.started.clone(),
            ..self.clone()
        };
        of_the_other == *other
    }
}

/// Data that a run has used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Name of the data set, `tensors` for a file of them; where the digest is not that of its published examples, what they are: `idx images
    /// (unknown digest)`, `cifar-100-like (unknown digest)`, `mnist (in another order)`.
    pub set: String,
    /// Where it came from: a directory, a file, the cache, or the embedded fixture.
    pub source: String,
    /// SHA-256 of the decoded training and test examples, or of the file of tensors.
    pub digest: String,
    /// Training examples used.
    pub train_examples: usize,
    /// Which of the training examples these are.
    #[serde(default)]
    pub subset: SubsetSpec,
    /// Validation examples held out.
    pub validation_examples: usize,
    /// Test examples, 0 where there is no test set.
    pub test_examples: usize,
    /// Mean of each channel (C) on the scale from 0 to 1 that was subtracted; empty in records of former versions.
    #[serde(default)]
    pub mean: Vec<f64>,
    /// Deviation of each channel (C) that the difference was divided by; empty in records of former versions.
    #[serde(default)]
    pub deviation: Vec<f64>,
}

impl fmt::Display for DataRecord {
    /// Name, source and normalisation, as a line about a measurement says them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}", self.set, self.source)?;
        if !self.mean.is_empty() {
            let Self {
                mean, deviation, ..
            } = self;
            write!(
                formatter,
                "; normalised with mean {mean:?} and deviation {deviation:?}"
            )?;
        }
        formatter.write_str(")")
    }
}

/// Network that a run has used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Name in the model zoo, or that of an ONNX file.
    pub name: String,
    /// That file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<NetworkFile>,
    /// Number of parameters P.
    pub parameters: usize,
    /// Hidden units: the outputs of all layers with weights but the last.
    pub hidden_units: usize,
    /// Classes C, the outputs of the last layer.
    pub classes: usize,
    /// Kind of batch normalisation in the Hessian: `none`, `frozen` or `batch`.
    pub batch_norm: String,
    /// Number type.
    pub dtype: Dtype,
}

/// An ONNX file that a network was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFile {
    /// As it was named.
    pub path: String,
    /// Its SHA-256; where it has its tensors in other files, that of the digests of all, its own first.
    pub digest: String,
}
