//! What can be wrong with a spec, a record or the disk they live on.

use std::io;
use std::path::PathBuf;

/// Everything that reading, validating or writing the files of a run can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not TOML, or not the TOML of a spec.
    #[error("{origin}, line {line}: {message}")]
    Syntax {
        /// File or other origin of the text.
        origin: String,
        /// Line of the offending token, from 1.
        line: usize,
        /// What the parser expected and found.
        message: String,
    },
    /// A field has a value outside its range.
    #[error("{origin}: {field} must be {expected}, got {got}; correct the spec")]
    Field {
        /// File or other origin of the spec.
        origin: String,
        /// Dotted path of the field.
        field: String,
        /// Range the field must lie in.
        expected: &'static str,
        /// Value found.
        got: String,
    },
    /// A JSON file does not hold what its name promises.
    #[error("{path} is not a valid {expected}: {message}; delete it to have it made anew")]
    Json {
        /// File read.
        path: PathBuf,
        /// Kind of content expected.
        expected: &'static str,
        /// What the parser found.
        message: String,
    },
    /// A value cannot be written as JSON.
    #[error("{path} cannot be written as JSON: {message}")]
    Encode {
        /// File to be written.
        path: PathBuf,
        /// Reason given by the encoder.
        message: String,
    },
    /// The operating system refused to read a file.
    #[error("cannot read {path}: {source}")]
    Read {
        /// File to be read.
        path: PathBuf,
        /// Reason given by the operating system.
        source: io::Error,
    },
    /// The operating system refused to write a file.
    #[error(
        "cannot write {path}: {source}; nothing was changed, free space or choose another directory"
    )]
    Write {
        /// File to be written.
        path: PathBuf,
        /// Reason given by the operating system.
        source: io::Error,
    },
}
