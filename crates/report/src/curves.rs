//! Runs side by side along training: their losses and accuracies where they were evaluated, their curvature where it was measured.
//!
//! Losses are mean cross-entropies without the L2 term, accuracies fractions of the split; the Hessian is that of the record's
//! `[measure]`.

use flatness_records::{EpochEvaluation, EpochMetrics, Iterate, Matrix, Record};

use crate::Expression;
use crate::axis::Scale;
use crate::chart::{Chart, Mark, Point, Series};
use crate::reproduction::distinct;
use crate::svg::arranged;
use crate::table::Table;

/// What [`curves_svg`] draws.
const DRAWN: [&str; 3] = ["train.loss", "test.loss", "spectral_norm"];

/// A finished run and the metrics of its epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedRun {
    /// What tells it from the others; runs of one label share their colour.
    pub label: String,
    /// What the run has left behind.
    pub record: Record,
    /// One entry per epoch, in their order.
    pub metrics: Vec<EpochMetrics>,
}

impl TrainedRun {
    /// Those of the epochs, and of the measurements where there is none of their epoch.
    fn evaluations(&self) -> Vec<(u32, Iterate, EpochEvaluation)> {
        let of_epochs = self.metrics.iter().flat_map(|metrics| {
            let average = (Iterate::Average, metrics.average_evaluation);
            let both = [(Iterate::Last, metrics.evaluation), average].into_iter();
            both.filter_map(|(weights, evaluation)| Some((metrics.epoch, weights, evaluation?)))
        });
        let mut evaluations: Vec<_> = of_epochs.collect();
        for one in &self.record.measurements {
            let is = |(epoch, weights, _): &(u32, Iterate, _)| {
                (*epoch, *weights) == (one.epoch, one.weights)
            };
            if !evaluations.iter().any(is) {
                evaluations.push((one.epoch, one.weights, one.evaluation));
            }
        }
        evaluations.sort_by_key(|(epoch, ..)| *epoch);
        evaluations
    }

    /// Epoch, iterate, name and value of everything that was evaluated, and then of everything measured.
    fn numbers(&self) -> Vec<(u32, Iterate, String, f64)> {
        let mut numbers = Vec::new();
        for (epoch, weights, EpochEvaluation { train, test, .. }) in self.evaluations() {
            for (split, of) in [("train", Some(train)), ("test", test)] {
                let values = [
                    ("loss", of.map(|of| of.loss)),
                    ("accuracy", of.and_then(|of| of.accuracy)),
                ];
                numbers.extend(values.into_iter().filter_map(|(name, value)| {
                    Some((epoch, weights, format!("{split}.{name}"), value?))
                }));
            }
        }
        for measurement in &self.record.measurements {
            let mut add = |prefix: &str, (name, number): (&String, &flatness_records::Quantity)| {
                let name = format!("{prefix}{name}");
                numbers.push((measurement.epoch, measurement.weights, name, number.value));
            };
            let measured = &measurement.measured;
            measured.numbers.iter().for_each(|number| add("", number));
            for matrix in measured.matrices.iter().filter(|one| one.group.is_none()) {
                let prefix = match matrix.matrix {
                    Matrix::Hessian => String::new(),
                    other => format!("{}.", other.name()),
                };
                matrix
                    .numbers
                    .iter()
                    .for_each(|number| add(&prefix, number));
            }
        }
        numbers
    }
}

/// One row per number of every run, at full precision (RFC 4180).
#[must_use]
pub fn curves_csv(runs: &[TrainedRun]) -> String {
    let mut table = Table::new("", "run|label|epoch|weights|number|value");
    for run in runs {
        for (epoch, weights, name, value) in run.numbers() {
            let (id, label) = (run.record.id.clone(), run.label.clone());
            let weights = weights.name().to_owned();
            table.push([
                id,
                label,
                epoch.to_string(),
                weights,
                name,
                value.to_string(),
            ]);
        }
    }
    table.csv()
}

/// Training loss, test loss and λ₁ against the epoch as one SVG file, a line for each run; the average of the iterates is dashed.
/// What no run has is left out.
#[must_use]
pub fn curves_svg(runs: &[TrainedRun]) -> String {
    let labels = distinct(runs.iter().map(|run| run.label.as_str()));
    let numbers: Vec<_> = runs
        .iter()
        .map(|run| (run.label.as_str(), run.numbers()))
        .collect();
    let kinds = [
        (Iterate::Last, "", Mark::Line),
        (Iterate::Average, ", average", Mark::Dashed),
    ];
    let panels = DRAWN.iter().filter_map(|drawn| {
        let series = labels.iter().flat_map(|label| {
            kinds.map(|(kind, suffix, mark)| {
                // Lines of all runs of a label, one after the other, interrupted between them.
                let mut points = Vec::new();
                for (_, numbers) in numbers.iter().filter(|(of, _)| of == label) {
                    let shown = |(epoch, weights, name, value): &(u32, Iterate, String, f64)| {
                        (*weights == kind && name == drawn)
                            .then(|| Point::new(f64::from(*epoch), *value))
                    };
                    points.extend(numbers.iter().filter_map(shown));
                    points.push(Point::new(f64::NAN, f64::NAN));
                }
                Series::new(format!("{label}{suffix}"), mark, points)
            })
        });
        let has_points = |series: &Series| series.points.iter().any(|point| point.x.is_finite());
        // A line without points keeps its colour; a dashed one has none to keep.
        let series: Vec<_> = series
            .filter(|series| series.mark != Mark::Dashed || has_points(series))
            .collect();
        if !series.iter().any(has_points) {
            return None;
        }
        let title = drawn
            .parse::<Expression>()
            .map_or_else(|_| (*drawn).to_owned(), |drawn| drawn.symbol());
        let y = (title.as_str(), Scale::Fitting);
        Some(Chart::new(title.clone(), ("epoch", Scale::Linear), y, series).draw())
    });
    arranged("Along training", &panels.collect::<Vec<_>>())
}
