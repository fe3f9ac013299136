//! Access to the contiguous CPU slices of tensors, in either floating-point type.

use candle_core::{Result, Shape, Storage, StorageRef, Tensor, WithDType, bail};

/// A floating-point type with a CPU path.
pub(crate) trait Real:
    WithDType + std::ops::Neg<Output = Self> + std::iter::Sum<Self>
{
    const ZERO: Self;
    const ONE: Self;
    fn exp(self) -> Self;
    fn ln_1p(self) -> Self;
    fn tanh(self) -> Self;
}

macro_rules! real {
    ($type:ty) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn exp(self) -> Self {
                self.exp()
            }
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }
            fn tanh(self) -> Self {
                self.tanh()
            }
        }
    };
}
real!(f32);
real!(f64);

/// Calls a function generic over [`Real`] with the type of a tensor, or fails for other types.
macro_rules! dispatch {
    ($dtype:expr, $($function:ident)::+ ( $($argument:expr),* $(,)? )) => {
        match $dtype {
            candle_core::DType::F32 => $($function)::+::<f32>($($argument),*),
            candle_core::DType::F64 => $($function)::+::<f64>($($argument),*),
            other => candle_core::bail!("expected a tensor of f32 or f64, got {other:?}"),
        }
    };
}
pub(crate) use dispatch;

/// Whether `tensor` takes the CPU path.
#[must_use]
pub fn on_cpu(tensor: &Tensor) -> bool {
    tensor.device().is_cpu()
}

/// The elements of a contiguous CPU tensor, in row-major order.
pub(crate) struct Elements<'a, T> {
    storage: StorageRef<'a>,
    start: usize,
    length: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: WithDType> Elements<'_, T> {
    pub(crate) fn slice(&self) -> Result<&[T]> {
        let Storage::Cpu(storage) = &*self.storage else {
            bail!("expected a CPU tensor");
        };
        Ok(&T::cpu_storage_as_slice(storage)?[self.start..self.start + self.length])
    }
}

/// Locks `tensor` for reading.
pub(crate) fn elements<T: WithDType>(tensor: &Tensor) -> Result<Elements<'_, T>> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("expected a contiguous tensor, got layout {layout:?}");
    };
    Ok(Elements {
        storage,
        start,
        length: end - start,
        element: std::marker::PhantomData,
    })
}

/// Makes a CPU tensor of `data`.
pub(crate) fn tensor<T: WithDType, S: Into<Shape>>(
    data: Vec<T>,
    shape: S,
    like: &Tensor,
) -> Result<Tensor> {
    Tensor::from_vec(data, shape.into(), like.device())
}
