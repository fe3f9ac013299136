//! Kendall's τ_b of every measure of sharpness against test error and generalisation gap (claim C8).
//!
//! Within a model the runs of one seed differ in their weight decay; over all models they differ in
//! the network too. Either way τ_b is computed per seed and averaged over seeds.

use flatness_records::Record;
use serde::Serialize;

use crate::reproduction::models;
use crate::{Estimate, Measure, Statistic};

/// What generalisation is measured by.
pub(crate) const TARGETS: [Measure; 2] = [Measure::TestError, Measure::GeneralizationGap];

/// One rank correlation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Correlation {
    /// The measure of sharpness or scale.
    pub measure: Measure,
    /// What it is correlated with.
    pub target: Measure,
    /// Model whose runs are compared; absent: the runs of all models together.
    pub model: Option<String>,
    /// Mean τ_b over seeds; absent when no seed has one.
    pub estimate: Option<Estimate>,
}

/// Correlations of every measure with every target, per model and over all models.
#[must_use]
pub fn correlations(records: &[&Record]) -> Vec<Correlation> {
    let models = models(records.iter().copied());
    let pooled = (models.len() > 1).then_some(None);
    let groups: Vec<Option<String>> = models.into_iter().map(Some).chain(pooled).collect();
    let mut correlations = Vec::new();
    for target in TARGETS {
        for measure in Measure::SHARPNESS {
            let statistic = Statistic::RankCorrelation {
                x: measure,
                y: target,
                weight_decay_up_to: None,
            };
            for model in &groups {
                let runs: Vec<&Record> = records
                    .iter()
                    .copied()
                    .filter(|record| model.as_ref().is_none_or(|name| *name == record.model.name))
                    .collect();
                correlations.push(Correlation {
                    measure,
                    target,
                    model: model.clone(),
                    estimate: Estimate::of(&statistic.evaluate(&runs).values),
                });
            }
        }
    }
    correlations
}
