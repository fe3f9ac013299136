//! The device asked for, or one sentence why it cannot be had.

use anyhow::{Context, Result, bail};
use candle_core::Device;
use flatness_kernels::{cuda_devices, open_cuda};

use crate::ranks;

/// Opens `cpu`, `cuda`, `cuda:N` or `auto`. Of the processes that share a machine and its work each has the next CUDA device,
/// unless they are told which.
pub(crate) fn open(name: &str) -> Result<Device> {
    let next = || own(ranks::place(), cuda_devices());
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(open_cuda(next()).unwrap_or(Device::Cpu)),
        "cuda" => next(),
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
    open_cuda(index).with_context(|| format!("--device {name} cannot be had, use --device cpu"))
}

/// The device of process number `place` of a machine, which may see that device alone.
fn own(place: usize, devices: usize) -> usize {
    place % devices.max(1)
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

    #[test]
    fn processes_of_a_machine_have_devices_of_their_own_as_far_as_they_go() {
        let of = |devices| [0, 1, 2, 3].map(|place| own(place, devices));
        assert_eq!(of(4), [0, 1, 2, 3]);
        assert_eq!(of(2), [0, 1, 0, 1]);
        assert_eq!(of(1), [0; 4]);
        assert_eq!(of(0), [0; 4]);
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
