//! CUDA devices: one stream, exact single precision, memory that stays.
//!
//! candle gives a device the default stream of whichever thread works with it, and nothing orders those of two threads. Here
//! a device has one stream, so that its work is done in the order in which it was asked for, with the same bits in every
//! run. What is to run side by side does so inside the device: callers have one worker.

#[cfg(feature = "cuda")]
use std::collections::BTreeMap;
#[cfg(feature = "cuda")]
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Result};

/// Most elements that a tensor on a device may have: candle launches its kernels with 32-bit counts, and drops the higher
/// bits without a word; cuBLAS and cuDNN take signed ones.
pub const ELEMENTS_AT_MOST: usize = i32::MAX as usize;

/// What was free on each CUDA device when it was first opened, by number, in bytes.
#[cfg(feature = "cuda")]
static FREE: Mutex<BTreeMap<usize, u64>> = Mutex::new(BTreeMap::new());

/// Opens CUDA device number `ordinal`. Products of matrices and convolutions round to f32, not to TF32, which has 10 bits
/// of mantissa.
///
/// # Errors
/// No such device, no driver, or a build without the feature `cuda`.
pub fn open_cuda(ordinal: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    #[cfg(feature = "cuda")]
    settle(device.as_cuda_device()?);
    free_memory(&device)?;
    Ok(device)
}

/// Number of CUDA devices that the driver knows; none in a build without the feature `cuda`.
#[must_use]
pub fn cuda_devices() -> usize {
    #[cfg(feature = "cuda")]
    {
        use candle_core::cuda_backend::cudarc::driver::CudaContext;
        CudaContext::device_count().map_or(0, |count| count as usize)
    }
    #[cfg(not(feature = "cuda"))]
    0
}

/// Where a tensor of so many `elements` for `device` is: on the CPU if it has none, since a kernel launched for none is an
/// error of CUDA. Networks without batch-norm have such statistics.
#[must_use]
pub fn home(elements: usize, device: &Device) -> &Device {
    if elements == 0 { &Device::Cpu } else { device }
}

/// Memory of a CUDA device in bytes that was free when it was first opened, or first asked for this: later the pool has some of
/// it, and sizes that follow from it are to stay as they are. `None` for the CPU.
///
/// # Errors
/// A device error.
pub fn free_memory(device: &Device) -> Result<Option<u64>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => {
            let stream = device.cuda_stream();
            let context = stream.context();
            let mut known = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(free) = known.get(&context.ordinal()) {
                return Ok(Some(*free));
            }
            let asked = context.mem_get_info();
            let (free, _) = asked.map_err(candle_core::Error::wrap)?;
            known.insert(context.ordinal(), free as u64);
            Ok(Some(free as u64))
        }
        _ => Ok(None),
    }
}

/// Forbids TF32 in cuBLAS, turns off the events between streams and keeps freed memory in the device's pool.
#[cfg(feature = "cuda")]
#[allow(
    unsafe_code,
    reason = "cudarc leaves the order of streams and the type of an attribute to the caller"
)]
fn settle(device: &candle_core::CudaDevice) {
    use candle_core::cuda_backend::cudarc::driver::{result, sys};

    candle_core::cuda_backend::set_gemm_reduced_precision_f32(false);
    // SAFETY: events order the uses of a tensor on several streams. Tensors of this device know its one stream only, which
    // `new_cuda_with_stream` made for it: candle runs every operation on it, cuBLAS, cuRAND and cuDNN were made with it,
    // and nothing else asks for a stream. A stream keeps the order of its calls, from whatever thread, and tensors that
    // another `Device` made are refused by candle. None is allocated yet.
    unsafe { device.disable_event_tracking() };
    let mut everything = u64::MAX;
    let number = device.cuda_stream().context().cu_device();
    // SAFETY: `number` is that of an open device, whose default pool lives as long as the process, and the attribute is
    // a u64, which is read before the call returns.
    let kept = unsafe {
        result::device::get_default_mem_pool(number).and_then(|pool| {
            result::mem_pool::set_attribute(
                pool,
                sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                (&raw mut everything).cast(),
            )
        })
    };
    // A device without pools is slower, and as right.
    let _ = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_has_no_memory_of_its_own() {
        assert_eq!(free_memory(&Device::Cpu).unwrap(), None);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_opens_nothing() {
        let error = open_cuda(0).unwrap_err().to_string();
        assert!(error.contains("cuda"), "{error}");
    }
}
