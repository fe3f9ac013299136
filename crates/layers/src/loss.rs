//! Losses at the logits, with gradient and Hessian product.
//!
//! ```text
//! cross-entropy     l = -log softmax(z)_y      ∂l = p - y    ∂²l = diag(p) - p pᵀ
//! label smoothing   l = -Σ q log softmax(z)    ∂l = p - q    ∂²l = diag(p) - p pᵀ
//! squared error     l = ½ ‖z - y‖²             ∂l = z - y    ∂²l = 1
//! ```
//!
//! y is the one-hot label, q = (1 - s) y + s / C (Szegedy et al. 2016, section 7). All values are sums over the examples of a batch, never means.

use candle_core::{DType, Tensor};
use flatness_kernels::cross_entropy;

use crate::Error;

/// Loss of one example as a function of its logits and label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Softmax cross-entropy in nats.
    CrossEntropy,
    /// Cross-entropy to smoothed labels, in nats.
    LabelSmoothing {
        /// s, the weight of the uniform distribution; from 0, and below 1.
        smoothing: f64,
    },
    /// Half the squared distance to the one-hot label.
    SquaredError,
}

/// A loss at the logits of a batch.
#[derive(Debug, Clone)]
pub struct LossPoint {
    sum: f64,
    correct: usize,
    gradient: Tensor,
    /// Class probabilities, (B, C); absent for squared error, whose Hessian is the identity.
    probabilities: Option<Tensor>,
}

impl Loss {
    /// Evaluates the loss at `logits` (B, C) for the u32 class indices `labels` (B).
    ///
    /// # Errors
    /// A label that is not below C, [`Error::Smoothing`], shapes that do not fit, or a device error.
    pub fn evaluate(self, logits: &Tensor, labels: &Tensor) -> Result<LossPoint, Error> {
        let evaluation = cross_entropy::evaluate(logits, labels)?;
        match self {
            Self::CrossEntropy => Ok(LossPoint {
                sum: evaluation.loss_sum,
                correct: evaluation.correct,
                gradient: evaluation.residual,
                probabilities: Some(evaluation.probabilities),
            }),
            Self::LabelSmoothing { smoothing } => {
                if !(0.0..1.0).contains(&smoothing) {
                    return Err(Error::Smoothing { got: smoothing });
                }
                // -Σ q log p = -log p_y + s (z_y - mean z), which is Σ (y - 1/C) z.
                let classes = logits.dim(1)?;
                let targets = cross_entropy::one_hot(labels, classes, logits)?;
                let deviation = ((targets - 1.0 / classes as f64)? * smoothing)?;
                let products = (&deviation * logits)?.to_dtype(DType::F64)?.sum_all()?;
                Ok(LossPoint {
                    sum: evaluation.loss_sum + products.to_scalar::<f64>()?,
                    correct: evaluation.correct,
                    gradient: (evaluation.residual + deviation)?,
                    probabilities: Some(evaluation.probabilities),
                })
            }
            Self::SquaredError => {
                let targets = cross_entropy::one_hot(labels, logits.dim(1)?, logits)?;
                let gradient = (logits - targets)?;
                let squares = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?;
                Ok(LossPoint {
                    sum: 0.5 * squares.to_scalar::<f64>()?,
                    correct: evaluation.correct,
                    gradient,
                    probabilities: None,
                })
            }
        }
    }
}

impl LossPoint {
    /// Σ l over the examples.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Examples whose largest logit is that of the label (the first wins a tie).
    #[must_use]
    pub fn correct(&self) -> usize {
        self.correct
    }

    /// ∂l/∂z of each example, (B, C).
    #[must_use]
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// ∂²l/∂z² ż for every vector of `block` ż (B, V, C).
    ///
    /// # Errors
    /// Shapes that do not fit, or a device error.
    pub fn hessian_product(&self, block: &Tensor) -> Result<Tensor, Error> {
        match &self.probabilities {
            Some(probabilities) => Ok(cross_entropy::hessian_product(probabilities, block)?),
            None => Ok(block.clone()),
        }
    }

    /// Tensors it keeps.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.gradient).chain(&self.probabilities)
    }
}
