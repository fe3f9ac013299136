//! What can be wrong with a spec, a record or the disk they live on.

use std::io;
use std::path::{Path, PathBuf};

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
        /// Whether it is JSON, of other fields.
        is_other: bool,
    },
    /// A JSON file or a line of it has changed since it was written.
    #[error(
        "{path} is damaged: its contents do not have the digest that they were written with; restore it, or delete its \
         directory to have it made anew"
    )]
    Digest {
        /// File read.
        path: PathBuf,
    },
    /// Another process is at work in a directory.
    #[error("{directory} is in use by {holder}; wait for it or stop it")]
    InUse {
        /// Directory.
        directory: PathBuf,
        /// What the other says of itself.
        holder: String,
    },
    /// A lock cannot be had.
    #[error(
        "cannot lock {path}: {source}; its file system must have locks (Lustre mounted with flock, NFS with a lock \
         service), give another directory for the runs"
    )]
    Lock {
        /// File of the lock.
        path: PathBuf,
        /// Reason given by the operating system.
        source: io::Error,
    },
    /// A lock that was held is another's, or was removed.
    #[error(
        "{path} was {became}, and another process may be at work there; the same command goes on from the saved state"
    )]
    LockLost {
        /// File of the lock.
        path: PathBuf,
        /// `removed`, or `taken by` whom.
        became: String,
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
    /// A file was replaced, and its directory is not on the disk.
    #[error(
        "{path} is written, but its directory cannot be put on the disk: {source}; a power cut may undo it, see to the disk and \
         repeat the command"
    )]
    Sync {
        /// The file.
        path: PathBuf,
        /// Reason given by the operating system.
        source: io::Error,
    },
}

impl Error {
    /// Whether a file was read that does not hold what was written; what another version wrote does.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Json { is_other, .. } => !is_other,
            Self::Digest { .. } => true,
            // No text.
            Self::Read { source, .. } => source.kind() == io::ErrorKind::InvalidData,
            _ => false,
        }
    }

    /// For `map_err`: why `path` could not be read.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err`: why `path` could not be written.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err`: why a value has no JSON for `path`.
    pub(crate) fn encode(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| Self::Encode {
            path: path.to_owned(),
            message: error.to_string(),
        }
    }

    /// For `map_err`: why `path` is not what is `expected`.
    pub(crate) fn json(path: &Path, expected: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |error| Self::Json {
            path: path.to_owned(),
            expected,
            is_other: error.is_data(),
            message: error.to_string(),
        }
    }
}
