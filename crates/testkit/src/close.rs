//! Comparisons whose tolerance is relative to the largest expected element.

use candle_core::{DType, Tensor};
use nalgebra::DMatrix;

/// The elements of a tensor of any shape and number type, row-major, as f64.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all());
    flat.and_then(|flat| flat.to_vec1())
        .expect("a readable tensor")
}

/// Asserts max |got − expected| ≤ `tolerance` · max |expected|.
#[track_caller]
pub fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths differ");
    let scale = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        // Written so that NaN fails.
        assert!(
            (got - expected).abs() <= tolerance * scale,
            "{what}: element {index} is {got:e}, expected {expected:e} within {tolerance:e} of {scale:e}"
        );
    }
}

/// [`assert_close`] of the entries of two matrices.
#[track_caller]
pub fn assert_matrices(what: &str, got: &DMatrix<f64>, expected: &DMatrix<f64>, tolerance: f64) {
    assert_eq!(got.shape(), expected.shape(), "{what}");
    assert_close(what, got.as_slice(), expected.as_slice(), tolerance);
}

/// Asserts max |got| ≤ `bound`, for what should vanish.
#[track_caller]
pub fn assert_small(what: &str, got: &[f64], bound: f64) {
    for (index, got) in got.iter().enumerate() {
        assert!(
            got.abs() <= bound,
            "{what}: element {index} is {got:e}, expected at most {bound:e}"
        );
    }
}
