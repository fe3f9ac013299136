//! Inner products and combinations of long vectors as kernels, in double precision.
//!
//! A vector is cut into pieces, one for each block of threads. Their number follows from its length alone, whatever the card.

use candle_core::{DType, Result, Tensor};

use crate::launch::{Extents, Launcher, Operand, Source, map, sums};

/// Elements of a piece, at the least, and pieces, at the most.
const PIECE: usize = 1 << 14;
const PIECES: usize = 1 << 9;

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
    let pieces = dim.div_ceil(PIECE).clamp(1, PIECES);
    let room = |pieces| launcher.room(&[height, count, pieces], DType::F64, rows);
    let parts = room(pieces)?;
    let operands = [
        Operand::pointer("w", height * dim, rows),
        Operand::pointer("q", count * dim, vectors),
        Operand::written("part", "vc", &parts),
    ];
    let source = Source {
        sizes: &[("DIM", dim), ("PIECES", pieces)],
        ..Source::new("products", "part = sum0;")
    };
    let extents = Extents {
        batch: 1,
        vectors: height,
        channels: count * pieces,
        area: dim.div_ceil(pieces),
    };
    let term = "(c % PIECES * A + a < DIM
            ? double(w[v * DIM + c % PIECES * A + a]) * q[c / PIECES * DIM + c % PIECES * A + a] : 0)";
    sums(launcher, source, extents, &operands, &[term])?;
    if pieces == 1 {
        return Ok(launcher.read(&[&parts])?.concat());
    }
    let total = room(1)?;
    let operands = [
        Operand::read("part", "vca", &parts),
        Operand::written("total", "vc", &total),
    ];
    let extents = Extents {
        batch: 1,
        vectors: height,
        channels: count,
        area: pieces,
    };
    let source = Source::new("sums_of_products", "total = sum0;");
    sums(launcher, source, extents, &operands, &["part"])?;
    Ok(launcher.read(&[&total])?.concat())
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
