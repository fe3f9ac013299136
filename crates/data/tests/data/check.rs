//! Comparisons that most modules make.

use std::fmt::Debug;

use candle_core::{DType, Tensor};
use flatness_data::{Batch, Error, Result};

/// The error, one sentence that has each of the `parts` between bars.
#[track_caller]
pub(crate) fn refused<T: Debug>(made: Result<T>, parts: &str) -> Error {
    let error = made.expect_err(parts);
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    for part in parts.split('|') {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    error
}

/// The elements in row-major order.
pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all();
    flat.unwrap().to_vec1().unwrap()
}

pub(crate) fn labels(batch: &Batch) -> Vec<u32> {
    batch.labels.to_vec1().unwrap()
}
