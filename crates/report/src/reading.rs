//! Where numbers are read off a record: at the finished parameters, along training, or along a curve.
//!
//! Besides the names of measurements a record has `weight_decay`, `learning_rate`, `batch_size`, `epochs`, `epoch`, `dose`,
//! `steps`, `parameters`, `hidden_units`, `classes`, `other_classes` (C − 1), `neurons` (hidden units and classes),
//! `train_examples`, `examples` (of the measurement), `loss` (likewise), and `loss`, `accuracy`, `error`, `top5_accuracy` of
//! `train`, `validation` and `test`; `gap` is the test loss minus the training loss, `x` the place on a curve.

use flatness_records::{Iterate, SplitEvaluation};
use serde::{Deserialize, Serialize};

use crate::summary::{CurvePoint, Measurement};
use crate::{Expression, Reading, Summary};

/// Numbers along the epochs that were measured, of the last iterates: an average does not lie on the path.
pub(crate) const TRAINING: &str = "training";

/// Where a number is read; absent in a claim: at the finished parameters, the average where there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Place {
    /// On a curve of the last measurement.
    Curve {
        /// Its name, such as `rise.random`.
        curve: String,
        /// One of the places that were measured.
        x: f64,
    },
    /// Along training, where a quantity first falls to a level: interpolated in logarithms.
    Crossing {
        /// What falls, such as `train.loss`.
        quantity: Expression,
        /// How far; absent, of two runs that are compared: the lowest level that both reach.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        falls_to: Option<f64>,
    },
}

/// A point of a run at which names have numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point<'a> {
    record: &'a Summary,
    measurement: &'a Measurement,
    on_curve: Option<&'a CurvePoint>,
}

impl<'a> Point<'a> {
    /// The finished parameters.
    pub(crate) fn end(record: &'a Summary) -> Option<Self> {
        Some(Self {
            record,
            measurement: record.measurements.last()?,
            on_curve: None,
        })
    }

    /// The points along training, or along the curve of this name of the last measurement that has it.
    pub(crate) fn along(record: &'a Summary, along: &str) -> Vec<Self> {
        let at = |measurement, on_curve| Self {
            record,
            measurement,
            on_curve,
        };
        let measurements = record.measurements.iter();
        if along == TRAINING {
            let iterates = measurements.filter(|one| one.weights == Iterate::Last);
            return iterates.map(|measurement| at(measurement, None)).collect();
        }
        let curve = |measurement: &'a Measurement| {
            let mut curves = measurement.curves.iter();
            Some((measurement, curves.find(|curve| curve.name == along)?))
        };
        let found = measurements.rev().find_map(curve);
        let points = found.into_iter().flat_map(|(measurement, curve)| {
            curve
                .points
                .iter()
                .map(move |point| at(measurement, Some(point)))
        });
        points.collect()
    }

    pub(crate) fn read(&self, expression: &Expression) -> Option<Reading> {
        expression.evaluate(|name| self.number(name))
    }

    fn number(&self, name: &str) -> Option<Reading> {
        let (record, measurement) = (self.record, self.measurement);
        if let Some(point) = self.on_curve {
            if name == "x" {
                return Some(exact(point.x));
            }
            if let Some(quantity) = point.numbers.get(name) {
                return Some(quantity.into());
            }
        }
        if let Some(quantity) = measurement.number(name) {
            return Some(quantity.into());
        }
        let evaluation = &measurement.evaluation;
        if let Some((split, of_split)) = name.split_once('.') {
            let split = match split {
                "train" => &evaluation.train,
                "validation" => evaluation.validation.as_ref()?,
                "test" => evaluation.test.as_ref()?,
                _ => return None,
            };
            return of_evaluation(split, of_split);
        }
        let model = &record.setting.model;
        let train = &record.setting.spec.train;
        Some(exact(match name {
            "gap" => evaluation.test?.loss - evaluation.train.loss,
            "loss" => measurement.loss,
            "examples" => measurement.examples as f64,
            "epoch" => f64::from(measurement.epoch),
            "weight_decay" => train.optimizer.weight_decay().0,
            "learning_rate" => train.optimizer.learning_rate(),
            "batch_size" => train.batch_size as f64,
            "epochs" => f64::from(train.epochs),
            "dose" => record.training.dose,
            "steps" => record.training.steps as f64,
            "train_examples" => record.setting.data.train_examples as f64,
            "parameters" => model.parameters as f64,
            "hidden_units" => model.hidden_units as f64,
            "classes" => model.classes as f64,
            "other_classes" => model.classes as f64 - 1.0,
            "neurons" => (model.hidden_units + model.classes) as f64,
            _ => return None,
        }))
    }
}

fn of_evaluation(split: &SplitEvaluation, name: &str) -> Option<Reading> {
    Some(exact(match name {
        "loss" => split.loss,
        "accuracy" => split.accuracy?,
        "error" => 1.0 - split.accuracy?,
        "top5_accuracy" => split.top5_accuracy?,
        _ => return None,
    }))
}

fn exact(value: f64) -> Reading {
    Reading { value, error: 0.0 }
}

/// The number at a place of one run; a crossing without a level has none.
pub(crate) fn read_at(
    record: &Summary,
    expression: &Expression,
    place: Option<&Place>,
) -> Option<Reading> {
    match place {
        None => Point::end(record)?.read(expression),
        Some(Place::Curve { curve, x }) => {
            let points = Point::along(record, curve).into_iter();
            let mut there = points.filter(|point| {
                let at = point.on_curve.map_or(f64::NAN, |point| point.x);
                // Text of a claim and of a spec may round the same place differently.
                (at - x).abs() <= 1e-9 * x.abs()
            });
            there.next()?.read(expression)
        }
        Some(Place::Crossing { quantity, falls_to }) => {
            crossing(record, expression, quantity, (*falls_to)?)
        }
    }
}

/// ln y at ln q = ln level, linearly between the first measured point that is not above the level and the one before.
fn crossing(
    record: &Summary,
    y: &Expression,
    quantity: &Expression,
    level: f64,
) -> Option<Reading> {
    let points = Point::along(record, TRAINING);
    let levels: Vec<f64> = points
        .iter()
        .map(|point| Some(point.read(quantity)?.value))
        .collect::<Option<_>>()?;
    let after = levels.iter().position(|&value| value <= level)?;
    let high = points[after].read(y)?;
    if levels[after] == level {
        return Some(high);
    }
    let before = after.checked_sub(1)?;
    let low = points[before].read(y)?;
    let share = (levels[before] / level).ln() / (levels[before] / levels[after]).ln();
    let between = |low: f64, high: f64| low.powf(1.0 - share) * high.powf(share);
    let value = between(low.value, high.value);
    let relative = ((1.0 - share) * low.error / low.value).hypot(share * high.error / high.value);
    let error = value * relative;
    value.is_finite().then_some(Reading { value, error })
}

/// The lowest value of `quantity` along the training of a run.
pub(crate) fn lowest(record: &Summary, quantity: &Expression) -> Option<f64> {
    let points = Point::along(record, TRAINING);
    let values = points.iter().filter_map(|point| point.read(quantity));
    values.map(|reading| reading.value).reduce(f64::min)
}
