//! Softmax cross-entropy on CPU slices, one pass per row.

use candle_core::{Result, Tensor, bail};

use super::{Evaluation, check_labels};
use crate::Totals;
use crate::real::{Real, elements, tensor};

pub(super) fn evaluate<T: Real>(
    logits: &Tensor,
    labels: &Tensor,
    factors: Option<&Tensor>,
) -> Result<Evaluation> {
    let (examples, classes) = logits.dims2()?;
    let labels = labels.to_vec1::<u32>()?;
    check_labels(&labels, classes)?;
    let values = elements::<T>(logits)?;
    let mut probabilities = values.slice()?.to_vec();
    let mut residual = Vec::with_capacity(probabilities.len());
    let mut loss_sum = 0.0;
    let factors = factors.map(elements::<T>).transpose()?;
    let factors = factors
        .as_ref()
        .map(|factors| factors.slice())
        .transpose()?;
    let rows = probabilities.chunks_exact_mut(classes.max(1)).zip(&labels);
    for (example, (row, &label)) in rows.enumerate() {
        let label = label as usize;
        let (best, largest) = argmax(row);
        let logit = row[label] - largest;
        row.iter_mut().for_each(|z| *z = (*z - largest).exp());
        let others = row[..best]
            .iter()
            .chain(&row[best + 1..])
            .copied()
            .sum::<T>();
        let normalizer = T::ONE + others;
        row.iter_mut().for_each(|p| *p /= normalizer);
        let loss = (others.ln_1p() - logit).to_f64();
        let start = residual.len();
        residual.extend_from_slice(row);
        residual[start + label] = if best == label {
            -(others / normalizer)
        } else {
            row[label] - T::ONE
        };
        if let Some(factors) = factors {
            let factor = factors[example];
            loss_sum += factor.to_f64() * loss;
            residual[start..]
                .iter_mut()
                .for_each(|term| *term *= factor);
        } else {
            loss_sum += loss;
        }
    }
    Ok(Evaluation {
        loss_sum: Totals::known([loss_sum]),
        probabilities: tensor(probabilities, (examples, classes), logits)?,
        residual: tensor(residual, (examples, classes), logits)?,
    })
}

pub(super) fn count_correct<T: Real>(logits: &Tensor, labels: &Tensor) -> Result<Totals> {
    let classes = logits.dim(1)?;
    let labels = labels.to_vec1::<u32>()?;
    check_labels(&labels, classes)?;
    let values = elements::<T>(logits)?;
    let (mut first, mut among_five) = (0, 0);
    for (row, &label) in values.slice()?.chunks_exact(classes.max(1)).zip(&labels) {
        let label = label as usize;
        let not_larger = row.iter().filter(|&&logit| logit <= row[label]).count();
        first += usize::from(argmax(row).0 == label);
        among_five += usize::from(classes - not_larger < 5);
    }
    Ok(Totals::known([first as f64, among_five as f64]))
}

/// Index and value of the first largest element; a row with a NaN has no winner but index 0.
fn argmax<T: Real>(row: &[T]) -> (usize, T) {
    let mut best = (0, row[0]);
    for (index, &value) in row.iter().enumerate().skip(1) {
        if value > best.1 {
            best = (index, value);
        }
    }
    best
}

pub(super) fn hessian_product<T: Real>(probabilities: &Tensor, block: &Tensor) -> Result<Tensor> {
    let (examples, vectors, classes) = block.dims3()?;
    if probabilities.dims2()? != (examples, classes) {
        bail!(
            "expected probabilities ({examples}, {classes}), got {:?}",
            probabilities.shape()
        );
    }
    let (p, dz) = (elements::<T>(probabilities)?, elements::<T>(block)?);
    let mut product = Vec::with_capacity(examples * vectors * classes);
    for (p, block) in p
        .slice()?
        .chunks_exact(classes.max(1))
        .zip(dz.slice()?.chunks_exact((vectors * classes).max(1)))
    {
        let best = argmax(p).0;
        for dz in block.chunks_exact(classes) {
            let reference = dz[best];
            let mean: T = p.iter().zip(dz).map(|(&p, &dz)| p * (dz - reference)).sum();
            product.extend(
                p.iter()
                    .zip(dz)
                    .map(|(&p, &dz)| p * (dz - reference - mean)),
            );
        }
    }
    tensor(product, (examples, vectors, classes), block)
}
