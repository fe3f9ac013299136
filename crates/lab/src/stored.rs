//! A network with its weights as they are stored: a checkpoint of a network of the zoo, or an ONNX file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use candle_core::{DType, Tensor};
use flatness_data::{Examples, check_probabilities};
use flatness_engine::Weights;
use flatness_layers::Loss;
use flatness_models::{Architecture, checkpoint};
use flatness_onnx::Imported;
use flatness_records::{BatchNorm, Dtype, ModelSpec};

use crate::setting::Model;

/// Refuses `labels` of the file `name` that `loss` does not take.
pub(crate) fn check_labels(name: &str, labels: &Tensor, loss: Loss) -> Result<()> {
    match loss {
        Loss::SquaredError => Ok(()),
        Loss::BinaryCrossEntropy => Ok(check_probabilities(name, labels, false)?),
        Loss::CrossEntropy | Loss::LabelSmoothing { .. } => {
            Ok(check_probabilities(name, labels, true)?)
        }
    }
}

/// What a file holds.
pub(crate) struct Stored {
    path: PathBuf,
    /// Name of the network.
    pub(crate) name: String,
    form: Form,
}

enum Form {
    Checkpoint(checkpoint::Checkpoint),
    Onnx(Box<Imported>),
}

/// A network and the weights that it was stored with, and what a user should know of them, a sentence each.
pub(crate) struct Weighted {
    pub(crate) model: Model,
    /// In the number type of the file.
    pub(crate) weights: Weights,
    pub(crate) notes: Vec<String>,
}

impl Stored {
    /// Reads the file at `path`: of a checkpoint, for the network called `model` or else the one that it names, what lies at
    /// or under `entry`; in an ONNX file, `constants` are initialisers that are no parameters.
    pub(crate) fn read(
        path: &Path,
        model: Option<&str>,
        entry: Option<&str>,
        constants: &[String],
    ) -> Result<Self> {
        let (path, file) = (path.to_owned(), path.display());
        if path.extension().is_some_and(|end| end == "onnx") {
            for (given, option) in [(model, "--model"), (entry, "--entry")] {
                if given.is_some() {
                    bail!(
                        "{option} is for checkpoints; {file} has its network and weights in itself, leave it out"
                    );
                }
            }
            let name = path.file_stem().unwrap_or_default();
            return Ok(Self {
                name: name.to_string_lossy().into_owned(),
                form: Form::Onnx(Box::new(flatness_onnx::read(&path, constants)?)),
                path,
            });
        }
        if !constants.is_empty() {
            bail!("--constants is for ONNX files; {file} is a checkpoint, leave it out");
        }
        let mut checkpoint = checkpoint::read(&path)?;
        if let Some(entry) = entry {
            checkpoint = checkpoint.entry(entry, &file.to_string())?;
        }
        let Some(name) = model.or(checkpoint.model()) else {
            bail!("{file} does not name its model; give --model");
        };
        Ok(Self {
            name: name.to_owned(),
            form: Form::Checkpoint(checkpoint),
            path,
        })
    }

    pub(crate) fn is_onnx(&self) -> bool {
        matches!(self.form, Form::Onnx(_))
    }

    /// Puts the classes of an ONNX network last, (C, ...) to (..., C), where `labels` (N, ...) are classes of all its further
    /// axes and could not be those of others: images with a class at each pixel, as PyTorch's own loss has them.
    pub(crate) fn place_classes(&mut self, labels: &Tensor) {
        let Form::Onnx(imported) = &mut self.form else {
            return;
        };
        let outputs = imported.network.output_shape();
        let positions = labels.dims().get(1..).unwrap_or_default();
        let (Some((_, behind)), Some((_, before))) = (outputs.split_first(), outputs.split_last())
        else {
            return;
        };
        let are_positions = labels.dtype().is_int() && !positions.is_empty();
        if are_positions && behind == positions && before != positions {
            imported.notes.push(format!(
                "the {} classes are in the first axis of the outputs {outputs:?}, as the labels say",
                outputs[0]
            ));
            imported.network = imported.network.with_first_axis_last();
        }
    }

    /// Shape of the outputs for labels that say nothing of it.
    pub(crate) fn outputs(&self) -> Result<Vec<usize>> {
        match &self.form {
            Form::Onnx(imported) => Ok(imported.network.output_shape().to_vec()),
            Form::Checkpoint(_) => Ok(vec![Architecture::find(&self.name)?.default_input().1]),
        }
    }

    /// The network for `examples`, with this `loss`, in this number type or else that of the weights.
    pub(crate) fn network(
        self,
        examples: &dyn Examples,
        loss: Loss,
        dtype: Option<Dtype>,
        batch_norm: BatchNorm,
    ) -> Result<Weighted> {
        let file = self.path.display().to_string();
        let mut weighted = match self.form {
            Form::Onnx(imported) => Self::imported(self.name, &file, *imported, examples)?,
            Form::Checkpoint(checkpoint) => {
                let spec = ModelSpec {
                    name: self.name,
                    dtype: Dtype::F32,
                    dropout: true,
                };
                let model = Model::new(&spec, examples)?;
                let theta = checkpoint.parameters(&model.network, &file)?;
                let buffers = match batch_norm {
                    BatchNorm::Frozen => checkpoint.buffers(&model.network, &file)?,
                    BatchNorm::Batch => theta.narrow(0, 0, 0)?,
                };
                let place = checkpoint.place(&model.network, &file)?;
                Weighted {
                    weights: Weights { theta, buffers },
                    notes: place.into_iter().collect(),
                    model,
                }
            }
        };
        for note in &mut weighted.notes {
            *note = format!("{file}: {note}");
        }
        weighted.model.loss = loss;
        weighted.model.dtype = match (dtype, weighted.weights.theta.dtype()) {
            (Some(dtype), _) => dtype,
            (None, DType::F64) => Dtype::F64,
            (None, _) => Dtype::F32,
        };
        Ok(weighted)
    }

    fn imported(
        name: String,
        file: &str,
        imported: Imported,
        examples: &dyn Examples,
    ) -> Result<Weighted> {
        let Imported {
            network,
            parameters,
            buffers,
            notes,
        } = imported;
        let (takes, got) = (network.input_shape(), examples.example_shape());
        if takes != got {
            bail!(
                "{file} takes inputs of shape {takes:?}, and those of {} are {got:?}; save x in the shape that the network \
                 was exported with",
                examples.name()
            );
        }
        Ok(Weighted {
            model: Model {
                name,
                network,
                loss: Loss::CrossEntropy,
                dtype: Dtype::F32,
            },
            weights: Weights {
                theta: parameters,
                buffers,
            },
            notes,
        })
    }
}
