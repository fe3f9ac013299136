//! Training runs with their losses after every epoch, and finished runs side by side: pictures, `curves.csv` and Markdown.
//!
//! Losses are mean cross-entropies without the L2 term, accuracies fractions of the split in the file and percentages on the page.

use std::fmt::Write as _;

use flatness_records::{EpochEvaluation, EpochMetrics, Iterate, Outcome, Record};

use crate::number::significant;
use crate::reading::{Point as RunPoint, TRAINING};
use crate::reproduction::{distinct, models};
use crate::settings::{Fields, block, fields, shared};
use crate::svg::{Axis, Chart, Mark, Point, Series, arranged};
use crate::table::{Cell, Table};
use crate::{Error, Expression, optimizer_name};

/// A finished run and the metrics of its epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedRun {
    /// What the run has left behind.
    pub record: Record,
    /// One entry per epoch, in their order.
    pub metrics: Vec<EpochMetrics>,
}

impl TrainedRun {
    /// Epoch, iterate and evaluation of everything that was evaluated; the average of an epoch
    /// comes behind its last iterate.
    pub fn evaluations(&self) -> impl Iterator<Item = (u32, Iterate, EpochEvaluation)> + '_ {
        self.metrics.iter().flat_map(|metrics| {
            let evaluations = [
                (Iterate::Last, metrics.evaluation),
                (Iterate::Average, metrics.average_evaluation),
            ];
            evaluations
                .into_iter()
                .filter_map(|(weights, evaluation)| Some((metrics.epoch, weights, evaluation?)))
        })
    }
}

fn weights_name(weights: Iterate) -> &'static str {
    match weights {
        Iterate::Last => "last",
        Iterate::Average => "average",
    }
}

/// One row per evaluation of every run, every number at full precision (RFC 4180).
#[must_use]
pub fn curves_csv(runs: &[TrainedRun]) -> String {
    let columns = [
        "run",
        "model",
        "optimizer",
        "seed",
        "epoch",
        "weights",
        "train_loss",
        "train_accuracy",
        "train_top5_accuracy",
        "test_loss",
        "test_accuracy",
        "test_top5_accuracy",
    ];
    let mut table = Table::new("", &columns);
    for run in runs {
        let record = &run.record;
        for (epoch, weights, evaluation) in run.evaluations() {
            let mut cells = vec![
                record.id.clone(),
                record.model.name.clone(),
                optimizer_name(&record.spec.train),
                record.spec.seed.to_string(),
                epoch.to_string(),
                weights_name(weights).to_owned(),
            ];
            for split in [evaluation.train, evaluation.test] {
                cells.extend(
                    [split.loss, split.accuracy, split.top5_accuracy]
                        .map(|number| format!("{number}")),
                );
            }
            table.push(cells.into_iter().map(Cell::from).collect());
        }
    }
    table.csv()
}

/// A page of Markdown: how every run ended, on what data, with what settings, and the command that made the page.
///
/// # Errors
/// [`Error::Settings`] when a spec has no TOML form.
pub fn curves_page(runs: &[TrainedRun], command: &str) -> Result<String, Error> {
    let mut page = format!(
        "# Losses along training\n\nMade by `{command}`. `curves.csv` has every number, the `.svg` files show the losses, the \
         `.json` files are the records of the runs. Loss: mean cross-entropy without the L2 term. An average has batch-norm statistics \
         of its own, taken over the training images, so even that of one iterate differs from the iterate.\n"
    );
    for model in models(runs.iter().map(|run| &run.record)) {
        let runs: Vec<&TrainedRun> = runs
            .iter()
            .filter(|run| run.record.model.name == model)
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {model}\n\n{}", endings(&runs).markdown());
        page += &distinct(runs.iter().map(|run| data(&run.record))).concat();
        page += &settings(&runs)?;
    }
    Ok(page)
}

/// The last evaluation of every run.
fn endings(runs: &[&TrainedRun]) -> Table {
    let columns = [
        "optimiser",
        "#seed",
        "#epoch",
        "#train loss",
        "#test loss",
        "#test accuracy",
        "#test top-5",
    ];
    let mut table = Table::new("", &columns);
    for run in runs {
        let name = optimizer_name(&run.record.spec.train);
        let seed = run.record.spec.seed.to_string();
        if let Outcome::Diverged { epoch, .. } = run.record.outcome {
            let cells = [
                name,
                seed,
                format!("diverged in epoch {epoch}"),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ];
            table.push(cells.map(Cell::from).to_vec());
            continue;
        }
        for (weights, label) in [(Iterate::Last, ""), (Iterate::Average, ", average")] {
            let of_weights = run.evaluations().filter(|(_, other, _)| *other == weights);
            let Some((epoch, _, EpochEvaluation { train, test, .. })) = of_weights.last() else {
                continue;
            };
            let cells = [
                format!("{name}{label}"),
                seed.clone(),
                epoch.to_string(),
                significant(train.loss, 4),
                significant(test.loss, 4),
                format!("{:.2} %", 100.0 * test.accuracy),
                format!("{:.2} %", 100.0 * test.top5_accuracy),
            ];
            table.push(cells.map(Cell::from).to_vec());
        }
    }
    table
}

/// What a run has been trained and tested on.
fn data(record: &Record) -> String {
    let data = &record.data;
    let held_out = match data.validation_examples {
        0 => String::new(),
        count => format!(", {count} for validation"),
    };
    format!(
        "\nData: {}, {} examples for training{held_out}, {} for testing; {}; SHA-256 `{}`.\n",
        data.set, data.train_examples, data.test_examples, data.source, data.digest
    )
}

/// The specs without their seeds: what all runs share, then what is each optimiser's own.
fn settings(runs: &[&TrainedRun]) -> Result<String, Error> {
    let specs: Vec<Fields> = runs
        .iter()
        .map(|run| fields(&run.record))
        .collect::<Result<_, _>>()?;
    let shared = shared(&specs);
    let own = runs.iter().zip(&specs).filter_map(|(run, spec)| {
        let own = block(
            spec.iter()
                .filter(|(field, _)| !shared.contains_key(*field)),
        );
        let name = optimizer_name(&run.record.spec.train);
        (!own.is_empty()).then(|| format!("\n{name}:\n\n```toml\n{own}```\n"))
    });
    let own = distinct(own).concat();
    let shared = block(shared.iter());
    Ok(format!(
        "\nSettings of all runs:\n\n```toml\n{shared}```\n{own}"
    ))
}

/// Loss of a split.
type Loss = fn(&EpochEvaluation) -> f64;

/// The runs of `model` as one SVG file, a line each in the colour of their optimiser: the train loss, then the test loss; the
/// average of the iterates is dashed.
#[must_use]
pub fn curves_svg(model: &str, runs: &[TrainedRun]) -> String {
    let runs: Vec<&TrainedRun> = runs
        .iter()
        .filter(|run| run.record.model.name == model)
        .collect();
    let losses: [(&str, Loss); 2] = [
        ("train loss", |evaluation| evaluation.train.loss),
        ("test loss", |evaluation| evaluation.test.loss),
    ];
    let panels = losses.map(|(name, loss)| {
        let names = distinct(
            runs.iter()
                .map(|run| optimizer_name(&run.record.spec.train)),
        );
        let series = names.iter().flat_map(|name| {
            let of_name = || {
                runs.iter()
                    .filter(|run| optimizer_name(&run.record.spec.train) == *name)
            };
            [
                (Iterate::Last, "", Mark::Bare),
                (Iterate::Average, ", average", Mark::Dashed),
            ]
            .map(|(weights, suffix, mark)| {
                let lines = of_name().map(|run| {
                    let evaluations = run.evaluations().filter(|(_, other, _)| *other == weights);
                    evaluations
                        .map(|(epoch, _, evaluation)| {
                            Point::new(f64::from(epoch), loss(&evaluation))
                        })
                        .collect()
                });
                joined(format!("{name}{suffix}"), lines, mark)
            })
        });
        // A line without points keeps its colour; a dashed one has none to keep.
        let series =
            series.filter(|series| series.mark != Mark::Dashed || !series.points.is_empty());
        chart(
            &format!("{model}: {name}"),
            "epoch",
            "mean cross-entropy",
            series.collect(),
        )
    });
    arranged("Loss along training", &panels.map(|chart| chart.draw()))
}

/// A quantity of finished runs along training as one SVG file, a line for each run, named by what its spec has of its own: the
/// left panel over the epoch, the right one over the training loss.
///
/// # Errors
/// [`Error::Settings`] when a spec has no TOML form.
pub fn compare_svg(records: &[Record], quantity: &Expression) -> Result<String, Error> {
    let names = run_names(records)?;
    let panels = ["epoch", "train.loss"].map(|x| {
        let abscissa: Option<Expression> = x.parse().ok();
        let series = records.iter().zip(&names).map(|(record, name)| {
            let points = RunPoint::along(record, TRAINING).into_iter();
            let point = |point: RunPoint<'_>| {
                Some(Point::new(
                    point.read(abscissa.as_ref()?)?.value,
                    point.read(quantity)?.value,
                ))
            };
            Series {
                label: name.clone(),
                points: points.filter_map(point).collect(),
                mark: Mark::Line,
            }
        });
        let title = abscissa
            .as_ref()
            .map_or_else(String::new, Expression::symbol);
        chart(
            &format!("{} against {title}", quantity.symbol()),
            &title,
            &quantity.symbol(),
            series.collect(),
        )
    });
    Ok(arranged(
        "Along training",
        &panels.map(|chart| chart.draw()),
    ))
}

/// Finished runs as a table for the terminal: what each spec has of its own, and quantities at the end.
///
/// # Errors
/// [`Error::Settings`] when a spec has no TOML form.
pub fn compare_table(records: &[Record], quantities: &[Expression]) -> Result<String, Error> {
    let names = run_names(records)?;
    let mut table = Table::new("", &["run", "settings"]);
    table
        .columns
        .extend(quantities.iter().map(|quantity| (quantity.symbol(), true)));
    for (record, name) in records.iter().zip(names) {
        let numbers = quantities.iter().map(|quantity| {
            let reading = RunPoint::end(record).and_then(|end| end.read(quantity));
            Cell::from(reading.map_or_else(
                || crate::number::MISSING.to_owned(),
                |one| significant(one.value, 4),
            ))
        });
        table.push(
            [Cell::from(record.id.clone()), Cell::from(name)]
                .into_iter()
                .chain(numbers)
                .collect(),
        );
    }
    Ok(table.terminal())
}

/// What tells runs apart: the fields in which they differ, and the seed where those do not.
fn run_names(records: &[Record]) -> Result<Vec<String>, Error> {
    let specs: Vec<Fields> = records.iter().map(fields).collect::<Result<_, _>>()?;
    let shared = shared(&specs);
    let name = |(record, spec): (&Record, &Fields)| {
        let own = spec
            .iter()
            .filter(|(field, _)| !shared.contains_key(*field));
        let own = own.map(|(field, value)| {
            format!(
                "{} {}",
                field.rsplit('.').next().unwrap_or(field),
                value.trim_matches('"')
            )
        });
        own.chain([format!("seed {}", record.spec.seed)])
            .collect::<Vec<_>>()
            .join(", ")
    };
    Ok(records.iter().zip(&specs).map(name).collect())
}

/// Lines of all seeds, one after the other, interrupted between them.
fn joined(label: String, lines: impl Iterator<Item = Vec<Point>>, mark: Mark) -> Series {
    let lines: Vec<Vec<Point>> = lines.filter(|line| !line.is_empty()).collect();
    Series {
        label,
        points: lines.join(&Point::new(f64::NAN, f64::NAN)),
        mark,
    }
}

fn chart(title: &str, x: &str, y: &str, series: Vec<Series>) -> Chart {
    let reached = |coordinate: fn(&Point) -> f64| {
        let points = series.iter().flat_map(|series| &series.points);
        points
            .map(coordinate)
            .filter(|value| value.is_finite())
            .collect::<Vec<_>>()
            .into_iter()
    };
    Chart {
        title: title.to_owned(),
        x: if x == "epoch" {
            Axis::linear(x, reached(|point| point.x))
        } else {
            Axis::fitting(x, reached(|point| point.x))
        },
        y: Axis::fitting(y, reached(|point| point.y)),
        series,
        guides: [Vec::new(), Vec::new()],
    }
}
