//! What a predicate computes: one number per seed from the completed runs of one model.
//!
//! The seed is the unit of replication: runs of one seed share their initialisation and their order
//! of examples, so they are compared with each other and only the resulting numbers are averaged.

mod exact_rank;
mod formula;
mod keskar;
mod paired;
mod path;
mod perturbation;
mod rank;
mod rescaling;
mod scaling;

use std::collections::BTreeMap;

use flatness_records::{Outcome, Perturbation, Quantity, Record, Region};
use serde::{Deserialize, Serialize};

use crate::Measure;
use crate::measure::Reading;

pub use self::exact_rank::RankBound;
pub use self::rescaling::RescaledQuantity;
pub(crate) use self::scaling::reading as scaling_reading;

/// A number per seed, computed from the completed runs of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Statistic {
    /// ln(q(treatment) / q(control)) at the last epoch.
    PairedLogRatio {
        /// The q that is compared.
        quantity: Measure,
        /// Weight decay of the numerator.
        treatment: f64,
        /// Weight decay of the denominator.
        control: f64,
    },
    /// q(treatment) − q(control) at the last epoch.
    PairedDifference {
        /// The q that is compared.
        quantity: Measure,
        /// Weight decay of the minuend.
        treatment: f64,
        /// Weight decay of the subtrahend.
        control: f64,
    },
    /// ln(q(treatment) / q(control)) of two optimisers at their finished parameters.
    OptimizerLogRatio {
        /// The q that is compared.
        quantity: Measure,
        /// Name of the optimiser of the numerator, such as `Gadam`.
        treatment: String,
        /// Name of the optimiser of the denominator.
        control: String,
    },
    /// q(treatment) − q(control) of two optimisers at their finished parameters.
    OptimizerDifference {
        /// The q that is compared.
        quantity: Measure,
        /// Name of the optimiser of the minuend.
        treatment: String,
        /// Name of the optimiser of the subtrahend.
        control: String,
    },
    /// Kendall's τ_b of x against y at the last epoch, over the runs of a seed.
    RankCorrelation {
        /// First variable.
        x: Measure,
        /// Second variable.
        y: Measure,
        /// Leaves out runs of a larger weight decay; absent: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight_decay_up_to: Option<f64>,
    },
    /// Kendall's τ_b of x against y along the measured epochs of a run, mean over the seed's runs.
    PathRankCorrelation {
        /// First variable.
        x: Measure,
        /// Second variable.
        y: Measure,
    },
    /// q(last epoch) / max over the measured epochs of q, mean over the seed's runs.
    PathEndOverPeak {
        /// The q in question.
        quantity: Measure,
    },
    /// q(largest a) / max over a of q, for the Hessian at a·θ, mean over the seed's runs.
    ScalingEndOverPeak {
        /// The q in question: spectral norm, trace or Frobenius norm.
        quantity: Measure,
    },
    /// Largest minus smallest accuracy over a, at a·θ, mean over the seed's runs.
    ScalingAccuracyRange {},
    /// Loss rise over its quadratic prediction at one relative radius, mean over the seed's runs.
    PerturbationRatio {
        /// Kind of direction.
        direction: Direction,
        /// What the rise is divided by.
        denominator: Denominator,
        /// ‖d‖ / ‖θ‖, one of the radii that were measured.
        relative_radius: f64,
    },
    /// Numerical rank of the exact Hessian over a count, mean over the seed's runs.
    ExactRank {
        /// What the rank is divided by.
        bound: RankBound,
    },
    /// Keskar's φ(ε) over its prediction from λ₁, mean over the seed's runs.
    KeskarRatio {
        /// Where the maximum is taken.
        region: Region,
        /// One of the ε that were measured.
        epsilon: f64,
    },
    /// ln of the largest over the smallest value over the factors α of Dinh's rescaling, mean over the seed's
    /// runs.
    RescalingRange {
        /// The q in question.
        quantity: RescaledQuantity,
    },
}

/// Kind of direction in which the parameters are perturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Uniformly random directions.
    Random,
    /// The eigenvector of λ₁.
    TopEigenvector,
}

impl Direction {
    /// The name that records use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::TopEigenvector => "top-eigenvector",
        }
    }
}

/// What a loss rise is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denominator {
    /// From the spectrum: Tr(H)/P ‖d‖²/2 for random directions, λ₁ ‖d‖²/2 for the eigenvector.
    Predicted,
    /// ½ dᵀ H d for the very directions that were taken.
    Quadratic,
}

impl Denominator {
    /// The number of a record's row.
    #[must_use]
    pub fn of(self, row: &Perturbation) -> &Quantity {
        match self {
            Self::Predicted => &row.predicted,
            Self::Quadratic => &row.quadratic,
        }
    }
}

/// The numbers that a statistic has found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// One number per seed; a seed that lacks what is needed has none.
    pub values: Vec<f64>,
    /// Relative measurement errors of the readings behind those numbers.
    pub relative_errors: Vec<f64>,
}

impl Statistic {
    /// Names of the optimisers that it compares, treatment and control; `None` when it compares none.
    #[must_use]
    pub fn optimizers(&self) -> Option<[&str; 2]> {
        match self {
            Self::OptimizerLogRatio {
                treatment, control, ..
            }
            | Self::OptimizerDifference {
                treatment, control, ..
            } => Some([treatment, control]),
            _ => None,
        }
    }

    /// Evaluates the statistic on `records`; diverged runs are left out.
    #[must_use]
    pub fn evaluate(&self, records: &[&Record]) -> Sample {
        let mut seeds: BTreeMap<u64, Vec<&Record>> = BTreeMap::new();
        for record in records {
            if matches!(record.outcome, Outcome::Completed) {
                seeds.entry(record.spec.seed).or_default().push(record);
            }
        }
        let mut sample = Sample::default();
        for runs in seeds.values() {
            let mut readings = Vec::new();
            if let Some(value) = self.of_seed(runs, &mut readings).filter(|v| v.is_finite()) {
                sample.values.push(value);
                sample
                    .relative_errors
                    .extend(readings.iter().filter_map(Reading::relative_error));
            }
        }
        sample
    }

    /// The number of one seed; the readings behind it are appended to `readings`.
    fn of_seed(&self, runs: &[&Record], readings: &mut Vec<Reading>) -> Option<f64> {
        match *self {
            Self::PairedLogRatio {
                quantity,
                treatment,
                control,
            } => {
                let pair = paired::of_decays(runs, treatment, control);
                paired::log_ratio(pair?, quantity, readings)
            }
            Self::PairedDifference {
                quantity,
                treatment,
                control,
            } => {
                let pair = paired::of_decays(runs, treatment, control);
                paired::difference(pair?, quantity, readings)
            }
            Self::OptimizerLogRatio {
                quantity,
                ref treatment,
                ref control,
            } => {
                let pair = paired::of_optimizers(runs, treatment, control);
                paired::log_ratio(pair?, quantity, readings)
            }
            Self::OptimizerDifference {
                quantity,
                ref treatment,
                ref control,
            } => {
                let pair = paired::of_optimizers(runs, treatment, control);
                paired::difference(pair?, quantity, readings)
            }
            Self::RankCorrelation {
                x,
                y,
                weight_decay_up_to,
            } => rank::correlation(runs, x, y, weight_decay_up_to, readings),
            Self::PathRankCorrelation { x, y } => {
                mean_over(runs, |run| path::rank_correlation(run, x, y, readings))
            }
            Self::PathEndOverPeak { quantity } => {
                mean_over(runs, |run| path::end_over_peak(run, quantity, readings))
            }
            Self::ScalingEndOverPeak { quantity } => {
                mean_over(runs, |run| scaling::end_over_peak(run, quantity, readings))
            }
            Self::ScalingAccuracyRange {} => mean_over(runs, scaling::accuracy_range),
            Self::PerturbationRatio {
                direction,
                denominator,
                relative_radius,
            } => mean_over(runs, |run| {
                perturbation::ratio(run, direction, denominator, relative_radius, readings)
            }),
            Self::ExactRank { bound } => mean_over(runs, |run| exact_rank::ratio(run, bound)),
            Self::KeskarRatio { region, epsilon } => {
                mean_over(runs, |run| keskar::ratio(run, region, epsilon, readings))
            }
            Self::RescalingRange { quantity } => {
                mean_over(runs, |run| rescaling::range(run, quantity, readings))
            }
        }
    }
}

/// Mean of `value` over the runs that have one; `None` when none has.
fn mean_over(runs: &[&Record], mut value: impl FnMut(&Record) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = runs.iter().filter_map(|run| value(run)).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
