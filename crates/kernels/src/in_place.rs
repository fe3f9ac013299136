//! In-place updates of CPU tensors through candle's own locking and alias checks.

#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use candle_core::{
    CpuStorage, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Shape, Tensor, WithDType, bail,
};

use crate::real::{Real, on_cpu};

/// Elements of a contiguous operand and its shape.
pub(crate) type Values<'a, T> = (&'a [T], &'a Shape);

type Kernel2<T> = fn(&mut [T], Values<'_, T>) -> Result<()>;
type Kernel3<T> = fn(&mut [T], Values<'_, T>, Values<'_, T>) -> Result<()>;

/// target <- f(target, a), in either number type.
pub(crate) struct Update2 {
    pub(crate) single: Kernel2<f32>,
    pub(crate) double: Kernel2<f64>,
}

/// target <- f(target, a, b), in either number type.
pub(crate) struct Update3 {
    pub(crate) single: Kernel3<f32>,
    pub(crate) double: Kernel3<f64>,
}

/// An update by a function that is generic over the number type.
macro_rules! update {
    ($type:ident, $function:ident) => {
        $type {
            single: $function::<f32>,
            double: $function::<f64>,
        }
    };
}
pub(crate) use update;

impl InplaceOp2 for Update2 {
    fn name(&self) -> &'static str {
        "update-by-one"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
    ) -> Result<()> {
        match target {
            CpuStorage::F32(target) => {
                (self.single)(covered_mut(target, layout)?, covered(a, a_layout)?)
            }
            CpuStorage::F64(target) => {
                (self.double)(covered_mut(target, layout)?, covered(a, a_layout)?)
            }
            _ => bail!("expected a tensor of f32 or f64"),
        }
    }
}

impl InplaceOp3 for Update3 {
    fn name(&self) -> &'static str {
        "update-by-two"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<()> {
        match target {
            CpuStorage::F32(target) => (self.single)(
                covered_mut(target, layout)?,
                covered(a, a_layout)?,
                covered(b, b_layout)?,
            ),
            CpuStorage::F64(target) => (self.double)(
                covered_mut(target, layout)?,
                covered(a, a_layout)?,
                covered(b, b_layout)?,
            ),
            _ => bail!("expected a tensor of f32 or f64"),
        }
    }
}

/// A number type whose CPU storage can be written.
pub(crate) trait Writable: Real {
    fn elements_mut(storage: &mut CpuStorage) -> Result<&mut [Self]>;
}

macro_rules! writable {
    ($type:ty, $variant:ident) => {
        impl Writable for $type {
            fn elements_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(elements) => Ok(elements),
                    _ => bail!("expected a tensor of {:?}", Self::DTYPE),
                }
            }
        }
    };
}
writable!(f32, F32);
writable!(f64, F64);

/// target <- f(target), where f may read tensors that candle does not see.
struct Update<T, F> {
    kernel: F,
    element: PhantomData<T>,
}

impl<T: Writable, F: Fn(&mut [T]) -> Result<()>> InplaceOp1 for Update<T, F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(&self, target: &mut CpuStorage, layout: &Layout) -> Result<()> {
        (self.kernel)(covered_mut(T::elements_mut(target)?, layout)?)
    }
}

/// Calls `kernel` on the elements of `target`, which sees those of `sources` besides.
///
/// # Errors
/// That of `kernel`, a number type other than T, or a `target` that is not contiguous or shares the
/// storage of one of the sources: the kernel could not have read that.
pub(crate) fn update_with<T: Writable>(
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

fn range(layout: &Layout) -> Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("expected a contiguous tensor, got {layout:?}"),
    }
}

fn covered<'a, T: WithDType>(storage: &'a CpuStorage, layout: &'a Layout) -> Result<Values<'a, T>> {
    Ok((
        &T::cpu_storage_as_slice(storage)?[range(layout)?],
        layout.shape(),
    ))
}

fn covered_mut<'a, T>(all: &'a mut [T], layout: &Layout) -> Result<&'a mut [T]> {
    Ok(&mut all[range(layout)?])
}

/// Adds `addend` to `sum` in place, which every tensor that shares `sum`'s storage sees.
///
/// # Errors
/// Shapes or number types that differ, a `sum` that is not contiguous or shares the storage of
/// `addend`, or a device error.
pub fn add_in_place(sum: &Tensor, addend: &Tensor) -> Result<()> {
    if sum.shape() != addend.shape() {
        bail!("expected shape {:?}, got {:?}", sum.shape(), addend.shape());
    }
    if on_cpu(sum) {
        return sum.inplace_op2(&addend.contiguous()?, &update!(Update2, add));
    }
    sum.slice_set(&(sum + addend)?, 0, 0)
}

fn add<T: Real>(sum: &mut [T], (addend, _): Values<'_, T>) -> Result<()> {
    sum.iter_mut()
        .zip(addend)
        .for_each(|(sum, &addend)| *sum += addend);
    Ok(())
}
