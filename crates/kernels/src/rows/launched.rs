//! Inner products and combinations of long vectors as kernels, in double precision.

use candle_core::{DType, Result, Tensor};

use crate::launch::{Extents, Launcher, Operand, Source, map, sums};

/// C = W Qᵀ, row-major.
pub(crate) fn inner_products(
    launcher: &dyn Launcher,
    rows: &Tensor,
    vectors: &Tensor,
) -> Result<Vec<f64>> {
    let ((height, dim), (count, _)) = (rows.dims2()?, vectors.dims2()?);
    if height * count == 0 {
        return Ok(Vec::new());
    }
    let products = launcher.room(&[height, count], DType::F64, rows)?;
    let operands = [
        Operand::read("w", "va", rows),
        Operand::read("q", "ca", vectors),
        Operand::written("product", "vc", &products),
    ];
    let extents = Extents {
        batch: 1,
        vectors: height,
        channels: count,
        area: dim,
    };
    let source = Source::new("inner_products", "product = sum0;");
    sums(launcher, source, extents, &operands, &["double(w) * q"])?;
    Ok(launcher.read(&[&products])?.concat())
}

/// W ← W − C Q, of C (rows, count) in float64.
pub(super) fn subtract_combinations(
    launcher: &dyn Launcher,
    rows: &Tensor,
    coefficients: &Tensor,
    vectors: &Tensor,
) -> Result<()> {
    let ((height, dim), (count, _)) = (rows.dims2()?, vectors.dims2()?);
    let operands = [
        Operand::pointer("q", count * dim, vectors),
        Operand::pointer("coefficients", height * count, coefficients),
        Operand::written("row", "ba", rows),
    ];
    let source = Source {
        sizes: &[("COUNT", count)],
        ..Source::new(
            "subtract_combinations",
            "double sum = 0;
        for (unsigned k = 0; k < COUNT; k++) sum += coefficients[b * COUNT + k] * q[k * A + a];
        row -= sum;",
        )
    };
    map(launcher, source, Extents::flat(height, 1, dim), &operands)
}
