//! What can go wrong in an optimiser, an average or a schedule.

use std::ops::Range;

use candle_core::DType;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A vector has another shape, number type or device than the parameters.
    #[error("{place}: expected {expected}, got {got}")]
    Vector {
        /// Argument or name in a state.
        place: String,
        /// Shape and number type of the parameters.
        expected: String,
        /// Shape and number type found.
        got: String,
    },
    /// A vector is a strided view.
    #[error("{place}: expected contiguous elements; pass what `contiguous` returns")]
    Strided {
        /// Argument.
        place: &'static str,
    },
    /// Parameters of a number type without arithmetic here.
    #[error("expected parameters of f32 or f64, got {got:?}")]
    NumberType {
        /// Number type of the parameters.
        got: DType,
    },
    /// The parameters and the gradient are one piece of memory.
    #[error("parameters and gradient share storage; pass a copy of the gradient")]
    Shared,
    /// A number is not in its range.
    #[error("{name} is {got}, expected a number {expected}")]
    Range {
        /// Hyper-parameter.
        name: &'static str,
        /// Its value.
        got: f64,
        /// The numbers allowed, as in "above 0".
        expected: &'static str,
    },
    /// Ranges without decay that are not a part of the vector.
    #[error(
        "the range {range:?} without decay: expected ascending disjoint ranges up to {elements}"
    )]
    Excluded {
        /// The first range that does not fit.
        range: Range<usize>,
        /// Elements of the parameters, or the largest number where they are not known yet.
        elements: usize,
    },
    /// A state lacks a vector.
    #[error("the state has no vector {name}; it belongs to another optimiser, average or model")]
    Missing {
        /// Name of the vector.
        name: String,
    },
    /// A state has a vector too many.
    #[error("the state has a vector {name}; it belongs to another optimiser, average or model")]
    Unexpected {
        /// Name of the vector.
        name: String,
    },
    /// Variables without a name of their own each.
    #[error("expected one name for each of {variables} variables, all different, got {names}")]
    Names {
        /// Number of variables.
        variables: usize,
        /// Number of names.
        names: usize,
    },
    /// A file is not the state of an optimiser or average.
    #[error("expected a whole safetensors file of a state")]
    File(#[from] safetensors::SafeTensorError),
    /// A safetensors file does not say how many steps were taken.
    #[error("the file has no number of steps in its metadata; it is not the file of a state")]
    Steps,
    /// The average of nothing.
    #[error("no iterate has been averaged yet")]
    NoIterates,
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
