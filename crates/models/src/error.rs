//! What can go wrong with an architecture or a checkpoint.

use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No network of that name.
    #[error("there is no model `{got}`; choose one of {known}, or of the forms {forms}")]
    UnknownModel {
        /// Name asked for.
        got: String,
        /// Names there are.
        known: String,
        /// Families there are.
        forms: &'static str,
    },
    /// A family without a member of that name.
    #[error("there is no model `{got}`; {expected}")]
    Member {
        /// Name asked for.
        got: String,
        /// Members there are.
        expected: &'static str,
    },
    /// A file that cannot be read.
    #[error("cannot read the checkpoint {}: {source}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bytes are not a safetensors file.
    #[error("{origin} is not a whole safetensors file: {reason}")]
    Format {
        /// File or other origin of the bytes.
        origin: String,
        /// What the reader found.
        reason: String,
    },
    /// The bytes are of a form that holds no weights that are read.
    #[error("{origin} is no checkpoint but {what}")]
    Foreign {
        /// File or other origin of the bytes.
        origin: String,
        /// What it is, with an article.
        what: &'static str,
    },
    /// A directory without one checkpoint, or with several.
    #[error("{} holds {count} checkpoints; name one file", path.display())]
    Directory {
        /// Directory.
        path: PathBuf,
        /// Files that are called as checkpoints are.
        count: usize,
    },
    /// An index of several files that does not name them.
    #[error("{} is no index of a checkpoint: {reason}", path.display())]
    Index {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing of that name in a checkpoint.
    #[error("{origin} has no entry `{got}`; its tensors are {known}")]
    Entry {
        /// File or other origin of the tensors.
        origin: String,
        /// Entry asked for.
        got: String,
        /// Names there are; of many the first.
        known: String,
    },
    /// Names that cannot be changed as asked.
    #[error("cannot rename {rule} in {origin}: {reason}")]
    Renamed {
        /// File or other origin of the tensors.
        origin: String,
        /// What was asked for.
        rule: String,
        /// Why not.
        reason: String,
    },
    /// Several sets of weights that fit.
    #[error(
        "{origin} has {count} sets of weights that fit and differ: {names}; choose one with --entry"
    )]
    Ambiguous {
        /// File or other origin of the tensors.
        origin: String,
        /// How many.
        count: usize,
        /// Their entries; of many the first.
        names: String,
    },
    /// A tensor whose elements cannot be read.
    #[error("{origin}: its tensor {name} {reason}")]
    Tensor {
        /// File or other origin of the tensors.
        origin: String,
        /// Its name in the file.
        name: String,
        /// What is wrong with it, as a predicate.
        reason: String,
    },
    /// An archive of `torch.save` from which no tensors can be read.
    #[error("cannot read the PyTorch file {origin}: {reason}")]
    PyTorch {
        /// File or other origin of the bytes.
        origin: String,
        /// What the reader found.
        reason: String,
    },
    /// The tensors do not fit the network.
    #[error("{origin} does not fit the network: {problems}")]
    Mismatch {
        /// File or other origin of the tensors.
        origin: String,
        /// All missing, mis-shaped, mis-typed and unexpected names; of long lists the first.
        problems: String,
    },
    /// A tensor of values that no network can take.
    #[error("{origin}: {name} {fault}; take an earlier checkpoint")]
    Values {
        /// File or other origin of the tensors.
        origin: String,
        /// Parameter or running statistic.
        name: String,
        /// What is wrong with them: not finite, or a variance below zero.
        fault: &'static str,
    },
    /// The network could not be built.
    #[error(transparent)]
    Network(#[from] flatness_layers::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
