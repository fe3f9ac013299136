//! How far the numbers of a random sample may be from those of all its examples.

use anyhow::Result;
use candle_core::Tensor;
use flatness_curvature::{Curvature, Matrix, sampling_error};
use flatness_spectrum::Probe;

use super::spectral::Spectral;
use super::{Line, Subject};

/// Parts of the sample that are compared.
const FOLDS: usize = 10;

/// Probes of the trace; the error of their mean is at most the mean of their errors.
const PROBES: usize = 8;

/// Adds the sampling error to the eigenvalues, at their eigenvectors, and to the trace. `population` is
/// the number of examples that the sample stands for.
pub(super) fn add(
    subject: &Subject<'_>,
    spectral: &mut Spectral,
    curvature: &Curvature<'_>,
    matrix: Matrix,
    population: usize,
) -> Result<()> {
    let Subject {
        mean_loss, theta, ..
    } = *subject;
    let folds = FOLDS.min(mean_loss.data().len());
    let errors = |vectors: &Tensor| -> Result<Vec<f64>> {
        let forms = sampling_error(mean_loss, theta, matrix, vectors, folds, population)?;
        Ok(forms.iter().map(|form| form.standard_error).collect())
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
    if spectral.lines.iter().any(|line| line.name == "trace") {
        let seed = subject.streams.seed("trace");
        let operator = curvature.operator(matrix)?;
        let errors = errors(&Probe::Rademacher.rows(&operator, 0..PROBES, seed)?)?;
        let error = errors.iter().sum::<f64>() / errors.len() as f64;
        line(&mut spectral.lines, "trace", error);
    }
    Ok(())
}
