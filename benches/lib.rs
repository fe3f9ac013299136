//! What the benches have in common: the allocator of the binary, and synthetic data.

use candle_core::{Device, Result, Tensor};
use flatness_data::LabelledTensors;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gaussian images (N, 1, 28, 28) in single precision with labels below 10.
///
/// # Errors
/// Memory that cannot be had.
pub fn gaussian(examples: usize) -> Result<LabelledTensors> {
    let inputs = Tensor::randn(0f32, 1.0, (examples, 1, 28, 28), &Device::Cpu)?;
    let labels: Vec<u32> = (0..examples as u32).map(|example| example % 10).collect();
    let labels = Tensor::from_vec(labels, examples, &Device::Cpu)?;
    LabelledTensors::new("gaussian", &inputs, &labels, 10).map_err(candle_core::Error::wrap)
}
