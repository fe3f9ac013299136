//! What can go wrong when a network is perturbed or rescaled.

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A count that has to be positive is zero.
    #[error("{field} is 0; set it to at least 1")]
    Zero {
        /// The setting at fault.
        field: &'static str,
    },
    /// A real-valued setting is outside its range.
    #[error("{field} is {got}; set it to a finite number {expected}")]
    OutOfRange {
        /// The setting at fault.
        field: &'static str,
        /// The range in words.
        expected: &'static str,
        /// The value found.
        got: f64,
    },
    /// A standard error needs two draws or more.
    #[error("{field} is {got}, but a standard error needs at least 2; ask for more")]
    TooFewDraws {
        /// The setting at fault.
        field: &'static str,
        /// Draws asked for.
        got: usize,
    },
    /// Rises and quadratic forms that are not of the same directions.
    #[error("expected as many quadratic forms as rises, and some, got {forms} and {rises}")]
    Pairs {
        /// Directions with a rise.
        rises: usize,
        /// Directions with a quadratic form.
        forms: usize,
    },
    /// Box sizes out of order.
    #[error("epsilons must increase, got {next} behind {previous}; sort them")]
    NotIncreasing {
        /// The one before.
        previous: f64,
        /// The one behind, which is not larger.
        next: f64,
    },
    /// A direction without length.
    #[error(
        "{what} has no length, so that it is no direction; give one that is finite and not zero"
    )]
    NoDirection {
        /// The vector at fault.
        what: &'static str,
    },
    /// A network that homogeneous scaling would change.
    #[error(
        "the layers of the network cannot be scaled together: {reason}; it takes a chain of affine or \
         convolutional layers with nothing but ReLU, pooling, flattening or dropout between them"
    )]
    NotHomogeneous {
        /// Why not.
        reason: String,
    },
    /// No weight of this name.
    #[error("there is no weight {name} with a row for each neuron; there are: {names}")]
    NoSuchWeight {
        /// Name asked for.
        name: String,
        /// Those that there are.
        names: String,
    },
    /// A mean loss or product that is infinite or not a number.
    #[error(
        "{what} is {got}; look for infinities or NaN in theta and the data, or take smaller steps"
    )]
    NotFinite {
        /// What was computed.
        what: &'static str,
        /// The value found.
        got: f64,
    },
    /// The expected rise does not cross the target in the range searched.
    #[error(
        "the expected rise does not cross {target} for sigma between {low:e} and {high:e}; set another \
         target or initial sigma"
    )]
    NoCrossing {
        /// Rise asked for.
        target: f64,
        /// Smallest sigma tried.
        low: f64,
        /// Largest sigma tried.
        high: f64,
    },
    /// Differences of losses that would be rounding.
    #[error(
        "differences of losses need a mean loss in float64, got float32; make it with settings of float64"
    )]
    SinglePrecision,
    /// A number to be divided by that may be zero for all that is known.
    #[error(
        "{what} is not resolved: {value:e} with an error of {error:e}, so that nothing can be divided by it; \
         take more draws or larger steps"
    )]
    Unresolved {
        /// What may be zero.
        what: &'static str,
        /// Its estimate.
        value: f64,
        /// Standard error and rounding together.
        error: f64,
    },
    /// Interrupted while there was nothing to return.
    #[error("interrupted before there was a first result")]
    Interrupted,
    /// The loss failed.
    #[error(transparent)]
    Curvature(#[from] flatness_curvature::Error),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] flatness_layers::Error),
    /// A product failed.
    #[error(transparent)]
    Operator(#[from] flatness_operator::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
