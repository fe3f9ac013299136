//! A profile: the experiments of a reproduction as a TOML file.
//!
//! ```toml
//! description = "What it is for, in a sentence."
//! seeds = 3                                         # seeds 0 to 2
//!
//! [[experiment]]
//! name = "decay"                                    # what claims call it
//! claims = ["C1"]                                   # those it is needed for
//! spec = { ... }                                    # a spec without its seed: data, model, train, measure
//! variant = [{ "model.name" = "mlp", seeds = 12 }]  # each sets fields of the spec, and may have seeds of its own
//! vary = { "train.optimizer.weight_decay" = [0, 5e-4] }
//! ```
//!
//! The runs are variants × values of every varied field × seeds. Those of a seed come before those of the next, so that there
//! is something to report early; models that a list `last` names come after all others.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flatness_records::{Run, Spec};
use flatness_report::optimizer_name;
use serde::Deserialize;
use toml::{Table, Value};

/// Name and text of the profiles of this workspace.
const EMBEDDED: [(&str, &str); 5] = [
    ("quick", include_str!("../profiles/quick.toml")),
    ("mnist", include_str!("../profiles/mnist.toml")),
    ("cpu", include_str!("../profiles/cpu.toml")),
    ("cpu-more", include_str!("../profiles/cpu-more.toml")),
    ("paper", include_str!("../profiles/paper.toml")),
];

/// Field of a variant that is none of the spec.
const SEEDS: &str = "seeds";

/// The experiments of a reproduction.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// What it is for, in a sentence.
    pub(crate) description: String,
    /// Seeds 0 to this minus 1, where a variant does not have its own number.
    seeds: u64,
    /// Models whose runs begin after all others.
    #[serde(default)]
    last: Vec<String>,
    #[serde(rename = "experiment")]
    experiments: Vec<Experiment>,
}

/// A grid of runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    name: String,
    claims: Vec<String>,
    spec: Table,
    #[serde(default, rename = "variant")]
    variants: Vec<Table>,
    /// Values by dotted field.
    #[serde(default)]
    vary: BTreeMap<String, Vec<Value>>,
}

/// The runs of one experiment, in the order in which a report shows them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    pub(crate) name: String,
    pub(crate) claims: Vec<String>,
    pub(crate) runs: Vec<Run>,
}

impl Profile {
    /// The profile of this name, or the one in the file of this path.
    pub(crate) fn load(name: &str) -> Result<Self> {
        if let Some((_, text)) = EMBEDDED.iter().find(|(embedded, _)| *embedded == name) {
            return Self::from_toml(text, name);
        }
        let path = Path::new(name);
        if path.extension().is_none() && !path.exists() {
            let known = EMBEDDED.map(|(embedded, _)| embedded).join(", ");
            bail!(
                "there is no profile `{name}`; name one of {known}, or give the path of a TOML file"
            );
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        Self::from_toml(&text, name)
    }

    fn from_toml(text: &str, origin: &str) -> Result<Self> {
        let profile: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text
                .bytes()
                .take(start)
                .filter(|&byte| byte == b'\n')
                .count();
            let message = error.message().replace('\n', " ");
            anyhow::anyhow!("profile {origin}, line {line}: {message}")
        })?;
        if profile.seeds == 0 {
            bail!("profile {origin}: seeds must be at least 1, got 0");
        }
        Ok(profile)
    }

    /// Gives every variant the seeds 0 to `seeds` - 1.
    pub(crate) fn set_seeds(&mut self, seeds: u64) {
        self.seeds = seeds;
        let variants = self
            .experiments
            .iter_mut()
            .flat_map(|one| &mut one.variants);
        variants.for_each(|variant| drop(variant.remove(SEEDS)));
    }

    /// When a run begins: the lower, the earlier.
    pub(crate) fn turn(&self, run: &Run) -> (bool, u64) {
        let spec = run.spec();
        (self.last.contains(&spec.model.name), spec.seed)
    }

    /// Keeps the experiments that the claims called `only` need; an empty list keeps all.
    pub(crate) fn restrict(&mut self, only: &[String], origin: &str) -> Result<()> {
        let known = self.experiments.iter().flat_map(|one| &one.claims);
        let known: BTreeSet<&str> = known.map(String::as_str).collect();
        if let Some(unknown) = only.iter().find(|claim| !known.contains(claim.as_str())) {
            let known: Vec<&str> = known.into_iter().collect();
            bail!(
                "profile {origin} has no claim `{unknown}`; it has {}",
                known.join(", ")
            );
        }
        if !only.is_empty() {
            let needed = |one: &Experiment| one.claims.iter().any(|claim| only.contains(claim));
            self.experiments.retain(needed);
        }
        Ok(())
    }

    /// Expands and validates every experiment; `origin` names the profile in errors. Tables of one name are one
    /// experiment.
    pub(crate) fn grids(&self, origin: &str) -> Result<Vec<Grid>> {
        let mut grids: Vec<Grid> = Vec::new();
        for experiment in &self.experiments {
            let origin = format!("profile {origin}, experiment {}", experiment.name);
            let runs = experiment.runs(self.seeds, &origin)?;
            match grids.iter_mut().find(|grid| grid.name == experiment.name) {
                Some(grid) if grid.claims == experiment.claims => grid.runs.extend(runs),
                Some(_) => bail!("{origin}: its tables must have the same claims"),
                None => grids.push(Grid {
                    name: experiment.name.clone(),
                    claims: experiment.claims.clone(),
                    runs,
                }),
            }
        }
        for grid in &grids {
            let mut seen = HashSet::new();
            if let Some(run) = grid.runs.iter().find(|run| !seen.insert(run.id())) {
                let (name, label) = (&grid.name, label(run));
                bail!("profile {origin}, experiment {name}: {label} is there twice");
            }
        }
        Ok(grids)
    }
}

impl Experiment {
    fn runs(&self, seeds: u64, origin: &str) -> Result<Vec<Run>> {
        let plain = [Table::new()];
        let variants = match self.variants.as_slice() {
            [] => &plain[..],
            variants => variants,
        };
        let mut runs = Vec::new();
        for variant in variants {
            let seeds = match variant.get(SEEDS) {
                None => seeds,
                Some(own) => {
                    let own = own.as_integer().and_then(|own| u64::try_from(own).ok());
                    own.filter(|&own| own > 0)
                        .with_context(|| format!("{origin}: seeds must be at least 1"))?
                }
            };
            let mut base = self.spec.clone();
            for (field, value) in variant.iter().filter(|(field, _)| *field != SEEDS) {
                set(&mut base, field, value, origin)?;
            }
            let mut specs = vec![base];
            for (field, values) in &self.vary {
                let varied = values.iter().flat_map(|value| {
                    let specs = specs.iter().cloned();
                    specs.map(move |mut spec| set(&mut spec, field, value, origin).map(|()| spec))
                });
                specs = varied.collect::<Result<_>>()?;
            }
            if specs.is_empty() {
                bail!("{origin}: what is varied must have values");
            }
            for spec in specs {
                let spec = parsed(&spec, origin)?;
                for seed in 0..seeds {
                    let spec = Spec {
                        seed,
                        ..spec.clone()
                    };
                    runs.push(spec.validate(origin)?);
                }
            }
        }
        Ok(runs)
    }
}

/// Sets the field at a dotted path, whose tables are made where they are not there.
fn set(spec: &mut Table, path: &str, value: &Value, origin: &str) -> Result<()> {
    let mut table = spec;
    let mut fields = path.split('.').peekable();
    while let Some(field) = fields.next() {
        if fields.peek().is_none() {
            table.insert(field.to_owned(), value.clone());
            break;
        }
        let inner = table
            .entry(field)
            .or_insert_with(|| Value::Table(Table::new()));
        table = inner
            .as_table_mut()
            .with_context(|| format!("{origin}: `{field}` of `{path}` is no table"))?;
    }
    Ok(())
}

/// A spec of the seed 0.
fn parsed(spec: &Table, origin: &str) -> Result<Spec> {
    let mut spec = spec.clone();
    spec.insert("seed".to_owned(), Value::Integer(0));
    // Through text, so that the error is that of any spec.
    let text = toml::to_string(&spec)?;
    Spec::from_toml(&text, "spec").map_err(|error| {
        let words = error.to_string();
        let message = words
            .split_once(": ")
            .map_or(words.as_str(), |(_, message)| message);
        anyhow::anyhow!("{origin}: {message}")
    })
}

/// A run in words, such as `mlp, SGD, decay 5e-4, seed 1`.
pub(crate) fn label(run: &Run) -> String {
    let spec = run.spec();
    let (weight_decay, _) = spec.train.optimizer.weight_decay();
    format!(
        "{}, {}, decay {}, seed {}",
        spec.model.name,
        optimizer_name(&spec.train),
        decimal(weight_decay),
        spec.seed
    )
}

/// A coefficient as a spec writes it.
pub(crate) fn decimal(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-2 {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flatness_report::Claim;

    use super::*;

    const SMALL: &str = r#"
description = "d"
seeds = 2

[[experiment]]
name = "decay"
claims = ["C1"]
variant = [
    { "model.name" = "logistic", seeds = 3 },
    { "model.name" = "mlp", "train.epochs" = 7 },
]
vary = { "train.optimizer.weight_decay" = [0.0, 5e-4], "data.train_examples" = [100] }

[experiment.spec]
data = { set = "mnist" }
model = { name = "", dtype = "f32" }
measure = { what = ["trace"] }

[experiment.spec.train]
epochs = 5
batch_size = 10
optimizer = { kind = "sgd", learning_rate = 0.1, momentum = 0.9, nesterov = false, weight_decay = 0.0 }
schedule = { kind = "constant" }

[[experiment]]
name = "other"
claims = ["C2"]

[experiment.spec]
data = { set = "mnist" }
model = { name = "mlp", dtype = "f32" }

[experiment.spec.train]
epochs = 5
batch_size = 10
optimizer = { kind = "sgd", learning_rate = 0.1, momentum = 0.9, nesterov = false, weight_decay = 0.0 }
schedule = { kind = "constant" }
"#;

    fn small() -> Profile {
        Profile::from_toml(SMALL, "p").unwrap()
    }

    #[test]
    fn the_second_night_counts_the_runs_of_the_first() {
        let ids = |name: &str| -> BTreeSet<String> {
            let grids = Profile::load(name).unwrap().grids(name).unwrap();
            let runs = grids.iter().flat_map(|grid| &grid.runs);
            runs.map(|run| run.id().to_string()).collect()
        };
        // Three seeds of preresnet-20 with two decays, and of the narrow VGG-16 with three optimisers.
        let shared = ids("cpu").intersection(&ids("cpu-more")).count();
        assert_eq!(shared, 3 * (2 + 3));
    }

    #[test]
    fn runs_are_variants_times_values_times_seeds() {
        let grids = small().grids("p").unwrap();
        let labels: Vec<String> = grids[0].runs.iter().map(label).collect();
        let mut expected = Vec::new();
        for (model, seeds) in [("logistic", 3), ("mlp", 2)] {
            for decay in ["0", "5e-4"] {
                for seed in 0..seeds {
                    expected.push(format!("{model}, SGD, decay {decay}, seed {seed}"));
                }
            }
        }
        assert_eq!(labels, expected);
        let epochs = grids[0].runs.iter().map(|run| run.spec().train.epochs);
        assert_eq!(epochs.collect::<Vec<_>>(), [5, 5, 5, 5, 5, 5, 7, 7, 7, 7]);
        assert!(
            grids[0]
                .runs
                .iter()
                .all(|run| run.spec().data.train_examples == Some(100))
        );
        assert_eq!(grids[1].runs.len(), 2);
    }

    #[test]
    fn the_claims_and_seeds_of_the_command_line_cut_the_grid() {
        let mut profile = small();
        profile.set_seeds(1);
        profile.restrict(&["C1".to_owned()], "p").unwrap();
        let grids = profile.grids("p").unwrap();
        assert_eq!((grids.len(), grids[0].runs.len()), (1, 4));
        let error = profile.restrict(&["C2".to_owned()], "p").unwrap_err();
        assert_eq!(error.to_string(), "profile p has no claim `C2`; it has C1");
    }

    /// What is replaced in the profile, what comes in its place, and the beginning of the error behind the profile's name.
    const WRONG: &str = r#"
seeds = 2             | seeds = 0              | : seeds must be at least 1, got 0
seeds = 2             | seed = 2               | , line 3: unknown field `seed`
seeds = 3             | seeds = 0              | , experiment decay: seeds must be at least 1
[0.0, 5e-4]           | []                     | , experiment decay: what is varied must have values
5e-4]                 | 0.0]                   | , experiment decay: logistic, SGD, decay 0, seed 0 is there twice
learning_rate = 0.1   | learning_rate = -0.1   | , experiment decay: train.optimizer.learning_rate
"train.epochs"        | "train.epoch"          | , experiment decay: unknown field `epoch`
"train.epochs"        | "train.epochs.x"       | , experiment decay: `epochs` of `train.epochs.x` is no table
name = "other"        | name = "decay"         | , experiment decay: its tables must have the same claims
"#;

    #[test]
    fn wrong_profiles_are_refused_with_their_place() {
        for row in WRONG.trim().lines() {
            let [old, new, expected] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
                panic!("{row}");
            };
            assert!(SMALL.contains(old), "{old}");
            let profile = Profile::from_toml(&SMALL.replacen(old, new, 1), "p");
            let error = profile.and_then(|profile| profile.grids("p")).unwrap_err();
            let expected = format!("profile p{expected}");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        let error = Profile::load("slow").unwrap_err().to_string();
        assert!(
            error.starts_with(
                "there is no profile `slow`; name one of quick, mnist, cpu, cpu-more, paper"
            ),
            "{error}"
        );
    }

    #[test]
    fn every_claim_finds_its_experiments_in_every_profile() {
        for (name, _) in EMBEDDED {
            let grids = Profile::load(name).unwrap().grids(name).unwrap();
            let tried = |claim: &Claim| {
                let mut claims = grids.iter().flat_map(|grid| &grid.claims);
                claims.any(|id| *id == claim.id)
            };
            let claims = Claim::embedded().unwrap();
            assert!(
                name != "quick" || claims.iter().all(tried),
                "quick has all claims"
            );
            for claim in claims.iter().filter(|claim| tried(claim)) {
                let here = |experiment: &str| {
                    let grid = grids.iter().find(|grid| grid.name == experiment);
                    grid.is_some_and(|grid| grid.claims.contains(&claim.id))
                };
                let mut deciding = claim.experiments();
                let found = match name {
                    "quick" | "mnist" => deciding.all(here),
                    // Predictions over many settings take more runs than a night has.
                    _ => deciding.any(here),
                };
                assert!(found, "{name}: {}", claim.id);
            }
            for run in grids.iter().flat_map(|grid| &grid.runs) {
                let text = run.spec().to_toml().unwrap();
                let again = Spec::from_toml(&text, "spec")
                    .unwrap()
                    .validate("spec")
                    .unwrap();
                assert_eq!(again.id(), run.id());
            }
        }
    }
}
