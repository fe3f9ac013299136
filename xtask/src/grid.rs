//! The runs of a profile: every model at every weight decay, or every optimiser, with every seed.

use std::collections::HashSet;

use anyhow::{Result, bail};
use flatness_records::{Decay, ModelSpec, OptimizerSpec, Run, ScheduleSpec, Spec, TrainSpec};
use flatness_report::optimizer_name;

use crate::profile::{Comparison, Experiment, Model, Profile, Training};

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
    let experiments = profile.experiments.iter();
    let experiments = experiments.map(|one| experiment(profile, one, origin));
    let comparisons = profile.comparisons.iter();
    let comparisons = comparisons.map(|one| comparison(profile, one, origin));
    for grid in experiments.chain(comparisons) {
        let grid = grid?;
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

fn experiment(profile: &Profile, experiment: &Experiment, origin: &str) -> Result<Grid> {
    let origin = format!("profile {origin}, experiment {}", experiment.name);
    let mut runs = Vec::new();
    for model in &experiment.models {
        let origin = format!("{origin}, model {}", model.name);
        let seeds = model.seeds.unwrap_or(profile.seeds);
        for &weight_decay in &experiment.weight_decay {
            for seed in 0..seeds {
                runs.push(descent(experiment, model, weight_decay, seed).validate(&origin)?);
            }
        }
    }
    if runs.is_empty() {
        bail!("{origin}: model and weight_decay must not be empty");
    }
    let mut seen = HashSet::new();
    if let Some(run) = runs.iter().find(|run| !seen.insert(run.id())) {
        bail!("{origin}: {} is there twice", label(run));
    }
    Ok(Grid {
        name: experiment.name.clone(),
        claims: experiment.claims.clone(),
        runs,
    })
}

fn comparison(profile: &Profile, comparison: &Comparison, origin: &str) -> Result<Grid> {
    let origin = format!("profile {origin}, comparison {}", comparison.name);
    let mut runs = Vec::new();
    // Predicates find a run by the name of its optimiser, so one name must be one setting.
    let mut seen = HashSet::new();
    for training in &comparison.trainings {
        for seed in 0..profile.seeds {
            let spec = compared(comparison, training, seed);
            let name = optimizer_name(&spec.train);
            let run = spec.validate(&format!("{origin}, optimizer {name}"))?;
            if !seen.insert((name, seed)) {
                bail!("{origin}: {} is there twice", label(&run));
            }
            runs.push(run);
        }
    }
    if runs.is_empty() {
        bail!("{origin}: train must not be empty");
    }
    Ok(Grid {
        name: comparison.name.clone(),
        claims: comparison.claims.clone(),
        runs,
    })
}

fn descent(experiment: &Experiment, model: &Model, weight_decay: f64, seed: u64) -> Spec {
    let train = &experiment.train;
    Spec {
        seed,
        data: experiment.data.clone(),
        model: ModelSpec {
            name: model.name.clone(),
            dtype: experiment.dtype,
        },
        train: plain(
            model.epochs,
            train.batch_size,
            OptimizerSpec::Sgd {
                learning_rate: model.learning_rate,
                momentum: train.momentum,
                nesterov: train.nesterov,
                dampening: 0.0,
                weight_decay,
                decay: Decay::Coupled,
            },
            train.schedule.clone(),
        ),
        measure: Some(experiment.measure.clone()),
    }
}

fn compared(comparison: &Comparison, training: &Training, seed: u64) -> Spec {
    let mut train = plain(
        comparison.epochs,
        comparison.batch_size,
        training.optimizer.clone(),
        training.schedule.clone(),
    );
    train.average = training.average.clone();
    Spec {
        seed,
        data: comparison.data.clone(),
        model: ModelSpec {
            name: comparison.model.clone(),
            dtype: comparison.dtype,
        },
        train,
        measure: Some(comparison.measure.clone()),
    }
}

/// Training without an average and whatever else a spec may add.
fn plain(
    epochs: u32,
    batch_size: usize,
    optimizer: OptimizerSpec,
    schedule: ScheduleSpec,
) -> TrainSpec {
    TrainSpec {
        epochs,
        batch_size,
        optimizer,
        schedule,
        clip_norm: None,
        decay_excludes: Vec::new(),
        sharpness_aware: None,
        average: None,
        augmentation: None,
        evaluate_every: None,
        checkpoint_every: None,
        warm_up: None,
    }
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
    use super::*;

    #[test]
    fn the_quick_grid_is_models_times_decays_or_optimisers_times_seeds() {
        let profile = Profile::load("quick").unwrap();
        let grids = expand(&profile, "quick").unwrap();
        let sizes: Vec<(&str, usize)> = grids
            .iter()
            .map(|grid| (grid.name.as_str(), grid.runs.len()))
            .collect();
        assert_eq!(
            sizes,
            [
                ("decay", (12 + 12 + 3) * 7 + 3 * 3),
                ("quadratic", 12 + 2 * 3),
                ("separable", 3 + 12 + 3 + 3),
                ("rank", 4 * 12),
                ("regions", 3),
                ("rescaling", 3 + 3),
                ("optimizers", 5 * 3)
            ]
        );
        assert_eq!(label(&grids[0].runs[0]), "logistic, SGD, decay 0, seed 0");
        assert_eq!(
            label(&grids[0].runs[188]),
            "mlp-medium, SGD, decay 5e-3, seed 2"
        );
        let optimizers = grids[6].runs.iter().step_by(3).map(label);
        assert_eq!(
            optimizers.collect::<Vec<_>>(),
            [
                "cnn, SGD, decay 5e-4, seed 0",
                "cnn, SWA, decay 5e-4, seed 0",
                "cnn, Adam, decay 5e-4, seed 0",
                "cnn, Gadam, decay 0.25, seed 0",
                "cnn, GadamX, decay 2.5e-3, seed 0"
            ]
        );
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
        let mut alike = quick();
        let sgd = alike.comparisons[0].trainings[0].clone();
        alike.comparisons[0].trainings.push(Training {
            schedule: ScheduleSpec::Constant {},
            ..sgd
        });
        let mut none = quick();
        none.comparisons[0].trainings.clear();
        let mut claimed = quick();
        claimed.comparisons[0].name = "decay".to_owned();
        for (profile, expected) in [
            (
                alike,
                "profile p, comparison optimizers: cnn, SGD, decay 5e-4, seed 0 is there twice",
            ),
            (
                none,
                "profile p, comparison optimizers: train must not be empty",
            ),
            (
                claimed,
                "profile p, experiment decay: its tables must have the same claims",
            ),
            (
                twice,
                "profile p, experiment decay: logistic, SGD, decay 1e-4, seed 0 is there twice",
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
