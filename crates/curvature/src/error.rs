//! What can go wrong between a network, its data and its curvature.

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network does not take the examples of the data set.
    #[error("data set {data} has {what} {got:?}, the network takes {expected:?}")]
    Fit {
        /// Name of the data set.
        data: String,
        /// What does not fit.
        what: &'static str,
        /// What the network takes.
        expected: Vec<usize>,
        /// What the data set has.
        got: Vec<usize>,
    },
    /// A batch that is empty or larger than the data.
    #[error("batch_size must be in 1..={examples}, the examples of data set {data}, got {got}")]
    BatchSize {
        /// Name of the data set.
        data: String,
        /// Its number of examples.
        examples: usize,
        /// Batch size asked for.
        got: usize,
    },
    /// A batch with a tensor of more elements than a kernel of the device counts.
    #[error(
        "a batch of {examples} examples has a tensor of {elements} elements, but kernels of the device count up to \
         {allowed}; a batch_size of {fits} fits"
    )]
    Elements {
        /// Examples that go through the network together.
        examples: usize,
        /// Elements of the largest tensor.
        elements: usize,
        /// [`flatness_kernels::ELEMENTS_AT_MOST`].
        allowed: usize,
        /// The largest batch without such a tensor.
        fits: usize,
    },
    /// Settings with a number type that has no exact arithmetic here.
    #[error("the settings of the mean loss: expected the number type f32 or f64, got {got}")]
    SettingsType {
        /// Number type asked for.
        got: &'static str,
    },
    /// A question about classes where the labels are something else.
    #[error(
        "the labels of data set {data} are not one class for each example, which accuracy and confidence are of"
    )]
    NoClasses {
        /// Name of the data set.
        data: String,
    },
    /// A mean over no examples.
    #[error("expected at least one index into data set {data}, got none")]
    NoExamples {
        /// Name of the data set.
        data: String,
    },
    /// A product or gradient that is infinite or not a number.
    #[error(
        "the {what} over data set {data} is infinite or not a number, from the examples {first} to {last} \
         on; check the weights and those examples, or try float64 where this is float32"
    )]
    NonFinite {
        /// What was computed.
        what: String,
        /// Name of the data set.
        data: String,
        /// First example of the first batch at fault.
        first: usize,
        /// Its last example.
        last: usize,
    },
    /// Vectors that no product can be taken with.
    #[error(
        "the vectors to be multiplied hold an infinity or a value that is not a number; check where \
         they were computed"
    )]
    NonFiniteVectors,
    /// Folds that cannot each have a part of the examples, or one that has no spread.
    #[error(
        "the number of folds must be in 2..={units}, the parts that the sample can be cut into, got {got}"
    )]
    Folds {
        /// Examples, or batches where batch-norm couples their examples.
        units: usize,
        /// Folds asked for.
        got: usize,
    },
    /// A sample of more examples than there are.
    #[error("a sample of {examples} examples cannot be from a population of {got}")]
    Population {
        /// Examples of the sample.
        examples: usize,
        /// Size of the population.
        got: usize,
    },
    /// Parameters of another number type or on another device than the settings say.
    #[error(transparent)]
    Theta(#[from] flatness_operator::Error),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] flatness_layers::Error),
    /// The data failed.
    #[error(transparent)]
    Data(#[from] flatness_data::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// The error of a part of the data that begins behind `start` examples, as one of the whole.
    pub(crate) fn behind(mut self, start: usize) -> Self {
        if let Self::NonFinite { first, last, .. } = &mut self {
            *first += start;
            *last += start;
        }
        self
    }
}
