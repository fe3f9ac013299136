//! The two number types, access to the contiguous CPU slices of tensors of them, and the check of
//! their shapes.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::{
    CpuStorage, Device, Result, Shape, Storage, StorageRef, Tensor, WithDType, bail,
};

use crate::launch::Launcher;

/// The number types with a CPU path: f32 and f64.
pub trait Real: WithDType + std::ops::Neg<Output = Self> + std::iter::Sum<Self> {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// The exponential.
    #[must_use]
    fn exp(self) -> Self;

    /// log(1 + x), without forming the sum.
    #[must_use]
    fn ln_1p(self) -> Self;

    /// The hyperbolic tangent.
    #[must_use]
    fn tanh(self) -> Self;

    /// The square root, correctly rounded.
    #[must_use]
    fn sqrt(self) -> Self;

    /// The power with a real exponent.
    #[must_use]
    fn powf(self, exponent: Self) -> Self;

    /// All elements of a storage.
    ///
    /// # Errors
    /// A storage of another number type.
    fn elements_mut(storage: &mut CpuStorage) -> Result<&mut [Self]>;
}

macro_rules! real {
    ($type:ty, $variant:ident) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            real!(exp, ln_1p, tanh, sqrt);

            #[inline(always)]
            fn powf(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            fn elements_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(elements) => Ok(elements),
                    _ => bail!("expected a tensor of {:?}", Self::DTYPE),
                }
            }
        }
    };
    ($($function:ident),*) => {
        $(
            #[inline(always)]
            fn $function(self) -> Self {
                self.$function()
            }
        )*
    };
}
real!(f32, F32);
real!(f64, F64);

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

/// Calls the function of that name in the module `cpu`, with the type of `tensor`, in `launched`, with whom to ask, or in
/// `plain`, by the path that `tensor` takes.
macro_rules! by_path {
    ($tensor:expr, $function:ident ( $($argument:expr),* $(,)? )) => {
        if $crate::real::on_cpu($tensor) {
            $crate::real::dispatch!($tensor.dtype(), cpu::$function($($argument),*))
        } else if let Some(launcher) = $crate::launch::launcher($tensor) {
            launched::$function(&*launcher, $($argument),*)
        } else {
            plain::$function($($argument),*)
        }
    };
}
pub(crate) use by_path;

/// The same of a module without `launched`.
macro_rules! by_candle_or_cpu {
    ($tensor:expr, $function:ident ( $($argument:expr),* $(,)? )) => {
        if $crate::real::on_cpu($tensor) {
            $crate::real::dispatch!($tensor.dtype(), cpu::$function($($argument),*))
        } else {
            plain::$function($($argument),*)
        }
    };
}
pub(crate) use by_candle_or_cpu;

/// What decides the path of a kernel.
#[derive(Clone)]
pub(crate) enum Route {
    /// The device of its tensors.
    Own,
    /// Nothing: it is that of candle's operations.
    Candle,
    /// Nothing: this launcher is asked.
    Launcher(Rc<dyn Launcher>),
}

thread_local! {
    static ROUTE: RefCell<Route> = const { RefCell::new(Route::Own) };
}

/// The route of this thread.
pub(crate) fn route() -> Route {
    ROUTE.with_borrow(Route::clone)
}

/// Runs `work` on a route of this thread.
pub(crate) fn with_route<T>(route: Route, work: impl FnOnce() -> T) -> T {
    struct Restore(Route);
    impl Drop for Restore {
        fn drop(&mut self) {
            ROUTE.replace(self.0.clone());
        }
    }
    let _restore = Restore(ROUTE.replace(route));
    work()
}

/// Runs `work` with every kernel that it calls from this thread on the path of candle's operations,
/// which is otherwise that of the devices for which there are no kernels of our own: the paths can be compared anywhere.
pub fn with_candle_path<T>(work: impl FnOnce() -> T) -> T {
    with_route(Route::Candle, work)
}

/// Whether tensors on `device` take the CPU path.
#[must_use]
pub fn takes_cpu_path(device: &Device) -> bool {
    device.is_cpu() && ROUTE.with_borrow(|route| matches!(route, Route::Own))
}

/// Whether `tensor` takes the CPU path.
pub(crate) fn on_cpu(tensor: &Tensor) -> bool {
    takes_cpu_path(tensor.device())
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

/// Fails unless `tensor`, called `name` in the message, has the shape `expected`: products of slices
/// do not see a shape that does not fit.
pub(crate) fn expect_shape(name: &str, tensor: &Tensor, expected: &[usize]) -> Result<()> {
    if tensor.dims() != expected {
        bail!(
            "{name}: expected shape {expected:?}, got {:?}",
            tensor.dims()
        );
    }
    Ok(())
}
