//! The records of a reproduction, grouped by experiment, and the verdicts on them.

use flatness_records::{Outcome, Record};
use serde::Serialize;

use crate::{Claim, Estimate, Predicate, Threshold, Verdict, optimizer_name};

/// Everything that a report is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Reproduction {
    /// Name of the profile.
    pub profile: String,
    /// What the profile is for, in a sentence.
    pub description: String,
    /// Command that makes all of it again.
    pub command: String,
    /// Experiments in the order of the profile.
    pub experiments: Vec<Experiment>,
}

/// Runs that vary a few settings and share the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Name that predicates refer to.
    pub name: String,
    /// Claims it was made for, such as `C1`.
    pub claims: Vec<String>,
    /// Records in the order of the grid, diverged runs included.
    pub records: Vec<Record>,
}

/// The verdict on one claim for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimVerdict {
    /// The claim's short name.
    pub claim: String,
    /// Model it was judged on.
    pub model: String,
    /// All predicates together.
    pub verdict: Verdict,
    /// Command that makes the runs behind it.
    pub command: String,
    /// Predicates in the order of the claim.
    pub predicates: Vec<PredicateVerdict>,
}

/// The verdict on one predicate for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredicateVerdict {
    /// The predicate in plain words.
    pub text: String,
    /// What was computed, as a formula.
    pub formula: String,
    /// Mean over seeds; absent when no seed has a value.
    pub estimate: Option<Estimate>,
    /// Where the mean must lie.
    pub threshold: Threshold,
    /// Median over the readings of measurement error / |value|; absent when there are none.
    pub relative_measurement_error: Option<f64>,
    /// The decision.
    pub verdict: Verdict,
}

impl Reproduction {
    /// Judges `claims`, each on every model that an experiment of its predicates has run; a claim
    /// without such a model was not tried and is left out.
    #[must_use]
    pub fn judge(&self, claims: &[Claim]) -> Vec<ClaimVerdict> {
        let on_every_model = |claim| {
            let models = self.models_of(claim).into_iter();
            models.filter_map(move |model| self.judge_model(claim, &model))
        };
        claims.iter().flat_map(on_every_model).collect()
    }

    fn judge_model(&self, claim: &Claim, model: &str) -> Option<ClaimVerdict> {
        let predicates: Vec<PredicateVerdict> = claim
            .predicates
            .iter()
            .filter_map(|predicate| self.judge_predicate(predicate, model))
            .collect();
        (!predicates.is_empty()).then(|| ClaimVerdict {
            claim: claim.id.clone(),
            model: model.to_owned(),
            verdict: Verdict::all(predicates.iter().map(|predicate| predicate.verdict)),
            command: format!("{} --only {}", self.command, claim.id),
            predicates,
        })
    }

    /// `None` when the predicate does not speak of the model or its experiment has no run of it.
    fn judge_predicate(&self, predicate: &Predicate, model: &str) -> Option<PredicateVerdict> {
        let admitted = |models: &Vec<String>| models.iter().any(|name| name == model);
        let records: Vec<&Record> = self
            .experiments
            .iter()
            .filter(|experiment| experiment.name == predicate.experiment)
            .flat_map(|experiment| &experiment.records)
            .filter(|record| record.model.name == model)
            .collect();
        if records.is_empty() || !predicate.models.as_ref().is_none_or(admitted) {
            return None;
        }
        let sample = predicate.statistic.evaluate(&records);
        let estimate = Estimate::of(&sample.values);
        Some(PredicateVerdict {
            text: predicate.text.clone(),
            formula: predicate.statistic.formula(),
            estimate,
            threshold: predicate.threshold,
            relative_measurement_error: median(sample.relative_errors),
            verdict: Verdict::decide(estimate.as_ref(), predicate.threshold),
        })
    }

    fn models_of(&self, claim: &Claim) -> Vec<String> {
        let needed = |experiment: &&Experiment| {
            let mut predicates = claim.predicates.iter();
            predicates.any(|predicate| predicate.experiment == experiment.name)
        };
        let records = self
            .experiments
            .iter()
            .filter(needed)
            .flat_map(|e| &e.records);
        models(records)
    }

    /// Records of every experiment that was made for the claim.
    pub fn records_of<'a>(&'a self, claim: &'a str) -> impl Iterator<Item = &'a Record> {
        self.experiments
            .iter()
            .filter(move |experiment| experiment.claims.iter().any(|id| id == claim))
            .flat_map(|experiment| &experiment.records)
    }

    /// Every record with the name of its experiment.
    pub fn records(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.experiments.iter().flat_map(|experiment| {
            let name = experiment.name.as_str();
            experiment.records.iter().map(move |record| (name, record))
        })
    }

    /// The runs that diverged, with the name of their experiment.
    pub fn diverged(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.records()
            .filter(|(_, record)| matches!(record.outcome, Outcome::Diverged { .. }))
    }
}

/// Names of the models in the order of their first record.
pub(crate) fn models<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<String> {
    let models = records.into_iter().map(|record| record.model.name.clone());
    distinct(models)
}

/// Names of the optimisers in the order of their first record.
pub(crate) fn optimizers<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<String> {
    let records = records.into_iter();
    distinct(records.map(|record| optimizer_name(&record.spec.train)))
}

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// Median, the mean of the middle two for an even number; `None` for an empty list.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}
