//! A validated run made ready: network, data, threads, device.

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Settings};
use flatness_data::Examples;
use flatness_layers::{Loss, Network, Workers};
use flatness_models::Architecture;
use flatness_records::{BatchNorm, Dtype, ModelRecord, ModelSpec};

use crate::arguments::{BatchNormName, Computing, NumberType};
use crate::{device, environment};

/// How and where to compute.
pub(crate) struct Machine {
    pub(crate) workers: Workers,
    pub(crate) device: Device,
    /// Memory for kept activations in bytes.
    pub(crate) memory_budget: usize,
}

impl Machine {
    pub(crate) fn new(computing: &Computing) -> Result<Self> {
        Ok(Self {
            workers: workers(computing.threads)?,
            device: device::open(&computing.device)?,
            memory_budget: computing.memory_budget.saturating_mul(1 << 20),
        })
    }
}

/// Examples per sweep: what was asked for, which must not be more than there are, or 1000 or all.
pub(crate) fn batch_size(
    option: &str,
    asked: Option<usize>,
    examples: &dyn Examples,
) -> Result<usize> {
    let (name, len) = (examples.name(), examples.len());
    match asked {
        Some(size) if !(1..=len).contains(&size) => {
            bail!("{option} must be in 1..={len}, the examples of {name}, got {size}")
        }
        Some(size) => Ok(size),
        None => Ok(len.min(1000)),
    }
}

/// As many workers as asked for, or one per core. Passes over vectors of P elements, which belong to no
/// share, have as many threads.
pub(crate) fn workers(threads: Option<u16>) -> Result<Workers> {
    let threads = threads.map_or_else(environment::cores, usize::from);
    // A pool that is there already costs time at most: no bit depends on its size.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
    Ok(Workers::new(threads)?)
}

/// A network with its name and number type.
pub(crate) struct Model {
    pub(crate) name: String,
    /// As it is trained: batch-norm takes the statistics of the batch.
    pub(crate) network: Network,
    pub(crate) dtype: Dtype,
}

/// What training changes.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    /// Parameters, (P).
    pub(crate) theta: Tensor,
    /// Running statistics of batch-norm, (Q).
    pub(crate) buffers: Tensor,
}

impl Weights {
    /// In another number type, on another device.
    pub(crate) fn to(&self, dtype: DType, device: &Device) -> Result<Self> {
        let to = |tensor: &Tensor| tensor.to_dtype(dtype)?.to_device(device);
        Ok(Self {
            theta: to(&self.theta)?,
            buffers: to(&self.buffers)?,
        })
    }

    /// Replaces the values by those of `weights`, of the same shapes and number type.
    pub(crate) fn set(&self, weights: &Self) -> Result<()> {
        self.theta.slice_set(&weights.theta, 0, 0)?;
        Ok(self.buffers.slice_set(&weights.buffers, 0, 0)?)
    }

    /// A copy that training does not change.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(Self {
            theta: self.theta.copy()?,
            buffers: self.buffers.copy()?,
        })
    }
}

impl Model {
    /// The network that `spec` names, for data like `examples`.
    pub(crate) fn new(spec: &ModelSpec, examples: &dyn Examples) -> Result<Self> {
        let architecture = Architecture::find(&spec.name)?;
        let network = architecture
            .network(&examples.example_shape(), examples.classes())
            .with_context(|| {
                let (name, data) = (&spec.name, examples.name());
                let hint = match architecture.default_input() {
                    ([3, 32, 32], _) => "; it is made for --data-set cifar-100 (data.set in a spec)",
                    _ => "",
                };
                format!("{name} does not fit {data}{hint}")
            })?;
        Ok(Self {
            name: spec.name.clone(),
            network,
            dtype: spec.dtype,
        })
    }

    pub(crate) fn dtype(&self) -> DType {
        match self.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
        }
    }

    /// Initial parameters and running statistics.
    pub(crate) fn initial(&self, seed: u64, device: &Device) -> Result<Weights> {
        let Self { network, .. } = self;
        Ok(Weights {
            theta: network.layout().initialize(seed, self.dtype(), device)?,
            buffers: network.buffers().initialize(seed, self.dtype(), device)?,
        })
    }

    /// The network whose curvature is measured: batch-norm takes the `buffers` (Q) or its batches.
    pub(crate) fn measured(&self, batch_norm: BatchNorm, buffers: &Tensor) -> Result<Network> {
        Ok(match batch_norm {
            BatchNorm::Frozen => self.network.freeze(buffers)?,
            BatchNorm::Batch => self.network.clone(),
        })
    }

    /// The mean cross-entropy over `examples` of `network`, one of this model's.
    pub(crate) fn mean_loss<'a>(
        &self,
        network: &'a Network,
        examples: &'a dyn Examples,
        machine: &'a Machine,
        batch_size: usize,
    ) -> Result<MeanLoss<'a>> {
        let settings = Settings {
            dtype: self.dtype(),
            device: machine.device.clone(),
            batch_size: batch_size.min(examples.len()),
        };
        Ok(MeanLoss::new(
            network,
            examples,
            Loss::CrossEntropy,
            &machine.workers,
            settings,
        )?)
    }

    pub(crate) fn record(&self, batch_norm: BatchNorm) -> ModelRecord {
        let batch_norm = match batch_norm {
            _ if !self.network.couples_examples() => "none",
            BatchNorm::Frozen => "frozen",
            BatchNorm::Batch => "batch",
        };
        ModelRecord {
            name: self.name.clone(),
            parameters: self.network.layout().dim(),
            batch_norm: batch_norm.to_owned(),
            dtype: self.dtype,
        }
    }
}

impl From<BatchNormName> for BatchNorm {
    fn from(name: BatchNormName) -> Self {
        match name {
            BatchNormName::Frozen => Self::Frozen,
            BatchNormName::Batch => Self::Batch,
        }
    }
}

impl From<NumberType> for Dtype {
    fn from(number_type: NumberType) -> Self {
        match number_type {
            NumberType::F32 => Self::F32,
            NumberType::F64 => Self::F64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::workers;

    #[test]
    fn passes_over_vectors_take_the_threads_asked_for() {
        let workers = workers(Some(3)).expect("three threads");
        assert_eq!(workers.threads(), 3);
        assert_eq!(rayon::current_num_threads(), 3);
    }
}
