//! The search for the weights of a network among the tensors of a checkpoint.
//!
//! Behind one common prefix there are all the network's parameters, in their shapes; the prefix may be the
//! key of a mapping, what a wrapper puts before all names, or both: `state_dict/module._orig_mod.`.
//! A vector called `mean` is all parameters in the order of PyTorch's `parameters()`: the average of SWA in
//! the software of the paper.

use std::collections::{HashMap, HashSet};

use flatness_layers::{Network, Parameter};

use super::entry::{Entry, View};

/// Name of the vector of all parameters.
const VECTOR: &str = "mean";

/// Counter of training batches in PyTorch's batch-norm; nothing here depends on it.
const BATCHES: &str = "num_batches_tracked";

/// Most sets of weights that are looked at, of each kind: more than one are of use to a message only.
const MAX_CANDIDATES: usize = 64;

/// Names that a message lists; the others are counted.
const LISTED: usize = 8;

/// Entries by name.
pub(super) struct Names<'e> {
    entries: &'e [Entry],
    /// Place of the first of each name.
    places: HashMap<&'e str, usize>,
}

/// Where the weights are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Candidate {
    /// What stands before the network's names.
    Prefix(String),
    /// Name of one vector.
    Vector(String),
}

impl Candidate {
    /// As it is said, and as `--entry` takes it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Prefix(prefix) => prefix.trim_end_matches(['/', '.']),
            Self::Vector(name) => name,
        }
    }
}

impl<'e> Names<'e> {
    pub(super) fn new(entries: &'e [Entry]) -> Self {
        let mut places = HashMap::new();
        for (place, entry) in entries.iter().enumerate() {
            places.entry(entry.name.as_str()).or_insert(place);
        }
        Self { entries, places }
    }

    pub(super) fn get(&self, prefix: &str, name: &str) -> Option<&'e Entry> {
        let place = match prefix {
            "" => self.places.get(name),
            _ => self.places.get(format!("{prefix}{name}").as_str()),
        };
        place.map(|&place| &self.entries[place])
    }

    /// All places where `network` can be read from.
    pub(super) fn candidates(&self, network: &Network) -> Vec<Candidate> {
        let parameters = network.layout().parameters();
        let Some(Parameter { name: first, .. }) = parameters.first() else {
            return Vec::new();
        };
        let fits = |prefix: &str| {
            parameters.iter().all(|parameter| {
                let entry = self.get(prefix, &parameter.name);
                entry.is_some_and(|entry| entry.shape == parameter.shape)
            })
        };
        let prefixes = self
            .entries
            .iter()
            .filter_map(|entry| prefix(&entry.name, first));
        let prefixes: Vec<&str> = prefixes.collect();
        let mut candidates: Vec<Candidate> = unique(prefixes.into_iter())
            .into_iter()
            .filter(|prefix| fits(prefix))
            .take(MAX_CANDIDATES)
            .map(|prefix| Candidate::Prefix(prefix.to_owned()))
            .collect();
        let dim = network.layout().dim();
        let vectors = self
            .entries
            .iter()
            .filter(|entry| entry.shape == [dim] && prefix(&entry.name, VECTOR).is_some());
        candidates.extend(
            vectors
                .take(MAX_CANDIDATES)
                .map(|entry| Candidate::Vector(entry.name.clone())),
        );
        candidates
    }

    /// The prefix behind which most of the network's names are.
    pub(super) fn nearest(&self, network: &Network) -> &'e str {
        let names = names(network);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for Entry { name, .. } in self.entries {
            let starts = name.match_indices(['/', '.']).map(|(at, _)| at + 1);
            for start in std::iter::once(0).chain(starts) {
                if names.contains(&name[start..]) {
                    *counts.entry(&name[..start]).or_default() += 1;
                }
            }
        }
        // Of several with as many, always the same one.
        let best = counts
            .into_iter()
            .max_by(|one, other| (one.1, other.0).cmp(&(other.1, one.0)));
        best.map_or("", |(prefix, _)| prefix)
    }

    /// Tensors in the same mapping behind the same prefix that neither `network` nor one of the `candidates`
    /// has a place for: it is another network. A single number among them is something else, as a loss.
    pub(super) fn unexpected(
        &self,
        network: &Network,
        prefix: &str,
        candidates: &[Candidate],
    ) -> Vec<String> {
        let names = names(network);
        let elsewhere = |name: &str| {
            candidates.iter().any(|candidate| match candidate {
                Candidate::Prefix(other) => other.len() > prefix.len() && name.starts_with(other),
                Candidate::Vector(vector) => name == vector,
            })
        };
        let behind = self.entries.iter().filter(|entry| {
            let behind = entry.name.strip_prefix(prefix);
            let own = behind.is_some_and(|name| !name.contains('/') && !names.contains(name));
            let is_scalar = entry.shape.is_empty() && !matches!(entry.view, View::Refused(_));
            own && !is_scalar && !elsewhere(&entry.name) && !counts_batches(&entry.name)
        });
        let mut unexpected: Vec<String> = behind.map(|entry| entry.name.clone()).collect();
        unexpected.sort_unstable();
        unexpected
    }

    /// What the file holds besides the weights at `candidate`.
    pub(super) fn left_over(&self, network: &Network, candidate: &Candidate) -> Vec<&'e str> {
        let mut taken = HashSet::new();
        match candidate {
            Candidate::Vector(name) => drop(taken.insert(name.clone())),
            Candidate::Prefix(prefix) => {
                let names = names(network).into_iter();
                taken.extend(names.map(|name| format!("{prefix}{name}")));
            }
        }
        let names = self.entries.iter().map(|entry| entry.name.as_str());
        names
            .filter(|name| !taken.contains(*name) && !counts_batches(name))
            .collect()
    }
}

/// Names of all parameters and running statistics.
fn names(network: &Network) -> HashSet<&str> {
    let layouts = [network.layout(), network.buffers()];
    let parameters = layouts.into_iter().flat_map(|layout| layout.parameters());
    parameters
        .map(|parameter| parameter.name.as_str())
        .collect()
}

fn counts_batches(name: &str) -> bool {
    prefix(name, BATCHES).is_some()
}

/// What stands before `end` in `name`, where `end` is a whole name in a mapping.
fn prefix<'n>(name: &'n str, end: &str) -> Option<&'n str> {
    let prefix = name.strip_suffix(end)?;
    (prefix.is_empty() || prefix.ends_with(['/', '.'])).then_some(prefix)
}

fn unique<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

/// The first names, and how many more there are.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let (shown, hidden) = names.split_at(names.len().min(LISTED));
    let shown: Vec<&str> = shown.iter().map(AsRef::as_ref).collect();
    let more = match hidden.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    format!("{}{more}", shown.join(", "))
}
