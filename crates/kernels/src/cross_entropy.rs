//! Softmax cross-entropy at the logits.
//!
//! ```text
//! p = softmax(z),   l = -log p_y,   ∂l/∂z = p - y,   ∂²l/∂z² = diag(p) - p pᵀ
//! ```
//!
//! z and p are (B, C), tangents (B, V, C). Networks that fit their data have p close to one-hot,
//! where 1 - p and l would drown in rounding. So everything is relative to the largest logit m:
//! with e_c = exp(z_c - z_m) and s the sum of all e_c but e_m = 1, l = log1p(s) - (z_y - z_m), 1 -
//! p_m = s / (1 + s), and p ⊙ (ż - p·ż) is formed from the differences ż - ż_m. Small losses and
//! small curvatures then keep their relative accuracy, in single precision too.
//!
//! Functions fail for a label that is not below C, shapes that do not fit, tensors that are not
//! contiguous, or a device error. On a CUDA device the label shows when totals are read.

mod cpu;
mod launched;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::Totals;
use crate::launch::launcher;
use crate::real::by_path;

/// Loss of a batch and what its derivatives need.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Σ l over the examples, alone.
    pub loss_sum: Totals,
    /// p, (B, C).
    pub probabilities: Tensor,
    /// p - y, (B, C).
    pub residual: Tensor,
}

/// Evaluates the loss at `logits` (B, C) for `labels` (B), u32 class indices.
pub fn evaluate(logits: &Tensor, labels: &Tensor) -> Result<Evaluation> {
    expect_labels(logits, labels)?;
    by_path!(logits, evaluate(logits, labels, None))
}

/// The same with the loss and the residual of each example multiplied by its own of `factors` (B), in the number type of the
/// logits.
pub fn evaluate_weighted(logits: &Tensor, labels: &Tensor, factors: &Tensor) -> Result<Evaluation> {
    expect_labels(logits, labels)?;
    if factors.dims() != labels.dims() {
        bail!(
            "expected factors {:?}, got {:?}",
            labels.dims(),
            factors.dims()
        );
    }
    by_path!(logits, evaluate(logits, labels, Some(factors)))
}

/// Examples whose label has one of the largest logits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Correct {
    /// Those whose largest logit is that of the label (the first one wins a tie).
    pub first: usize,
    /// Those with fewer than five logits larger than that of the label. A tie counts for the label, so
    /// this is never below `first`, and with at most five classes it is all. A NaN counts as larger
    /// than any logit.
    pub among_five: usize,
}

impl Correct {
    /// What [`count_correct`] has counted.
    #[must_use]
    pub fn of(totals: &[f64]) -> Self {
        let count = |index| totals.get(index).map_or(0, |&total: &f64| total as usize);
        Self {
            first: count(0),
            among_five: count(1),
        }
    }
}

/// Counts the examples of `logits` (B, C) that are classified as `labels` (B) say, u32 class indices: the two numbers of
/// [`Correct`], in their order.
pub fn count_correct(logits: &Tensor, labels: &Tensor) -> Result<Totals> {
    expect_labels(logits, labels)?;
    by_path!(logits, count_correct(logits, labels))
}

/// (diag(p) - p pᵀ) ż for every vector of `block` ż (B, V, C).
pub fn hessian_product(probabilities: &Tensor, block: &Tensor) -> Result<Tensor> {
    by_path!(block, hessian_product(probabilities, block))
}

/// One-hot rows (B, C) of `labels` (B) in the number type and on the device of `like`; on a CUDA device, which is not waited
/// for, a row of zeros for a label that is not below C.
pub fn one_hot(labels: &Tensor, classes: usize, like: &Tensor) -> Result<Tensor> {
    if launcher(labels).is_none() {
        check_labels(&labels.to_vec1::<u32>()?, classes)?;
    }
    columns_of(labels, classes)?
        .to_dtype(like.dtype())?
        .to_device(like.device())
}

/// 1 in the column of each label and 0 elsewhere, (B, C) of u8; a row of zeros for a label that is not below C.
fn columns_of(labels: &Tensor, classes: usize) -> Result<Tensor> {
    let columns = Tensor::arange(0u32, classes as u32, labels.device())?;
    labels.unsqueeze(1)?.broadcast_eq(&columns.unsqueeze(0)?)
}

fn expect_labels(logits: &Tensor, labels: &Tensor) -> Result<()> {
    let examples = logits.dims2()?.0;
    if labels.dims1()? != examples {
        bail!("expected {examples} labels, got {}", labels.dims1()?);
    }
    Ok(())
}

pub(crate) fn check_labels(labels: &[u32], classes: usize) -> Result<()> {
    match labels.iter().find(|&&label| label as usize >= classes) {
        Some(label) => bail!("expected labels below {classes}, got {label}"),
        None => Ok(()),
    }
}
