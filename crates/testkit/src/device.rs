//! The other device of tests that compare two.

use candle_core::Device;

/// The first CUDA device, with one stream. Where there is none, one line on stderr says why, and the test that asked
/// has nothing to compare.
pub fn cuda() -> Option<Device> {
    if !candle_core::utils::cuda_is_available() {
        eprintln!("skipped: no CUDA device (this build has no feature `cuda`)");
        return None;
    }
    Device::new_cuda_with_stream(0)
        .inspect_err(|error| eprintln!("skipped: no CUDA device ({error})"))
        .ok()
}
