//! The weights of a network out of a checkpoint: which ones they are, decoded and held to the network.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry::Vacant;

use candle_core::{DType, Tensor};
use flatness_layers::{Network, ParamLayout, Parameter};

use super::Checkpoint;
use super::entry::{Storage, View};
use super::find::{Candidate, Names, listed};
use crate::Error;

impl Checkpoint {
    /// The one place of the weights of `network`; several of the same values are one.
    pub(super) fn locate(&self, network: &Network, origin: &str) -> Result<Candidate, Error> {
        let names = Names::new(&self.entries);
        let all = names.candidates(network);
        let is_whole = |candidate: &&Candidate| match candidate {
            Candidate::Prefix(prefix) => names.unexpected(network, prefix, &all).is_empty(),
            Candidate::Vector(_) => true,
        };
        let mut differing: Vec<&Candidate> = Vec::new();
        for candidate in all.iter().filter(is_whole) {
            // Once two differ, the others are only to be listed.
            let is_known = |other: &&Candidate| self.agree(network, [other, candidate], origin);
            if differing.len() > 1 || !differing.iter().any(is_known) {
                differing.push(candidate);
            }
        }
        match differing[..] {
            [one] => Ok(one.clone()),
            [] => {
                let prefix = match all.first() {
                    Some(Candidate::Prefix(prefix)) => prefix,
                    _ => names.nearest(network),
                };
                Err(self.mismatch(network, prefix, origin))
            }
            _ => {
                let names: Vec<&str> = differing.iter().map(|one| one.name()).collect();
                Err(Error::Ambiguous {
                    origin: origin.to_owned(),
                    count: names.len(),
                    names: listed(&names),
                })
            }
        }
    }

    /// Whether both have the same values; a fault in either is a difference.
    fn agree(&self, network: &Network, both: [&Candidate; 2], origin: &str) -> bool {
        let is_vector = |one: &&Candidate| matches!(one, Candidate::Vector(_));
        let layouts = match both.iter().any(is_vector) {
            true => vec![network.layout()],
            false => vec![network.layout(), network.buffers()],
        };
        layouts.into_iter().all(|layout| {
            let values = both.map(|candidate| {
                let flat = self.pieces(network, layout, candidate, origin).ok()?;
                let flat = flat.into_iter().map(|(_, piece)| piece.flatten_all());
                let flat = flat.collect::<Result<Vec<_>, _>>().ok()?;
                let flat = flat
                    .iter()
                    .map(|piece| piece.to_dtype(DType::F64)?.to_vec1::<f64>());
                Some(flat.collect::<Result<Vec<_>, _>>().ok()?.concat())
            });
            values[0].is_some() && values[0] == values[1]
        })
    }

    /// The pieces of `layout` by name, as they are stored.
    fn pieces(
        &self,
        network: &Network,
        layout: &ParamLayout,
        candidate: &Candidate,
        origin: &str,
    ) -> Result<Vec<(String, Tensor)>, Error> {
        let names = Names::new(&self.entries);
        let refused = |name: &str, reason: String| Error::Tensor {
            origin: origin.to_owned(),
            name: name.to_owned(),
            reason,
        };
        let entries = match candidate {
            Candidate::Vector(name) if layout.dim() == network.layout().dim() => {
                vec![names.get("", name)]
            }
            Candidate::Vector(name) if layout.dim() > 0 => {
                let reason = "has no running statistics, which the network needs";
                return Err(refused(name, reason.to_owned()));
            }
            Candidate::Vector(_) => Vec::new(),
            Candidate::Prefix(prefix) => {
                let parameters = layout.parameters().iter();
                let entries = parameters.map(|Parameter { name, shape, .. }| {
                    let entry = names.get(prefix, name);
                    entry.filter(|entry| entry.shape == *shape && entry.number().is_some())
                });
                entries.collect()
            }
        };
        let mut contents: HashMap<usize, Cow<'_, [u8]>> = HashMap::new();
        let mut pieces = Vec::with_capacity(entries.len());
        for entry in entries {
            let entry = entry.ok_or_else(|| {
                let prefix = match candidate {
                    Candidate::Prefix(prefix) => prefix,
                    Candidate::Vector(_) => "",
                };
                self.mismatch(network, prefix, origin)
            })?;
            let content: &[u8] = match &entry.view {
                View::Held { .. } | View::Refused(_) => &[],
                View::Strided { storage: id, .. } => {
                    if let Vacant(vacant) = contents.entry(*id) {
                        let Storage { file, member } = &self.storages[*id];
                        let content = member.read(&self.files[*file]);
                        vacant.insert(content.map_err(|error| {
                            refused(&entry.name, format!("is not whole: {error}"))
                        })?);
                    }
                    &contents[id]
                }
            };
            let tensor = entry.tensor(content);
            let tensor = tensor.map_err(|reason| refused(&entry.name, reason))?;
            pieces.push((entry.name.clone(), tensor));
        }
        Ok(pieces)
    }

    /// The flat vector of `layout` in one number type.
    pub(super) fn finite(
        &self,
        network: &Network,
        layout: &ParamLayout,
        candidate: &Candidate,
        origin: &str,
    ) -> Result<Tensor, Error> {
        let pieces = self.pieces(network, layout, candidate, origin)?;
        let is_double = pieces.iter().any(|(_, piece)| piece.dtype() == DType::F64);
        let dtype = if is_double { DType::F64 } else { DType::F32 };
        let mut flat = Vec::with_capacity(pieces.len());
        for (name, piece) in pieces {
            let piece = piece.to_dtype(dtype)?;
            let magnitudes = piece.abs()?.to_dtype(DType::F64)?;
            if !magnitudes.sum_all()?.to_scalar::<f64>()?.is_finite() {
                return Err(Error::Values {
                    origin: origin.to_owned(),
                    name,
                    fault: "has values that are not finite",
                });
            }
            flat.push(piece);
        }
        match candidate {
            Candidate::Vector(_) if flat.len() == 1 => Ok(flat.remove(0)),
            _ => Ok(layout.concatenate(&flat)?),
        }
    }

    /// Why `network` cannot be read from behind `prefix`: names, shapes and number types.
    fn mismatch(&self, network: &Network, prefix: &str, origin: &str) -> Error {
        let names = Names::new(&self.entries);
        let [mut missing, mut misshaped, mut mistyped, mut unread] = [const { Vec::new() }; 4];
        let layouts = [network.layout(), network.buffers()];
        for Parameter { name, shape, .. } in layouts.iter().flat_map(|layout| layout.parameters()) {
            let Some(entry) = names.get(prefix, name) else {
                missing.push(format!("{name} {shape:?}"));
                continue;
            };
            if let View::Refused(reason) = entry.view {
                unread.push(format!("{name} {reason}"));
                continue;
            }
            if entry.shape != *shape {
                misshaped.push(format!("{name} {:?} instead of {shape:?}", entry.shape));
            }
            if entry.number().is_none() {
                mistyped.push(format!("{name} {}", entry.kind));
            }
        }
        let found = network.layout().parameters().len() + network.buffers().parameters().len();
        let is_elsewhere = missing.len() == found;
        let kinds = [
            ("missing", missing),
            ("not to be read", unread),
            ("of another shape", misshaped),
            ("of no floating-point type", mistyped),
            ("unexpected", names.unexpected(network, prefix, &[])),
        ];
        let mut problems: Vec<String> = kinds
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(kind, names)| format!("{} {kind}: {}", names.len(), listed(&names)))
            .collect();
        let nested: Vec<&str> = self.entries.iter().map(|entry| &*entry.name).collect();
        if is_elsewhere && nested.iter().all(|name| name.contains('/')) {
            problems.push(format!("there are {}", listed(&nested)));
        }
        let place = match Candidate::Prefix(prefix.to_owned()).name() {
            "" => String::new(),
            name => format!("nearest, under `{name}`, "),
        };
        Error::Mismatch {
            origin: origin.to_owned(),
            problems: format!("{place}{}", problems.join("; ")),
        }
    }
}
