//! The device asked for, or one sentence why it cannot be had.

use anyhow::{Result, bail};
use candle_core::Device;
use flatness_kernels::open_cuda;

/// Opens `cpu`, `cuda`, `cuda:N` or `auto`.
pub(crate) fn open(name: &str) -> Result<Device> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(open_cuda(0).unwrap_or(Device::Cpu)),
        "cuda" => 0,
        _ => match name.strip_prefix("cuda:").map(str::parse) {
            Some(Ok(index)) => index,
            _ => bail!("--device must be cpu, cuda, cuda:N or auto, got {name}"),
        },
    };
    if !candle_core::utils::cuda_is_available() {
        bail!(
            "--device {name} cannot be had: this program was built without CUDA; build it with --features cuda, as \
             docs/CUDA.md says, or use --device cpu"
        );
    }
    open_cuda(index).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_the_cpu_where_no_device_can_be_had() {
        let device = open("auto").unwrap();
        assert_eq!(device.is_cpu(), open("cuda").is_err());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_build_one() {
        for name in ["cuda", "cuda:1"] {
            let said = open(name).unwrap_err().to_string();
            let expected =
                format!("--device {name} cannot be had: this program was built without CUDA");
            assert!(said.starts_with(&expected), "{said}");
            assert!(
                said.contains("--features cuda, as docs/CUDA.md says"),
                "{said}"
            );
        }
    }
}
