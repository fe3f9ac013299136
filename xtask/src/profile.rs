//! A profile: the experiments of a reproduction as a TOML file, unknown fields refused.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flatness_records::{AverageSpec, DataSpec, Dtype, MeasureSpec, OptimizerSpec, ScheduleSpec};
use serde::Deserialize;

/// Name and text of the profiles of this workspace.
const EMBEDDED: [(&str, &str); 1] = [("quick", include_str!("../profiles/quick.toml"))];

/// The experiments of a reproduction.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// What it is for, in a sentence.
    pub(crate) description: String,
    /// Seeds 0 to this minus 1, where a model does not have its own number.
    pub(crate) seeds: u64,
    #[serde(default, rename = "experiment")]
    pub(crate) experiments: Vec<Experiment>,
    #[serde(default, rename = "comparison")]
    pub(crate) comparisons: Vec<Comparison>,
}

/// A grid of runs of SGD: models x weight decays x seeds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    /// Name that the predicates of claims refer to.
    pub(crate) name: String,
    /// Claims it is needed for.
    pub(crate) claims: Vec<String>,
    pub(crate) data: DataSpec,
    pub(crate) dtype: Dtype,
    /// Coupled L2 coefficients.
    pub(crate) weight_decay: Vec<f64>,
    #[serde(rename = "model")]
    pub(crate) models: Vec<Model>,
    pub(crate) train: Train,
    pub(crate) measure: MeasureSpec,
}

/// A model and what of its training is its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// Name in the model zoo.
    pub(crate) name: String,
    pub(crate) learning_rate: f64,
    pub(crate) epochs: u32,
    /// Seeds 0 to this minus 1, where the profile's do not suffice to decide.
    pub(crate) seeds: Option<u64>,
}

/// What of the training all models share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Train {
    pub(crate) batch_size: usize,
    pub(crate) momentum: f64,
    pub(crate) nesterov: bool,
    pub(crate) schedule: ScheduleSpec,
}

/// Runs that differ in their optimiser: optimisers x seeds on one model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comparison {
    /// Name that the predicates of claims refer to.
    pub(crate) name: String,
    /// Claims it is needed for.
    pub(crate) claims: Vec<String>,
    pub(crate) data: DataSpec,
    pub(crate) dtype: Dtype,
    /// Name in the model zoo.
    pub(crate) model: String,
    pub(crate) epochs: u32,
    pub(crate) batch_size: usize,
    #[serde(rename = "train")]
    pub(crate) trainings: Vec<Training>,
    pub(crate) measure: MeasureSpec,
}

/// An optimiser with its schedule and the average of its iterates.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    pub(crate) optimizer: OptimizerSpec,
    pub(crate) schedule: ScheduleSpec,
    pub(crate) average: Option<AverageSpec>,
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
            anyhow::anyhow!(
                "profile {origin}, line {line}: {}",
                error.message().replace('\n', " ")
            )
        })?;
        let models = profile.experiments.iter().flat_map(|one| &one.models);
        let of_models = models.filter_map(|model| model.seeds);
        if of_models.chain([profile.seeds]).any(|seeds| seeds == 0) {
            bail!("profile {origin}: seeds must be at least 1, got 0");
        }
        Ok(profile)
    }

    /// Gives every model and comparison the seeds 0 to `seeds` - 1.
    pub(crate) fn set_seeds(&mut self, seeds: u64) {
        self.seeds = seeds;
        let models = self.experiments.iter_mut().flat_map(|one| &mut one.models);
        models.for_each(|model| model.seeds = None);
    }

    /// Keeps the experiments that the claims called `only` need; an empty list keeps all.
    pub(crate) fn restrict(&mut self, only: &[String], origin: &str) -> Result<()> {
        let of_experiments = self.experiments.iter().map(|one| &one.claims);
        let of_comparisons = self.comparisons.iter().map(|one| &one.claims);
        let known: BTreeSet<String> = of_experiments
            .chain(of_comparisons)
            .flatten()
            .cloned()
            .collect();
        if let Some(unknown) = only.iter().find(|claim| !known.contains(*claim)) {
            let known: Vec<String> = known.into_iter().collect();
            bail!(
                "profile {origin} has no claim `{unknown}`; it has {}",
                known.join(", ")
            );
        }
        if !only.is_empty() {
            let needed = |claims: &[String]| claims.iter().any(|claim| only.contains(claim));
            self.experiments.retain(|one| needed(&one.claims));
            self.comparisons.retain(|one| needed(&one.claims));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flatness_report::{Claim, Statistic, optimizer_name};

    use super::*;
    use crate::grid::expand;

    /// Claims and models of every table of this name.
    fn tables<'a>(profile: &'a Profile, name: &str) -> Vec<(&'a [String], Vec<&'a str>)> {
        let experiments = profile.experiments.iter().filter(|one| one.name == name);
        let experiments = experiments.map(|one| {
            let models = one.models.iter().map(|model| model.name.as_str());
            (one.claims.as_slice(), models.collect())
        });
        let comparisons = profile.comparisons.iter().filter(|one| one.name == name);
        let comparisons = comparisons.map(|one| (one.claims.as_slice(), vec![one.model.as_str()]));
        experiments.chain(comparisons).collect()
    }

    /// Names of the optimisers of an experiment.
    fn optimizers(profile: &Profile, name: &str) -> Vec<String> {
        let grids = expand(profile, "profile").unwrap();
        let grid = grids.iter().find(|grid| grid.name == name).unwrap();
        let trainings = grid.runs.iter().map(|run| &run.spec().train);
        trainings.map(optimizer_name).collect()
    }

    #[test]
    fn every_claim_finds_its_experiments_in_every_profile() {
        let claims = Claim::embedded().unwrap();
        for (name, _) in EMBEDDED {
            let profile = Profile::load(name).unwrap();
            for claim in &claims {
                for predicate in &claim.predicates {
                    let tables = tables(&profile, &predicate.experiment);
                    let tried = tables.iter().all(|(claims, _)| claims.contains(&claim.id));
                    assert!(tried && !tables.is_empty(), "{name}: {}", claim.id);
                    let optimizers = optimizers(&profile, &predicate.experiment);
                    for name in predicate.statistic.optimizers().into_iter().flatten() {
                        assert!(optimizers.iter().any(|one| one == name), "{name}");
                    }
                    for model in predicate.models.iter().flatten() {
                        let mut models = tables.iter().flat_map(|(_, models)| models);
                        assert!(models.any(|one| one == model), "{model}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_the_statistics_of_one_measurement_need_is_measured() {
        let claims = Claim::embedded().unwrap();
        let predicates = || claims.iter().flat_map(|claim| &claim.predicates);
        for (name, _) in EMBEDDED {
            let profile = Profile::load(name).unwrap();
            for predicate in predicates() {
                let experiments = profile.experiments.iter();
                for one in experiments.filter(|one| one.name == predicate.experiment) {
                    let measured = match predicate.statistic {
                        Statistic::ExactRank { .. } => one.measure.exact_spectrum.is_some(),
                        Statistic::KeskarRatio { epsilon, .. } => {
                            let keskar = one.measure.keskar.as_ref();
                            keskar.is_some_and(|keskar| keskar.epsilons.contains(&epsilon))
                        }
                        Statistic::RescalingRange { .. } => one.measure.rescaling.is_some(),
                        _ => true,
                    };
                    assert!(measured, "{name}: {}", predicate.text);
                }
            }
        }
    }

    #[test]
    fn only_keeps_what_a_claim_needs() {
        let mut profile = Profile::load("quick").unwrap();
        profile.restrict(&["C2".to_owned()], "quick").unwrap();
        let names = profile.experiments.iter().map(|one| one.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["separable", "separable"]);
        assert_eq!(profile.comparisons, []);

        let error = profile
            .restrict(&["C9".to_owned()], "quick")
            .unwrap_err()
            .to_string();
        assert_eq!(error, "profile quick has no claim `C9`; it has C2");

        let mut profile = Profile::load("quick").unwrap();
        profile.restrict(&["C3".to_owned()], "quick").unwrap();
        assert_eq!(profile.experiments, []);
        assert_eq!(profile.comparisons.len(), 1);
    }

    #[test]
    fn seeds_of_the_command_line_are_those_of_every_model() {
        let mut profile = Profile::load("quick").unwrap();
        profile.set_seeds(2);
        for grid in expand(&profile, "quick").unwrap() {
            let seeds = grid.runs.iter().map(|run| run.spec().seed);
            let of_second = seeds.clone().filter(|&seed| seed == 1).count();
            assert_eq!(seeds.clone().max(), Some(1), "{}", grid.name);
            assert_eq!(2 * of_second, seeds.count(), "{}", grid.name);
        }
    }

    #[test]
    fn wrong_profiles_are_refused_with_their_place() {
        let quick = EMBEDDED[0].1;
        for (old, new, expected) in [
            (
                "seeds = 3",
                "seeds = 0",
                "profile p: seeds must be at least 1, got 0",
            ),
            (
                ", seeds = 12",
                ", seeds = 0",
                "profile p: seeds must be at least 1, got 0",
            ),
            (
                "seeds = 3",
                "seed = 3",
                "profile p, line 2: unknown field `seed`",
            ),
            ("momentum = 0.9", "momentum = \"much\"", "profile p, line "),
        ] {
            let error = Profile::from_toml(&quick.replacen(old, new, 1), "p").unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let error = Profile::load("slow").unwrap_err().to_string();
        assert!(
            error.starts_with("there is no profile `slow`; name one of quick"),
            "{error}"
        );
    }
}
