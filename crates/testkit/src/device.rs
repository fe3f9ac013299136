//! The other device of tests that compare two.

use std::panic::catch_unwind;

use candle_core::Device;

/// The first CUDA device. Where there is none, one line on stderr says why, and the test that asked
/// has nothing to compare.
pub fn cuda() -> Option<Device> {
    if !candle_core::utils::cuda_is_available() {
        eprintln!("skipped: no CUDA device (this build has no feature `cuda`)");
        return None;
    }
    // Without a driver it is the loader that panics.
    let device = catch_unwind(|| Device::new_cuda(0)).unwrap_or_else(|_| {
        Err(candle_core::Error::msg(
            "the driver's library cannot be loaded",
        ))
    });
    device
        .inspect_err(|error| eprintln!("skipped: no CUDA device ({error})"))
        .ok()
}
