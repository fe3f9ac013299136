//! Checkpoints: named parameters and running statistics, the keys and shapes of PyTorch's state dict.
//!
//! Written as safetensors; read from safetensors and from what `torch.save` writes.

mod pickle;
mod pytorch;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Network, ParamLayout, Parameter};
use safetensors::SafeTensors;

use crate::Error;

/// Names of each kind that an error lists; the others are counted.
const LISTED: usize = 8;

/// Counter of training batches in PyTorch's batch-norm; nothing here depends on it.
const BATCHES: &str = "num_batches_tracked";

/// What a network in a `DataParallel` has before all its names.
const PARALLEL: &str = "module.";

/// Named tensors read from a checkpoint, on the CPU.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    tensors: HashMap<String, Tensor>,
    model: Option<String>,
}

/// The bytes of a checkpoint of `theta` (P) and `buffers` (Q) of `network`, all in the number type
/// of `theta`, with the name of its architecture in the metadata. A frozen network has no buffers of
/// its own: give the network that it was made of.
///
/// # Errors
/// A `theta` or `buffers` that do not fit the network or are of a number type other than f32 and
/// f64, or a device error.
pub fn encode(
    network: &Network,
    theta: &Tensor,
    buffers: &Tensor,
    model: &str,
) -> Result<Vec<u8>, Error> {
    if !matches!(theta.dtype(), DType::F32 | DType::F64) {
        return Err(flatness_layers::Error::NumberType {
            place: format!("parameters of a checkpoint of {model}"),
            expected: "f32 or f64",
            got: theta.dtype().as_str(),
        }
        .into());
    }
    let buffers = buffers.to_dtype(theta.dtype())?;
    let mut named = Vec::new();
    for (layout, flat) in [(network.layout(), theta), (network.buffers(), &buffers)] {
        let names = layout.parameters().iter().map(|parameter| &parameter.name);
        named.extend(names.zip(layout.views(flat)?));
    }
    // One entry only: the order of several would differ from run to run.
    let metadata = HashMap::from([("model".to_owned(), model.to_owned())]);
    safetensors::serialize(named, Some(metadata)).map_err(|error| Error::Format {
        origin: format!("checkpoint of {model}"),
        reason: error.to_string(),
    })
}

/// Reads a checkpoint: a safetensors file, or a `.pth` of `torch.save`.
///
/// # Errors
/// [`Error::Read`], and those of [`decode`].
pub fn read(path: &Path) -> Result<Checkpoint, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    decode(&bytes, &path.display().to_string())
}

/// The checkpoint in `bytes`, of either format; `origin` names them in errors.
///
/// # Errors
/// [`Error::Format`] for anything that is not a whole safetensors file, [`Error::PyTorch`] for an
/// archive of `torch.save` without tensors to be read.
pub fn decode(bytes: &[u8], origin: &str) -> Result<Checkpoint, Error> {
    if pytorch::recognizes(bytes) {
        let tensors = pytorch::tensors(bytes).map_err(|reason| Error::PyTorch {
            origin: origin.to_owned(),
            reason,
        })?;
        return Checkpoint::new(tensors, None);
    }
    let format = |reason: String| Error::Format {
        origin: origin.to_owned(),
        reason,
    };
    let metadata = SafeTensors::read_metadata(bytes);
    let (_, metadata) = metadata.map_err(|error| format(error.to_string()))?;
    let entries = metadata.metadata().as_ref();
    let model = entries.and_then(|entries| entries.get("model").cloned());
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu);
    Checkpoint::new(tensors.map_err(|error| format(error.to_string()))?, model)
}

impl Checkpoint {
    /// Takes the names and number types of PyTorch to those of a [`Network`].
    fn new(mut tensors: HashMap<String, Tensor>, model: Option<String>) -> Result<Self, Error> {
        tensors.retain(|name, _| name.rsplit('.').next() != Some(BATCHES));
        if tensors.keys().all(|name| name.starts_with(PARALLEL)) {
            let bare =
                |(name, tensor): (String, Tensor)| (name[PARALLEL.len()..].to_owned(), tensor);
            tensors = tensors.into_iter().map(bare).collect();
        }
        for tensor in tensors.values_mut() {
            if matches!(tensor.dtype(), DType::F16 | DType::BF16) {
                *tensor = tensor.to_dtype(DType::F32)?;
            }
        }
        Ok(Self { tensors, model })
    }

    /// Name of the architecture, where the writer gave one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Parameters (P) in the order of the layout of `network`, in the checkpoint's number type;
    /// half precision becomes `F32`.
    ///
    /// # Errors
    /// [`Error::Mismatch`], which lists every missing, unexpected, mis-shaped and mis-typed name of
    /// parameters and running statistics, and [`Error::Values`] for one that is not finite.
    pub fn parameters(&self, network: &Network, origin: &str) -> Result<Tensor, Error> {
        self.check(network, origin)?;
        self.finite(network.layout(), origin)
    }

    /// Running statistics (Q) in the order of [`Network::buffers`], as
    /// [`Checkpoint::parameters`]; no elements for a network without any.
    ///
    /// # Errors
    /// Those of [`Checkpoint::parameters`], and [`Error::Values`] for a variance below zero.
    pub fn buffers(&self, network: &Network, origin: &str) -> Result<Tensor, Error> {
        self.check(network, origin)?;
        let layout = network.buffers();
        let buffers = self.finite(layout, origin)?;
        for (parameter, view) in layout.parameters().iter().zip(layout.views(&buffers)?) {
            let least = view.min_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            if parameter.name.ends_with(".running_var") && least < 0.0 {
                return Err(Error::Values {
                    origin: origin.to_owned(),
                    name: parameter.name.clone(),
                    fault: "is a variance and has negative values",
                });
            }
        }
        Ok(buffers)
    }

    /// Holds names, shapes and number types to those of `network`.
    fn check(&self, network: &Network, origin: &str) -> Result<(), Error> {
        let [mut missing, mut misshaped, mut mistyped] = [const { Vec::new() }; 3];
        let (mut known, mut dtypes) = (HashSet::new(), HashSet::new());
        let layouts = [network.layout(), network.buffers()];
        for Parameter { name, shape, .. } in layouts.iter().flat_map(|layout| layout.parameters()) {
            known.insert(name);
            let Some(tensor) = self.tensors.get(name) else {
                missing.push(format!("{name} {shape:?}"));
                continue;
            };
            if tensor.dims() != shape {
                let got = tensor.dims();
                misshaped.push(format!("{name} {got:?} instead of {shape:?}"));
            }
            match tensor.dtype() {
                DType::F32 | DType::F64 => drop(dtypes.insert(tensor.dtype().as_str())),
                other => mistyped.push(format!("{name} {}", other.as_str())),
            }
        }
        let unexpected = self.tensors.keys().filter(|name| !known.contains(name));
        let mut unexpected: Vec<String> = unexpected.cloned().collect();
        unexpected.sort_unstable();
        let kinds = [
            ("missing", missing),
            ("of another shape", misshaped),
            ("of no floating-point type", mistyped),
            ("unexpected", unexpected),
        ];
        let mut problems: Vec<String> = kinds
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(kind, names)| listed(kind, &names))
            .collect();
        if dtypes.len() > 1 {
            problems.push("f32 and f64 side by side, where one type is wanted".to_owned());
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::Mismatch {
            origin: origin.to_owned(),
            problems: problems.join("; "),
        })
    }

    /// The flat vector of `layout`, which fits.
    fn finite(&self, layout: &ParamLayout, origin: &str) -> Result<Tensor, Error> {
        let mut pieces = Vec::with_capacity(layout.parameters().len());
        for Parameter { name, .. } in layout.parameters() {
            let Some(tensor) = self.tensors.get(name) else {
                continue;
            };
            let magnitudes = tensor.abs()?.to_dtype(DType::F64)?;
            if !magnitudes.sum_all()?.to_scalar::<f64>()?.is_finite() {
                return Err(Error::Values {
                    origin: origin.to_owned(),
                    name: name.clone(),
                    fault: "has values that are not finite",
                });
            }
            pieces.push(tensor.clone());
        }
        Ok(layout.concatenate(&pieces)?)
    }
}

/// `<count> <kind>: <names>`.
fn listed(kind: &str, names: &[String]) -> String {
    let (shown, hidden) = names.split_at(names.len().min(LISTED));
    let more = match hidden.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    format!("{} {kind}: {}{more}", names.len(), shown.join(", "))
}
