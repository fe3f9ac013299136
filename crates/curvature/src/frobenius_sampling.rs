//! How far the Frobenius norm measured on n of N examples may be from that of all.
//!
//! ```text
//! q_b = ⟨A, A_b⟩ = E (A z)·(A_b z),   q = Σ_b w_b q_b = ‖A‖²            over the folds b, w_b = n_b / n
//! se² = (1 − n/N) Σ_b w_b (q_b − q)² / (B − 1) / q
//! s = (1 − n/N) Σ_b w_b E ‖A_b z − A z‖² / (B − 1),   bias = √q − √(q − s)
//! ```
//!
//! A (P, P) of the sample is the Σ_b w_b A_b of B disjoint folds. se is that of the norm to first order, whose
//! change is ⟨A, ΔA⟩ / ‖A‖ (Cochran 1977, section 6.4 on functions of means; folds as in `sampling.rs`). A mean
//! over few examples is larger than the mean over all: E ‖A‖² = ‖A_N‖² + E ‖A − A_N‖², of which s is an estimate
//! free of bias. It falls as 1/n, and se as 1/√n. E is over random z with E[z zᵀ] = I, the probes; too few of
//! them make se larger, not smaller.
//!
//! For the gradient covariance A_b = (1/n_b) Σ (gᵢ − g)(gᵢ − g)ᵀ with the g of the sample.

use std::ops::Range;

use candle_core::{DType, Tensor};
use flatness_kernels::dot;

use crate::operator::mean_gradient;
use crate::sampling::{folds, part};
use crate::{Error, Matrix, MeanLoss, Retention};

/// The matrix whose norm is sampled, and how.
#[derive(Debug, Clone, Copy)]
pub struct FrobeniusSampling<'r> {
    /// Which matrix.
    pub matrix: Matrix,
    /// Its rows and columns among the P, in order and disjoint.
    pub ranges: &'r [Range<usize>],
    /// What is added to its diagonal, such as the coefficient of an L2 term.
    pub shift: f64,
    /// Probes multiplied at a time, at least 1: (folds + 2) × block × P elements of memory.
    pub block: usize,
    /// Folds B of the sample.
    pub folds: usize,
    /// Examples N that the sample was drawn from.
    pub population: usize,
}

/// ‖A‖_F of a sample, as an estimate for the data that it was drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledNorm {
    /// ‖A‖_F over the sample, from the probes.
    pub value: f64,
    /// Standard error of the sampling alone; zero for a sample of all examples.
    pub standard_error: f64,
    /// By how much a sample of this size is too large in the mean, to be subtracted.
    pub bias: f64,
}

impl SampledNorm {
    /// √(se² + bias²), how far the norm of the whole data may be.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.standard_error.hypot(self.bias)
    }
}

/// ‖A‖_F by the rows z of `probes` (k, P), which are zero outside the ranges, with A a block of a matrix of
/// `mean_loss` at `theta` (P). Costs k products over the data.
///
/// # Errors
/// As [`crate::sampling_error`], and a range beyond the P.
pub fn frobenius_sampling_error(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    settings: &FrobeniusSampling<'_>,
    probes: &Tensor,
) -> Result<SampledNorm, Error> {
    let parts = folds(mean_loss, settings.folds, settings.population)?;
    let examples = mean_loss.data().len();
    let weights: Vec<f64> = parts
        .iter()
        .map(|part| part.len() as f64 / examples as f64)
        .collect();
    let count = probes.dim(0)?;
    // Sums over the probes of (A z)·(A_b z) for each fold, and of Σ_b w_b ‖A_b z − A z‖².
    let (mut forms, mut scatter) = (vec![0.0; parts.len()], 0.0);
    for first in (0..count).step_by(settings.block.max(1)) {
        let rows = settings.block.max(1).min(count - first);
        let vectors = probes.narrow(0, first, rows)?.contiguous()?;
        let products = products(mean_loss, theta, settings, &parts, &weights, &vectors)?;
        let mut whole = products[0].affine(weights[0], 0.0)?;
        for (product, weight) in products.iter().zip(&weights).skip(1) {
            whole = (whole + product.affine(*weight, 0.0)?)?;
        }
        for row in 0..rows {
            let whole = whole.get(row)?;
            for ((form, product), weight) in forms.iter_mut().zip(&products).zip(&weights) {
                let product = product.get(row)?;
                *form += dot(&whole, &product)?;
                let away = (product - &whole)?;
                scatter += weight * dot(&away, &away)?;
            }
        }
    }
    let forms: Vec<f64> = forms.iter().map(|form| form / count as f64).collect();
    let square: f64 = weights.iter().zip(&forms).map(|(w, form)| w * form).sum();
    let squares = weights.iter().zip(&forms);
    let spread: f64 = squares.map(|(w, form)| w * (form - square).powi(2)).sum();
    let correction =
        (1.0 - examples as f64 / settings.population as f64) / (settings.folds - 1) as f64;
    let value = square.max(0.0).sqrt();
    let (standard_error, bias) = if value > 0.0 {
        let excess = correction * scatter / count as f64;
        let error = (correction * spread).sqrt() / value;
        (error, value - (square - excess).max(0.0).sqrt())
    } else {
        (0.0, 0.0)
    };
    Ok(SampledNorm {
        value,
        standard_error,
        bias,
    })
}

/// (A_b + shift) z in the rows of the ranges for each fold: (k, d) each.
fn products(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    settings: &FrobeniusSampling<'_>,
    parts: &[Range<usize>],
    weights: &[f64],
    vectors: &Tensor,
) -> Result<Vec<Tensor>, Error> {
    let ranges = settings.ranges;
    let (mut products, mut gradients) = (Vec::new(), Vec::new());
    let shifts = extract(vectors, ranges)?.affine(settings.shift, 0.0)?;
    for range in parts {
        let subset = part(mean_loss, range)?;
        let own = mean_loss.part(&subset)?;
        let curvature = own.curvature(theta, Retention::Recompute)?;
        let behind = |error: Error| error.behind(range.start);
        let matrix = match settings.matrix {
            Matrix::GradientCovariance => {
                gradients.push(mean_gradient(&curvature).map_err(behind)?);
                Matrix::EmpiricalFisher
            }
            other => other,
        };
        let product = curvature.operator(matrix)?.product(vectors);
        let product = extract(&product.map_err(behind)?, ranges)?;
        products.push((product + &shifts)?);
    }
    if gradients.is_empty() {
        return Ok(products);
    }
    let mut mean = gradients[0].affine(weights[0], 0.0)?;
    for (gradient, weight) in gradients.iter().zip(weights).skip(1) {
        mean = (mean + gradient.affine(*weight, 0.0)?)?;
    }
    // F_b z − g_b (g·z) − g (g_b·z) + g (g·z), multiplied out.
    let centred = products.iter().zip(&gradients).map(|(product, gradient)| {
        let slope = slopes(vectors, &mean)?;
        let own = slopes(vectors, gradient)?;
        let [gradient, mean] = [gradient, &mean].map(|g| extract(&g.unsqueeze(0)?, ranges));
        let (gradient, mean) = (gradient?, mean?);
        let along = slope.matmul(&gradient)?;
        let across = (slope - own)?.matmul(&mean)?;
        Ok(((product - along)? + across)?)
    });
    centred.collect()
}

/// g·z for each row z of `vectors` (k, P): (k, 1).
fn slopes(vectors: &Tensor, gradient: &Tensor) -> Result<Tensor, Error> {
    let double = vectors.to_dtype(DType::F64)?;
    let slopes = double.matmul(&gradient.to_dtype(DType::F64)?.unsqueeze(1)?)?;
    Ok(slopes.to_dtype(vectors.dtype())?)
}

/// The columns of the ranges.
fn extract(vectors: &Tensor, ranges: &[Range<usize>]) -> Result<Tensor, Error> {
    let pieces = ranges
        .iter()
        .map(|range| vectors.narrow(1, range.start, range.len()));
    let pieces = pieces.collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&pieces, 1)?)
}
