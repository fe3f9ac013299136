//! Squared error and binary cross-entropy at outputs z, row by row.
//!
//! ```text
//! squared error          l = ½ ‖z - q‖²                   ∂l = z - q       ∂²l = 1
//! binary cross-entropy   l = Σ log(1 + exp z) - q z       ∂l = s - q       ∂²l = diag(s (1 - s)),   s = 1 / (1 + exp(-z))
//! ```
//!
//! Outputs are (R, C). Functions fail for a label that is not below C, shapes that do not fit, tensors that are not
//! contiguous, or a device error. On a CUDA device the label shows when totals are read.

mod launched;
mod plain;

use candle_core::{Result, Tensor};

use crate::Totals;
use crate::launch::launcher;
use crate::real::expect_shape;

/// What rows of outputs are held to: q.
#[derive(Debug, Clone)]
pub enum Labels {
    /// The one-hot rows of classes (R), u32.
    Classes(Tensor),
    /// Values (R, C), in the number type of the outputs.
    Values(Tensor),
}

/// Loss of a batch and what its derivatives need.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Σ l over the rows, alone.
    pub loss_sum: Totals,
    /// ∂l, (R, C).
    pub gradient: Tensor,
    /// The diagonal of ∂²l, (R, C); none: one.
    pub curvature: Option<Tensor>,
}

/// The two losses.
#[derive(Debug, Clone, Copy)]
enum Loss {
    SquaredError,
    BinaryCrossEntropy,
}

/// Half the squared distance of `outputs` (R, C) to the `labels`.
pub fn squared_error(outputs: &Tensor, labels: &Labels) -> Result<Evaluation> {
    evaluate(Loss::SquaredError, outputs, labels)
}

/// Binary cross-entropy of `outputs` (R, C), the logits of events, with the probabilities or classes of `labels`.
pub fn binary_cross_entropy(outputs: &Tensor, labels: &Labels) -> Result<Evaluation> {
    evaluate(Loss::BinaryCrossEntropy, outputs, labels)
}

fn evaluate(loss: Loss, outputs: &Tensor, labels: &Labels) -> Result<Evaluation> {
    let (rows, classes) = outputs.dims2()?;
    match labels {
        Labels::Classes(labels) => expect_shape("labels", labels, &[rows])?,
        Labels::Values(values) => expect_shape("values", values, &[rows, classes])?,
    }
    match launcher(outputs) {
        Some(launcher) => launched::evaluate(&*launcher, loss, outputs, labels),
        None => plain::evaluate(loss, outputs, labels),
    }
}
