//! Checkpoints: named parameters and running statistics, the keys and shapes of PyTorch's state dict.
//!
//! Written as safetensors; read from safetensors, from what `torch.save` writes, whole state dicts or
//! modules, wherever in the file they are, and from archives of arrays and programs of `torch.export`. Elements are decoded only where a network asks for them.

mod arrays;
mod entry;
mod files;
mod find;
mod pytorch;
mod safetensor;
mod walk;
mod weights;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use flatness_formats::magic;
use flatness_layers::Network;

use crate::Error;

use entry::{Bytes, Entry, Storage};
use find::{Candidate, Names, listed};

/// Named tensors of a checkpoint.
#[derive(Clone)]
pub struct Checkpoint {
    files: Vec<Bytes>,
    storages: Vec<Storage>,
    entries: Vec<Entry>,
    model: Option<String>,
}

/// The bytes of a checkpoint of `theta` (P) and `buffers` (Q) of `network`, all in the number type
/// of `theta`, with the name of its architecture and a digest in the metadata. A frozen network has no buffers of
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
    let refused = |reason: String| Error::Format {
        origin: format!("checkpoint of {model}"),
        reason,
    };
    let bytes = safetensors::serialize(named, Some(metadata));
    let bytes = bytes.map_err(|error| refused(error.to_string()))?;
    safetensor::sealed(&bytes).ok_or_else(|| refused("it has no metadata".to_owned()))
}

/// Reads a checkpoint: a safetensors file, one of `torch.save`, the index of several such files, or a
/// directory that holds one.
///
/// # Errors
/// [`Error::Read`], [`Error::Directory`], [`Error::Index`] and those of [`decode`].
pub fn read(path: &Path) -> Result<Checkpoint, Error> {
    files::read(path)
}

/// The checkpoint in `bytes`, of either format; `origin` names them in errors.
///
/// # Errors
/// [`Error::Foreign`] for bytes of a known form that is no checkpoint, [`Error::Format`] for any others
/// that are not a whole safetensors file, [`Error::PyTorch`] for what `torch.save` wrote without tensors
/// to be read.
pub fn decode(bytes: &[u8], origin: &str) -> Result<Checkpoint, Error> {
    of(bytes.to_vec(), origin)
}

/// Whether a file that begins with `head` can be a checkpoint.
fn admit(head: &[u8], origin: &str) -> Result<(), Error> {
    match magic::name(head) {
        Some(what) if !pytorch::recognizes(head) && !safetensor::recognizes(head) => {
            Err(Error::Foreign {
                origin: origin.to_owned(),
                what,
            })
        }
        _ => Ok(()),
    }
}

fn of(bytes: Vec<u8>, origin: &str) -> Result<Checkpoint, Error> {
    admit(&bytes[..bytes.len().min(magic::HEAD)], origin)?;
    let (entries, storages, model) = if pytorch::recognizes(&bytes) {
        let refused = |reason| Error::PyTorch {
            origin: origin.to_owned(),
            reason,
        };
        let (entries, storages) = pytorch::read(&bytes).map_err(refused)?;
        if entries.is_empty() {
            let reason = "it has no state dict; save `model.state_dict()`";
            return Err(refused(reason.to_owned()));
        }
        (entries, storages, None)
    } else {
        safetensor::read(&bytes).map_err(|reason| Error::Format {
            origin: origin.to_owned(),
            reason,
        })?
    };
    Ok(Checkpoint {
        files: vec![Arc::new(bytes)],
        storages,
        entries,
        model,
    })
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.entries.iter().map(|entry| &entry.name);
        formatter.debug_list().entries(names).finish()
    }
}

impl Checkpoint {
    /// Name of the architecture, where the writer gave one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// What lies at or under `entry` alone: a key, a path of keys joined by `/`, or a prefix of names.
    ///
    /// # Errors
    /// [`Error::Entry`] where nothing does.
    pub fn entry(mut self, entry: &str, origin: &str) -> Result<Self, Error> {
        let wanted = entry.trim_end_matches(['/', '.']);
        let is_under = |name: &str| {
            let behind = name.strip_prefix(wanted);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['/', '.']))
        };
        if !self.entries.iter().any(|entry| is_under(&entry.name)) {
            return Err(Error::Entry {
                origin: origin.to_owned(),
                got: entry.to_owned(),
                known: self.known(),
            });
        }
        self.entries.retain(|entry| is_under(&entry.name));
        Ok(self)
    }

    /// With other names: of the keys behind the last `/` that are like `old`, where one `*` stands for any characters, those
    /// become `new`, with what the star stood for in the place of its own.
    ///
    /// # Errors
    /// [`Error::Entry`] where no name is like `old`, [`Error::Renamed`] for patterns that do not fit each other and for a name
    /// that there is already.
    pub fn rename(mut self, old: &str, new: &str, origin: &str) -> Result<Self, Error> {
        let refused = |reason: String| Error::Renamed {
            origin: origin.to_owned(),
            rule: format!("{old}={new}"),
            reason,
        };
        let stars = [old, new].map(|pattern| pattern.matches('*').count());
        if stars[0] != stars[1] || stars[0] > 1 {
            let reason = "both sides need one `*`, or none";
            return Err(refused(reason.to_owned()));
        }
        let renamed = |name: &str| {
            let (path, key) = name.split_at(name.rfind('/').map_or(0, |slash| slash + 1));
            let key = match old.split_once('*') {
                None => (key == old).then(|| new.to_owned()),
                Some((head, tail)) => {
                    let star = key.strip_prefix(head)?.strip_suffix(tail)?;
                    Some(new.replacen('*', star, 1))
                }
            };
            key.map(|key| format!("{path}{key}"))
        };
        let mut names: HashSet<String> = self.entries.iter().map(|one| one.name.clone()).collect();
        let mut found = false;
        for entry in &mut self.entries {
            if let Some(name) = renamed(&entry.name) {
                if name != entry.name && !names.insert(name.clone()) {
                    return Err(refused(format!("there is a {name} already")));
                }
                (entry.name, found) = (name, true);
            }
        }
        if found {
            return Ok(self);
        }
        Err(Error::Entry {
            origin: origin.to_owned(),
            got: old.to_owned(),
            known: self.known(),
        })
    }

    /// The names of its tensors, for an error.
    fn known(&self) -> String {
        let names: Vec<&str> = self.entries.iter().map(|entry| &*entry.name).collect();
        listed(&names)
    }

    /// Where the weights of `network` are, and what else the file holds; none where they are not behind
    /// anything and it holds nothing else.
    ///
    /// # Errors
    /// Those of [`Checkpoint::parameters`].
    pub fn place(&self, network: &Network, origin: &str) -> Result<Option<String>, Error> {
        let candidate = self.locate(network, origin)?;
        let left = Names::new(&self.entries).left_over(network, &candidate);
        let place = match (&candidate, candidate.name()) {
            (Candidate::Vector(_), name) => Some(format!("the weights are the vector `{name}`")),
            (Candidate::Prefix(_), "") => None,
            (Candidate::Prefix(_), name) => Some(format!("the weights are those under `{name}`")),
        };
        let left = (!left.is_empty()).then(|| format!("left out: {}", listed(&left)));
        let parts: Vec<String> = place.into_iter().chain(left).collect();
        Ok((!parts.is_empty()).then(|| parts.join("; ")))
    }

    /// Parameters (P) in the order of the layout of `network`, in the checkpoint's number type: less than
    /// single precision becomes `F32`, single beside double precision `F64`.
    ///
    /// # Errors
    /// [`Error::Mismatch`], which lists every missing, unexpected, mis-shaped and mis-typed name of
    /// parameters and running statistics at the place that is nearest to fitting, [`Error::Ambiguous`]
    /// for several that fit and differ, [`Error::Tensor`], and [`Error::Values`] for one that is not finite.
    pub fn parameters(&self, network: &Network, origin: &str) -> Result<Tensor, Error> {
        let candidate = self.locate(network, origin)?;
        self.finite(network, network.layout(), &candidate, origin)
    }

    /// Running statistics (Q) in the order of [`Network::buffers`], as
    /// [`Checkpoint::parameters`]; no elements for a network without any.
    ///
    /// # Errors
    /// Those of [`Checkpoint::parameters`], and [`Error::Values`] for a variance below zero.
    pub fn buffers(&self, network: &Network, origin: &str) -> Result<Tensor, Error> {
        let candidate = self.locate(network, origin)?;
        let layout = network.buffers();
        let buffers = self.finite(network, layout, &candidate, origin)?;
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
}
