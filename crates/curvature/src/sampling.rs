//! How far curvature measured on n of N examples may be from that of all.
//!
//! ```text
//! q = vᵀ A v = Σ_b w_b q_b          over the folds b of the sample, w_b = n_b / n
//! se² = (1 − n/N) Σ_b w_b (q_b − q)² / (B − 1)
//! ```
//!
//! A (P, P) is a mean over the examples, so that the q_b of B disjoint folds are independent estimates of
//! vᵀ A v at the whole data, and their spread is that of the sample: se² is free of bias for folds of any
//! sizes (Cochran 1977, sections 2.5 and 10.1, with the correction 1 − n/N for a sample without
//! replacement). q ± t se with t of B − 1 degrees of freedom is an interval for vᵀ A v over all N.
//!
//! The folds are contiguous, so the examples must be in random order, as those of
//! [`Subset::random`](flatness_data::Subset::random) are, and v must not depend on the sample: an
//! eigenvector of the sample is chosen to be steep *there*, and its q is above that of the whole by more
//! than se says. Where batch-norm couples the examples of a batch, a fold is of whole batches.
//!
//! The gradient covariance is no mean, but q_b = (1/n_b) Σ (gᵢ·v − g·v)² with the g of the sample is one
//! up to the square of the error of g·v, and adds up to the q of the sample.

use std::ops::Range;

use candle_core::Tensor;
use flatness_data::Subset;
use flatness_kernels::dot;

use crate::operator::mean_gradient;
use crate::{Error, Matrix, MeanLoss, Retention};

/// vᵀ A v of a sample, as an estimate for the data that it was drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuadraticForm {
    /// vᵀ A v over the sample.
    pub value: f64,
    /// Standard error of the sampling alone; v counts as exact. Zero for a sample of all examples.
    pub standard_error: f64,
}

/// Values of one fold.
struct Fold {
    /// w_b, its part of the sample.
    weight: f64,
    /// vᵀ A v for each vector; of the empirical Fisher matrix in place of the gradient covariance.
    forms: Vec<f64>,
    /// g·v for each vector, for the gradient covariance alone.
    slopes: Vec<f64>,
}

/// vᵀ A v for each row v of `vectors` (k, P), with A the `matrix` of `mean_loss` at `theta` (P), whose
/// data are a sample of n of `population` examples cut into `folds`. Costs one product of k vectors.
///
/// # Errors
/// [`Error::Folds`] unless `folds` is at least 2 and at most the examples (the batches, where those are
/// coupled), [`Error::Population`] for one smaller than the sample, [`Error::NonFinite`], or vectors or a
/// `theta` that do not fit.
pub fn sampling_error(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    matrix: Matrix,
    vectors: &Tensor,
    folds: usize,
    population: usize,
) -> Result<Vec<QuadraticForm>, Error> {
    let examples = mean_loss.data().len();
    let parts = self::folds(mean_loss, folds, population)?
        .into_iter()
        .map(|range| fold(mean_loss, theta, matrix, vectors, range));
    let parts = parts.collect::<Result<Vec<_>, Error>>()?;
    let correction = 1.0 - examples as f64 / population as f64;
    let forms = (0..vectors.dim(0)?).map(|row| {
        let mean_slope: f64 = match matrix {
            Matrix::GradientCovariance => parts
                .iter()
                .map(|part| part.weight * part.slopes[row])
                .sum(),
            _ => 0.0,
        };
        let form = |part: &Fold| match matrix {
            // (1/n_b) Σ (gᵢ·v − g·v)², multiplied out.
            Matrix::GradientCovariance => {
                part.forms[row] - 2.0 * part.slopes[row] * mean_slope + mean_slope * mean_slope
            }
            _ => part.forms[row],
        };
        let value: f64 = parts.iter().map(|part| part.weight * form(part)).sum();
        let squares = parts
            .iter()
            .map(|part| part.weight * (form(part) - value).powi(2));
        let variance = correction * squares.sum::<f64>() / (folds - 1) as f64;
        QuadraticForm {
            value,
            standard_error: variance.sqrt(),
        }
    });
    Ok(forms.collect())
}

/// The examples of each of so many folds of the sample.
pub(crate) fn folds(
    mean_loss: &MeanLoss<'_>,
    folds: usize,
    population: usize,
) -> Result<Vec<Range<usize>>, Error> {
    let examples = mean_loss.data().len();
    if population < examples {
        return Err(Error::Population {
            examples,
            got: population,
        });
    }
    let unit = if mean_loss.network().couples_examples() {
        mean_loss.settings().batch_size
    } else {
        1
    };
    let units = examples.div_ceil(unit);
    if !(2..=units).contains(&folds) {
        return Err(Error::Folds { units, got: folds });
    }
    let edge = |fold: usize| (fold * units / folds * unit).min(examples);
    Ok((0..folds).map(|fold| edge(fold)..edge(fold + 1)).collect())
}

/// The examples of `range`.
pub(crate) fn part<'a>(
    mean_loss: &MeanLoss<'a>,
    range: &Range<usize>,
) -> Result<Subset<'a>, Error> {
    // Examples are counted in 32 bits throughout, as in `Selection::At`.
    let indices = range.clone().map(|index| index as u32).collect();
    Ok(Subset::new(mean_loss.data(), indices)?)
}

/// The forms over the examples of `range`.
fn fold(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    matrix: Matrix,
    vectors: &Tensor,
    range: Range<usize>,
) -> Result<Fold, Error> {
    let subset = part(mean_loss, &range)?;
    let own = mean_loss.part(&subset)?;
    let curvature = own.curvature(theta, Retention::Recompute)?;
    let rows = 0..vectors.dim(0)?;
    let (matrix, slopes) = match matrix {
        Matrix::GradientCovariance => {
            let gradient = mean_gradient(&curvature).map_err(|error| error.behind(range.start))?;
            let slopes = rows.clone().map(|row| dot(&vectors.get(row)?, &gradient));
            (
                Matrix::EmpiricalFisher,
                slopes.collect::<candle_core::Result<_>>()?,
            )
        }
        other => (other, Vec::new()),
    };
    let products = curvature.operator(matrix)?.product(vectors);
    let products = products.map_err(|error| error.behind(range.start))?;
    let forms = rows.map(|row| dot(&vectors.get(row)?, &products.get(row)?));
    Ok(Fold {
        weight: range.len() as f64 / mean_loss.data().len() as f64,
        forms: forms.collect::<candle_core::Result<_>>()?,
        slopes,
    })
}
