//! Training runs with their losses after every epoch: `curves.csv` and a page of Markdown.
//!
//! Losses are mean cross-entropies without the L2 term, accuracies fractions of the split in the file
//! and percentages on the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flatness_records::{EpochEvaluation, EpochMetrics, Iterate, Outcome, Record};

use crate::csv::{line, number, quoted};
use crate::number::significant;
use crate::reproduction::{models, optimizers};
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

/// One row per evaluation of every run, every number at full precision (RFC 4180).
#[must_use]
pub fn curves_csv(runs: &[TrainedRun]) -> String {
    let mut csv =
        "run,model,optimizer,seed,epoch,weights,train_loss,train_accuracy,train_top5_accuracy,\
                   test_loss,test_accuracy,test_top5_accuracy\n"
            .to_owned();
    for run in runs {
        let record = &run.record;
        for (epoch, weights, evaluation) in run.evaluations() {
            let weights = match weights {
                Iterate::Last => "last",
                Iterate::Average => "average",
            };
            let mut cells = vec![
                quoted(&record.id),
                quoted(&record.model.name),
                quoted(&optimizer_name(&record.spec.train)),
                record.spec.seed.to_string(),
                epoch.to_string(),
                weights.to_owned(),
            ];
            for split in [evaluation.train, evaluation.test] {
                cells.extend([split.loss, split.accuracy, split.top5_accuracy].map(number));
            }
            csv += &line(&cells);
        }
    }
    csv
}

/// A page of Markdown: how every run ended, on what data, with what settings, and the command that
/// made the page.
///
/// # Errors
/// [`Error::Settings`] when a spec has no TOML form.
pub fn curves_page(runs: &[TrainedRun], command: &str) -> Result<String, Error> {
    let mut page = format!(
        "# Losses along training\n\nMade by `{command}`. `curves.csv` has every number, the `.svg` files show the losses, the \
         `.json` files are the records of the runs. Loss: mean cross-entropy without the L2 term. An \
         average has batch-norm statistics of its own, taken over the training images, so even that of one iterate differs from the iterate.\n"
    );
    for model in models(runs.iter().map(|run| &run.record)) {
        let runs = runs.iter().filter(|run| run.record.model.name == model);
        let runs: Vec<&TrainedRun> = runs.collect();
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {model}\n\n{}", endings(&runs));
        page += &data(&runs);
        page += &settings(&runs)?;
    }
    Ok(page)
}

/// The last evaluation of every run.
fn endings(runs: &[&TrainedRun]) -> String {
    let mut table =
        "| optimiser | seed | epoch | train loss | test loss | test accuracy | test top-5 |\n\
                     |---|---|---|---|---|---|---|\n"
            .to_owned();
    for run in runs {
        let name = optimizer_name(&run.record.spec.train);
        let seed = run.record.spec.seed;
        if let Outcome::Diverged { epoch, .. } = run.record.outcome {
            let _ = writeln!(
                table,
                "| {name} | {seed} | diverged in epoch {epoch} | | | | |"
            );
            continue;
        }
        for (weights, label) in [(Iterate::Last, ""), (Iterate::Average, ", average")] {
            let of_weights = run.evaluations().filter(|(_, other, _)| *other == weights);
            let Some((epoch, _, EpochEvaluation { train, test, .. })) = of_weights.last() else {
                continue;
            };
            let _ = writeln!(
                table,
                "| {name}{label} | {seed} | {epoch} | {} | {} | {:.2} % | {:.2} % |",
                significant(train.loss, 4),
                significant(test.loss, 4),
                100.0 * test.accuracy,
                100.0 * test.top5_accuracy,
            );
        }
    }
    table
}

/// What the runs have been trained and tested on; a line for each of several data sets.
fn data(runs: &[&TrainedRun]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for run in runs {
        let data = &run.record.data;
        let held_out = match data.validation_examples {
            0 => String::new(),
            count => format!(", {count} for validation"),
        };
        let line = format!(
            "\nData: {}, {} examples for training{held_out}, {} for testing; {}; SHA-256 `{}`.\n",
            data.set, data.train_examples, data.test_examples, data.source, data.digest
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

/// The specs without their seeds: what all runs share, then what is each optimiser's own.
fn settings(runs: &[&TrainedRun]) -> Result<String, Error> {
    let specs: Vec<(String, BTreeMap<String, String>)> = runs
        .iter()
        .map(|run| Ok((optimizer_name(&run.record.spec.train), fields(&run.record)?)))
        .collect::<Result<_, Error>>()?;
    let mut shared = specs
        .first()
        .map_or_else(BTreeMap::new, |(_, spec)| spec.clone());
    shared.retain(|field, value| specs.iter().all(|(_, spec)| spec.get(field) == Some(value)));
    let mut text = format!(
        "\nSettings of all runs:\n\n```toml\n{}```\n",
        block(shared.iter())
    );
    for name in optimizers(runs.iter().map(|run| &run.record)) {
        let mut blocks: Vec<String> = Vec::new();
        for (_, spec) in specs.iter().filter(|(optimizer, _)| *optimizer == name) {
            let own = spec
                .iter()
                .filter(|(field, _)| !shared.contains_key(*field));
            let block = block(own);
            if !block.is_empty() && !blocks.contains(&block) {
                blocks.push(block);
            }
        }
        for block in blocks {
            let _ = write!(text, "\n{name}:\n\n```toml\n{block}```\n");
        }
    }
    Ok(text)
}

fn block<'a>(fields: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    fields
        .map(|(field, value)| format!("{field} = {value}\n"))
        .collect()
}

/// The fields of a spec as TOML values by dotted name, without the seed.
fn fields(record: &Record) -> Result<BTreeMap<String, String>, Error> {
    let spec = toml::Value::try_from(&record.spec).map_err(|error| Error::Settings {
        run: record.id.clone(),
        message: error.to_string(),
    })?;
    let mut fields = BTreeMap::new();
    flatten("", &spec, &mut fields);
    fields.remove("seed");
    Ok(fields)
}

fn flatten(name: &str, value: &toml::Value, fields: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                let prefix = if name.is_empty() {
                    String::new()
                } else {
                    format!("{name}.")
                };
                flatten(&format!("{prefix}{key}"), value, fields);
            }
        }
        value => {
            fields.insert(name.to_owned(), value.to_string());
        }
    }
}
