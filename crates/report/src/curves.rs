//! Training runs with their losses after every epoch: a picture, `curves.csv` and Markdown.
//!
//! Losses are mean cross-entropies without the L2 term, accuracies fractions of the split in the file and percentages on the page.

use flatness_records::{EpochEvaluation, EpochMetrics, Iterate, Outcome, Record};

use crate::axis::Scale;
use crate::chart::{Chart, Mark, Point, Series};
use crate::number::significant;
use crate::reproduction::{distinct, models};
use crate::settings::{Fields, block, fields, own, shared};
use crate::svg::arranged;
use crate::table::Table;
use crate::{Error, optimizer_name};

/// A finished run and the metrics of its epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedRun {
    /// What the run has left behind.
    pub record: Record,
    /// One entry per epoch, in their order.
    pub metrics: Vec<EpochMetrics>,
}

impl TrainedRun {
    fn optimizer(&self) -> String {
        optimizer_name(&self.record.spec.train)
    }

    /// Epoch, iterate and evaluation of everything that was evaluated; the average of an epoch
    /// comes behind its last iterate.
    pub fn evaluations(&self) -> impl Iterator<Item = (u32, Iterate, EpochEvaluation)> + '_ {
        self.metrics.iter().flat_map(|metrics| {
            let last = (Iterate::Last, metrics.evaluation);
            let both = [last, (Iterate::Average, metrics.average_evaluation)].into_iter();
            both.filter_map(|(weights, evaluation)| Some((metrics.epoch, weights, evaluation?)))
        })
    }

    /// Those of one kind of iterate, with their epochs.
    fn evaluations_of(
        &self,
        weights: Iterate,
    ) -> impl Iterator<Item = (u32, EpochEvaluation)> + '_ {
        let of_weights = self
            .evaluations()
            .filter(move |(_, other, _)| *other == weights);
        of_weights.map(|(epoch, _, evaluation)| (epoch, evaluation))
    }
}

/// One row per evaluation of every run, every number at full precision (RFC 4180).
#[must_use]
pub fn curves_csv(runs: &[TrainedRun]) -> String {
    let mut table = Table::new(
        "",
        "run|model|optimizer|seed|epoch|weights|train_loss|train_accuracy|train_top5_accuracy|\
         test_loss|test_accuracy|test_top5_accuracy",
    );
    for run in runs {
        for (epoch, weights, EpochEvaluation { train, test, .. }) in run.evaluations() {
            let whose = [
                run.record.id.clone(),
                run.record.model.name.clone(),
                run.optimizer(),
                run.record.spec.seed.to_string(),
                epoch.to_string(),
                weights.name().to_owned(),
            ];
            let numbers = [train, test].map(|of| [of.loss, of.accuracy, of.top5_accuracy]);
            let numbers = numbers
                .concat()
                .into_iter()
                .map(|number| number.to_string());
            table.push(whose.into_iter().chain(numbers));
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
        let runs = of_model(runs, &model);
        page += &format!("\n## {model}\n\n{}", endings(&runs).markdown());
        page += &distinct(runs.iter().map(|run| data(&run.record))).concat();
        page += &settings(&runs)?;
    }
    Ok(page)
}

fn of_model<'r>(runs: &'r [TrainedRun], model: &str) -> Vec<&'r TrainedRun> {
    let of_model = runs.iter().filter(|run| run.record.model.name == model);
    of_model.collect()
}

/// The last evaluation of every run.
fn endings(runs: &[&TrainedRun]) -> Table {
    let mut table = Table::new(
        "",
        "optimiser|#seed|#epoch|#train loss|#test loss|#test accuracy|#test top-5",
    );
    for run in runs {
        let (name, seed) = (run.optimizer(), run.record.spec.seed.to_string());
        if let Outcome::Diverged { epoch, .. } = run.record.outcome {
            let blank = std::iter::repeat_n(String::new(), 4);
            let cells = [name, seed, format!("diverged in epoch {epoch}")].into_iter();
            table.push(cells.chain(blank));
            continue;
        }
        for (weights, label) in [(Iterate::Last, ""), (Iterate::Average, ", average")] {
            if let Some((epoch, EpochEvaluation { train, test, .. })) =
                run.evaluations_of(weights).last()
            {
                table.push([
                    format!("{name}{label}"),
                    seed.clone(),
                    epoch.to_string(),
                    significant(train.loss, 4),
                    significant(test.loss, 4),
                    format!("{:.2} %", 100.0 * test.accuracy),
                    format!("{:.2} %", 100.0 * test.top5_accuracy),
                ]);
            }
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
    let specs = runs.iter().map(|run| fields(&run.record));
    let specs: Vec<Fields> = specs.collect::<Result<_, _>>()?;
    let shared = shared(&specs);
    let own = runs.iter().zip(&specs).filter_map(|(run, spec)| {
        let own = block(own(spec, &shared));
        (!own.is_empty()).then(|| format!("\n{}:\n\n```toml\n{own}```\n", run.optimizer()))
    });
    let own = distinct(own).concat();
    let shared = block(shared.iter());
    Ok(format!(
        "\nSettings of all runs:\n\n```toml\n{shared}```\n{own}"
    ))
}

/// The runs of `model` as one SVG file, a line each in the colour of their optimiser: the train loss, then the test loss; the
/// average of the iterates is dashed.
#[must_use]
pub fn curves_svg(model: &str, runs: &[TrainedRun]) -> String {
    type Loss = fn(&EpochEvaluation) -> f64;
    let runs = of_model(runs, model);
    let names = distinct(runs.iter().map(|run| run.optimizer()));
    let kinds = [
        (Iterate::Last, "", Mark::Bare),
        (Iterate::Average, ", average", Mark::Dashed),
    ];
    let losses: [(&str, Loss); 2] = [
        ("train loss", |evaluation| evaluation.train.loss),
        ("test loss", |evaluation| evaluation.test.loss),
    ];
    let panels = losses.map(|(loss_name, loss)| {
        let series = names.iter().flat_map(|name| {
            let of_name = || runs.iter().filter(|run| run.optimizer() == *name);
            kinds.map(|(weights, suffix, mark)| {
                let lines = of_name().map(|run| {
                    let evaluations = run.evaluations_of(weights);
                    evaluations
                        .map(|(epoch, evaluation)| Point::new(f64::from(epoch), loss(&evaluation)))
                        .collect::<Vec<_>>()
                });
                // Lines of all seeds, one after the other, interrupted between them.
                let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
                let gap = Point::new(f64::NAN, f64::NAN);
                Series::new(format!("{name}{suffix}"), mark, lines.join(&gap))
            })
        });
        // A line without points keeps its colour; a dashed one has none to keep.
        let shown = |series: &Series| series.mark != Mark::Dashed || !series.points.is_empty();
        let series = series.filter(shown).collect();
        let y = ("mean cross-entropy", Scale::Fitting);
        let title = format!("{model}: {loss_name}");
        Chart::new(title, ("epoch", Scale::Linear), y, series).draw()
    });
    arranged("Loss along training", &panels)
}
