//! How far the numbers of a random sample may be from those of all its examples.
//!
//! ```text
//! se² = (1 − n/N) Σ_b w_b (f_b − f)² / (B − 1)     f_b a number over fold b of the n examples, B = 10 folds
//! ```
//!
//! For eigenvalues at their eigenvectors, for the trace at random probes, whose error is at most the mean of theirs, and for the
//! Frobenius norm, which is too large over few examples: its error holds that too. Cost: a product for each eigenvector, and 8 for each
//! of the other two. Memory: (folds + 2) vectors for each probe at a time.

use candle_core::Tensor;
use flatness_curvature::{FrobeniusSampling, frobenius_sampling_error, sampling_error};
use flatness_spectrum::Probe;

use crate::Error;
use crate::context::Context;
use crate::operators::curvature_matrix;
use crate::room::{Refusal, Room};

/// Parts of the sample that are compared.
const FOLDS: usize = 10;

/// Probes of the trace, and of the Frobenius norm.
const PROBES: usize = 8;

/// Probes multiplied at a time for the Frobenius norm, at most a block: each has a product of each fold, and their mean.
pub(crate) fn memory(room: &Room<'_>) -> Result<usize, Refusal> {
    let each = room.whole * (FOLDS as u64 + 2) + room.product;
    room.rows(
        "the sampling error of the norm",
        room.whole * PROBES as u64,
        each,
    )
}

/// Adds the sampling error to the eigenvalues, to the trace and to the Frobenius norm. `population` is the number of examples
/// that the sample stands for.
pub(crate) fn add(context: &mut Context<'_>, population: usize) -> Result<(), Error> {
    let Context {
        mean_loss,
        theta,
        meter,
        ..
    } = *context;
    let matrix = curvature_matrix(context.place.matrix);
    let (folds, rows) = (FOLDS.min(mean_loss.data().len()), context.fit.rows);
    let errors = |vectors: &Tensor| -> Result<Vec<f64>, Error> {
        let count = vectors.dim(0)?;
        let mut errors = Vec::with_capacity(count);
        for first in (0..count).step_by(rows) {
            meter.ask()?;
            let some = vectors
                .narrow(0, first, rows.min(count - first))?
                .contiguous()?;
            let forms = sampling_error(mean_loss, theta, matrix, &some, folds, population)?;
            errors.extend(forms.iter().map(|form| form.standard_error));
        }
        meter.products(count as u64);
        Ok(errors)
    };
    let has = |name: &str| context.results.numbers.contains_key(name);
    let (trace, frobenius) = (has("trace"), has("frobenius"));
    let mut found: Vec<(String, f64)> = Vec::new();
    let vectors: Vec<&Tensor> = context.eigenvectors.iter().map(|one| &one.vector).collect();
    meter.stage(&context.label("sampling errors"), "products", vectors.len());
    if !vectors.is_empty() {
        let names = context.eigenvectors.iter().map(|one| one.name.clone());
        found.extend(names.zip(errors(&Tensor::stack(&vectors, 0)?)?));
    }
    if trace || frobenius {
        let seed = context.streams.seed("trace");
        let probes = Probe::Rademacher.rows(context.operator, 0..PROBES, seed)?;
        let probes = context.embed(&probes)?;
        if trace {
            let errors = errors(&probes)?;
            found.push((
                "trace".to_owned(),
                errors.iter().sum::<f64>() / errors.len() as f64,
            ));
        }
        if frobenius {
            meter.ask()?;
            let settings = FrobeniusSampling {
                matrix,
                ranges: &context.place.ranges,
                shift: context.request.l2,
                block: memory(&context.room)?,
                folds,
                population,
            };
            let norm = frobenius_sampling_error(mean_loss, theta, &settings, &probes)?;
            meter.products(PROBES as u64);
            found.push(("frobenius".to_owned(), norm.error()));
        }
    }
    for (name, error) in found {
        if let Some(number) = context.results.numbers.get_mut(&name) {
            number.sampling_error = Some(error);
        }
    }
    Ok(())
}
