//! From a file to a network with its values.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flatness_layers::Network;

use crate::Error;
use crate::build::network;
use crate::file::{self, Source};
use crate::import;
use crate::plan::{Operation, Plan, Weight};
use crate::tensor::{self, Number};
use crate::weights;

/// A network of an ONNX file with the values that it was exported at.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The network; batch norms take the statistics of the batch until they are frozen at `buffers`.
    pub network: Network,
    /// Parameters, (P), in float64 where the file has one of that type, else in float32.
    pub parameters: Tensor,
    /// Running statistics, (Q), in the order of [`Network::buffers`] and the number type of the parameters.
    pub buffers: Tensor,
    /// What a user should know, a sentence each: names that were worked out, batch norms that the exporter has folded.
    pub notes: Vec<String>,
    /// The files that it was read from, the model before those that hold its tensors.
    pub files: Vec<PathBuf>,
}

/// Reads the ONNX file at `path`, and the files beside it that hold its tensors. `constants` are the names of initialisers that
/// are no parameters, though nothing in the file says so: buffers of a floating type.
///
/// # Errors
/// [`Error::Read`] and those of [`decode`].
pub fn read(path: &Path, constants: &[String]) -> Result<Imported, Error> {
    let bytes = file::bytes(path)?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let origin = path.display().to_string();
    let mut imported = decode(bytes, Some(directory), &origin, constants)?;
    imported.files.insert(0, path.to_owned());
    Ok(imported)
}

/// The network in `bytes`, as [`read`] reads it; tensors in other files are looked for in `directory`, and `origin` names the
/// bytes in errors.
///
/// # Errors
/// [`Error::Foreign`] and [`Error::Format`] for bytes that are no ONNX model, [`Error::Opset`], [`Error::Inputs`] and
/// [`Error::Place`] for models that no network here can be, [`Error::Operator`] and [`Error::Node`] for what is not there,
/// [`Error::Tensor`] for tensors that cannot be read, [`Error::Constant`] for a name that is none.
pub fn decode(
    bytes: Vec<u8>,
    directory: Option<&Path>,
    origin: &str,
    constants: &[String],
) -> Result<Imported, Error> {
    let source = file::decode(bytes, origin)?;
    let import::Import { plan, notes } = import::import(&source, directory, origin, constants)?;
    let network = network(&plan, origin)?;
    let (parameters, buffers) = values(&source, &plan, &network, directory, origin)?;
    Ok(Imported {
        network,
        parameters,
        buffers,
        notes,
        files: directory.map_or_else(Vec::new, |directory| beside(&source, directory)),
    })
}

/// The files in `directory` that hold tensors of the model.
fn beside(source: &Source, directory: &Path) -> Vec<PathBuf> {
    let graph = &source.graph;
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_ref());
    let tensors = graph.initializer.iter().chain(constants);
    let files: BTreeSet<PathBuf> = tensors
        .filter_map(|tensor| tensor::file(tensor, directory))
        .collect();
    files.into_iter().collect()
}

/// Values of the parameters, (P), and of the running statistics, (Q).
fn values(
    source: &Source,
    plan: &Plan,
    network: &Network,
    directory: Option<&Path>,
    origin: &str,
) -> Result<(Tensor, Tensor), Error> {
    let weights = network.layout().parameters().iter().map(|parameter| {
        let mut weights = plan.weights.iter();
        weights.find(|weight| weight.name == parameter.name)
    });
    let weights: Vec<&Weight> = weights.flatten().collect();
    let initializers = &source.graph.initializer;
    let is_double = |weight: &&Weight| {
        tensor::number(&initializers[weight.tensor]).is_ok_and(|number| number == Number::F64)
    };
    let dim = network.layout().dim();
    let place = |values: &mut dyn FnMut(usize, f64)| {
        let mut start = 0;
        for weight in &weights {
            let initializer = &initializers[weight.tensor];
            let read = weights::read(initializer, weight, directory, &mut |place, value| {
                values(start + place, value)
            });
            read.map_err(|reason| Error::Tensor {
                origin: origin.to_owned(),
                name: initializer.name.clone(),
                reason: reason.into_owned(),
            })?;
            start += weight.shape.iter().product::<usize>();
        }
        Ok::<_, Error>(())
    };
    let (parameters, dtype) = if weights.iter().any(is_double) {
        let mut elements = vec![0.0; dim];
        place(&mut |at, value| elements[at] = value)?;
        (Tensor::from_vec(elements, dim, &Device::Cpu)?, DType::F64)
    } else {
        let mut elements = vec![0.0f32; dim];
        place(&mut |at, value| elements[at] = value as f32)?;
        (Tensor::from_vec(elements, dim, &Device::Cpu)?, DType::F32)
    };
    let mut statistics = Vec::with_capacity(network.buffers().dim());
    let mut seen = HashSet::new();
    for step in &plan.steps {
        if let Operation::BatchNorm {
            statistics: own,
            name,
            ..
        } = &step.operation
            && seen.insert(name)
        {
            statistics.extend(
                own.iter()
                    .flat_map(|statistic| statistic.values.iter().copied()),
            );
        }
    }
    let count = statistics.len();
    let buffers = Tensor::from_vec(statistics, count, &Device::Cpu)?.to_dtype(dtype)?;
    Ok((parameters, buffers))
}
