//! What can be wrong with an ONNX file.

use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("cannot read the ONNX file {}: {source}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bytes are of a form that is not ONNX.
    #[error("{origin} is no ONNX file but {what}")]
    Foreign {
        /// File or other origin of the bytes.
        origin: String,
        /// What it is, with an article.
        what: &'static str,
    },
    /// The bytes are not a whole ONNX model.
    #[error("{origin} is not a whole ONNX file: {reason}")]
    Format {
        /// File or other origin of the bytes.
        origin: String,
        /// What the reader found.
        reason: String,
    },
    /// A set of operators that is not read.
    #[error("{origin} has the operators of opset {got}; export it with opset_version=13 or later")]
    Opset {
        /// File or other origin of the bytes.
        origin: String,
        /// Version of the set.
        got: i64,
    },
    /// Not one input of data.
    #[error("{origin} has {count} inputs ({names}), and a network here takes one")]
    Inputs {
        /// File or other origin of the bytes.
        origin: String,
        /// How many.
        count: usize,
        /// Their names; of many the first.
        names: String,
    },
    /// An input or output that no network here can have.
    #[error("{origin}: its {place} {reason}")]
    Place {
        /// File or other origin of the bytes.
        origin: String,
        /// Input or output, with its name.
        place: String,
        /// What is wrong with it, as a predicate.
        reason: String,
    },
    /// A name of a constant that no initialiser has.
    #[error("{origin} has no initialiser {name} that could be a constant; there are {names}")]
    Constant {
        /// File or other origin of the bytes.
        origin: String,
        /// Name asked for.
        name: String,
        /// The first names.
        names: String,
    },
    /// A tensor whose elements cannot be read.
    #[error("{origin}: its tensor {name} {reason}")]
    Tensor {
        /// File or other origin of the bytes.
        origin: String,
        /// Its name in the file.
        name: String,
        /// What is wrong with it, as a predicate.
        reason: String,
    },
    /// An operator that is not there.
    #[error(
        "{origin}: its node {node} is of the operator {operator}, which is not there; those that are:\n{known}"
    )]
    Operator {
        /// File or other origin of the bytes.
        origin: String,
        /// Name of the node.
        node: String,
        /// Operator, with its domain where that is not ONNX's own.
        operator: String,
        /// All operators that are there, in lines.
        known: String,
    },
    /// A node that cannot be a part of a network.
    #[error("{origin}: its node {node} ({operator}) {reason}")]
    Node {
        /// File or other origin of the bytes.
        origin: String,
        /// Name of the node.
        node: String,
        /// Operator.
        operator: String,
        /// What is wrong with it, as a predicate.
        reason: String,
    },
    /// The network could not be built.
    #[error(transparent)]
    Network(#[from] flatness_layers::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
