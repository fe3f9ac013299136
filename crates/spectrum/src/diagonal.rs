//! XDiag: the diagonal from a sketch of the range and the same probes left out of it one at a time.
//!
//! ```text
//! dᵢ = diag(Qᵢ Qᵢᵀ A) + ωᵢ ∘ (I − Qᵢ Qᵢᵀ) A ωᵢ,   diag A ≈ (1/k) Σ dᵢ
//! ```
//!
//! with Rademacher probes ω (Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45, 2024, §2.3).
//! In terms of `sketch.rs`, with qᵢ = Q sᵢ and wᵢ = A qᵢ − (sᵢᵀ rᵢ) ωᵢ:
//!
//! ```text
//! dᵢ = diag(Q Qᵀ A) − qᵢ ∘ wᵢ
//! Var diag A ≈ (1/k) s² + max(0, 2 / (k (k − 1)) Σ_{i < j} δᵢⱼ ∘ δⱼᵢ)
//! δᵢⱼ = (qⱼ − c qᵢ) ∘ (A qⱼ − c wᵢ) / (1 − c²),   c = sᵢᵀ sⱼ
//! ```
//!
//! s² is the sample variance of the dᵢ and δᵢⱼ what dᵢ owes to probe j: dᵢ less the same without
//! probe j. As for XTrace the second term is their covariance, see `xtrace.rs`.

use candle_core::Tensor;
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;

use crate::estimate::quantile;
use crate::settings::check_probes;
use crate::sketch::{Sketch, check_sketch};
use crate::small::to_tensor;
use crate::xtrace::PARALLEL;
use crate::{Error, Probe};

/// What [`xdiag`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XDiagSettings {
    /// Probes k, from 2 to the operator's dimension: 2 products each, about 13 k dim elements of
    /// memory, and some 7 k² dim elementwise operations for the errors.
    pub probes: usize,
    /// Vectors per block product, at least 1.
    pub block: usize,
    /// Seed of the probes.
    pub seed: u64,
}

/// The outcome of [`xdiag`].
#[derive(Debug, Clone)]
pub struct Diagonal {
    /// aᵢᵢ, (dim), in the operator's element type.
    pub values: Tensor,
    /// Standard error over probes at each entry, (dim), with the covariance of the dᵢ that sharing a
    /// sketch gives them; [`half_widths`](Self::half_widths) makes intervals of it.
    pub standard_errors: Tensor,
    /// Number of probes.
    pub probes: usize,
    /// Matrix-vector products used.
    pub products: usize,
    /// Seed of the probes.
    pub seed: u64,
}

impl Diagonal {
    /// Half the width of the confidence interval value ± t s.e. of each entry by itself, (dim), with
    /// Student's t of probes − 1 degrees of freedom.
    ///
    /// # Errors
    ///
    /// As [`crate::Estimate::half_width`]; a failed tensor operation.
    pub fn half_widths(&self, confidence: f64) -> Result<Tensor, Error> {
        let quantile = quantile(self.probes, confidence)?;
        Ok(self.standard_errors.affine(quantile, 0.0)?)
    }
}

/// Estimates the diagonal of A. As many probes as dimensions give it exactly, up to rounding.
///
/// # Errors
///
/// As [`crate::xtrace`].
pub fn xdiag<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &XDiagSettings,
) -> Result<Diagonal, Error> {
    let XDiagSettings {
        probes,
        block,
        seed,
    } = *settings;
    check_probes(probes, block)?;
    check_sketch("probes", probes, operator.dim())?;
    let mut sketch = Sketch::new(operator, Probe::Rademacher, seed, probes)?;
    let images = sketch.basis.room(probes)?;
    while sketch.count() < probes {
        let count = sketch.count();
        images.set(count, &sketch.extend(operator, block.min(probes - count))?)?;
    }
    let whole = sketch
        .basis
        .rows(probes)?
        .mul(&images.rows(probes)?)?
        .sum(0)?;
    if probes == operator.dim() {
        return Ok(Diagonal {
            standard_errors: whole.zeros_like()?,
            values: whole,
            probes,
            products: 2 * probes,
            seed,
        });
    }
    let directions = sketch.left_out();
    let combinations = directions.transpose();
    let left_out = sketch.basis.combine(&combinations)?;
    // Of unit size, so that fourth powers stay within float32.
    let size = match sketch.factor.amax() {
        size if size > f64::from(f32::MIN_POSITIVE) => size,
        _ => 1.0,
    };
    let its_image = images.combine(&combinations)?.affine(size.recip(), 0.0)?;
    let shares = DMatrix::from_fn(probes, 1, |probe, _| {
        directions.column(probe).dot(&sketch.factor.column(probe)) / size
    });
    let shares = to_tensor(&shares, operator.device())?.to_dtype(operator.dtype())?;
    let outside = sketch.probes.rows(probes)?.broadcast_mul(&shares)?;
    // wᵢ, like A qᵢ over the size.
    let remainder = its_image.sub(&outside)?;
    // (probes, dim): by what the whole exceeds each dᵢ.
    let excess = left_out.mul(&remainder)?;
    let mean = excess.mean_keepdim(0)?;
    let squares = excess.broadcast_sub(&mean)?.sqr()?.sum(0)?;
    let pairs = (probes * (probes - 1)) as f64;
    let cosines = directions.transpose() * &directions;
    let debts = mutual_debts(&left_out, &its_image, &remainder, &cosines)?;
    let covariance = debts.affine(2.0 / pairs, 0.0)?.relu()?;
    let variance = (squares.affine(pairs.recip(), 0.0)? + covariance)?;
    Ok(Diagonal {
        values: (whole - mean.squeeze(0)?.affine(size, 0.0)?)?,
        standard_errors: variance.sqrt()?.affine(size, 0.0)?,
        probes,
        products: 2 * probes,
        seed,
    })
}

/// Σ_{i < j} δᵢⱼ ∘ δⱼᵢ, (dim), from the qᵢ, A qᵢ and wᵢ as rows, (probes, dim), and the cosines of the
/// sᵢ.
fn mutual_debts(
    left_out: &Tensor,
    its_image: &Tensor,
    remainder: &Tensor,
    cosines: &DMatrix<f64>,
) -> Result<Tensor, Error> {
    let probes = cosines.ncols();
    let mut sum = left_out.zeros_like()?.sum(0)?;
    for probe in 0..probes - 1 {
        let (first, rest) = (probe + 1, probes - probe - 1);
        let column = |entry: &dyn Fn(f64) -> f64| -> Result<Tensor, Error> {
            let cosines = cosines.view((first, probe), (rest, 1));
            let entries = to_tensor(&cosines.map(entry), left_out.device())?;
            Ok(entries.to_dtype(left_out.dtype())?)
        };
        let cosine = column(&|cosine| cosine)?;
        // Where one direction stands for the loss of either probe, neither owes the other anything.
        let weight = column(&|cosine| {
            let sine_squared = 1.0 - cosine * cosine;
            if sine_squared <= PARALLEL {
                0.0
            } else {
                sine_squared.powi(-2)
            }
        })?;
        let less = |one: &Tensor, other: &Tensor| one.broadcast_sub(&other.broadcast_mul(&cosine)?);
        let own = |rows: &Tensor| rows.narrow(0, probe, 1);
        let others = |rows: &Tensor| rows.narrow(0, first, rest);
        let owed = less(&others(left_out)?, &own(left_out)?)?
            .mul(&less(&others(its_image)?, &own(remainder)?)?)?;
        let due = less(&own(left_out)?, &others(left_out)?)?
            .mul(&less(&own(its_image)?, &others(remainder)?)?)?;
        let products = owed.mul(&due)?.broadcast_mul(&weight)?;
        sum = (sum + products.sum(0)?)?;
    }
    Ok(sum)
}
