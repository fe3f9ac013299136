//! Where a record comes from: program, machine, data, network.

use serde::{Deserialize, Serialize};

use crate::Dtype;

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
    /// Worker threads.
    pub threads: usize,
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

impl Segment {
    /// Whether both were made by the same program, machine and number of threads.
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
    /// Name of the data set.
    pub set: String,
    /// Where it came from: a directory, the cache, or the embedded fixture.
    pub source: String,
    /// SHA-256 of the decoded training and test examples.
    pub digest: String,
    /// Training examples used.
    pub train_examples: usize,
    /// Validation examples held out.
    pub validation_examples: usize,
    /// Test examples.
    pub test_examples: usize,
}

/// Network that a run has used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Name in the model zoo.
    pub name: String,
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
