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
        ("Optimiser, schedule and average", Align::Start),
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
        Cell::from(training::course(train)),
        Cell::from(weight_decays(records)),
        Cell::from(distinct(records, ", ", |record| {
            record.spec.seed.to_string()
        })),
    ])
}

/// The numbers that decide how precise a measurement is; one row per distinct setting of an experiment, with the
/// models and weight decays that have it.
pub(super) fn measurement(reproduction: &Reproduction) -> String {
    let columns = [
        ("Models", Align::Start),
        ("Weight decay", Align::Start),
        ("Curvature over", Align::Start),
        ("What is measured", Align::Start),
    ];
    let mut rows = Vec::new();
    for experiment in &reproduction.experiments {
        rows.push(Row::Heading(experiment.name.clone()));
        let mut settings: Vec<(&MeasureSpec, Vec<&Record>)> = Vec::new();
        for record in &experiment.records {
            let Some(measure) = record.spec.measure.as_ref() else {
                continue;
            };
            match settings.iter_mut().find(|(same, _)| *same == measure) {
                Some((_, records)) => records.push(record),
                None => settings.push((measure, vec![record])),
            }
        }
        rows.extend(settings.iter().map(|(measure, records)| {
            Row::Cells(vec![
                Cell::from(models(records.iter().copied()).join(", ")),
                Cell::from(weight_decays(records)),
                Cell::from(
                    format!(
                        "{:?} split, batches of {}",
                        measure.split, measure.batch_size
                    )
                    .to_lowercase(),
                ),
                Cell::from(measured(measure).join("; ")),
            ])
        }));
    }
    table("Measurement settings", &columns, rows)
}

/// What a spec asks to be measured, and how well.
fn measured(measure: &MeasureSpec) -> Vec<String> {
    let matrices = measure.matrices.iter().map(|matrix| matrix.name());
    let matrices: Vec<&str> = matrices.collect();
    let (steps, tolerance) = (measure.lanczos.steps, measure.lanczos.tolerance);
    let mut parts = vec![
        matrices.join(", "),
        format!("{steps} Lanczos steps, tolerance {}", short(tolerance)),
        format!("{} Rademacher probes", measure.trace.probes),
    ];
    if !measure.epochs.is_empty() {
        let epochs = measure.epochs.iter().map(u32::to_string);
        let epochs: Vec<String> = epochs.collect();
        parts.push(format!("after epochs {} too", epochs.join(", ")));
    }
    parts.extend(measure.density.as_ref().map(|density| {
        let (probes, steps) = (density.probes, density.steps);
        format!("density from {probes} probes of {steps} steps")
    }));
    parts.extend(measure.perturbation.as_ref().map(|perturbation| {
        format!(
            "perturbations in {} directions, ‖d‖/‖θ‖ {}",
            perturbation.directions,
            list(&perturbation.relative_radii)
        )
    }));
    if !measure.scales.is_empty() {
        parts.push(format!("at a·θ for a {}", list(&measure.scales)));
    }
    parts.extend(measure.exact_spectrum.as_ref().map(|exact| {
        let threshold = short(exact.relative_threshold);
        format!("all eigenvalues, zero up to {threshold} λ₁")
    }));
    parts.extend(measure.keskar.as_ref().map(|keskar| {
        format!(
            "Keskar’s sharpness by {} ascents of {} steps, ε {}, subspace of {} dimensions",
            keskar.starts,
            keskar.steps,
            list(&keskar.epsilons),
            keskar.subspace
        )
    }));
    parts.extend(
        measure
            .rescaling
            .as_ref()
            .map(|rescaling| format!("rescaling by α {}", list(&rescaling.alphas))),
    );
    parts
}

/// The distinct weight decays of runs, ascending.
fn weight_decays(records: &[&Record]) -> String {
    let mut decays: Vec<f64> = records.iter().map(|record| weight_decay(record)).collect();
    decays.sort_by(f64::total_cmp);
    decays.dedup();
    list(&decays)
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
