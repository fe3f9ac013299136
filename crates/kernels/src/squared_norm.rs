//! Σ xᵢ² in double precision, in one pass over memory.

#[cfg(test)]
mod tests;

use candle_core::{DType, Result, Tensor};
use pulp::NullaryFnOnce;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use crate::real::{Real, dispatch, elements, on_cpu};
use crate::runs::vectorised;

/// Elements of a piece, which one thread adds up: fixed, so that no bit depends on the threads.
const PIECE: usize = 1 << 15;

/// Partial sums side by side, so that additions need not wait for each other.
const LANES: usize = 16;

/// The sum of the squares of all elements, each squared in double precision. On the CPU it is shared by
/// the threads of the rayon pool that the caller runs in.
///
/// # Errors
/// A number type other than f32 and f64, or a device error.
pub fn squared_norm(x: &Tensor) -> Result<f64> {
    if on_cpu(x) {
        return dispatch!(x.dtype(), on_slice(&x.contiguous()?));
    }
    let squares = x.to_dtype(DType::F64)?.sqr()?;
    squares.sum_all()?.to_scalar()
}

fn on_slice<T: Real>(x: &Tensor) -> Result<f64> {
    let x = elements::<T>(x)?;
    let pieces = x.slice()?.par_chunks(PIECE);
    let sums: Vec<f64> = pieces.map(|piece| vectorised(Squares(piece))).collect();
    Ok(sums.into_iter().sum())
}

struct Squares<'a, T>(&'a [T]);

impl<T: Real> NullaryFnOnce for Squares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let (rows, rest) = self.0.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for row in rows {
            for (sum, &value) in sums.iter_mut().zip(row) {
                let value = value.to_f64();
                *sum += value * value;
            }
        }
        let rest = rest.iter().map(|&value| value.to_f64().powi(2));
        sums.into_iter().chain(rest).sum()
    }
}
