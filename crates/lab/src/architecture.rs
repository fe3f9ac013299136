//! A network by the name that a spec gives it: one of the zoo, or an ONNX file.

use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use flatness_data::{Examples, file_digest};
use flatness_engine::Weights;
use flatness_layers::Network;
use flatness_models::Architecture as Family;
use flatness_onnx::Imported;
use flatness_records::NetworkFile;
use sha2::{Digest, Sha256};

/// A network for data that are yet to come.
pub(crate) struct Architecture {
    /// As a record names it.
    pub(crate) name: String,
    form: Form,
}

enum Form {
    Zoo(Family),
    File(Box<Imported>, NetworkFile),
}

/// Whether `name` is that of an ONNX file.
pub(crate) fn is_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "onnx")
}

impl Architecture {
    /// The network called `name`, where `constants` are initialisers of its file that are no parameters.
    pub(crate) fn find(name: &str, constants: &[String]) -> Result<Self> {
        if !is_file(name) {
            if !constants.is_empty() {
                bail!(
                    "--constants (model.constants in a spec) is for ONNX files; {name} is none, leave it out"
                );
            }
            return Ok(Self {
                name: name.to_owned(),
                form: Form::Zoo(Family::find(name)?),
            });
        }
        let path = Path::new(name);
        let imported = flatness_onnx::read(path, constants)?;
        let digests = imported.files.iter().map(|file| Ok(file_digest(file)?.1));
        let digests: Vec<String> = digests.collect::<Result<_>>()?;
        let digest = match digests.as_slice() {
            [one] => one.clone(),
            several => format!("{:x}", Sha256::digest(several.concat())),
        };
        let file = NetworkFile {
            path: name.to_owned(),
            digest,
        };
        let stem = path.file_stem().unwrap_or_default();
        Ok(Self {
            name: stem.to_string_lossy().into_owned(),
            form: Form::File(Box::new(imported), file),
        })
    }

    /// Its name in the zoo, where it is of it.
    pub(crate) fn zoo(&self) -> Option<&str> {
        matches!(self.form, Form::Zoo(_)).then_some(&*self.name)
    }

    /// The file that it was read from.
    pub(crate) fn file(&self) -> Option<&NetworkFile> {
        match &self.form {
            Form::Zoo(_) => None,
            Form::File(_, file) => Some(file),
        }
    }

    /// What a user should know of the file, a sentence each.
    pub(crate) fn notes(&self, examples: &dyn Examples) -> Vec<String> {
        let Form::File(imported, file) = &self.form else {
            return Vec::new();
        };
        let first = self.gives_classes_first(examples).then(|| {
            let (classes, outputs) = (examples.classes(), self.outputs());
            format!("the {classes} classes are in the first axis of the outputs {outputs:?}, as the labels say")
        });
        let notes = imported.notes.iter().cloned().chain(first);
        notes.map(|note| format!("{}: {note}", file.path)).collect()
    }

    /// Whether the outputs are those of `examples` once their first axis is put last.
    fn gives_classes_first(&self, examples: &dyn Examples) -> bool {
        let (mut gives, asked) = (self.outputs(), examples.outputs());
        if gives == asked || gives.is_empty() {
            return false;
        }
        gives.rotate_left(1);
        gives == asked
    }

    /// The values that the file holds, in its number type.
    pub(crate) fn stored(&self) -> Option<Weights> {
        let Form::File(imported, _) = &self.form else {
            return None;
        };
        Some(Weights {
            theta: imported.parameters.clone(),
            buffers: imported.buffers.clone(),
        })
    }

    /// Shape of the outputs for labels that say nothing of it.
    pub(crate) fn outputs(&self) -> Vec<usize> {
        match &self.form {
            Form::Zoo(family) => vec![family.default_input().1],
            Form::File(imported, _) => imported.network.output_shape().to_vec(),
        }
    }

    /// The same for these `labels` (N, ...), with the classes last: in the outputs of a file they are in the first axis, as
    /// PyTorch's loss has them, where only that fits labels that are classes of all further axes.
    pub(crate) fn outputs_for(&self, labels: &Tensor) -> Vec<usize> {
        let mut outputs = self.outputs();
        let positions = labels.dims().get(1..).unwrap_or_default();
        let fit = labels.dtype().is_int() && !positions.is_empty();
        if fit && outputs.get(1..) == Some(positions) && !outputs.starts_with(positions) {
            outputs.rotate_left(1);
        }
        outputs
    }

    /// The network for data like `examples`.
    pub(crate) fn network(&self, examples: &dyn Examples) -> Result<Network> {
        let (name, shape) = (examples.name(), examples.example_shape());
        match &self.form {
            Form::Zoo(family) => {
                let misfit = || {
                    let hint = match family.default_input() {
                        ([3, 32, 32], _) => {
                            "; it is made for --data-set cifar-100 or cifar-10 (data.set in a spec)"
                        }
                        _ => "",
                    };
                    format!("{} does not fit {name}{hint}", self.name)
                };
                let network = family.network(&shape, examples.classes());
                network.with_context(misfit)
            }
            Form::File(imported, file) => {
                let (path, takes) = (&file.path, imported.network.input_shape());
                if takes != shape {
                    bail!(
                        "{path} takes inputs of shape {takes:?}, and those of {name} are {shape:?}; save x in the shape \
                         that the network was exported with"
                    );
                }
                let (gives, asked) = (self.outputs(), examples.outputs());
                if self.gives_classes_first(examples) {
                    return Ok(imported.network.with_first_axis_last());
                }
                if gives != asked {
                    bail!(
                        "{path} has outputs of shape {gives:?}, and {name} has labels for {asked:?}; export the network for \
                         that number of classes"
                    );
                }
                Ok(imported.network.clone())
            }
        }
    }
}
