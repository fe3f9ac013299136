//! Σ xᵢ yᵢ in double precision, in one pass over memory.

#[cfg(test)]
mod tests;

use candle_core::{DType, Error, Result, Tensor, bail};
use pulp::NullaryFnOnce;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use crate::launch::launcher;
use crate::real::{Real, dispatch, elements, on_cpu};
use crate::rows;
use crate::vectorised::vectorised;

/// Elements of a piece, which one thread adds up: fixed, so that no bit depends on the threads.
const PIECE: usize = 1 << 15;

/// Partial sums side by side, so that additions need not wait for each other.
const LANES: usize = 16;

/// The sum of the products of the elements of two tensors of one shape, each multiplied in double
/// precision: a sum of a million float32 squares would be off by 1e-5 in their own, and those of
/// elements below 1e-19 would vanish. On the CPU it is shared by the threads of the rayon pool that
/// the caller runs in.
///
/// # Errors
/// Shapes that differ, a number type other than f32 and f64, or a device error.
pub fn dot(x: &Tensor, y: &Tensor) -> Result<f64> {
    if x.shape() != y.shape() || x.dtype() != y.dtype() {
        bail!(
            "expected a tensor of {:?} and shape {:?}, got one of {:?} and shape {:?}",
            x.dtype(),
            x.shape(),
            y.dtype(),
            y.shape()
        );
    }
    if on_cpu(x) {
        return dispatch!(x.dtype(), on_slices(&x.contiguous()?, &y.contiguous()?));
    }
    if let Some(launcher) = launcher(x) {
        let [x, y] = [x, y].map(|tensor| tensor.contiguous()?.flatten_all()?.unsqueeze(0));
        let sums = rows::launched::inner_products(&*launcher, &x?, &y?)?;
        return sums.first().copied().ok_or_else(|| Error::msg("no sum"));
    }
    let products = (x.to_dtype(DType::F64)? * y.to_dtype(DType::F64)?)?;
    products.sum_all()?.to_scalar()
}

/// ‖x‖, with the squares added up as [`dot`] does.
///
/// # Errors
/// As [`dot`].
pub fn norm(x: &Tensor) -> Result<f64> {
    Ok(dot(x, x)?.sqrt())
}

fn on_slices<T: Real>(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (x, y) = (elements::<T>(x)?, elements::<T>(y)?);
    let pieces = x
        .slice()?
        .par_chunks(PIECE)
        .zip(y.slice()?.par_chunks(PIECE));
    let sums: Vec<f64> = pieces.map(|(x, y)| vectorised(Products(x, y))).collect();
    Ok(sums.into_iter().sum())
}

struct Products<'a, T>(&'a [T], &'a [T]);

impl<T: Real> NullaryFnOnce for Products<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let ((x, x_rest), (y, y_rest)) = (self.0.as_chunks::<LANES>(), self.1.as_chunks::<LANES>());
        let mut sums = [0.0; LANES];
        for (x, y) in x.iter().zip(y) {
            for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
                *sum += x.to_f64() * y.to_f64();
            }
        }
        let rest = x_rest.iter().zip(y_rest);
        let rest = rest.map(|(&x, &y)| x.to_f64() * y.to_f64());
        sums.into_iter().chain(rest).sum()
    }
}
