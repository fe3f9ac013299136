//! What can go wrong in an optimiser.

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A vector has another length or number type than the parameters.
    #[error("{place}: expected {expected}, got {got}")]
    Vector {
        /// Argument.
        place: &'static str,
        /// Length and number type of the parameters.
        expected: String,
        /// Length and number type found.
        got: String,
    },
    /// The parameters and the gradient are one piece of memory.
    #[error("parameters and gradient share storage; pass a copy of the gradient")]
    Shared,
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
