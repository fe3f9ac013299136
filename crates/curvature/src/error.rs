//! What can go wrong between a network, its data and its curvature.

use candle_core::DeviceLocation;

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
    /// Settings with a number type that has no exact arithmetic here.
    #[error("the settings of the mean loss: expected the number type f32 or f64, got {got}")]
    SettingsType {
        /// Number type asked for.
        got: &'static str,
    },
    /// Parameters in another number type than the examples.
    #[error(
        "theta: expected {expected} as in the settings of the mean loss, got {got}; convert it with \
         `Tensor::to_dtype` first"
    )]
    ThetaType {
        /// Number type of the settings.
        expected: &'static str,
        /// Number type of the parameters.
        got: &'static str,
    },
    /// Parameters on another device than the examples.
    #[error(
        "theta: expected on {expected:?} as in the settings of the mean loss, got on {got:?}; move it \
         with `Tensor::to_device` first"
    )]
    ThetaDevice {
        /// Device of the settings.
        expected: DeviceLocation,
        /// Device of the parameters.
        got: DeviceLocation,
    },
    /// A mean over no examples.
    #[error("expected at least one index into data set {data}, got none")]
    NoExamples {
        /// Name of the data set.
        data: String,
    },
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
