//! What can go wrong between an operator and its caller.

use std::ops::Range;

use candle_core::{DType, DeviceLocation};

/// Every failure of this crate, and the carrier of an implementer's own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor has another shape than the operator takes.
    #[error(
        "{what} has shape {got:?} where {expected} is expected; reshape it to match the operator's dimension"
    )]
    ShapeMismatch {
        /// The tensor at fault.
        what: &'static str,
        /// The shape in words, because a block's number of rows is free.
        expected: String,
        /// The shape found.
        got: Vec<usize>,
    },
    /// A tensor has another element type than the operator works in.
    #[error(
        "{what} has dtype {got:?} where {expected:?} is expected; convert it with `to_dtype` first"
    )]
    DTypeMismatch {
        /// The tensor at fault.
        what: &'static str,
        /// The operator's element type.
        expected: DType,
        /// The element type found.
        got: DType,
    },
    /// A tensor lives on another device than the operator.
    #[error("{what} is on {got:?} where {expected:?} is expected; move it with `to_device` first")]
    DeviceMismatch {
        /// The tensor at fault.
        what: &'static str,
        /// Where the operator lives.
        expected: DeviceLocation,
        /// Where the other lives.
        got: DeviceLocation,
    },
    /// Index ranges of a submatrix that are not in order, not disjoint, empty or beyond the matrix.
    #[error(
        "the ranges of a submatrix must be in order, disjoint, not empty and within 0..{dim}, got {}",
        .got.as_ref().map_or_else(|| "none".to_owned(), |range| format!("{range:?} where it does not fit"))
    )]
    Ranges {
        /// Dimension of the whole matrix.
        dim: usize,
        /// The first range at fault, or none where there are no ranges.
        got: Option<Range<usize>>,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// The failure of an operator implemented elsewhere, passed through with its own message.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an implementer's own error, so that it travels through [`crate::LinearOperator`]
    /// unchanged.
    pub fn from_source(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Source(source.into())
    }
}
