//! How the runs were made: experiments, measurement settings, data, program and machine.

use std::collections::BTreeSet;

use flatness_records::{MeasureSpec, Outcome, Record};

use super::escape::escape;
use super::table::{Align, Cell, Row, table};
use super::training;
use crate::number::significant;
use crate::reproduction::{models, optimizers};
use crate::{Reproduction, optimizer_name, weight_decay};

/// One row per model and optimiser under the name of each experiment.
pub(super) fn experiments(reproduction: &Reproduction) -> String {
    let columns = [
        ("Model", Align::Start),
        ("Parameters", Align::End),
        ("Images", Align::End),
        ("Epochs", Align::End),
        ("Batch", Align::End),
        ("Rate", Align::End),
        ("Optimiser", Align::Start),
        ("Schedule", Align::Start),
        ("Average", Align::Start),
        ("Weight decay", Align::Start),
        ("Seeds", Align::Start),
    ];
    let mut rows = Vec::new();
    for experiment in &reproduction.experiments {
        rows.push(Row::Heading(experiment.name.clone()));
        for model in models(&experiment.records) {
            let of_model = experiment.records.iter();
            let of_model: Vec<&Record> = of_model.filter(|run| run.model.name == model).collect();
            for name in optimizers(of_model.iter().copied()) {
                let runs = of_model.iter().copied();
                let runs = runs.filter(|run| optimizer_name(&run.spec.train) == name);
                rows.extend(setting(&runs.collect::<Vec<_>>()).map(Row::Cells));
            }
        }
    }
    table("Training settings", &columns, rows)
}

fn setting(records: &[&Record]) -> Option<Vec<Cell>> {
    let record = records.first()?;
    let train = &record.spec.train;
    Some(vec![
        Cell::from(record.model.name.as_str()),
        Cell::from(record.model.parameters.to_string()),
        Cell::from(record.data.train_examples.to_string()),
        Cell::from(train.epochs.to_string()),
        Cell::from(train.batch_size.to_string()),
        Cell::from(short(train.optimizer.learning_rate())),
        Cell::from(training::optimizer(train)),
        Cell::from(training::schedule(train)),
        Cell::from(training::average(train)),
        Cell::from(distinct(records, ", ", |record| {
            short(weight_decay(record))
        })),
        Cell::from(distinct(records, ", ", |record| {
            record.spec.seed.to_string()
        })),
    ])
}

/// The numbers that decide how precise a measurement is; one row per distinct setting.
pub(super) fn measurement(reproduction: &Reproduction) -> String {
    let columns = [
        ("Experiment", Align::Start),
        ("Curvature over", Align::Start),
        ("Matrices", Align::Start),
        ("Lanczos", Align::Start),
        ("Trace, Frobenius", Align::Start),
        ("Density", Align::Start),
        ("Perturbation", Align::Start),
        ("Scales a", Align::Start),
        ("Exact spectrum", Align::Start),
        ("Keskar’s sharpness", Align::Start),
        ("Rescaling α", Align::Start),
    ];
    let rows = reproduction.experiments.iter().filter_map(|experiment| {
        let record = experiment.records.first()?;
        let measure = record.spec.measure.as_ref()?;
        Some(measurement_row(&experiment.name, measure))
    });
    table("Measurement settings", &columns, rows)
}

fn measurement_row(experiment: &str, measure: &MeasureSpec) -> Vec<Cell> {
    let none = || "none".to_owned();
    let matrices = measure.matrices.iter().map(|matrix| matrix.name());
    let density = measure.density.as_ref();
    let perturbation = measure.perturbation.as_ref();
    let (steps, tolerance) = (measure.lanczos.steps, measure.lanczos.tolerance);
    vec![
        Cell::from(experiment),
        Cell::from(
            format!(
                "{:?} split, batches of {}",
                measure.split, measure.batch_size
            )
            .to_lowercase(),
        ),
        Cell::from(matrices.collect::<Vec<_>>().join(", ")),
        Cell::from(format!("{steps} steps, tolerance {}", short(tolerance))),
        Cell::from(format!("{} Rademacher probes", measure.trace.probes)),
        Cell::from(density.map_or_else(none, |d| {
            format!("{} probes of {} steps", d.probes, d.steps)
        })),
        Cell::from(perturbation.map_or_else(none, |p| {
            format!(
                "{} directions, ‖d‖/‖θ‖ {}",
                p.directions,
                list(&p.relative_radii)
            )
        })),
        Cell::from(if measure.scales.is_empty() {
            none()
        } else {
            list(&measure.scales)
        }),
        Cell::from(measure.exact_spectrum.as_ref().map_or_else(none, |exact| {
            format!("zero up to {} λ₁", short(exact.relative_threshold))
        })),
        Cell::from(measure.keskar.as_ref().map_or_else(none, |keskar| {
            format!(
                "{} ascents of {} steps, ε {}, subspace of {} dimensions",
                keskar.starts,
                keskar.steps,
                list(&keskar.epsilons),
                keskar.subspace
            )
        })),
        Cell::from(
            measure
                .rescaling
                .as_ref()
                .map_or_else(none, |rescaling| list(&rescaling.alphas)),
        ),
    ]
}

/// Where data and program come from, as a list of terms; more than one value of a term is a warning to the reader.
pub(super) fn provenance(reproduction: &Reproduction) -> String {
    let records: Vec<&Record> = reproduction.records().map(|(_, record)| record).collect();
    let machine = |record: &Record| {
        let provenance = &record.provenance;
        let threads = provenance.threads;
        format!(
            "{}, {threads} thread{}, device {}",
            provenance.cpu,
            if threads == 1 { "" } else { "s" },
            provenance.device
        )
    };
    let program = |record: &Record| {
        let provenance = &record.provenance;
        let state = if provenance.dirty {
            ", with local changes"
        } else {
            ""
        };
        format!(
            "version {}, commit {}{state}",
            provenance.version, provenance.commit
        )
    };
    let completed = records
        .iter()
        .filter(|record| record.outcome == Outcome::Completed)
        .count();
    let runs = format!(
        "{} runs, {completed} completed, {} diverged",
        records.len(),
        records.len() - completed
    );
    let seconds: f64 = records
        .iter()
        .map(|record| record.training.train_seconds + record.training.measure_seconds)
        .sum();
    let memory = records
        .iter()
        .map(|record| record.training.peak_rss_mib)
        .fold(0.0, f64::max);
    let resources = format!(
        "{} s of runs in all, {} MiB at most in one of them",
        significant(seconds, 3),
        significant(memory, 3)
    );
    let items = [
        (
            "Profile",
            format!("{}: {}", reproduction.profile, reproduction.description),
        ),
        ("Command", reproduction.command.clone()),
        ("Runs", runs),
        (
            "Data",
            distinct(&records, "; ", |record| {
                format!("{} from {}", record.data.set, record.data.source)
            }),
        ),
        (
            "Data digest",
            distinct(&records, "; ", |record| {
                format!("SHA-256 {}", record.data.digest)
            }),
        ),
        (
            "Split",
            distinct(&records, "; ", |record| {
                let data = &record.data;
                format!(
                    "{} training, {} validation, {} test images",
                    data.train_examples, data.validation_examples, data.test_examples
                )
            }),
        ),
        ("Program", distinct(&records, "; ", program)),
        (
            "Compiler",
            distinct(&records, "; ", |record| record.provenance.rustc.clone()),
        ),
        ("Machine", distinct(&records, "; ", machine)),
        (
            "Batch norm",
            distinct(&records, "; ", |record| record.model.batch_norm.clone()),
        ),
        (
            "First start",
            records
                .iter()
                .map(|record| record.provenance.started.clone())
                .min()
                .unwrap_or_default(),
        ),
        ("Resources", resources),
    ];
    let items =
        items.map(|(term, text)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(term), escape(&text)));
    format!("<dl>\n{}</dl>\n", items.concat())
}

/// The distinct values in the order of their first appearance.
fn distinct(records: &[&Record], separator: &str, value: impl Fn(&Record) -> String) -> String {
    let mut seen = BTreeSet::new();
    let values = records.iter().map(|record| value(record));
    values
        .filter(|value| seen.insert(value.clone()))
        .collect::<Vec<_>>()
        .join(separator)
}

fn list(values: &[f64]) -> String {
    values
        .iter()
        .map(|&value| short(value))
        .collect::<Vec<_>>()
        .join(", ")
}

/// As a spec would write it, with a true minus sign, at which no line breaks.
pub(super) fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-2 {
        format!("{value:e}").replace('-', "−")
    } else {
        value.to_string()
    }
}
