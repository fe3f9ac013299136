//! A few long vectors against many: all inner products, and combinations taken away.
//!
//! ```text
//! C = W Qᵀ,   W ← W − C Q
//! ```
//!
//! W (rows, dim) are the few, Q (count, dim) the many, C (rows, count): the two halves of a Gram-Schmidt
//! pass. Each reads Q once from memory for all rows of W, a piece of whose columns stays in the
//! level-1 cache meanwhile. Products are added up in the element type over one piece and in double
//! precision beyond.

pub(crate) mod launched;
#[cfg(test)]
mod tests;
mod tile;

use std::ops::Range;

use candle_core::{DType, Result, Tensor, bail};
use pulp::Arch;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::elementwise::update_with;
use crate::launch::launcher;
use crate::real::{dispatch, elements, expect_shape, on_cpu};
use crate::vectors::Vectors;
use tile::{Combine, Products};

/// Columns of a piece.
const PIECE: usize = 1 << 11;

/// Pieces that one thread takes in a row: fixed, so that no bit depends on the threads.
const RUN: usize = 16;

/// C = W Qᵀ for `rows` W (rows, dim) and `vectors` Q (count, dim): (rows, count), in row-major
/// order. On the CPU it is shared by the threads of the rayon pool that the caller runs in.
///
/// # Errors
/// Vectors of different length, a number type other than f32 and f64, or a device error.
pub fn inner_products(rows: &Tensor, vectors: &Tensor) -> Result<Vec<f64>> {
    expect_length(rows, vectors)?;
    if on_cpu(rows) {
        let (rows, vectors) = (rows.contiguous()?, vectors.contiguous()?);
        return dispatch!(rows.dtype(), inner_products_of_slices(&rows, &vectors));
    }
    if let Some(launcher) = launcher(rows) {
        return launched::inner_products(&*launcher, &rows.contiguous()?, &vectors.contiguous()?);
    }
    let products = rows.matmul(&vectors.t()?)?.to_dtype(DType::F64)?;
    products.flatten_all()?.to_vec1()
}

/// W ← W − C Q in place, for C as [`inner_products`] returns it, which every tensor that shares W's
/// storage sees. On the CPU it is shared by the threads of the rayon pool that the caller runs in.
///
/// # Errors
/// Vectors of different length, a C of another size, rows that are not contiguous or share the
/// storage of `vectors`, a number type other than f32 and f64, or a device error.
pub fn subtract_combinations(rows: &Tensor, coefficients: &[f64], vectors: &Tensor) -> Result<()> {
    expect_length(rows, vectors)?;
    let shape = (rows.dim(0)?, vectors.dim(0)?);
    if coefficients.len() != shape.0 * shape.1 {
        bail!(
            "expected {} × {} coefficients, got {}",
            shape.0,
            shape.1,
            coefficients.len()
        );
    }
    if on_cpu(rows) {
        let vectors = vectors.contiguous()?;
        return dispatch!(
            rows.dtype(),
            subtract_from_slices(rows, coefficients, &vectors)
        );
    }
    let coefficients = Tensor::from_slice(coefficients, shape, rows.device())?;
    if let Some(launcher) = launcher(rows) {
        let vectors = vectors.contiguous()?;
        return launched::subtract_combinations(&*launcher, rows, &coefficients, &vectors);
    }
    let combinations = coefficients.to_dtype(rows.dtype())?.matmul(vectors)?;
    rows.slice_set(&(rows - combinations)?, 0, 0)
}

fn expect_length(rows: &Tensor, vectors: &Tensor) -> Result<()> {
    let (count, _) = vectors.dims2()?;
    let (_, dim) = rows.dims2()?;
    expect_shape("vectors", vectors, &[count, dim])
}

/// Row-major rows of `dim` elements.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    elements: &'a [T],
    dim: usize,
}

impl<'a, T> Rows<'a, T> {
    /// N neighbouring rows from `first` on, at the columns of `piece`.
    fn at<const N: usize>(self, first: usize, piece: &Range<usize>) -> [&'a [T]; N] {
        std::array::from_fn(|index| {
            let start = (first + index) * self.dim;
            &self.elements[start + piece.start..start + piece.end]
        })
    }
}

/// The pieces of run number `run` of `dim` columns.
fn pieces(run: usize, dim: usize) -> impl Iterator<Item = Range<usize>> {
    let end = dim.min((run + 1) * RUN * PIECE);
    let starts = (run * RUN * PIECE..end).step_by(PIECE);
    starts.map(move |start| start..end.min(start + PIECE))
}

/// Calls `$tile` with blocks of four and two vectors and rows, and of one at the ends.
macro_rules! tiles {
    ($height:expr, $count:expr, $tile:ident($($argument:expr),*)) => {
        let (height, count): (usize, usize) = ($height, $count);
        let (pairs, fours) = (height - height % 2, count - count % 4);
        for vector in (0..fours).step_by(4) {
            for row in (0..pairs).step_by(2) {
                $tile::<T, 2, 4>($($argument,)* row, vector);
            }
            for row in pairs..height {
                $tile::<T, 1, 4>($($argument,)* row, vector);
            }
        }
        for vector in fours..count {
            for row in (0..pairs).step_by(2) {
                $tile::<T, 2, 1>($($argument,)* row, vector);
            }
            for row in pairs..height {
                $tile::<T, 1, 1>($($argument,)* row, vector);
            }
        }
    };
}

fn inner_products_of_slices<T: Vectors>(rows: &Tensor, vectors: &Tensor) -> Result<Vec<f64>> {
    let ((height, dim), (count, _)) = (rows.dims2()?, vectors.dims2()?);
    let (rows, vectors) = (elements::<T>(rows)?, elements::<T>(vectors)?);
    let [rows, vectors] = [rows.slice()?, vectors.slice()?].map(|elements| Rows { elements, dim });
    let runs = (0..dim.div_ceil(RUN * PIECE)).into_par_iter();
    let partial: Vec<Vec<f64>> = runs
        .map(|run| {
            let mut sums = vec![0.0; height * count];
            for piece in pieces(run, dim) {
                tiles!(
                    height,
                    count,
                    add_products(&mut sums, rows, vectors, &piece, count)
                );
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; height * count];
    for partial in partial {
        for (sum, part) in sums.iter_mut().zip(partial) {
            *sum += part;
        }
    }
    Ok(sums)
}

fn add_products<T: Vectors, const R: usize, const V: usize>(
    sums: &mut [f64],
    rows: Rows<'_, T>,
    vectors: Rows<'_, T>,
    piece: &Range<usize>,
    count: usize,
    row: usize,
    vector: usize,
) {
    let products = Arch::new().dispatch(Products::<T, R, V> {
        rows: rows.at(row, piece),
        vectors: vectors.at(vector, piece),
    });
    for (offset, products) in products.iter().enumerate() {
        let start = (row + offset) * count + vector;
        for (sum, product) in sums[start..start + V].iter_mut().zip(products) {
            *sum += product.to_f64();
        }
    }
}

fn subtract_from_slices<T: Vectors>(
    rows: &Tensor,
    coefficients: &[f64],
    vectors: &Tensor,
) -> Result<()> {
    let ((height, dim), (count, _)) = (rows.dims2()?, vectors.dims2()?);
    let coefficients: Vec<T> = coefficients.iter().map(|&one| T::from_f64(-one)).collect();
    let locked = elements::<T>(vectors)?;
    let elements = locked.slice()?;
    update_with(rows, &[vectors], |rows: &mut [T]| {
        let vectors = Rows { elements, dim };
        let mut runs: Vec<Vec<&mut [T]>> = Vec::new();
        runs.resize_with(dim.div_ceil(RUN * PIECE), || Vec::with_capacity(height));
        for row in rows.chunks_mut(dim.max(1)) {
            for (run, part) in runs.iter_mut().zip(row.chunks_mut(RUN * PIECE)) {
                run.push(part);
            }
        }
        runs.into_par_iter()
            .enumerate()
            .for_each(|(run, mut rows)| {
                let first = run * RUN * PIECE;
                for piece in pieces(run, dim) {
                    tiles!(
                        height,
                        count,
                        combine(&mut rows, &coefficients, vectors, &piece, first, count)
                    );
                }
            });
        Ok(())
    })
}

/// Columns of `rows` are those from `first` on.
#[allow(
    clippy::too_many_arguments,
    reason = "two operands, their coefficients and the tile"
)]
fn combine<T: Vectors, const R: usize, const V: usize>(
    rows: &mut [&mut [T]],
    coefficients: &[T],
    vectors: Rows<'_, T>,
    piece: &Range<usize>,
    first: usize,
    count: usize,
    row: usize,
    vector: usize,
) {
    for (offset, target) in rows[row..row + R].iter_mut().enumerate() {
        let start = (row + offset) * count + vector;
        Arch::new().dispatch(Combine::<T, V> {
            target: &mut target[piece.start - first..piece.end - first],
            coefficients: std::array::from_fn(|index| coefficients[start + index]),
            vectors: vectors.at(vector, piece),
        });
    }
}
