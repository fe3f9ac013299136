//! A validated run made ready: network, data, threads, device.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Settings};
use flatness_data::Examples;
use flatness_layers::{Loss, Network, Workers};
use flatness_models::Architecture;
use flatness_records::{Dtype, ModelRecord, ModelSpec};

use crate::arguments::{Computing, NumberType};
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

/// As many workers as asked for, or one per core.
pub(crate) fn workers(threads: Option<u16>) -> Result<Workers> {
    Ok(Workers::new(
        threads.map_or_else(environment::cores, usize::from),
    )?)
}

/// A network with its name and number type.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) network: Network,
    pub(crate) dtype: Dtype,
}

impl Model {
    /// The network that `spec` names, for data like `examples`.
    pub(crate) fn new(spec: &ModelSpec, examples: &dyn Examples) -> Result<Self> {
        let architecture = Architecture::find(&spec.name)?;
        let network = architecture
            .network(&examples.example_shape(), examples.classes())
            .with_context(|| format!("{} does not fit {}", spec.name, examples.name()))?;
        Ok(Self {
            name: architecture.name,
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

    /// Initial parameters (P).
    pub(crate) fn initial(&self, seed: u64, device: &Device) -> Result<Tensor> {
        Ok(self
            .network
            .layout()
            .initialize(seed, self.dtype(), device)?)
    }

    /// The mean cross-entropy over `examples`.
    pub(crate) fn mean_loss<'a>(
        &'a self,
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
            &self.network,
            examples,
            Loss::CrossEntropy,
            &machine.workers,
            settings,
        )?)
    }

    pub(crate) fn record(&self) -> ModelRecord {
        ModelRecord {
            name: self.name.to_owned(),
            parameters: self.network.layout().dim(),
            batch_norm: "none".to_owned(),
            dtype: self.dtype,
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
