//! Kernels of our own for CUDA, which NVRTC compiles when they are first asked for.
//!
//! ```text
//! Σ xᵢ yᵢ    2¹⁷ threads: thread t adds xᵢ yᵢ for i = t, t + 2¹⁷, ...      2⁹ threads, then one, add those sums alike
//! ```
//!
//! in double precision, every product and its addition rounded once. The order is fixed, whatever the card, so the bits are. Threads
//! share no memory and do not wait for each other: a loop over them does the same on a CPU, where the source compiles as C++,
//! and there it is tested.

#[cfg(test)]
mod tests;

/// The kernels.
const SUMS: &str = include_str!("cuda/sums.cu");

/// Blocks, and threads of each, of the three stages of a sum: enough for the largest card, and little left for the last.
const STAGES: [(u32, u32); 3] = [(512, 256), (2, 256), (1, 1)];

#[cfg(feature = "cuda")]
pub(crate) use launch::dot;

#[cfg(feature = "cuda")]
mod launch {
    use std::sync::OnceLock;

    use candle_core::cuda_backend::cudarc::driver::{CudaSlice, LaunchConfig, PushKernelArg};
    use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
    use candle_core::cuda_backend::{CudaDType, CudaDevice, WrapErr};
    use candle_core::{Error, Result, Storage, Tensor, bail};

    use super::{STAGES, SUMS};
    use crate::real::Real;

    /// Name of the module on the device.
    const MODULE: &str = "flatness_sums";

    /// The kernels in the assembly of a virtual card, which the driver translates for its own.
    fn compiled() -> Result<&'static str> {
        static COMPILED: OnceLock<std::result::Result<String, String>> = OnceLock::new();
        let compile = || match compile_ptx(SUMS) {
            Ok(compiled) => Ok(compiled.to_src()),
            Err(error) => Err(format!("NVRTC does not compile the sums: {error:?}")),
        };
        let compiled = COMPILED.get_or_init(compile).as_ref();
        compiled.map(String::as_str).map_err(Error::msg)
    }

    fn config((blocks, threads): (u32, u32)) -> LaunchConfig {
        LaunchConfig {
            grid_dim: (blocks, 1, 1),
            block_dim: (threads, 1, 1),
            shared_mem_bytes: 0,
        }
    }

    /// Room for what every thread of a stage writes.
    fn room(device: &CudaDevice, (blocks, threads): (u32, u32)) -> Result<CudaSlice<f64>> {
        device.alloc_zeros((blocks * threads) as usize)
    }

    /// Σ xᵢ yᵢ of two contiguous tensors of as many elements on one CUDA device.
    #[allow(unsafe_code, reason = "see the crate root")]
    pub(crate) fn dot<T: Real + CudaDType>(x: &Tensor, y: &Tensor) -> Result<f64> {
        let device = x.device().as_cuda_device()?;
        let count = x.elem_count();
        if y.elem_count() != count || !x.is_contiguous() || !y.is_contiguous() {
            bail!("expected contiguous tensors of one shape");
        }
        let ((x, x_layout), (y, y_layout)) = (x.storage_and_layout(), y.storage_and_layout());
        let (Storage::Cuda(x), Storage::Cuda(y)) = (&*x, &*y) else {
            bail!("expected tensors of a CUDA device");
        };
        let [x_start, y_start] = [x_layout, y_layout].map(|layout| layout.start_offset());
        let x = x.as_cuda_slice::<T>()?.slice(x_start..x_start + count);
        let y = y.as_cuda_slice::<T>()?.slice(y_start..y_start + count);
        let name = format!("products_{}", T::DTYPE.as_str());
        let products = device.get_or_load_custom_func(&name, MODULE, compiled()?)?;
        let mut sums = room(device, STAGES[0])?;
        let mut launch = products.builder();
        launch.arg(&count).arg(&x).arg(&y).arg(&mut sums);
        // SAFETY: the arguments are those of the kernel, whose threads read below `count` elements of the slices, which have
        // as many, and write one each.
        unsafe { launch.launch(config(STAGES[0])) }.w()?;
        let add = device.get_or_load_custom_func("sums", MODULE, compiled()?)?;
        for stage in &STAGES[1..] {
            let (count, mut fewer) = (sums.len(), room(device, *stage)?);
            let mut launch = add.builder();
            launch.arg(&count).arg(&sums).arg(&mut fewer);
            // SAFETY: as above.
            unsafe { launch.launch(config(*stage)) }.w()?;
            sums = fewer;
        }
        let sum = device.clone_dtoh(&sums)?;
        sum.first().copied().ok_or_else(|| Error::msg("no sum"))
    }
}
