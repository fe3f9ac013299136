//! `metrics.jsonl`: one line per epoch, appended and flushed while a run goes on.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::file::{check, sealed};
use crate::{Error, number};

/// Training metrics of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Epochs done, from 1.
    pub epoch: u32,
    /// Learning rate during the epoch.
    pub learning_rate: f64,
    /// Mean loss over the epoch's batches, before each step, without the L2 term.
    pub running_loss: f64,
    /// Fraction of the examples classified correctly, before each step, where the labels are classes of examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_accuracy: Option<f64>,
    /// Examples trained on per second of the epoch, without measurements and files.
    pub examples_per_second: f64,
    /// Loss and accuracies after the epoch, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EpochEvaluation>,
    /// The same of the average of the iterates, where there is one by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_evaluation: Option<EpochEvaluation>,
    /// Euclidean norm of the parameters after the epoch.
    pub parameter_norm: f64,
    /// Wall time of the epoch in seconds.
    pub seconds: f64,
}

/// Loss and accuracies over every split; batch-norm takes its running statistics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochEvaluation {
    /// Training examples as they are, without random changes.
    pub train: SplitEvaluation,
    /// Held-out training examples, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<SplitEvaluation>,
    /// Test examples, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<SplitEvaluation>,
}

/// Loss and accuracies over one split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SplitEvaluation {
    /// Mean loss.
    #[serde(with = "number")]
    pub loss: f64,
    /// Fraction classified correctly, where the labels are classes of examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Fraction whose class is among the five largest logits, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5_accuracy: Option<f64>,
}

/// `value`, an object, as a line of the JSON-lines file `path`: with its digest and a newline.
///
/// # Errors
/// [`Error::Encode`].
pub fn json_line<T: Serialize>(path: &Path, value: &T) -> Result<String, Error> {
    let json = serde_json::to_string(value).map_err(Error::encode(path))?;
    Ok(sealed(&json) + "\n")
}

/// Appends `value`, an object, as one line of JSON with its digest.
///
/// # Errors
/// [`Error::Write`], [`Error::Encode`].
pub fn append_json_line<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let line = json_line(path, value)?;
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(Error::write(path))
}

/// Reads the lines of a JSON-lines file; a missing file has none, and a last line that was cut off
/// by a kill is left out.
///
/// # Errors
/// [`Error::Read`], and [`Error::Json`] and [`Error::Digest`] for a damaged line before the last.
pub fn read_json_lines<T: DeserializeOwned>(
    path: &Path,
    expected: &'static str,
) -> Result<Vec<T>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::read(path)(error)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let read = |line: &str| {
        check(line, path)?;
        serde_json::from_str(line).map_err(Error::json(path, expected))
    };
    whole.lines().map(read).collect()
}
