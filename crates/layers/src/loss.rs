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
use crate::expect::{expect_float, expect_number_type, expect_shape};

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
    gradient: Tensor,
    /// Class probabilities, (B, C); absent for squared error, whose Hessian is the identity.
    probabilities: Option<Tensor>,
}

impl Loss {
    /// Evaluates the loss at `logits` (B, C) for the u32 class indices `labels` (B).
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NumberType`] for logits or labels that do not fit, a label that
    /// is not below C, [`Error::Smoothing`], or a device error.
    pub fn evaluate(self, logits: &Tensor, labels: &Tensor) -> Result<LossPoint, Error> {
        let examples = logits.dims().first().copied().unwrap_or(0);
        let classes = logits.elem_count() / examples.max(1);
        expect_shape("logits", logits, &[examples, classes])?;
        expect_float("logits", logits)?;
        expect_shape("labels", labels, &[examples])?;
        expect_number_type("labels", labels, DType::U32)?;
        let point = |sum, gradient, probabilities| LossPoint {
            sum,
            gradient,
            probabilities,
        };
        match self {
            Self::CrossEntropy => {
                let evaluation = cross_entropy::evaluate(logits, labels)?;
                let probabilities = Some(evaluation.probabilities);
                Ok(point(
                    evaluation.loss_sum,
                    evaluation.residual,
                    probabilities,
                ))
            }
            Self::LabelSmoothing { smoothing } => {
                if !(0.0..1.0).contains(&smoothing) {
                    return Err(Error::Smoothing { got: smoothing });
                }
                let evaluation = cross_entropy::evaluate(logits, labels)?;
                // -Σ q log p = -log p_y + s (z_y - mean z), which is Σ (y - 1/C) z.
                let targets = cross_entropy::one_hot(labels, classes, logits)?;
                let deviation = ((targets - 1.0 / classes as f64)? * smoothing)?;
                let products = (&deviation * logits)?.to_dtype(DType::F64)?.sum_all()?;
                let sum = evaluation.loss_sum + products.to_scalar::<f64>()?;
                let gradient = (evaluation.residual + deviation)?;
                Ok(point(sum, gradient, Some(evaluation.probabilities)))
            }
            Self::SquaredError => {
                let targets = cross_entropy::one_hot(labels, classes, logits)?;
                let gradient = (logits - targets)?;
                let squares = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?;
                Ok(point(0.5 * squares.to_scalar::<f64>()?, gradient, None))
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

    /// ∂l/∂z of each example, (B, C).
    #[must_use]
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// ∂²l/∂z² ż for every vector of `block` ż (B, V, C).
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NumberType`] for a block that does not fit, or a device error.
    pub fn hessian_product(&self, block: &Tensor) -> Result<Tensor, Error> {
        self.expect_block("tangents of the logits", block)?;
        match &self.probabilities {
            Some(probabilities) => Ok(cross_entropy::hessian_product(probabilities, block)?),
            None => Ok(block.clone()),
        }
    }

    /// ∂l/∂z (∂l/∂z · ż) for every vector of `block` ż (B, V, C): the product with the outer square
    /// of each example's own gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NumberType`] for a block that does not fit, or a device error.
    pub fn outer_product(&self, block: &Tensor) -> Result<Tensor, Error> {
        self.expect_block("tangents of the logits", block)?;
        let gradient = self.gradient.unsqueeze(1)?;
        let slopes = block.broadcast_mul(&gradient)?.sum_keepdim(2)?;
        Ok(slopes.broadcast_mul(&gradient)?)
    }

    /// Checks that `block` is (B, V, C), in the number type of the logits.
    pub(crate) fn expect_block(&self, place: &str, block: &Tensor) -> Result<(), Error> {
        let (examples, classes) = self.gradient.dims2()?;
        let vectors = block.dims().get(1).copied().unwrap_or(0);
        expect_shape(place, block, &[examples, vectors, classes])?;
        expect_number_type(place, block, self.gradient.dtype())
    }

    /// Tensors it keeps.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.gradient).chain(&self.probabilities)
    }
}
