//! What can go wrong in a network.

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor has a shape that does not fit its place.
    #[error("{place}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// Layer, parameter or argument.
        place: String,
        /// Shape that fits.
        expected: Vec<usize>,
        /// Shape found.
        got: Vec<usize>,
    },
    /// A layer cannot take the output of the layer before it.
    #[error("layer {layer} cannot take inputs of shape {input:?}: {reason}")]
    Input {
        /// Name of the layer.
        layer: String,
        /// Shape of one example.
        input: Vec<usize>,
        /// What the layer needs.
        reason: &'static str,
    },
    /// A network without parameters has nothing to differentiate.
    #[error("a network needs at least one layer with parameters")]
    NoParameters,
    /// A named parameter is missing, unknown or of another shape.
    #[error("the parameters do not fit the network: {problems}")]
    Names {
        /// All problems, separated by semicolons.
        problems: String,
    },
    /// No worker threads.
    #[error("cannot start {threads} worker threads: {reason}")]
    Workers {
        /// Threads asked for.
        threads: usize,
        /// Why not.
        reason: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
