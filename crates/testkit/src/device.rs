//! The other device of tests that compare two.

use candle_core::Device;
use flatness_kernels::open_cuda;

/// The first CUDA device, as programs open it. Where there is none, one line on stderr says why, and the test that asked has
/// nothing to compare.
pub fn cuda() -> Option<Device> {
    if !candle_core::utils::cuda_is_available() {
        eprintln!("skipped: no CUDA device (this build has no feature `cuda`)");
        return None;
    }
    open_cuda(0)
        .inspect_err(|error| eprintln!("skipped: no CUDA device ({error})"))
        .ok()
}
