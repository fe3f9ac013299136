//! A network with its weights as they are stored: a checkpoint, or an ONNX file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use candle_core::DType;
use flatness_data::Examples;
use flatness_engine::Weights;
use flatness_models::checkpoint::{self, Checkpoint};
use flatness_records::{BatchNorm, Dtype, ModelSpec};

use crate::architecture::{self, Architecture};
use crate::arguments::NameOptions;
use crate::loss::ResolvedLoss;
use crate::setting::Model;

/// What a file holds.
pub(crate) struct Stored {
    path: PathBuf,
    pub(crate) architecture: Architecture,
    /// Weights that are not those of the file of the network.
    checkpoint: Option<Checkpoint>,
}

/// A network and the weights that it was stored with, and what a user should know of them, a sentence each.
pub(crate) struct Weighted {
    pub(crate) model: Model,
    /// In the number type of the file.
    pub(crate) weights: Weights,
    pub(crate) notes: Vec<String>,
}

impl Stored {
    /// Reads the file at `path`: a checkpoint, for the network called `model` or else the one that it names, or an ONNX file,
    /// in which `constants` are initialisers that are no parameters.
    pub(crate) fn read(
        path: &Path,
        model: Option<&str>,
        names: &NameOptions,
        constants: &[String],
    ) -> Result<Self> {
        let (path, file) = (path.to_owned(), path.display().to_string());
        if architecture::is_file(&file) {
            for (given, option) in [
                (model.is_some(), "--model"),
                (names.entry.is_some(), "--entry"),
                (!names.rename.is_empty(), "--rename"),
            ] {
                if given {
                    bail!(
                        "{option} is for checkpoints; {file} has its network and weights in itself, leave it out"
                    );
                }
            }
            return Ok(Self {
                architecture: Architecture::find(&file, constants)?,
                checkpoint: None,
                path,
            });
        }
        let mut checkpoint = checkpoint::read(&path)?;
        if let Some(entry) = &names.entry {
            checkpoint = checkpoint.entry(entry, &file)?;
        }
        for (old, new) in &names.rename {
            checkpoint = checkpoint.rename(old, new, &file)?;
        }
        let Some(name) = model.or(checkpoint.model()) else {
            bail!("{file} does not name its model; give --model");
        };
        Ok(Self {
            architecture: Architecture::find(name, constants)?,
            checkpoint: Some(checkpoint),
            path,
        })
    }

    /// The network for `examples`, with this `loss`, in this number type or else that of the weights.
    pub(crate) fn network(
        self,
        examples: &dyn Examples,
        loss: ResolvedLoss,
        dtype: Option<Dtype>,
        batch_norm: BatchNorm,
    ) -> Result<Weighted> {
        let file = self.path.display().to_string();
        let spec = ModelSpec {
            name: self.architecture.name.clone(),
            dtype: Dtype::F32,
            dropout: true,
            initial: None,
            constants: Vec::new(),
        };
        let mut model = Model::new(&self.architecture, &spec, examples, loss)?;
        let mut notes = self.architecture.notes(examples);
        let weights = match (self.checkpoint, self.architecture.stored()) {
            (Some(checkpoint), _) => {
                let theta = checkpoint.parameters(&model.network, &file)?;
                let buffers = match batch_norm {
                    BatchNorm::Frozen => checkpoint.buffers(&model.network, &file)?,
                    BatchNorm::Batch => theta.narrow(0, 0, 0)?,
                };
                let place = checkpoint.place(&model.network, &file)?;
                notes.extend(place.map(|place| format!("{file}: {place}")));
                Weights { theta, buffers }
            }
            (None, Some(weights)) => weights,
            (None, None) => bail!("{file} holds no weights; give a checkpoint"),
        };
        model.dtype = match (dtype, weights.theta.dtype()) {
            (Some(dtype), _) => dtype,
            (None, DType::F64) => Dtype::F64,
            (None, _) => Dtype::F32,
        };
        Ok(Weighted {
            model,
            weights,
            notes,
        })
    }
}
