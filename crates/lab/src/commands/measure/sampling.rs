//! How far the numbers of a random sample may be from those of all its examples.

use anyhow::Result;
use candle_core::Tensor;
use flatness_curvature::{
    CurvatureOperator, FrobeniusSampling, frobenius_sampling_error, sampling_error,
};
use flatness_operator::Principal;
use flatness_spectrum::Probe;

use super::Subject;
use super::block::Block;
use super::report::Line;
use super::spectral::Spectral;
use crate::arguments::What;

/// Parts of the sample that are compared.
pub(super) const FOLDS: usize = 10;

/// Probes of the trace, whose error is at most the mean of theirs, and of the Frobenius norm.
pub(super) const PROBES: usize = 8;

/// Adds the sampling error to the eigenvalues, at their eigenvectors, to the trace and to the Frobenius norm,
/// which is too large over few examples: its error holds that too. `population` is
/// the number of examples that the sample stands for.
pub(super) fn add(
    subject: &Subject<'_>,
    spectral: &mut Spectral,
    whole: &CurvatureOperator<'_>,
    block: &Block,
    population: usize,
) -> Result<()> {
    let Subject {
        mean_loss,
        theta,
        matrix,
        ..
    } = *subject;
    let folds = FOLDS.min(mean_loss.data().len());
    let errors = |vectors: &Tensor| -> Result<Vec<f64>> {
        let (count, rows) = (vectors.dim(0)?, block.plan.rows);
        let mut errors = Vec::with_capacity(count);
        for first in (0..count).step_by(rows) {
            let some = vectors.narrow(0, first, rows.min(count - first))?;
            let some = some.contiguous()?;
            let forms = sampling_error(mean_loss, theta, matrix, &some, folds, population)?;
            errors.extend(forms.iter().map(|form| form.standard_error));
        }
        Ok(errors)
    };
    let line = |lines: &mut [Line], name: &str, error: f64| {
        if let Some(line) = lines.iter_mut().find(|line| line.name == name) {
            line.sampling_error = Some(error);
        }
    };
    if !spectral.eigenvectors.is_empty() {
        let vectors: Vec<&Tensor> = spectral
            .eigenvectors
            .iter()
            .map(|one| &one.vector)
            .collect();
        let errors = errors(&Tensor::stack(&vectors, 0)?)?;
        for (eigenvector, error) in spectral.eigenvectors.iter().zip(errors) {
            line(&mut spectral.lines, &eigenvector.name, error);
        }
    }
    let asked = |what: What| subject.asks(|asked| *asked == what);
    if !(asked(What::Trace) || asked(What::Frobenius)) {
        return Ok(());
    }
    let seed = subject.streams.seed("trace");
    let principal = Principal::new(whole, &block.ranges)?;
    let probes = principal.embed(&Probe::Rademacher.rows(&principal, 0..PROBES, seed)?)?;
    if asked(What::Trace) {
        let errors = errors(&probes)?;
        let error = errors.iter().sum::<f64>() / errors.len() as f64;
        line(&mut spectral.lines, "trace", error);
    }
    if asked(What::Frobenius) {
        let settings = FrobeniusSampling {
            matrix,
            ranges: &block.ranges,
            shift: subject.options.l2,
            block: block.plan.sampled,
            folds,
            population,
        };
        let norm = frobenius_sampling_error(mean_loss, theta, &settings, &probes)?;
        line(&mut spectral.lines, "frobenius", norm.error());
    }
    Ok(())
}
