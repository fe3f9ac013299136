//! The result, as `--json` prints it.

use anyhow::Result;
use flatness_records::{DataRecord, Matrix, Quantity, Retention};
use serde::{Serialize, Serializer};

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) parameters: usize,
    pub(super) batch_norm: String,
    pub(super) data: DataRecord,
    pub(super) examples: usize,
    /// Examples that a random sample stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sampled_from: Option<usize>,
    pub(super) batch_size: usize,
    pub(super) loss: f64,
    pub(super) accuracy: f64,
    pub(super) gradient_norm: f64,
    pub(super) retention: Retention,
    pub(super) matrix: Matrix,
    pub(super) l2: f64,
    pub(super) seed: u64,
    /// Products of all groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) products: Option<u64>,
    /// The whole matrix, or the block of `--parameters`.
    #[serde(flatten)]
    pub(super) whole: Option<Measured>,
    /// The blocks of `--each`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<Measured>,
}

/// What was measured of one matrix.
#[derive(Serialize)]
pub(super) struct Measured {
    /// Name of the group of parameters, with `--each`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Rows and columns, where they are not all parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<usize>,
    /// Vectors held in the search for eigenvalues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) basis: Option<usize>,
    /// Products of everything that counts them.
    pub(super) products: u64,
    #[serde(flatten)]
    pub(super) lines: Lines,
    /// Files written to `--out`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) pictures: Vec<String>,
}

/// The numbers in the order in which they are shown.
pub(super) struct Lines(pub(super) Vec<Line>);

/// One number.
#[derive(Serialize)]
pub(super) struct Line {
    #[serde(skip)]
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) quantity: Quantity,
    /// Error of too few Lanczos steps, on top of the standard error: an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step_error: Option<f64>,
    /// The element of a parameter that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    /// Half-width of 95 % confidence relative to the value, where the error is not that of the value alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) relative_error: Option<f64>,
    /// What ended the measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop: Option<&'static str>,
    /// Standard error of the value as one over all the examples that a sample stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sampling_error: Option<f64>,
}

impl Line {
    pub(super) fn new(name: impl Into<String>, quantity: Quantity) -> Self {
        Self {
            name: name.into(),
            quantity,
            step_error: None,
            at: None,
            relative_error: None,
            stop: None,
            sampling_error: None,
        }
    }
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|line| (&line.name, line)))
    }
}
