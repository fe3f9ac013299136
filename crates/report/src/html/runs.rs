//! Every run at the end of its training, and the rank correlations of claim C8.

use flatness_records::{Outcome, Record};

use super::table::{Align, Cell, table};
use crate::number::{MISSING, significant, with_error};
use crate::{Correlation, Measure, Reproduction, optimizer_name, weight_decay};

/// The runs that diverged, with the moment at which they did.
pub(super) fn diverged(reproduction: &Reproduction) -> String {
    let columns = [
        ("Experiment", Align::Start),
        ("Run", Align::Start),
        ("Model", Align::Start),
        ("Optimiser", Align::Start),
        ("Seed", Align::End),
        ("Weight decay", Align::End),
        ("Epoch", Align::End),
        ("Step", Align::End),
        ("Learning rate", Align::End),
        ("Loss", Align::End),
        ("‖θ‖", Align::End),
    ];
    let rows: Vec<Vec<Cell>> = reproduction
        .diverged()
        .map(|(experiment, record)| {
            let mut cells = identity(experiment, record);
            if let Outcome::Diverged {
                epoch,
                learning_rate,
                step,
                loss,
                parameter_norm,
            } = record.outcome
            {
                let digits = |value| significant(value, 3);
                let known = |text: Option<String>| Cell::from(text.unwrap_or(MISSING.to_owned()));
                cells.extend([
                    Cell::from(epoch.to_string()),
                    known(step.map(|step| step.to_string())),
                    Cell::from(learning_rate.to_string()),
                    known(loss.map(digits)),
                    known(parameter_norm.map(digits)),
                ]);
            }
            cells
        })
        .collect();
    if rows.is_empty() {
        return "<p>No run diverged.</p>\n".to_owned();
    }
    let sentence = format!(
        "<p>{} of the runs diverged; their seeds are missing from the means.</p>\n",
        rows.len()
    );
    sentence + &table("Runs that diverged", &columns, rows)
}

/// One row per completed run.
pub(super) fn completed(reproduction: &Reproduction) -> String {
    let measures = [
        Measure::TrainLoss,
        Measure::TestAccuracy,
        Measure::ParameterNorm,
        Measure::SpectralNorm,
        Measure::Trace,
        Measure::Frobenius,
        Measure::ScaledSpectralNorm,
        Measure::FisherRao,
        Measure::AdaptiveLambdaMax,
    ];
    let columns: Vec<(&str, Align)> = [
        ("Experiment", Align::Start),
        ("Run", Align::Start),
        ("Model", Align::Start),
        ("Optimiser", Align::Start),
        ("Seed", Align::End),
        ("Weight decay", Align::End),
    ]
    .into_iter()
    .chain(measures.map(|measure| (measure.symbol(), Align::End)))
    .collect();
    let completed = reproduction
        .records()
        .filter(|(_, record)| record.outcome == Outcome::Completed);
    let rows = completed.map(|(experiment, record)| {
        let values = measures.map(|measure| {
            measure
                .at_end(record)
                .map_or(Cell::from(MISSING), |reading| {
                    Cell::from(if reading.error > 0.0 {
                        with_error(reading.value, Some(reading.error))
                    } else {
                        significant(reading.value, 4)
                    })
                })
        });
        identity(experiment, record)
            .into_iter()
            .chain(values)
            .collect::<Vec<_>>()
    });
    table(
        "Every completed run at the end of its training",
        &columns,
        rows,
    )
}

/// Measures in rows; models and targets in columns.
pub(super) fn correlations(correlations: &[Correlation]) -> String {
    let heading = |correlation: &Correlation| {
        let group = correlation.model.as_deref().unwrap_or("all models");
        format!("{}, {group}", correlation.target.symbol())
    };
    let mut headings: Vec<String> = Vec::new();
    for correlation in correlations {
        if !headings.contains(&heading(correlation)) {
            headings.push(heading(correlation));
        }
    }
    let columns: Vec<(&str, Align)> = [("Measure", Align::Start)]
        .into_iter()
        .chain(
            headings
                .iter()
                .map(|heading| (heading.as_str(), Align::End)),
        )
        .collect();
    let rows = Measure::SHARPNESS.map(|measure| {
        let taus = headings.iter().map(|name| {
            let same = |c: &&Correlation| c.measure == measure && heading(c) == *name;
            let estimate = correlations.iter().find(same).and_then(|c| c.estimate);
            estimate.map_or(Cell::from(MISSING), |estimate| {
                Cell::from(with_error(estimate.mean, estimate.standard_error))
            })
        });
        std::iter::once(Cell::from(measure.symbol()))
            .chain(taus)
            .collect::<Vec<_>>()
    });
    table("Kendall’s τ, mean over seeds ± s.e.", &columns, rows)
}

fn identity(experiment: &str, record: &Record) -> Vec<Cell> {
    vec![
        Cell::from(experiment),
        Cell::from(record.id.as_str()),
        Cell::from(record.model.name.as_str()),
        Cell::from(optimizer_name(&record.spec.train)),
        Cell::from(record.spec.seed.to_string()),
        Cell::from(significant(weight_decay(record), 1)),
    ]
}
