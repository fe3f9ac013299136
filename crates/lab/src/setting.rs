//! What a run is of, made ready: network, data, threads, device.

use std::path::Path;

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Settings};
use flatness_data::Examples;
use flatness_engine::{JournalFile, Resources, Weights};
use flatness_kernels::free_memory;
use flatness_layers::{Network, Workers};
use flatness_models::checkpoint;
use flatness_records::{
    BatchNorm, Dtype, InitialSpec, ModelRecord, ModelSpec, NetworkFile, Spec, Streams,
};

use crate::architecture::Architecture;
use crate::arguments::Computing;
use crate::commands::models::known;
use crate::loss::ResolvedLoss;
use crate::source::{self, Splits};
use crate::{device, environment, ranks};

/// How and where to compute.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) workers: Workers,
    pub(crate) device: Device,
    /// Memory for kept activations in bytes.
    activations: usize,
    /// Memory for vectors in bytes.
    vectors: u64,
    /// Memory where it is computed in bytes, as far as the system says: that of the host or what is free on the device.
    pub(crate) memory: Option<u64>,
}

/// The share of the memory that vectors take where the user does not say: data, activations and other programs have the rest.
const SHARE: u64 = 2;

/// What vectors take where the system does not say how much memory there is.
const UNKNOWN: u64 = 4 << 30;

/// The share of the memory that kept activations take where the user does not say. With the vectors' it leaves a quarter
/// to the sweep at work.
const ACTIVATIONS_SHARE: u64 = 4;

/// The least that kept activations may take of a host's memory where the user does not say, in MiB.
const ACTIVATIONS: u64 = 512;

/// Bytes for kept activations and for vectors: what is said in MiB, else shares of what is free on the `device`, or of the
/// memory of the `host` where there is no other device. Of a host, activations take as much as this process has of its
/// cores, `used` of `cores`: others may be at work on the rest.
fn budgets(
    said: [Option<u64>; 2],
    device: Option<u64>,
    host: Option<u64>,
    (used, cores): (u64, u64),
) -> (u64, u64) {
    let bytes = |mebibytes: u64| mebibytes.saturating_mul(1 << 20);
    let [activations, vectors] = said.map(|said| said.map(bytes));
    let share = match device {
        Some(free) => free / ACTIVATIONS_SHARE,
        None => {
            let share = host.unwrap_or(0) / ACTIVATIONS_SHARE / cores * used.min(cores);
            share.max(bytes(ACTIVATIONS))
        }
    };
    let half = device.or(host).map_or(UNKNOWN, |there| there / SHARE);
    (activations.unwrap_or(share), vectors.unwrap_or(half))
}

impl Machine {
    /// As `computing` says, with so many MiB for vectors, or a share of what there is.
    pub(crate) fn new(computing: &Computing, vector_memory: Option<u64>) -> Result<Self> {
        let device = device::open(&computing.device)?;
        let workers = workers(computing.threads, &device)?;
        let neighbours = ranks::neighbours();
        let host = environment::memory().map(|memory| memory / neighbours as u64);
        let free = free_memory(&device)?;
        let used = (workers.threads() * neighbours) as u64;
        let said = [computing.memory_budget, vector_memory];
        let (activations, vectors) = budgets(said, free, host, (used, environment::processors()));
        Ok(Self {
            workers,
            device,
            activations: usize::try_from(activations).unwrap_or(usize::MAX),
            vectors,
            memory: free.or(host),
        })
    }

    /// The same, with its part of the examples, where other processes share them.
    pub(crate) fn shared(&self) -> Self {
        let mut shared = self.clone();
        if let Some(ranks) = ranks::ranks() {
            shared.workers = shared.workers.among(ranks);
        }
        shared
    }

    /// What a measurement may take, until `interrupt` says so.
    pub(crate) fn resources<'a>(
        &'a self,
        interrupt: &'a dyn Fn() -> bool,
        journal: Option<JournalFile<'a>>,
    ) -> Resources<'a> {
        Resources {
            workers: &self.workers,
            device: &self.device,
            activations: self.activations,
            vectors: self.vectors,
            interrupt,
            journal,
        }
    }
}

/// As many workers as asked for, or one per core; one on a `device` other than the CPU, which has one stream. Passes over
/// vectors of P elements on the CPU, which belong to no share, have as many threads as asked for.
fn workers(threads: Option<u16>, device: &Device) -> Result<Workers> {
    let threads = threads.map_or_else(environment::cores, usize::from);
    // A pool that is there already costs time at most: no bit depends on its size.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
    Ok(Workers::new(if device.is_cpu() { threads } else { 1 })?)
}

/// A number type by its name in specs, as candle calls it.
pub(crate) fn candle_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
    }
}

/// What a spec names, read and put together.
pub(crate) struct Task {
    pub(crate) splits: Splits,
    pub(crate) model: Model,
    /// What a user should know of the network, a sentence each.
    pub(crate) notes: Vec<String>,
}

impl Task {
    /// The network, loss and data of `spec`, whose data are at `data` where that is said.
    pub(crate) fn of(spec: &Spec, data: Option<&Path>) -> Result<Self> {
        let ModelSpec {
            name, constants, ..
        } = &spec.model;
        let architecture = Architecture::find(name, constants).map_err(known)?;
        let streams = Streams::new(spec.seed);
        let splits = source::load(&spec.data, spec.loss.as_ref(), streams, data, &architecture)?;
        let (examples, loss) = (splits.train.as_ref(), splits.loss.clone());
        Ok(Self {
            model: Model::new(&architecture, &spec.model, examples, loss)?,
            notes: architecture.notes(examples),
            splits,
        })
    }
}

/// A network with its name, loss and number type.
pub(crate) struct Model {
    pub(crate) name: String,
    /// The file that it was read from.
    pub(crate) file: Option<NetworkFile>,
    /// Loss of an example.
    pub(crate) loss: ResolvedLoss,
    /// As it is trained: batch-norm takes the statistics of the batch.
    pub(crate) network: Network,
    pub(crate) dtype: Dtype,
    /// Where training begins, unless at random.
    stored: Option<Weights>,
}

impl Model {
    /// The network of this `architecture`, as `spec` has it, for data like `examples`.
    pub(crate) fn new(
        architecture: &Architecture,
        spec: &ModelSpec,
        examples: &dyn Examples,
        loss: ResolvedLoss,
    ) -> Result<Self> {
        let network = architecture.network(examples)?;
        let stored = match spec.initial {
            None | Some(InitialSpec::File) => architecture.stored(),
            Some(InitialSpec::Seeded) => None,
        };
        if spec.initial == Some(InitialSpec::File) && stored.is_none() {
            bail!(
                "model.initial is file, but {} has no file; leave it out, or name an .onnx file",
                spec.name
            );
        }
        Ok(Self {
            network: if spec.dropout {
                network
            } else {
                network.without_dropout()?
            },
            name: architecture.name.clone(),
            file: architecture.file().cloned(),
            loss,
            dtype: spec.dtype,
            stored,
        })
    }

    pub(crate) fn dtype(&self) -> DType {
        candle_dtype(self.dtype)
    }

    /// Initial parameters and running statistics: those of the file of the network, or random ones.
    pub(crate) fn initial(&self, seed: u64, device: &Device) -> Result<Weights> {
        let Self { network, .. } = self;
        if let Some(stored) = &self.stored {
            return Ok(stored.to(self.dtype(), device)?);
        }
        Ok(Weights {
            theta: network.layout().initialize(seed, self.dtype(), device)?,
            buffers: network.buffers().initialize(seed, self.dtype(), device)?,
        })
    }

    /// A checkpoint of `weights`, with the name that its `spec` has.
    pub(crate) fn encode(
        &self,
        Weights { theta, buffers }: &Weights,
        spec: &ModelSpec,
    ) -> Result<Vec<u8>> {
        let bytes = checkpoint::encode(&self.network, theta, buffers, &spec.name)?;
        Ok(bytes)
    }

    /// The network whose curvature is measured: batch-norm takes the `buffers` (Q) or its batches.
    pub(crate) fn measured(&self, batch_norm: BatchNorm, buffers: &Tensor) -> Result<Network> {
        Ok(match batch_norm {
            BatchNorm::Frozen => self.network.freeze(buffers)?,
            BatchNorm::Batch => self.network.clone(),
        })
    }

    /// The mean loss over `examples` of `network`, one of this model's.
    pub(crate) fn mean_loss<'a>(
        &'a self,
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
            self.loss.loss(),
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
        // The outputs of a layer are the first axis of its weight.
        let parameters = self.network.layout().parameters().iter();
        let weights = parameters.filter(|parameter| parameter.shape.len() > 1);
        let outputs: Vec<usize> = weights.map(|weight| weight.shape[0]).collect();
        let last = outputs.last().copied().unwrap_or(0);
        let classes = self.network.output_shape().last();
        ModelRecord {
            name: self.name.clone(),
            file: self.file.clone(),
            parameters: self.network.layout().dim(),
            hidden_units: outputs.iter().sum::<usize>() - last,
            classes: classes.copied().unwrap_or(0),
            batch_norm: batch_norm.to_owned(),
            dtype: self.dtype,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ACTIVATIONS, Device, UNKNOWN, budgets, workers};

    #[test]
    fn budgets_are_what_is_said_and_shares_of_the_device_that_computes() {
        const MIB: u64 = 1 << 20;
        let (free, host) = (Some(80 << 30), Some(16 << 30));
        let all = (8, 8);
        assert_eq!(budgets([None; 2], free, host, all), (20 << 30, 40 << 30));
        assert_eq!(budgets([None; 2], None, host, all), (4 << 30, 8 << 30));
        // Two of eight cores, more threads than cores, and a part that is less than the least.
        assert_eq!(budgets([None; 2], None, host, (2, 8)), (1 << 30, 8 << 30));
        assert_eq!(budgets([None; 2], None, host, (9, 8)), (4 << 30, 8 << 30));
        let least = ACTIVATIONS * MIB;
        assert_eq!(budgets([None; 2], None, host, (1, 64)), (least, 8 << 30));
        assert_eq!(budgets([None; 2], None, None, all), (least, UNKNOWN));
        assert_eq!(budgets([Some(0), Some(3)], free, host, all), (0, 3 * MIB));
        assert_eq!(
            budgets([Some(5), Some(u64::MAX)], None, None, all),
            (5 * MIB, u64::MAX)
        );
    }

    #[test]
    fn passes_over_vectors_take_the_threads_asked_for() {
        let workers = workers(Some(3), &Device::Cpu).expect("three threads");
        assert_eq!(workers.threads(), 3);
        assert_eq!(rayon::current_num_threads(), 3);
    }
}
