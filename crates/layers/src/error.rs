//! What can go wrong in a network.

use crate::RanksError;

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
    /// A tensor has a number type that does not fit its place.
    #[error("{place}: expected {expected}, got {got}; convert it with `Tensor::to_dtype` first")]
    NumberType {
        /// Layer, parameter or argument.
        place: String,
        /// Number type that fits, or several.
        expected: &'static str,
        /// Number type found.
        got: &'static str,
    },
    /// A layer cannot take the output of the layer before it.
    #[error(
        "layer {layer} cannot take inputs of shape {}: {reason}",
        shapes(inputs)
    )]
    Input {
        /// Name of the layer.
        layer: String,
        /// Shape of one example of each input.
        inputs: Vec<Vec<usize>>,
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
    /// A pattern that no name of a parameter matches.
    #[error("no parameter is called {pattern} (`*` stands for any characters); there are {names}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The first names, and how many more there are.
        names: String,
    },
    /// A group of parameters without a pattern.
    #[error("a group of parameters needs at least one pattern, such as `*` for all")]
    NoPattern,
    /// A value of one graph used in another, or a graph whose output is not its last node.
    #[error("a value of another graph, or an output that is not the last node")]
    Value,
    /// Batch statistics of a single value.
    #[error(
        "batch-norm {layer} sees one value per channel, which has no variance; take a larger batch"
    )]
    OneValue {
        /// Name of the layer.
        layer: String,
    },
    /// A dropout rate outside its range.
    #[error("a dropout rate must be from 0 and below 1, got {got}")]
    DropoutRate {
        /// Rate asked for.
        got: f64,
    },
    /// An input of an embedding that is not the number of a row.
    #[error("inputs of an embedding are whole numbers from 0 and below {rows}, got {got}")]
    Row {
        /// Number found.
        got: f64,
        /// Rows of the embedding.
        rows: usize,
    },
    /// A smoothing outside its range.
    #[error("label smoothing must be from 0 and below 1, got {got}")]
    Smoothing {
        /// Smoothing asked for.
        got: f64,
    },
    /// Class weights that are none, or not one for each class.
    #[error(
        "class weights must be {classes} finite numbers of at least 0, one for each class, got {got:?}"
    )]
    ClassWeights {
        /// Number of classes.
        classes: usize,
        /// Weights asked for.
        got: Vec<f64>,
    },
    /// No worker threads.
    #[error("cannot start {threads} worker threads: {reason}")]
    Workers {
        /// Threads asked for.
        threads: usize,
        /// Why not.
        reason: String,
    },
    /// The processes that share the examples are no longer in step.
    #[error(transparent)]
    Ranks(#[from] RanksError),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// `[2, 3] and [4]`.
fn shapes(inputs: &[Vec<usize>]) -> String {
    let shapes: Vec<String> = inputs.iter().map(|shape| format!("{shape:?}")).collect();
    shapes.join(" and ")
}
