//! The losses as kernels: a pass over the rows, and the sum of theirs.

use candle_core::{DType, Result, Tensor};

use super::{Evaluation, Labels, Loss};
use crate::launch::{Extents, Launcher, Operand, Source, sums_and_map};
use crate::totals::totals;

pub(super) fn evaluate(
    launcher: &dyn Launcher,
    loss: Loss,
    outputs: &Tensor,
    labels: &Labels,
) -> Result<Evaluation> {
    let (rows, classes) = outputs.dims2()?;
    let gradient = launcher.room(outputs.dims(), outputs.dtype(), outputs)?;
    let losses = launcher.room(&[rows], DType::F64, outputs)?;
    let (q, held_to) = match labels {
        Labels::Classes(labels) => (
            "const T q = a == label ? T(1) : T(0);",
            Operand::read("label", "c", labels),
        ),
        Labels::Values(values) => ("", Operand::read("q", "ca", values)),
    };
    let mut operands = vec![
        Operand::read("z", "ca", outputs),
        held_to,
        Operand::written("gradient", "ca", &gradient),
        Operand::written("loss", "c", &losses),
    ];
    let (name, rule, term, curvature) = match loss {
        Loss::SquaredError => (
            "squared_error",
            "gradient = z - q;",
            "0.5 * (double(z) - q) * (double(z) - q)",
            None,
        ),
        // q softplus(-z) + (1 - q) softplus(z), so that nothing cancels where the loss is small.
        Loss::BinaryCrossEntropy => (
            "binary_cross_entropy",
            "const T e = exp(-fabs(z)), less = e / (T(1) + e), more = T(1) / (T(1) + e);
        const T s = z > 0 ? more : less, rest = z > 0 ? less : more;
        gradient = (T(1) - q) * s - q * rest;
        curvature = s * rest;",
            "q * ((z < 0 ? -z : T(0)) + log1p(e)) + (T(1) - q) * ((z > 0 ? z : T(0)) + log1p(e))",
            Some(launcher.room(outputs.dims(), outputs.dtype(), outputs)?),
        ),
    };
    if let Some(curvature) = &curvature {
        operands.push(Operand::written("curvature", "ca", curvature));
    }
    let extents = Extents {
        batch: 1,
        vectors: 1,
        channels: rows,
        area: classes,
    };
    let each = format!("{q} {rule}");
    let source = Source::new(name, "loss = sum0;");
    sums_and_map(launcher, source, extents, &operands, (&[term], &each))?;
    let of_classes = match labels {
        Labels::Classes(labels) => Some((labels, classes)),
        Labels::Values(_) => None,
    };
    Ok(Evaluation {
        loss_sum: totals(launcher, [&losses], of_classes)?,
        gradient,
        curvature,
    })
}
