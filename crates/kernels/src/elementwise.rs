//! Sums of tensors, new and in place; updates of CPU tensors go through candle's own locking and
//! alias checks.

#[cfg(test)]
mod tests;
mod update;

pub use update::{Elementwise, update_elements};

use std::marker::PhantomData;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, bail};

use crate::collect::collect;
use crate::launch::{Extents, Operand, Source, launcher, map};
use crate::number::Number;
use crate::parallel::fill_parts;
use crate::real::{Real, dispatch, elements, expect_shape, on_cpu, tensor};
use crate::vectorised::add_to;

/// target <- f(target), where f may read tensors that candle does not see.
struct Update<T, F> {
    kernel: F,
    element: PhantomData<T>,
}

impl<T: Real, F: Fn(&mut [T]) -> Result<()>> InplaceOp1 for Update<T, F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(&self, target: &mut CpuStorage, layout: &Layout) -> Result<()> {
        (self.kernel)(covered(T::elements_mut(target)?, layout)?)
    }
}

/// Calls `kernel` on the elements of `target`, which sees those of `sources` besides.
///
/// # Errors
/// That of `kernel`, a number type other than T, or a `target` that is not contiguous or shares the
/// storage of one of the sources: the kernel could not have read that.
pub(crate) fn update_with<T: Real>(
    target: &Tensor,
    sources: &[&Tensor],
    kernel: impl Fn(&mut [T]) -> Result<()>,
) -> Result<()> {
    if sources.iter().any(|source| share_storage(target, source)) {
        bail!("expected a sum that shares no storage with the operands of its update");
    }
    target.inplace_op1(&Update {
        kernel,
        element: PhantomData,
    })
}

fn share_storage(a: &Tensor, b: &Tensor) -> bool {
    let ((a, _), (b, _)) = (a.storage_and_layout(), b.storage_and_layout());
    std::ptr::eq(&raw const *a, &raw const *b)
}

fn covered<'a, T>(all: &'a mut [T], layout: &Layout) -> Result<&'a mut [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&mut all[start..end]),
        None => bail!("expected a contiguous tensor, got {layout:?}"),
    }
}

/// The sum of two tensors of one shape: where the paths of a network meet, and their cotangents.
///
/// # Errors
/// Shapes or number types that differ, or a device error.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    expect_shape("the second addend", b, a.dims())?;
    if on_cpu(a) {
        return dispatch!(a.dtype(), sum_of_slices(&a.contiguous()?, &b.contiguous()?));
    }
    if let Some(launcher) = launcher(a) {
        let (a, b) = (a.contiguous()?, b.contiguous()?);
        let sum = launcher.room(a.dims(), a.dtype(), &a)?;
        let operands = [
            Operand::read("left", "bvca", &a),
            Operand::read("right", "bvca", &b),
            Operand::written("sum", "bvca", &sum),
        ];
        let source = Source::new("add", "sum = left + right;");
        map(
            &*launcher,
            source,
            Extents::elements(a.elem_count()),
            &operands,
        )?;
        return Ok(sum);
    }
    a + b
}

fn sum_of_slices<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (left, right) = (elements::<T>(a)?, elements::<T>(b)?);
    let (left, right) = (left.slice()?, right.slice()?);
    let sum = collect(left.len(), 1, |part, spare| {
        let pairs = left[part.clone()].iter().zip(&right[part]);
        spare.extend(pairs.map(|(&a, &b)| a + b));
        Ok(())
    })?;
    tensor(sum, a.shape(), a)
}

/// Adds `addend` to `sum` in place, which every tensor that shares `sum`'s storage sees.
///
/// # Errors
/// Shapes or number types that differ, a `sum` that is not contiguous or shares the storage of
/// `addend`, or a device error.
pub fn add_in_place(sum: &Tensor, addend: &Tensor) -> Result<()> {
    expect_shape("the addend", addend, sum.dims())?;
    if on_cpu(sum) {
        return dispatch!(sum.dtype(), add_slices(sum, &addend.contiguous()?));
    }
    if let Some(launcher) = launcher(sum) {
        let addend = addend.contiguous()?;
        let operands = [
            Operand::read("addend", "bvca", &addend),
            Operand::written("sum", "bvca", sum),
        ];
        let source = Source::new("add_in_place", "sum += addend;");
        return map(
            &*launcher,
            source,
            Extents::elements(sum.elem_count()),
            &operands,
        );
    }
    sum.slice_set(&(sum + addend)?, 0, 0)
}

/// Multiplies `target` by `factor` in place, which every tensor that shares its storage sees.
///
/// # Errors
/// A `target` that is not contiguous or of another number type than f32 and f64, or a device error.
pub fn scale_in_place(target: &Tensor, factor: f64) -> Result<()> {
    update_elements([target], [], &[(0..target.elem_count(), Scaling(factor))])
}

/// x <- a x.
struct Scaling(f64);

impl Elementwise<1, 0, 1> for Scaling {
    const NAME: &'static str = "scale_in_place";

    fn constants(&self) -> [f64; 1] {
        [self.0]
    }

    #[inline(always)]
    fn apply<X: Number>(&self, [a]: &[X; 1], [x]: &[X; 1], []: &[X; 0]) -> [X; 1] {
        [a.times(x)]
    }
}

fn add_slices<T: Real>(sum: &Tensor, addend: &Tensor) -> Result<()> {
    let addends = elements::<T>(addend)?;
    let addends = addends.slice()?;
    update_with(sum, &[addend], |sum: &mut [T]| {
        fill_parts(sum, addends.len(), |part, sum| {
            add_to(sum, addends[part].iter().copied());
            Ok(())
        })
    })
}
