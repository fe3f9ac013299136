//! All that training goes on from after an interruption, as one safetensors file.
//!
//! The metadata have one entry: of what the state is, its position, and a SHA-256 of these and of all tensors. A state is
//! used whole or not at all, and goes on with the run, the data and the normalisation that it began with; other threads,
//! programs or processors are a new segment.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use flatness_records::Segment;
use safetensors::{SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use flatness_engine::Weights;
use flatness_kernels::home;

/// The one entry of the metadata.
const ENTRY: &str = "state";

/// Of what a state is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Name of the run.
    pub(crate) run: String,
    /// Digest of all the examples read.
    pub(crate) data: String,
    /// Mean and deviation of each channel that the pixels were normalised with.
    pub(crate) normalization: [Vec<f64>; 2],
    /// Digest of the file of the network, where it was read from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<String>,
}

impl Origin {
    /// Refuses what is `self`, found at `path`, where `expected` is asked for.
    pub(super) fn check(&self, expected: &Self, path: &Path) -> Result<()> {
        let normalization = |origin: &Self| format!("{:?}", origin.normalization);
        let network = |origin: &Self| origin.network.clone().unwrap_or_default();
        for (what, got, expected, hint) in [
            (
                "run",
                self.run.clone(),
                expected.run.clone(),
                "move it away",
            ),
            (
                "data digest",
                self.data.clone(),
                expected.data.clone(),
                "give the data that it was made with (--data)",
            ),
            (
                "normalisation",
                normalization(self),
                normalization(expected),
                "give the one that it was made with",
            ),
            (
                "network file's digest",
                network(self),
                network(expected),
                "put that file back",
            ),
        ] {
            if got != expected {
                bail!(
                    "{} must be of the {what} {expected}, but is of {got}; {hint}, or another directory for the runs",
                    path.display()
                );
            }
        }
        Ok(())
    }
}

/// Training between two steps.
pub(crate) struct State {
    pub(crate) origin: Origin,
    /// Who has done the steps so far.
    pub(crate) segments: Vec<Segment>,
    pub(crate) weights: Weights,
    /// Those at the beginning of the epoch, to which a diverged run returns.
    pub(crate) before: Weights,
    pub(crate) optimizer: flatness_optim::State,
    pub(crate) average: Option<flatness_optim::State>,
    pub(crate) position: Position,
}

/// How far training is, and the seconds spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Epochs done.
    pub(crate) epoch: u32,
    /// Batches done in the epoch after them.
    pub(crate) batch: usize,
    /// Steps done in all.
    pub(crate) steps: u64,
    /// Sum of the losses of the examples of those batches.
    pub(crate) loss_sum: f64,
    /// Number of those examples classified correctly.
    pub(crate) correct: f64,
    /// Seconds of those batches.
    pub(crate) epoch_seconds: f64,
    /// Seconds of the epochs done.
    pub(crate) train_seconds: f64,
    pub(crate) measure_seconds: f64,
}

/// What is in the entry of the metadata.
#[derive(Serialize, Deserialize)]
struct Entry {
    origin: Origin,
    segments: Vec<Segment>,
    position: Position,
    /// Iterates seen by the average, if there is one.
    averaged: Option<u64>,
    digest: String,
}

impl State {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut tensors: BTreeMap<String, &Tensor> = BTreeMap::new();
        // At the beginning of an epoch both are the same.
        let before = (self.position.batch > 0).then_some(&self.before);
        for (place, weights) in [("weights", Some(&self.weights)), ("before", before)] {
            if let Some(Weights { theta, buffers }) = weights {
                tensors.insert(format!("{place}.theta"), theta);
                tensors.insert(format!("{place}.buffers"), buffers);
            }
        }
        let states = [
            ("optimizer", Some(&self.optimizer)),
            ("average", self.average.as_ref()),
        ];
        for (place, state) in states {
            let vectors = state.iter().flat_map(|state| &state.vectors);
            tensors.extend(vectors.map(|(name, vector)| (format!("{place}.{name}"), vector)));
        }
        let mut entry = Entry {
            origin: self.origin.clone(),
            segments: self.segments.clone(),
            position: self.position,
            averaged: self.average.as_ref().map(|average| average.steps),
            digest: String::new(),
        };
        entry.digest = digest(&entry, &tensors)?;
        let metadata = HashMap::from([(ENTRY.to_owned(), serde_json::to_string(&entry)?)]);
        Ok(safetensors::serialize(tensors, Some(metadata))?)
    }

    pub(super) fn decode(bytes: &[u8], device: &Device) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let entry = metadata.metadata().as_ref();
        let entry = entry.and_then(|entries| entries.get(ENTRY));
        let mut entry: Entry = serde_json::from_str(entry.context("it is not a state")?)?;
        let tensors = SafeTensors::deserialize(bytes)?.tensors();
        let tensors: BTreeMap<String, _> = tensors.into_iter().collect();
        let expected = std::mem::take(&mut entry.digest);
        if digest(&entry, &tensors)? != expected {
            bail!("its contents do not have its digest");
        }
        let mut loaded = BTreeMap::new();
        for (name, tensor) in &tensors {
            let elements = tensor.shape().iter().product();
            loaded.insert(name.clone(), tensor.load(home(elements, device))?);
        }
        let take = |place: &str| {
            let named = loaded.iter().filter_map(|(name, tensor)| {
                let name = name.strip_prefix(place)?.strip_prefix('.')?;
                Some((name.to_owned(), tensor.clone()))
            });
            named.collect::<BTreeMap<_, _>>()
        };
        let weights = weights(take("weights"))?;
        let before = match entry.position.batch {
            0 => weights.copy()?,
            _ => self::weights(take("before"))?,
        };
        let optimizer = flatness_optim::State {
            steps: entry.position.steps,
            vectors: take("optimizer"),
        };
        let average = entry.averaged.map(|steps| flatness_optim::State {
            steps,
            vectors: take("average"),
        });
        Ok(Self {
            origin: entry.origin,
            segments: entry.segments,
            weights,
            before,
            optimizer,
            average,
            position: entry.position,
        })
    }
}

fn weights(mut tensors: BTreeMap<String, Tensor>) -> Result<Weights> {
    let mut take = |name: &str| {
        let tensor = tensors.remove(name);
        tensor.with_context(|| format!("the tensor {name} is missing"))
    };
    Ok(Weights {
        theta: take("theta")?,
        buffers: take("buffers")?,
    })
}

/// SHA-256 of the entry without its digest, and of names, types, shapes and elements in order.
fn digest<V: View>(entry: &Entry, tensors: &BTreeMap<String, V>) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(serde_json::to_string(entry)?);
    for (name, tensor) in tensors {
        hash.update(format!("{name} {:?} {:?}", tensor.dtype(), tensor.shape()));
        hash.update(tensor.data());
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
