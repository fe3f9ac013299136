//! Where a record comes from: program, machine, data, network.

use serde::{Deserialize, Serialize};

use crate::Dtype;

/// Program and machine that made a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Commit the program was built from, or `unknown`.
    pub commit: String,
    /// Whether the source differed from that commit.
    pub dirty: bool,
    /// Compiler.
    pub rustc: String,
    /// Processor.
    pub cpu: String,
    /// Worker threads (the bits of a result depend on their number).
    pub threads: usize,
    /// Device, such as `cpu` or `cuda:0`.
    pub device: String,
    /// Start of the run, RFC 3339, UTC.
    pub started: String,
    /// Command line that makes this record again.
    pub command: String,
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
