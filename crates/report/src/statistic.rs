//! What a gate or a predicate computes: one number per seed from the completed runs of one model.
//!
//! The seed is the unit of replication: runs of one seed share their initialisation, their order of examples and their
//! random probes, so they are compared with each other and only the resulting numbers are averaged.

mod formula;
mod rank;

use flatness_records::Outcome;
use serde::{Deserialize, Serialize};

use crate::reading::{Place, Point, lowest, read_at};
use crate::selection::{by_seed, decimal};
use crate::{Expression, Reading, Selection, Summary};

pub use self::rank::{Ranking, kendall_tau};

/// A number per seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Statistic {
    /// ln(q(treatment) / q(control)).
    LogRatio(Comparison),
    /// q(treatment) − q(control).
    Difference(Comparison),
    /// The difference of test accuracies, with the sampling error of the test images beside that of the seeds.
    AccuracyGain(Sides),
    /// q, mean over the seed's runs.
    Value(Of),
    /// ln q, mean over the seed's runs: for what is multiplied.
    Factor(Of),
    /// q(last) / max q along training or a curve, mean over the seed's runs.
    EndOverPeak(Path),
    /// max q − min q along training or a curve, mean over the seed's runs.
    Range(Path),
    /// ln(max q / min q) along training or a curve, mean over the seed's runs.
    LogRange(Path),
    /// Least-squares slope of ln y on ln x: along training or a curve (mean over the seed's runs), or over the seed's runs.
    Slope(Slope),
    /// Kendall's τ of x against y, over the runs of a seed or along each of them.
    RankCorrelation(Ranking),
}

/// A quantity of two runs of a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The q that is compared.
    pub quantity: Expression,
    /// The run of the numerator or minuend.
    pub treatment: Selection,
    /// The run of the denominator or subtrahend.
    pub control: Selection,
    /// Where q is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
}

/// Two runs of a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    /// The run of the minuend.
    pub treatment: Selection,
    /// The run of the subtrahend.
    pub control: Selection,
}

/// A quantity of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Of {
    /// The q in question.
    pub quantity: Expression,
    /// Runs of which it is the mean.
    #[serde(default)]
    pub select: Selection,
    /// Where q is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
}

/// A quantity along runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// The q in question.
    pub quantity: Expression,
    /// `training`, or the name of a curve.
    pub along: String,
    /// Runs of which it is the mean.
    #[serde(default)]
    pub select: Selection,
}

/// One quantity against another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slope {
    /// Abscissa.
    pub x: Expression,
    /// Ordinate.
    pub y: Expression,
    /// `training`, or the name of a curve; absent: over the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub along: Option<String>,
    /// Takes points from the first on at which this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,
    /// Where x and y are read over runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// Runs that count.
    #[serde(default)]
    pub select: Selection,
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
    /// Weight decays of the runs that were chosen by `highest`, in the order of the seeds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<String>,
}

/// The number of one seed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct SeedValue {
    /// The seed.
    pub seed: u64,
    /// Its number, a natural logarithm where the statistic is one.
    pub value: f64,
    /// Measurement error of the number, where it is not common to what is compared.
    pub error: f64,
    /// Measurement error of one reading behind it, relative to the reading.
    pub relative_error: f64,
    /// Chance that a seed without an effect lies where this one does: 1/2 on its side, or 1/k! for a perfect order of k runs.
    #[serde(skip)]
    pub chance: f64,
}

impl Statistic {
    /// Whether its number is the logarithm of a factor, and its thresholds are factors.
    #[must_use]
    pub fn is_logarithmic(&self) -> bool {
        matches!(
            self,
            Self::LogRatio(_) | Self::Factor(_) | Self::LogRange(_)
        )
    }

    /// The selections of its runs: what is compared with what, or the runs that count.
    #[must_use]
    pub fn selections(&self) -> Vec<&Selection> {
        match self {
            Self::LogRatio(one) | Self::Difference(one) => vec![&one.treatment, &one.control],
            Self::AccuracyGain(sides) => vec![&sides.treatment, &sides.control],
            Self::Value(of) | Self::Factor(of) => vec![&of.select],
            Self::EndOverPeak(path) | Self::Range(path) | Self::LogRange(path) => {
                vec![&path.select]
            }
            Self::Slope(slope) => vec![&slope.select],
            Self::RankCorrelation(ranking) => vec![&ranking.select],
        }
    }

    /// Whether runs have the number: two have no order that says more than their difference.
    #[must_use]
    pub fn speaks_of(&self, records: &[&Summary], model: &str) -> bool {
        let Self::RankCorrelation(ranking) = self else {
            return true;
        };
        let runs = |runs: &Vec<&Summary>| ranking.select.of(runs, model).len();
        ranking.along.is_some() || by_seed(records).values().map(runs).max() > Some(2)
    }

    /// Evaluates it on the runs of an experiment for one model, or for `all models` together; diverged runs are left out.
    #[must_use]
    pub fn evaluate(&self, records: &[&Summary], model: &str) -> Sample {
        let completed = records.iter().copied();
        let completed = completed.filter(|record| record.outcome == Outcome::Completed);
        let seeds = by_seed(&completed.collect::<Vec<_>>());
        let mut sample = Sample::default();
        let mut pairs = Vec::new();
        for (&seed, runs) in &seeds {
            let found = self.of_seed(runs, model);
            let finite = found.filter(|found| found.value.is_finite());
            if let Some(Found {
                value,
                error,
                relative_error,
                chance,
                pair,
            }) = finite
            {
                sample.seeds.push(SeedValue {
                    seed,
                    value,
                    error,
                    relative_error,
                    chance,
                });
                pairs.extend(pair);
            }
        }
        let mut selections = self.selections().into_iter();
        if selections.any(|selection| selection.highest().is_some()) {
            let decay = |run: &Summary| decimal(run.setting.spec.train.optimizer.weight_decay().0);
            sample.chosen = pairs.iter().map(|[run, _]| decay(run)).collect();
        }
        if matches!(self, Self::AccuracyGain(_)) {
            sample.shared_error = test_sampling_error(&pairs);
        }
        sample
    }

    fn of_seed<'a>(&self, runs: &[&'a Summary], model: &str) -> Option<Found<'a>> {
        let along = |path: &Path, reduce: fn(&[Reading]) -> Option<Reading>| {
            mean(&path.select.of(runs, model), |run| {
                reduce(&values(run, &path.quantity, &path.along)?)
            })
        };
        match self {
            Self::LogRatio(one) => one.of_seed(runs, model, |[above, below]| {
                (above > 0.0 && below > 0.0).then(|| (above / below).ln())
            }),
            Self::Difference(one) => one.of_seed(runs, model, |[minuend, subtrahend]| {
                Some(minuend - subtrahend)
            }),
            Self::AccuracyGain(Sides { treatment, control }) => {
                let pair = pair(runs, model, treatment, control)?;
                let value = accuracy(pair[0])? - accuracy(pair[1])?;
                Some(Found {
                    value,
                    error: 0.0,
                    relative_error: 0.0,
                    chance: EVEN,
                    pair: Some(pair),
                })
            }
            Self::Value(of) => mean(&of.select.of(runs, model), |run| {
                read_at(run, &of.quantity, of.at.as_ref())
            }),
            Self::Factor(of) => mean(&of.select.of(runs, model), |run| {
                logarithm(read_at(run, &of.quantity, of.at.as_ref())?)
            }),
            Self::EndOverPeak(path) => along(path, |values| {
                let [_, peak] = extremes(values)?;
                let Reading { value, error } = values.last()?;
                Some(Reading {
                    value: value / peak.value,
                    error: error / peak.value,
                })
            }),
            Self::Range(path) => along(path, |values| Some(span(extremes(values)?))),
            Self::LogRange(path) => along(path, |values| {
                let [low, high] = extremes(values)?;
                Some(span([logarithm(low)?, logarithm(high)?]))
            }),
            Self::Slope(slope) => slope.of_seed(&slope.select.of(runs, model)),
            Self::RankCorrelation(ranking) => {
                let (value, chance) = ranking.of_seed(runs, model)?;
                Some(Found {
                    chance,
                    ..Found::of(Reading { value, error: 0.0 })
                })
            }
        }
    }
}

impl Comparison {
    fn of_seed<'a>(
        &self,
        runs: &[&'a Summary],
        model: &str,
        compare: impl Fn([f64; 2]) -> Option<f64>,
    ) -> Option<Found<'a>> {
        let pair = pair(runs, model, &self.treatment, &self.control)?;
        let readings = read_both(pair, &self.quantity, self.at.as_ref())?;
        Some(Found {
            value: compare(readings.map(|reading| reading.value))?,
            // Both sides have the same probes, so that their errors are common to them.
            error: 0.0,
            relative_error: readings.map(relative).into_iter().fold(0.0, f64::max),
            chance: EVEN,
            pair: Some(pair),
        })
    }
}

impl Slope {
    fn of_seed<'a>(&self, runs: &[&Summary]) -> Option<Found<'a>> {
        let Some(along) = &self.along else {
            let at = self.at.as_ref();
            let read = |run: &Summary, quantity| Some(read_at(run, quantity, at)?.value);
            let place = |run: &&Summary| Some((read(run, &self.x)?, read(run, &self.y)?));
            return slope(runs.iter().filter_map(place)).map(Found::of);
        };
        let reached = |point: &Point<'_>| {
            self.once.as_ref().is_none_or(|once| {
                let reading = point.read(&once.quantity);
                reading.is_some_and(|reading| reading.value >= once.at_least)
            })
        };
        mean(runs, |run| {
            let points = Point::along(run, along).into_iter();
            let place =
                |point: Point<'_>| Some((point.read(&self.x)?.value, point.read(&self.y)?.value));
            slope(points.skip_while(|point| !reached(point)).filter_map(place))
        })
    }
}

fn span([low, high]: [Reading; 2]) -> Reading {
    Reading {
        value: high.value - low.value,
        error: high.error.hypot(low.error),
    }
}

/// The chance of a side, where nothing favours one.
const EVEN: f64 = 0.5;

/// The number of a seed and what is behind it.
struct Found<'a> {
    value: f64,
    error: f64,
    relative_error: f64,
    chance: f64,
    pair: Option<[&'a Summary; 2]>,
}

impl Found<'_> {
    fn of(reading: Reading) -> Self {
        let Reading { value, error } = reading;
        Self {
            value,
            error,
            relative_error: relative(reading),
            chance: EVEN,
            pair: None,
        }
    }
}

fn accuracy(record: &Summary) -> Option<f64> {
    record.measurements.last()?.evaluation.test?.accuracy
}

fn relative(reading: Reading) -> f64 {
    let ratio = reading.error / reading.value.abs();
    if ratio.is_finite() { ratio } else { 0.0 }
}

fn pair<'a>(
    runs: &[&'a Summary],
    model: &str,
    treatment: &Selection,
    control: &Selection,
) -> Option<[&'a Summary; 2]> {
    Some([treatment.one(runs, model)?, control.one(runs, model)?])
}

fn read_both(
    pair: [&Summary; 2],
    quantity: &Expression,
    at: Option<&Place>,
) -> Option<[Reading; 2]> {
    let matched = match at {
        Some(Place::Crossing {
            quantity,
            falls_to: None,
        }) => {
            let level = f64::max(lowest(pair[0], quantity)?, lowest(pair[1], quantity)?);
            let quantity = quantity.clone();
            Some(Place::Crossing {
                quantity,
                falls_to: Some(level),
            })
        }
        _ => None,
    };
    let read = |run| read_at(run, quantity, matched.as_ref().or(at));
    Some([read(pair[0])?, read(pair[1])?])
}

/// Mean over the runs that have a number; the errors of different runs are independent.
fn mean<'a>(runs: &[&Summary], value: impl Fn(&Summary) -> Option<Reading>) -> Option<Found<'a>> {
    let readings: Vec<Reading> = runs.iter().filter_map(|run| value(run)).collect();
    let n = readings.len() as f64;
    let squares: f64 = readings.iter().map(|reading| reading.error.powi(2)).sum();
    (n > 0.0).then(|| Found {
        value: readings.iter().map(|reading| reading.value).sum::<f64>() / n,
        error: squares.sqrt() / n,
        relative_error: readings.iter().copied().map(relative).fold(0.0, f64::max),
        chance: EVEN,
        pair: None,
    })
}

fn logarithm(reading: Reading) -> Option<Reading> {
    (reading.value > 0.0).then(|| Reading {
        value: reading.value.ln(),
        error: reading.error / reading.value,
    })
}

fn values(run: &Summary, quantity: &Expression, along: &str) -> Option<Vec<Reading>> {
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
    let positive = points.filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let points: Vec<(f64, f64)> = positive.map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = points.len() as f64;
    let [x_mean, y_mean] = points.iter().fold([0.0, 0.0], |[x, y], point| {
        [x + point.0 / n, y + point.1 / n]
    });
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|(x, y)| of(x - x_mean, y - y_mean)).sum()
    };
    let squares = sum(&|x, _| x.powi(2));
    let value = sum(&|x, y| x * y) / squares;
    let residuals = sum(&|x, y| (y - value * x).powi(2));
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
fn test_sampling_error(pairs: &[[&Summary; 2]]) -> Option<f64> {
    let first = pairs.first()?[0];
    let n = first.setting.data.test_examples;
    let seeds = pairs.len() as f64;
    let mut differences = vec![0.0; n];
    for pair in pairs {
        let answers = pair.map(|record| {
            let hits = record.test_correct.as_ref();
            hits.filter(|hits| hits.examples() == n)
        });
        let [Some(one), Some(other)] = answers else {
            return independent_error(pairs, n);
        };
        for (image, first) in one.differing(other) {
            differences[image] += if first { 1.0 } else { -1.0 } / seeds;
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

fn independent_error(pairs: &[[&Summary; 2]], n: usize) -> Option<f64> {
    let variance = |record: &&Summary| accuracy(record).map(|a| a * (1.0 - a) / n as f64);
    let variances: Option<Vec<f64>> = pairs.iter().flatten().map(variance).collect();
    Some((variances?.iter().sum::<f64>() / pairs.len() as f64).sqrt())
}
