//! What a gate or a predicate computes: one number per seed from the completed runs of one model.
//!
//! The seed is the unit of replication: runs of one seed share their initialisation, their order of examples and their
//! random probes, so they are compared with each other and only the resulting numbers are averaged.

mod formula;
mod rank;

use std::collections::BTreeMap;

use flatness_records::{Outcome, Record};
use serde::{Deserialize, Serialize};

use self::rank::Ranking;
use crate::reading::{Place, Point, lowest, read_at};
use crate::{Expression, Reading, Selection};

pub use self::rank::kendall_tau;

/// A number per seed. Where runs are selected, `select` is empty for all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Statistic {
    /// ln(q(treatment) / q(control)).
    LogRatio {
        /// The q that is compared.
        quantity: Expression,
        /// The run of the numerator.
        treatment: Selection,
        /// The run of the denominator.
        control: Selection,
        /// Where q is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Place>,
    },
    /// q(treatment) − q(control).
    Difference {
        /// The q that is compared.
        quantity: Expression,
        /// The run of the minuend.
        treatment: Selection,
        /// The run of the subtrahend.
        control: Selection,
        /// Where q is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Place>,
    },
    /// The difference of test accuracies, with the sampling error of the test images beside that of the seeds.
    AccuracyGain {
        /// The run of the minuend.
        treatment: Selection,
        /// The run of the subtrahend.
        control: Selection,
    },
    /// q, mean over the seed's runs.
    Value {
        /// The q in question.
        quantity: Expression,
        /// Runs of which it is the mean.
        #[serde(default)]
        select: Selection,
        /// Where q is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Place>,
    },
    /// ln q, mean over the seed's runs: for what is multiplied.
    Factor {
        /// The q in question.
        quantity: Expression,
        /// Runs of which it is the mean.
        #[serde(default)]
        select: Selection,
        /// Where q is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Place>,
    },
    /// q(last) / max q along training or a curve, mean over the seed's runs.
    EndOverPeak {
        /// The q in question.
        quantity: Expression,
        /// `training`, or the name of a curve.
        along: String,
        /// Runs of which it is the mean.
        #[serde(default)]
        select: Selection,
    },
    /// max q − min q along training or a curve, mean over the seed's runs.
    Range {
        /// The q in question.
        quantity: Expression,
        /// `training`, or the name of a curve.
        along: String,
        /// Runs of which it is the mean.
        #[serde(default)]
        select: Selection,
    },
    /// ln(max q / min q) along training or a curve, mean over the seed's runs.
    LogRange {
        /// The q in question.
        quantity: Expression,
        /// `training`, or the name of a curve.
        along: String,
        /// Runs of which it is the mean.
        #[serde(default)]
        select: Selection,
    },
    /// Least-squares slope of ln y on ln x: along training or a curve (mean over the seed's runs), or over the seed's runs.
    Slope {
        /// Abscissa.
        x: Expression,
        /// Ordinate.
        y: Expression,
        /// `training`, or the name of a curve; absent: over the runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        along: Option<String>,
        /// Takes points from the first on at which this holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        once: Option<Once>,
        /// Where x and y are read over runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Place>,
        /// Runs that count.
        #[serde(default)]
        select: Selection,
    },
    /// Kendall's τ of x against y, over the runs of a seed or along each of them.
    RankCorrelation(Ranking),
}

/// From where on points count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// What must be large enough.
    pub quantity: Expression,
    /// How large.
    pub at_least: f64,
}

/// The numbers that a statistic has found.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Sample {
    /// One number per seed; a seed that lacks what is needed has none.
    pub seeds: Vec<SeedValue>,
    /// Standard error of the mean that no number of seeds removes: that of test images they all share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_error: Option<f64>,
    /// Settings of the runs that were chosen by `highest`, in the order of the seeds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<String>,
}

/// The number of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeedValue {
    /// The seed.
    pub seed: u64,
    /// Its number, a natural logarithm where the statistic is one.
    pub value: f64,
    /// Measurement error of the number, where it is not common to what is compared.
    pub error: f64,
    /// Measurement error of one reading behind it, relative to the reading.
    pub relative_error: f64,
}

impl Statistic {
    /// Whether its number is the logarithm of a factor, and its thresholds are factors.
    #[must_use]
    pub fn is_logarithmic(&self) -> bool {
        matches!(
            self,
            Self::LogRatio { .. } | Self::Factor { .. } | Self::LogRange { .. }
        )
    }

    /// The quantities it reads.
    #[must_use]
    pub fn quantities(&self) -> Vec<&Expression> {
        match self {
            Self::LogRatio { quantity, .. }
            | Self::Difference { quantity, .. }
            | Self::Value { quantity, .. }
            | Self::Factor { quantity, .. }
            | Self::EndOverPeak { quantity, .. }
            | Self::Range { quantity, .. }
            | Self::LogRange { quantity, .. } => vec![quantity],
            Self::AccuracyGain { .. } => Vec::new(),
            Self::Slope { x, y, .. } => vec![x, y],
            Self::RankCorrelation(ranking) => ranking.quantities(),
        }
    }

    /// The selections of its runs: what is compared with what, or the runs that count.
    #[must_use]
    pub fn selections(&self) -> Vec<&Selection> {
        match self {
            Self::LogRatio {
                treatment, control, ..
            }
            | Self::Difference {
                treatment, control, ..
            }
            | Self::AccuracyGain { treatment, control } => vec![treatment, control],
            Self::Value { select, .. }
            | Self::Factor { select, .. }
            | Self::EndOverPeak { select, .. }
            | Self::Range { select, .. }
            | Self::LogRange { select, .. }
            | Self::Slope { select, .. }
            | Self::RankCorrelation(Ranking { select, .. }) => vec![select],
        }
    }

    /// Evaluates it on the runs of an experiment for one model, or for `all models` together; diverged runs are left out.
    #[must_use]
    pub fn evaluate(&self, records: &[&Record], model: &str) -> Sample {
        let mut seeds: BTreeMap<u64, Vec<&Record>> = BTreeMap::new();
        for record in records {
            if matches!(record.outcome, Outcome::Completed) {
                seeds.entry(record.spec.seed).or_default().push(record);
            }
        }
        let mut sample = Sample::default();
        let mut pairs = Vec::new();
        for (&seed, runs) in &seeds {
            let Some(found) = self
                .of_seed(runs, model)
                .filter(|found| found.value.is_finite())
            else {
                continue;
            };
            sample.seeds.push(SeedValue {
                seed,
                value: found.value,
                error: found.error,
                relative_error: found.relative_error,
            });
            if let Some([treatment, control]) = found.pair {
                pairs.push([treatment, control]);
                if self
                    .selections()
                    .iter()
                    .any(|selection| selection.highest().is_some())
                {
                    let (rate, decay) = (
                        treatment.spec.train.optimizer.learning_rate(),
                        treatment.spec.train.optimizer.weight_decay().0,
                    );
                    sample
                        .chosen
                        .push(format!("decay {decay:e} at rate {rate}"));
                }
            }
        }
        if matches!(self, Self::AccuracyGain { .. }) {
            sample.shared_error = test_sampling_error(&pairs);
        }
        sample
    }

    fn of_seed<'a>(&self, runs: &[&'a Record], model: &str) -> Option<Found<'a>> {
        match self {
            Self::LogRatio {
                quantity,
                treatment,
                control,
                at,
            } => {
                let pair = pair(runs, model, treatment, control)?;
                let [above, below] = read_both(pair, quantity, at.as_ref())?;
                let value = (above.value > 0.0 && below.value > 0.0)
                    .then(|| (above.value / below.value).ln());
                Some(Found::paired(value?, [above, below], pair))
            }
            Self::Difference {
                quantity,
                treatment,
                control,
                at,
            } => {
                let pair = pair(runs, model, treatment, control)?;
                let [one, other] = read_both(pair, quantity, at.as_ref())?;
                Some(Found::paired(one.value - other.value, [one, other], pair))
            }
            Self::AccuracyGain { treatment, control } => {
                let pair = pair(runs, model, treatment, control)?;
                let accuracy =
                    |record: &Record| Some(record.measurements.last()?.evaluation.test.accuracy);
                let value = accuracy(pair[0])? - accuracy(pair[1])?;
                Some(Found::paired(
                    value,
                    [Reading {
                        value: 1.0,
                        error: 0.0,
                    }; 2],
                    pair,
                ))
            }
            Self::Value {
                quantity,
                select,
                at,
            } => mean(&select.of(runs, model), |run| {
                read_at(run, quantity, at.as_ref())
            }),
            Self::Factor {
                quantity,
                select,
                at,
            } => mean(&select.of(runs, model), |run| {
                logarithm(read_at(run, quantity, at.as_ref())?)
            }),
            Self::EndOverPeak {
                quantity,
                along,
                select,
            } => mean(&select.of(runs, model), |run| {
                let values = values(run, quantity, along)?;
                let peak = values
                    .iter()
                    .copied()
                    .max_by(|one, other| f64::total_cmp(&one.value, &other.value))?;
                let end = values.last()?;
                Some(Reading {
                    value: end.value / peak.value,
                    error: end.error / peak.value,
                })
            }),
            Self::Range {
                quantity,
                along,
                select,
            } => mean(&select.of(runs, model), |run| {
                let [low, high] = extremes(&values(run, quantity, along)?)?;
                Some(Reading {
                    value: high.value - low.value,
                    error: high.error.hypot(low.error),
                })
            }),
            Self::LogRange {
                quantity,
                along,
                select,
            } => mean(&select.of(runs, model), |run| {
                let [low, high] = extremes(&values(run, quantity, along)?)?;
                let [low, high] = [logarithm(low)?, logarithm(high)?];
                Some(Reading {
                    value: high.value - low.value,
                    error: high.error.hypot(low.error),
                })
            }),
            Self::Slope {
                x,
                y,
                along: Some(along),
                once,
                select,
                ..
            } => mean(&select.of(runs, model), |run| {
                let points = Point::along(run, along);
                let reached = |point: &Point<'_>| {
                    once.as_ref().is_none_or(|once| {
                        point
                            .read(&once.quantity)
                            .is_some_and(|reading| reading.value >= once.at_least)
                    })
                };
                let points = points.into_iter().skip_while(|point| !reached(point));
                slope(points.filter_map(|point| Some((point.read(x)?.value, point.read(y)?.value))))
            }),
            Self::Slope {
                x, y, at, select, ..
            } => {
                let runs = select.of(runs, model);
                let places = runs.iter().filter_map(|run| {
                    Some((
                        read_at(run, x, at.as_ref())?.value,
                        read_at(run, y, at.as_ref())?.value,
                    ))
                });
                Some(Found::of(slope(places)?))
            }
            Self::RankCorrelation(ranking) => ranking.of_seed(runs, model).map(Found::exact),
        }
    }
}

/// The number of a seed and what is behind it.
struct Found<'a> {
    value: f64,
    error: f64,
    relative_error: f64,
    pair: Option<[&'a Record; 2]>,
}

impl<'a> Found<'a> {
    fn of(reading: Reading) -> Self {
        Self {
            value: reading.value,
            error: reading.error,
            relative_error: relative(reading),
            pair: None,
        }
    }

    fn exact(value: f64) -> Self {
        Self::of(Reading { value, error: 0.0 })
    }

    /// Both sides have the same probes, so that their errors are common to them.
    fn paired(value: f64, readings: [Reading; 2], pair: [&'a Record; 2]) -> Self {
        Self {
            value,
            error: 0.0,
            relative_error: readings.map(relative).into_iter().fold(0.0, f64::max),
            pair: Some(pair),
        }
    }
}

fn relative(reading: Reading) -> f64 {
    let ratio = reading.error / reading.value.abs();
    if ratio.is_finite() { ratio } else { 0.0 }
}

fn pair<'a>(
    runs: &[&'a Record],
    model: &str,
    treatment: &Selection,
    control: &Selection,
) -> Option<[&'a Record; 2]> {
    Some([treatment.one(runs, model)?, control.one(runs, model)?])
}

fn read_both(
    pair: [&Record; 2],
    quantity: &Expression,
    at: Option<&Place>,
) -> Option<[Reading; 2]> {
    let matched = match at {
        Some(Place::Crossing {
            quantity: falls,
            falls_to: None,
        }) => {
            let level = f64::max(lowest(pair[0], falls)?, lowest(pair[1], falls)?);
            Some(Place::Crossing {
                quantity: falls.clone(),
                falls_to: Some(level),
            })
        }
        _ => None,
    };
    let at = matched.as_ref().or(at);
    Some([
        read_at(pair[0], quantity, at)?,
        read_at(pair[1], quantity, at)?,
    ])
}

/// Mean over the runs that have a number; the errors of different runs are independent.
fn mean<'a>(runs: &[&Record], value: impl Fn(&Record) -> Option<Reading>) -> Option<Found<'a>> {
    let readings: Vec<Reading> = runs.iter().filter_map(|run| value(run)).collect();
    let n = readings.len() as f64;
    let squares: f64 = readings.iter().map(|reading| reading.error.powi(2)).sum();
    (n > 0.0).then(|| Found {
        value: readings.iter().map(|reading| reading.value).sum::<f64>() / n,
        error: squares.sqrt() / n,
        relative_error: readings.iter().copied().map(relative).fold(0.0, f64::max),
        pair: None,
    })
}

fn logarithm(reading: Reading) -> Option<Reading> {
    (reading.value > 0.0).then(|| Reading {
        value: reading.value.ln(),
        error: reading.error / reading.value,
    })
}

fn values(run: &Record, quantity: &Expression, along: &str) -> Option<Vec<Reading>> {
    let points = Point::along(run, along);
    let values: Vec<Reading> = points
        .iter()
        .filter_map(|point| point.read(quantity))
        .collect();
    (values.len() > 1).then_some(values)
}

fn extremes(values: &[Reading]) -> Option<[Reading; 2]> {
    let order = |one: &&Reading, other: &&Reading| f64::total_cmp(&one.value, &other.value);
    Some([*values.iter().min_by(order)?, *values.iter().max_by(order)?])
}

/// b = Σ (ln x − mean)(ln y − mean) / Σ (ln x − mean)², over the points where both are positive, with its standard error
/// √(Σ r² / ((n − 2) Σ (ln x − mean)²)) from the residuals r where n > 2.
fn slope(points: impl Iterator<Item = (f64, f64)>) -> Option<Reading> {
    let logarithms = points
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (x.ln(), y.ln()));
    let points: Vec<(f64, f64)> = logarithms.collect();
    let n = points.len() as f64;
    let (x_mean, y_mean) = points.iter().fold((0.0, 0.0), |(x, y), point| {
        (x + point.0 / n, y + point.1 / n)
    });
    let squares: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let products: f64 = points
        .iter()
        .map(|(x, y)| (x - x_mean) * (y - y_mean))
        .sum();
    let value = products / squares;
    let residuals: f64 = points
        .iter()
        .map(|(x, y)| (y - y_mean - value * (x - x_mean)).powi(2))
        .sum();
    let error = if n > 2.0 {
        (residuals / ((n - 2.0) * squares)).sqrt()
    } else {
        0.0
    };
    value.is_finite().then_some(Reading { value, error })
}

/// Standard error of a mean difference of accuracies from the images of the test set alone. With the mean over the seeds of
/// the difference dᵢ ∈ [−1, 1] at image i of n: √((mean dᵢ² − (mean dᵢ)²) / n); for one seed that is McNemar's,
/// √(b + c − (b − c)²/n) / n for b and c images that only one of the two classifies correctly. Without the answers the bound
/// of independent ones, √((a₁(1 − a₁) + a₂(1 − a₂)) / n).
fn test_sampling_error(pairs: &[[&Record; 2]]) -> Option<f64> {
    let first = pairs.first()?[0];
    let n = first.data.test_examples;
    let seeds = pairs.len() as f64;
    let mut differences = vec![0.0; n];
    for pair in pairs {
        let [one, other] = pair.map(|record| {
            record
                .test_correct
                .as_ref()
                .filter(|hits| hits.0.len() == n)
        });
        let (Some(one), Some(other)) = (one, other) else {
            return independent_error(pairs, n);
        };
        for (difference, (&one, &other)) in differences.iter_mut().zip(one.0.iter().zip(&other.0)) {
            *difference += (f64::from(u8::from(one)) - f64::from(u8::from(other))) / seeds;
        }
    }
    let n = n as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let square = differences
        .iter()
        .map(|difference| difference.powi(2))
        .sum::<f64>()
        / n;
    Some(((square - mean.powi(2)).max(0.0) / n).sqrt())
}

fn independent_error(pairs: &[[&Record; 2]], n: usize) -> Option<f64> {
    let variance = |record: &Record| {
        let accuracy = record.measurements.last()?.evaluation.test.accuracy;
        Some(accuracy * (1.0 - accuracy) / n as f64)
    };
    let variances: Option<Vec<f64>> = pairs
        .iter()
        .flatten()
        .map(|record| variance(record))
        .collect();
    Some((variances?.iter().sum::<f64>() / pairs.len() as f64).sqrt())
}
