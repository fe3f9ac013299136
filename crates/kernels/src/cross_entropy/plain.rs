//! Softmax cross-entropy as candle operations, for every device. Labels are checked with the numbers that are read
//! anyway: every look at a tensor of a device waits for all that was asked of it before.

use candle_core::{D, DType, Result, Tensor};

use super::{Evaluation, check_labels, columns_of};
use crate::Totals;

pub(super) fn evaluate(
    logits: &Tensor,
    labels: &Tensor,
    factors: Option<&Tensor>,
) -> Result<Evaluation> {
    let factors = factors.map(|factors| factors.unsqueeze(1)).transpose()?;
    let weighted = |rows: Tensor| match &factors {
        Some(factors) => rows.broadcast_mul(&factors.to_dtype(rows.dtype())?),
        None => Ok(rows),
    };
    let classes = logits.dim(1)?;
    let one_hot = |labels: &Tensor| columns_of(labels, classes)?.to_dtype(logits.dtype());
    let targets = one_hot(labels)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let best = logits.argmax(D::Minus1)?;
    let exponentials = shifted.exp()?;
    let others = (&exponentials - one_hot(&best)?)?.sum_keepdim(D::Minus1)?;
    let normalizer = (&others + 1.0)?;
    let probabilities = exponentials.broadcast_div(&normalizer)?;
    // log1p(s) = log(u) + (s - (u - 1)) / u with u = 1 + s rounded: candle has no log1p, and log(u)
    // alone loses s where it is small.
    let others = others.to_dtype(DType::F64)?;
    let rounded = (&others + 1.0)?;
    let lost = ((&others - (&rounded - 1.0)?)? / &rounded)?;
    let log_normalizer = weighted((rounded.log()? + lost)?)?.sum_all()?;
    let label_logits = (shifted * &targets)?.to_dtype(DType::F64)?;
    let label_logits = weighted(label_logits)?.sum_all()?;
    let [log_normalizer, label_logits] = read([log_normalizer, label_logits], labels, classes)?;
    // p_c - y_c off the label, minus the sum of the others' p_c on it.
    let off_label = (&probabilities * targets.affine(-1.0, 1.0)?)?;
    let on_label = targets.broadcast_mul(&off_label.sum_keepdim(D::Minus1)?)?;
    Ok(Evaluation {
        loss_sum: Totals::known([log_normalizer - label_logits]),
        residual: weighted((off_label - on_label)?)?,
        probabilities,
    })
}

pub(super) fn count_correct(logits: &Tensor, labels: &Tensor) -> Result<Totals> {
    let classes = logits.dim(1)?;
    let count = |hits: Tensor| hits.to_dtype(DType::F64)?.sum_all();
    // Sums with zeros compare as their other term does; a product with one-hot rows would make infinities NaN.
    let own = columns_of(labels, classes)?
        .where_cond(logits, &logits.zeros_like()?)?
        .sum_keepdim(D::Minus1)?;
    let not_larger = logits.broadcast_le(&own)?.to_dtype(DType::F32)?;
    let larger = not_larger.sum(D::Minus1)?.affine(-1.0, classes as f64)?;
    let counts = [
        count(logits.argmax(D::Minus1)?.eq(labels)?)?,
        count(larger.lt(5f32)?)?,
    ];
    Ok(Totals::known(read(counts, labels, classes)?))
}

/// The values of two f64 scalars in one reading, which also shows whether every label is below `classes`.
fn read([first, second]: [Tensor; 2], labels: &Tensor, classes: usize) -> Result<[f64; 2]> {
    let largest = labels.to_dtype(DType::F64)?.max(0)?;
    let values = Tensor::stack(&[first, second, largest], 0)?.to_vec1::<f64>()?;
    if values[2] >= classes as f64 {
        check_labels(&labels.to_vec1::<u32>()?, classes)?;
    }
    Ok([values[0], values[1]])
}

pub(super) fn hessian_product(probabilities: &Tensor, block: &Tensor) -> Result<Tensor> {
    let p = probabilities.unsqueeze(1)?;
    let best = probabilities.argmax_keepdim(D::Minus1)?.unsqueeze(1)?;
    let (examples, vectors, _) = block.dims3()?;
    let best = best.expand((examples, vectors, 1))?.contiguous()?;
    let relative = block.broadcast_sub(&block.gather(&best, D::Minus1)?)?;
    let mean = relative.broadcast_mul(&p)?.sum_keepdim(D::Minus1)?;
    relative.broadcast_sub(&mean)?.broadcast_mul(&p)
}
