//! The device asked for, or one sentence why it cannot be had.

use anyhow::{Result, bail};
use candle_core::Device;

/// Opens `cpu`, `cuda`, `cuda:N` or `auto`.
pub(crate) fn open(name: &str) -> Result<Device> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" if !candle_core::utils::cuda_is_available() => return Ok(Device::Cpu),
        "auto" => return Ok(Device::new_cuda(0).unwrap_or(Device::Cpu)),
        "cuda" => 0,
        _ => match name.strip_prefix("cuda:").map(str::parse) {
            Some(Ok(index)) => index,
            _ => bail!("--device must be cpu, cuda, cuda:N or auto, got {name}"),
        },
    };
    if !candle_core::utils::cuda_is_available() {
        bail!(
            "--device {name} cannot be had: this program was built without CUDA; use --device cpu"
        );
    }
    Device::new_cuda(index).map_err(|error| {
        anyhow::anyhow!("--device {name} cannot be had: {error}; use --device cpu")
    })
}

/// Name of a device in records.
pub(crate) fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}
