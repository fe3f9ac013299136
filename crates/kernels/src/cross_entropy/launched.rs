//! Softmax cross-entropy as kernels, with a thread for each row: the equations of the CPU path.

use candle_core::{DType, Result, Tensor, bail};

use super::Evaluation;
use crate::launch::{Extents, Launcher, Operand, Source, map};
use crate::totals::{Totals, totals};

/// The first largest of `row`, and `best`, where it stands.
const BEST: &str = "unsigned best = 0;
        for (unsigned k = 1; k < CLASSES; k++) if (row[k] > row[best]) best = k;";

pub(super) fn evaluate(
    launcher: &dyn Launcher,
    logits: &Tensor,
    labels: &Tensor,
    factors: Option<&Tensor>,
) -> Result<Evaluation> {
    let (examples, classes) = logits.dims2()?;
    let probabilities = launcher.room(logits.dims(), logits.dtype(), logits)?;
    let residual = launcher.room(logits.dims(), logits.dtype(), logits)?;
    let losses = launcher.room(&[examples], DType::F64, logits)?;
    let count = logits.elem_count();
    let factor = factors.map(|factors| Operand::read("factor", "b", factors));
    let weight = if factor.is_some() { "factor" } else { "T(1)" };
    let mut operands = vec![
        Operand::pointer("z", count, logits),
        Operand::read("label", "b", labels),
    ];
    operands.extend(factor);
    operands.extend([
        Operand::pointer("p", count, &probabilities).into_written(),
        Operand::pointer("residual", count, &residual).into_written(),
        Operand::written("loss", "b", &losses),
    ]);
    let body = format!(
        "const T *row = z + b * CLASSES;
        {BEST}
        T others = 0;
        for (unsigned k = 0; k < CLASSES; k++) if (k != best) others += exp(row[k] - row[best]);
        T rest = 0;
        for (unsigned k = 0; k < CLASSES; k++) {{
            const T share = exp(row[k] - row[best]) / (T(1) + others);
            p[b * CLASSES + k] = share;
            residual[b * CLASSES + k] = {weight} * share;
            if (k != label) rest += share;
        }}
        loss = 0;
        if (label < CLASSES) {{
            residual[b * CLASSES + label] = -{weight} * rest;
            loss = double({weight}) * double(log1p(others) - (row[label] - row[best]));
        }}"
    );
    let source = Source {
        sizes: &[("CLASSES", classes)],
        ..Source::new("cross_entropy", &body)
    };
    map(launcher, source, Extents::flat(examples, 1, 1), &operands)?;
    let loss_sum = totals(launcher, [&losses], Some((labels, classes)))?;
    Ok(Evaluation {
        loss_sum,
        probabilities,
        residual,
    })
}

pub(super) fn count_correct(
    launcher: &dyn Launcher,
    logits: &Tensor,
    labels: &Tensor,
) -> Result<Totals> {
    let (examples, classes) = logits.dims2()?;
    let [first, among_five] = [(); 2].map(|()| launcher.room(&[examples], DType::F64, logits));
    let (first, among_five) = (first?, among_five?);
    let operands = [
        Operand::pointer("z", logits.elem_count(), logits),
        Operand::read("label", "b", labels),
        Operand::written("first", "b", &first),
        Operand::written("among_five", "b", &among_five),
    ];
    let body = format!(
        "const T *row = z + b * CLASSES;
        {BEST}
        unsigned larger = 0;
        if (label < CLASSES)
            for (unsigned k = 0; k < CLASSES; k++) if (!(row[k] <= row[label])) larger++;
        first = best == label;
        among_five = larger < 5;"
    );
    let source = Source {
        sizes: &[("CLASSES", classes)],
        ..Source::new("count_correct", &body)
    };
    map(launcher, source, Extents::flat(examples, 1, 1), &operands)?;
    totals(launcher, [&first, &among_five], Some((labels, classes)))
}

pub(super) fn hessian_product(
    launcher: &dyn Launcher,
    probabilities: &Tensor,
    block: &Tensor,
) -> Result<Tensor> {
    let (examples, vectors, classes) = block.dims3()?;
    if probabilities.dims2()? != (examples, classes) {
        bail!(
            "expected probabilities ({examples}, {classes}), got {:?}",
            probabilities.shape()
        );
    }
    let out = launcher.room(block.dims(), block.dtype(), block)?;
    let operands = [
        Operand::pointer("p", probabilities.elem_count(), probabilities),
        Operand::pointer("block", block.elem_count(), block),
        Operand::pointer("out", block.elem_count(), &out).into_written(),
    ];
    let body = format!(
        "const T *row = p + b * CLASSES, *dz = block + (b * V + v) * CLASSES;
        {BEST}
        T mean = 0;
        for (unsigned k = 0; k < CLASSES; k++) mean += row[k] * (dz[k] - dz[best]);
        for (unsigned k = 0; k < CLASSES; k++) out[(b * V + v) * CLASSES + k] = row[k] * (dz[k] - dz[best] - mean);"
    );
    let source = Source {
        sizes: &[("CLASSES", classes)],
        ..Source::new("cross_entropy_hessian", &body)
    };
    map(
        launcher,
        source,
        Extents::flat(examples, vectors, 1),
        &operands,
    )?;
    Ok(out)
}
