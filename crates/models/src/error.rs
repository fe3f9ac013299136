//! What can go wrong with an architecture or a checkpoint.

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No network of that name.
    #[error("there is no model `{got}`; choose one of {known}")]
    UnknownModel {
        /// Name asked for.
        got: String,
        /// Names there are.
        known: String,
    },
    /// The bytes are not a safetensors file.
    #[error("{origin} is not a whole safetensors file: {reason}")]
    Format {
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
        /// All missing, unknown, mis-shaped and mis-typed names.
        problems: String,
    },
    /// A parameter that is NaN or infinite.
    #[error(
        "{origin}: parameter {name} has values that are not finite; take an earlier checkpoint"
    )]
    NotFinite {
        /// File or other origin of the tensors.
        origin: String,
        /// Parameter.
        name: String,
    },
    /// The network could not be built.
    #[error(transparent)]
    Network(#[from] flatness_layers::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
