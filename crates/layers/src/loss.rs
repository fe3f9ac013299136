//! Losses at the outputs z of a network, with gradient and Hessian product.
//!
//! ```text
//! cross-entropy          l = -Σ q log softmax(z)          ∂l = p - q       ∂²l = diag(p) - p pᵀ
//! squared error          l = ½ ‖z - q‖²                   ∂l = z - q       ∂²l = 1
//! binary cross-entropy   l = Σ log(1 + exp z) - q z       ∂l = s - q       ∂²l = diag(s (1 - s))
//! ```
//!
//! with p = softmax(z) and s = 1 / (1 + exp(-z)). q is what the label says: values of its own that sum to one for
//! cross-entropy, such as soft labels or the targets of a regression, or y, the one-hot vector of a class; with label smoothing
//! q = (1 - s) y + s / C (Szegedy et al. 2016, section 7). Class weights w multiply its terms, so that with a = w ⊙ q and m = Σ a
//!
//! ```text
//! weighted cross-entropy  l = -Σ a log softmax(z)          ∂l = m p - a     ∂²l = m (diag(p) - p pᵀ)
//! ```
//!
//! An output of several positions, (T, C) or more, has a class at each; the last axis is that of the classes. The loss of an
//! example is then the mean over its positions, where one whose class is [`IGNORED`] counts as zero. Squared error and binary
//! cross-entropy of values are sums over all outputs. All values are sums over the examples of a batch, never means.

use candle_core::{D, DType, Tensor};
use flatness_kernels::losses::{self, Labels};
use flatness_kernels::{Totals, cross_entropy};

use crate::Error;
use crate::expect::{expect_float, expect_number_type, expect_shape};

/// The class of a position that has none.
pub const IGNORED: u32 = u32::MAX;

/// Loss of one example as a function of its outputs and label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss<'w> {
    /// Softmax cross-entropy in nats.
    CrossEntropy,
    /// Cross-entropy to smoothed labels, in nats.
    LabelSmoothing {
        /// s, the weight of the uniform distribution; from 0, and below 1.
        smoothing: f64,
    },
    /// Cross-entropy in nats whose terms have the weights of their classes.
    ClassWeights {
        /// w, one for each class, from 0.
        weights: &'w [f64],
        /// s, as in label smoothing.
        smoothing: f64,
    },
    /// Half the squared distance to the label.
    SquaredError,
    /// Binary cross-entropy in nats, summed over the outputs, each the logit of an event of its own.
    BinaryCrossEntropy,
}

/// Σ l over the examples of a batch, which a device may still be at work on.
#[derive(Debug, Clone)]
pub struct LossSum {
    /// What is added up,
    terms: Vec<Totals>,
    /// and multiplied by each of these.
    factors: Vec<f64>,
}

impl LossSum {
    /// What has to be read for it.
    #[must_use]
    pub fn terms(&self) -> &[Totals] {
        &self.terms
    }

    /// Its value; the next of `numbers` are those of its terms.
    pub fn value(&self, numbers: &mut impl Iterator<Item = Vec<f64>>) -> f64 {
        let terms = numbers.take(self.terms.len()).flatten();
        let sum = terms.fold(0.0, |sum, term| sum + term);
        self.factors.iter().fold(sum, |sum, factor| sum * factor)
    }
}

/// A loss at the outputs of a batch.
#[derive(Debug, Clone)]
pub struct LossPoint {
    sum: LossSum,
    /// (B, output shape)
    gradient: Tensor,
    curvature: Curvature,
    /// What the loss of a position is multiplied by.
    weight: f64,
}

/// ∂²l of the outputs, without the weight.
#[derive(Debug, Clone)]
enum Curvature {
    /// m (diag(p) - p pᵀ) of the probabilities p (rows, C) and m (rows), if it is not one.
    Softmax(Tensor, Option<Tensor>),
    /// diag(d) of d (B, output shape).
    Diagonal(Tensor),
    Identity,
}

/// Σ l of rows of outputs (R, C), ∂l (R, C), and ∂²l.
type Rows = (Vec<Totals>, Tensor, Curvature);

impl<'w> Loss<'w> {
    /// The weights of the classes, where there are any.
    #[must_use]
    pub fn class_weights(self) -> Option<&'w [f64]> {
        match self {
            Self::ClassWeights { weights, .. } => Some(weights),
            _ => None,
        }
    }

    /// s of label smoothing, 0 without.
    fn smoothing(self) -> Result<f64, Error> {
        match self {
            Self::LabelSmoothing { smoothing } | Self::ClassWeights { smoothing, .. } => {
                match (0.0..1.0).contains(&smoothing) {
                    true => Ok(smoothing),
                    false => Err(Error::Smoothing { got: smoothing }),
                }
            }
            _ => Ok(0.0),
        }
    }

    /// Evaluates the loss at `outputs` (B, ..., C) for `labels`: u32 class indices (B, ...), or values in the shape and the
    /// number type of the outputs.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NumberType`] for outputs or labels that do not fit, a class that
    /// is not below C, [`Error::Smoothing`], [`Error::ClassWeights`], or a device error.
    pub fn evaluate(self, outputs: &Tensor, labels: &Tensor) -> Result<LossPoint, Error> {
        expect_float("outputs", outputs)?;
        let examples = outputs.dims().first().copied().unwrap_or(0);
        let classes = outputs.dims().last().copied().unwrap_or(0);
        if outputs.rank() < 2 {
            expect_shape("outputs", outputs, &[examples, classes])?;
        }
        let rows = outputs.elem_count() / classes.max(1);
        let of_rows = if labels.dtype().is_int() {
            expect_number_type("labels", labels, DType::U32)?;
            expect_shape("labels", labels, &outputs.dims()[..outputs.rank() - 1])?;
            Labels::Classes(labels.flatten_all()?)
        } else {
            expect_shape("labels", labels, outputs.dims())?;
            expect_number_type("labels", labels, outputs.dtype())?;
            Labels::Values(labels.contiguous()?.reshape((rows, classes))?)
        };
        let of_outputs = &outputs.contiguous()?.reshape((rows, classes))?;
        let (terms, gradient, curvature) = match &of_rows {
            // A label of one class for the whole example is never ignored.
            Labels::Classes(classes) if labels.rank() > 1 => {
                self.without_ignored(of_outputs, classes)?
            }
            labels => self.by_row(of_outputs, labels)?,
        };
        let point = LossPoint {
            sum: LossSum {
                terms,
                factors: Vec::new(),
            },
            gradient: gradient.reshape(outputs.shape())?,
            curvature: match curvature {
                Curvature::Diagonal(d) => Curvature::Diagonal(d.reshape(outputs.shape())?),
                other => other,
            },
            weight: 1.0,
        };
        match (self, of_rows) {
            (Self::SquaredError | Self::BinaryCrossEntropy, Labels::Values(_)) => Ok(point),
            _ => point.scaled(examples as f64 / rows.max(1) as f64),
        }
    }

    fn by_row(self, outputs: &Tensor, labels: &Labels) -> Result<Rows, Error> {
        let classes = outputs.dim(1)?;
        let values = || match labels {
            Labels::Classes(labels) => cross_entropy::one_hot(labels, classes, outputs),
            Labels::Values(values) => Ok(values.clone()),
        };
        match (self, labels) {
            (Self::CrossEntropy, Labels::Classes(labels)) => {
                let evaluation = cross_entropy::evaluate(outputs, labels)?;
                let curvature = Curvature::Softmax(evaluation.probabilities, None);
                Ok((vec![evaluation.loss_sum], evaluation.residual, curvature))
            }
            (Self::CrossEntropy | Self::LabelSmoothing { .. }, labels) => {
                let smoothing = self.smoothing()?;
                let nearest = match labels {
                    Labels::Classes(labels) => labels.clone(),
                    Labels::Values(values) => values.argmax(D::Minus1)?,
                };
                let evaluation = cross_entropy::evaluate(outputs, &nearest)?;
                // -Σ q log p = -log p_y + Σ (y - q) z, where q sums to one. With smoothing, y - q is that of the values
                // without, less s (1/C - q).
                let given = values()?;
                let smoothed = ((&given - 1.0 / classes as f64)? * smoothing)?;
                let deviation = match labels {
                    Labels::Classes(_) => smoothed,
                    Labels::Values(_) => {
                        let nearest = cross_entropy::one_hot(&nearest, classes, outputs)?;
                        ((nearest - given)? + smoothed)?
                    }
                };
                let rest = Totals::sum_of(&(&deviation * outputs)?, 1.0)?;
                let gradient = (evaluation.residual + deviation)?;
                let curvature = Curvature::Softmax(evaluation.probabilities, None);
                Ok((vec![evaluation.loss_sum, rest], gradient, curvature))
            }
            (Self::ClassWeights { weights, .. }, labels) => {
                let smoothing = self.smoothing()?;
                let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
                if weights.len() != classes || !weights.iter().all(is_weight) {
                    let got = weights.to_vec();
                    return Err(Error::ClassWeights { classes, got });
                }
                let weights = Tensor::new(weights, outputs.device())?.to_dtype(outputs.dtype())?;
                let q = values()?.affine(1.0 - smoothing, smoothing / classes as f64)?;
                let a = q.broadcast_mul(&weights)?;
                let m = a.sum(D::Minus1)?;
                let nearest = match labels {
                    Labels::Classes(labels) => labels.clone(),
                    Labels::Values(_) => a.argmax(D::Minus1)?,
                };
                // -Σ a log p = -m log p_y + Σ (m y - a) z.
                let evaluation = cross_entropy::evaluate_weighted(outputs, &nearest, &m)?;
                let nearest = cross_entropy::one_hot(&nearest, classes, outputs)?;
                let deviation = (nearest.broadcast_mul(&m.unsqueeze(1)?)? - a)?;
                let rest = Totals::sum_of(&(&deviation * outputs)?, 1.0)?;
                let gradient = (evaluation.residual + deviation)?;
                let curvature = Curvature::Softmax(evaluation.probabilities, Some(m));
                Ok((vec![evaluation.loss_sum, rest], gradient, curvature))
            }
            (Self::SquaredError | Self::BinaryCrossEntropy, labels) => {
                let evaluation = match self {
                    Self::SquaredError => losses::squared_error(outputs, labels),
                    _ => losses::binary_cross_entropy(outputs, labels),
                }?;
                let curvature = match evaluation.curvature {
                    Some(diagonal) => Curvature::Diagonal(diagonal),
                    None => Curvature::Identity,
                };
                Ok((vec![evaluation.loss_sum], evaluation.gradient, curvature))
            }
        }
    }

    /// As [`Loss::by_row`], with zeros for the rows whose class is [`IGNORED`].
    fn without_ignored(self, outputs: &Tensor, classes: &Tensor) -> Result<Rows, Error> {
        let all = classes.to_vec1::<u32>()?;
        let kept = (0..all.len()).filter(|&row| all[row] != IGNORED);
        let kept: Vec<u32> = kept.map(|row| row as u32).collect();
        if kept.len() == all.len() {
            return self.by_row(outputs, &Labels::Classes(classes.clone()));
        }
        let zeros = outputs.zeros_like()?;
        if kept.is_empty() {
            return Ok((Vec::new(), zeros.clone(), Curvature::Diagonal(zeros)));
        }
        let count = kept.len();
        let kept = Tensor::from_vec(kept, count, outputs.device())?;
        let labels = Labels::Classes(classes.index_select(&kept, 0)?);
        let (terms, gradient, curvature) =
            self.by_row(&outputs.index_select(&kept, 0)?, &labels)?;
        let placed = |rows: &Tensor| zeros.index_add(&kept, rows, 0);
        let curvature = match curvature {
            // A row of zeros has no curvature.
            Curvature::Softmax(p, m) => {
                let zeros = outputs.narrow(1, 0, 1)?.zeros_like()?.squeeze(1)?;
                let m = m.map(|m| zeros.index_add(&kept, &m, 0)).transpose()?;
                Curvature::Softmax(placed(&p)?, m)
            }
            Curvature::Diagonal(diagonal) => Curvature::Diagonal(placed(&diagonal)?),
            Curvature::Identity => Curvature::Diagonal(placed(&gradient.ones_like()?)?),
        };
        Ok((terms, placed(&gradient)?, curvature))
    }
}

/// m (diag(p) - p pᵀ) ż for every vector of `block` ż (rows, V, C).
fn softmax_product(p: &Tensor, m: Option<&Tensor>, block: &Tensor) -> Result<Tensor, Error> {
    let product = cross_entropy::hessian_product(p, block)?;
    Ok(match m {
        None => product,
        Some(m) => product.broadcast_mul(&m.reshape((m.elem_count(), 1, 1))?)?,
    })
}

/// `weight` times `tensor`; with weight 1 the tensor itself.
fn weighted(tensor: Tensor, weight: f64) -> Result<Tensor, Error> {
    if weight == 1.0 {
        return Ok(tensor);
    }
    Ok((tensor * weight)?)
}

impl LossPoint {
    /// The same with every loss multiplied by `factor`.
    ///
    /// # Errors
    /// A device error.
    pub fn scaled(mut self, factor: f64) -> Result<Self, Error> {
        self.sum.factors.push(factor);
        Ok(Self {
            gradient: weighted(self.gradient, factor)?,
            weight: self.weight * factor,
            ..self
        })
    }

    /// Σ l over the examples.
    ///
    /// # Errors
    /// On a CUDA device a label that is not below the classes; a device error.
    pub fn sum(&self) -> Result<f64, Error> {
        let terms: Vec<&Totals> = self.sum.terms.iter().collect();
        Ok(self.sum.value(&mut Totals::read(&terms)?.into_iter()))
    }

    /// The same without waiting for a device.
    #[must_use]
    pub fn loss_sum(&self) -> &LossSum {
        &self.sum
    }

    /// ∂l/∂z of each example, (B, output shape).
    #[must_use]
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// ∂²l/∂z² ż for every vector of `block` ż (B, V, output shape).
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NumberType`] for a block that does not fit, or a device error.
    pub fn hessian_product(&self, block: &Tensor) -> Result<Tensor, Error> {
        self.expect_block("tangents of the outputs", block)?;
        let product = match &self.curvature {
            Curvature::Softmax(probabilities, m) if block.rank() == 3 => {
                softmax_product(probabilities, m.as_ref(), block)?
            }
            Curvature::Softmax(probabilities, m) => {
                // (B, V, positions, C), and the axis of vectors behind that of rows.
                let (rows, classes) = probabilities.dims2()?;
                let (batch, vectors) = (block.dim(0)?, block.dim(1)?);
                let by_row = block.reshape((batch, vectors, rows / batch.max(1), classes))?;
                let by_row = by_row.transpose(1, 2)?.contiguous()?;
                let by_row = by_row.reshape((rows, vectors, classes))?;
                let product = softmax_product(probabilities, m.as_ref(), &by_row)?;
                let product = product.reshape((batch, rows / batch.max(1), vectors, classes))?;
                product
                    .transpose(1, 2)?
                    .contiguous()?
                    .reshape(block.shape())?
            }
            Curvature::Diagonal(diagonal) => block.broadcast_mul(&diagonal.unsqueeze(1)?)?,
            Curvature::Identity => block.clone(),
        };
        weighted(product, self.weight)
    }

    /// ∂l/∂z (∂l/∂z · ż) for every vector of `block` ż (B, V, output shape): the product with the outer square
    /// of each example's own gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NumberType`] for a block that does not fit, or a device error.
    pub fn outer_product(&self, block: &Tensor) -> Result<Tensor, Error> {
        self.expect_block("tangents of the outputs", block)?;
        let gradient = self.gradient.flatten_from(1)?.unsqueeze(1)?;
        let flat = block.flatten_from(2)?;
        let slopes = flat.broadcast_mul(&gradient)?.sum_keepdim(2)?;
        Ok(slopes.broadcast_mul(&gradient)?.reshape(block.shape())?)
    }

    /// Checks that `block` is (B, V, output shape), in the number type of the outputs.
    pub(crate) fn expect_block(&self, place: &str, block: &Tensor) -> Result<(), Error> {
        let (shape, vectors) = (self.gradient.dims(), block.dims().get(1).copied());
        let expected = [&shape[..1], &[vectors.unwrap_or(0)], &shape[1..]].concat();
        expect_shape(place, block, &expected)?;
        expect_number_type(place, block, self.gradient.dtype())
    }

    /// Tensors it keeps.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let curvature = match &self.curvature {
            Curvature::Softmax(p, m) => [Some(p), m.as_ref()],
            Curvature::Diagonal(kept) => [Some(kept), None],
            Curvature::Identity => [None, None],
        };
        std::iter::once(&self.gradient).chain(curvature.into_iter().flatten())
    }
}
