//! Elementwise functions as kernels, whose text is that of the formulas.

use candle_core::{Result, Tensor};

use crate::launch::{Extents, Launcher, Operand, Source, map};
use crate::number::Text;

/// What is kept is what a block is multiplied by.
pub(crate) const KEPT: &str = "kept";

/// Numbers that follow from each x: a tensor for each of `results`, whose names are among `y`, `s`, `first` and `second`.
pub(crate) fn evaluate(
    launcher: &dyn Launcher,
    x: &Tensor,
    results: &[(&'static str, &Text)],
) -> Result<Vec<Tensor>> {
    let rooms = results.iter();
    let rooms = rooms.map(|_| launcher.room(x.dims(), x.dtype(), x));
    let rooms = rooms.collect::<Result<Vec<_>>>()?;
    let mut operands = vec![Operand::read("x", "bvca", x)];
    let written = results.iter().zip(&rooms);
    operands.extend(written.map(|((name, _), room)| Operand::written(name, "bvca", room)));
    let texts: Vec<(&str, &Text)> = results.iter().map(|(name, text)| (*name, *text)).collect();
    let body = Text::giving(&texts);
    let source = Source::new("evaluate", &body);
    map(
        launcher,
        source,
        Extents::elements(x.elem_count()),
        &operands,
    )?;
    Ok(rooms)
}

fn extents(kept: &Tensor, block: &Tensor) -> Result<Extents> {
    let (batch, vectors) = (kept.dim(0)?, block.dim(1)?);
    Ok(Extents::flat(
        batch,
        vectors,
        kept.elem_count() / batch.max(1),
    ))
}

/// `slope`, a text with `kept`, times every vector of `block`.
pub(crate) fn slope_product(
    launcher: &dyn Launcher,
    slope: &str,
    kept: &Tensor,
    block: &Tensor,
) -> Result<Tensor> {
    let out = launcher.room(block.dims(), block.dtype(), block)?;
    let body = format!("out = {slope} * x;");
    let operands = [
        Operand::read("x", "bvca", block),
        Operand::read("kept", "bca", kept),
        Operand::written("out", "bvca", &out),
    ];
    map(
        launcher,
        Source::new("slope_product", &body),
        extents(kept, block)?,
        &operands,
    )?;
    Ok(out)
}

/// sum += `curvature`, a text with `kept`, times ȳ times every vector of `block`.
pub(crate) fn add_curvature_product(
    launcher: &dyn Launcher,
    curvature: &str,
    [kept, cotangent]: [&Tensor; 2],
    block: &Tensor,
    sum: &Tensor,
) -> Result<()> {
    let body = format!("sum += x * (cotangent * {curvature});");
    let operands = [
        Operand::read("x", "bvca", block),
        Operand::read("kept", "bca", kept),
        Operand::read("cotangent", "bca", cotangent),
        Operand::written("sum", "bvca", sum),
    ];
    map(
        launcher,
        Source::new("curvature_product", &body),
        extents(kept, block)?,
        &operands,
    )
}
