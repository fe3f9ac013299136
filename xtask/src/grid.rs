//! The runs of a profile: every model at every weight decay with every seed.

use std::collections::HashSet;

use anyhow::{Result, bail};
use flatness_records::{ModelSpec, OptimizerSpec, Run, Spec, TrainSpec};

use crate::profile::{Experiment, Model, Profile};

/// The runs of one experiment, in the order in which a report shows them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    pub(crate) name: String,
    pub(crate) claims: Vec<String>,
    pub(crate) runs: Vec<Run>,
}

/// Expands and validates every experiment; `origin` names the profile in errors. Tables of one name
/// are one experiment, whose models have settings of their own.
pub(crate) fn expand(profile: &Profile, origin: &str) -> Result<Vec<Grid>> {
    let mut grids: Vec<Grid> = Vec::new();
    for experiment in &profile.experiments {
        let grid = grid(profile, experiment, origin)?;
        match grids.iter_mut().find(|other| other.name == grid.name) {
            Some(other) if other.claims == grid.claims => other.runs.extend(grid.runs),
            Some(_) => bail!(
                "profile {origin}, experiment {}: its tables must have the same claims",
                grid.name
            ),
            None => grids.push(grid),
        }
    }
    Ok(grids)
}

fn grid(profile: &Profile, experiment: &Experiment, origin: &str) -> Result<Grid> {
    let name = &experiment.name;
    let mut runs = Vec::new();
    for model in &experiment.models {
        let origin = format!("profile {origin}, experiment {name}, model {}", model.name);
        for &weight_decay in &experiment.weight_decay {
            for seed in 0..profile.seeds {
                runs.push(spec(experiment, model, weight_decay, seed).validate(&origin)?);
            }
        }
    }
    if runs.is_empty() {
        bail!("profile {origin}, experiment {name}: model and weight_decay must not be empty");
    }
    let mut seen = HashSet::new();
    if let Some(run) = runs.iter().find(|run| !seen.insert(run.id())) {
        bail!(
            "profile {origin}, experiment {name}: {} is there twice",
            label(run)
        );
    }
    Ok(Grid {
        name: name.clone(),
        claims: experiment.claims.clone(),
        runs,
    })
}

fn spec(experiment: &Experiment, model: &Model, weight_decay: f64, seed: u64) -> Spec {
    let train = &experiment.train;
    Spec {
        seed,
        data: experiment.data.clone(),
        model: ModelSpec {
            name: model.name.clone(),
            dtype: experiment.dtype,
        },
        train: TrainSpec {
            epochs: model.epochs,
            batch_size: train.batch_size,
            optimizer: OptimizerSpec::Sgd {
                learning_rate: model.learning_rate,
                momentum: train.momentum,
                nesterov: train.nesterov,
                weight_decay,
            },
            schedule: train.schedule.clone(),
        },
        measure: Some(experiment.measure.clone()),
    }
}

/// A run in words, such as `mlp, decay 5e-4, seed 1`.
pub(crate) fn label(run: &Run) -> String {
    let spec = run.spec();
    let OptimizerSpec::Sgd { weight_decay, .. } = spec.train.optimizer;
    format!(
        "{}, decay {}, seed {}",
        spec.model.name,
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
    use super::*;

    #[test]
    fn the_quick_grid_is_models_times_decays_times_seeds() {
        let profile = Profile::load("quick").unwrap();
        let grids = expand(&profile, "quick").unwrap();
        let sizes: Vec<(&str, usize)> = grids
            .iter()
            .map(|grid| (grid.name.as_str(), grid.runs.len()))
            .collect();
        assert_eq!(
            sizes,
            [
                ("decay", 3 * 7 * 3 + 3 * 3),
                ("quadratic", 3 * 3),
                ("separable", 3 * 3 + 3)
            ]
        );
        assert_eq!(label(&grids[0].runs[0]), "logistic, decay 0, seed 0");
        assert_eq!(label(&grids[0].runs[62]), "mlp-medium, decay 5e-3, seed 2");
    }

    #[test]
    fn every_spec_reads_back_from_its_file() {
        let profile = Profile::load("quick").unwrap();
        for run in expand(&profile, "quick")
            .unwrap()
            .iter()
            .flat_map(|grid| &grid.runs)
        {
            let text = run.spec().to_toml().unwrap();
            let read = Spec::from_toml(&text, "spec")
                .unwrap()
                .validate("spec")
                .unwrap();
            assert_eq!(read.id(), run.id());
        }
    }

    #[test]
    fn grids_that_make_no_sense_are_refused_with_their_place() {
        let quick = || Profile::load("quick").unwrap();
        let mut twice = quick();
        twice.experiments[0].weight_decay = vec![1e-4, 1e-4];
        let mut empty = quick();
        empty.experiments[0].weight_decay.clear();
        let mut negative = quick();
        negative.experiments[0].models[1].learning_rate = -1.0;
        for (profile, expected) in [
            (
                twice,
                "profile p, experiment decay: logistic, decay 1e-4, seed 0 is there twice",
            ),
            (
                empty,
                "profile p, experiment decay: model and weight_decay must not be empty",
            ),
            (
                negative,
                "profile p, experiment decay, model mlp: train.optimizer.learning_rate must be",
            ),
        ] {
            let error = expand(&profile, "p").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
