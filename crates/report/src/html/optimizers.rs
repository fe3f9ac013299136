//! Claim C3 in numbers: what each optimiser ends at, and how it stands against SGD.

use flatness_records::{Iterate, Outcome, Record};

use super::table::{Align, Cell, Row, table};
use crate::number::{MISSING, with_error};
use crate::reproduction::{models, optimizers};
use crate::{Estimate, Measure, Statistic, optimizer_name};

/// What every other optimiser is held against.
const CONTROL: &str = "SGD";

/// What the paper reports for λ₁ of Gadam and GadamX over that of SGD, for VGG-16 on CIFAR-100.
const PAPER: &str = "about 30";

const ENDS: [Measure; 7] = [
    Measure::TrainLoss,
    Measure::TestAccuracy,
    Measure::SpectralNorm,
    Measure::Trace,
    Measure::Frobenius,
    Measure::ParameterNorm,
    Measure::ScaledSpectralNorm,
];

const RATIOS: [Measure; 4] = [
    Measure::SpectralNorm,
    Measure::Trace,
    Measure::Frobenius,
    Measure::ScaledSpectralNorm,
];

/// Mean over the seeds of every measure, at the last iterate and at the average, per optimiser.
pub(super) fn ends(records: &[&Record]) -> String {
    let mut columns = vec![("Optimiser", Align::Start)];
    columns.extend(ENDS.map(|measure| (measure.symbol(), Align::End)));
    let rows = of_optimizers(records, |name, runs| {
        let averaged = runs.iter().any(|run| run.spec.train.average.is_some());
        let last = (Iterate::Last, format!("{name}{}", diverged(runs)));
        let average = (Iterate::Average, format!("{name}, average"));
        let row = |(weights, label): (Iterate, String)| {
            let means = ENDS.map(|measure| mean(measure, weights, runs));
            std::iter::once(Cell::from(label)).chain(means).collect()
        };
        let last = std::iter::once(last);
        last.chain(averaged.then_some(average)).map(row).collect()
    });
    let caption = "Every optimiser at its last iterate and its average, mean over seeds ± s.e.";
    table(caption, &columns, rows)
}

fn mean(measure: Measure, weights: Iterate, runs: &[&Record]) -> Cell {
    let completed = runs.iter().filter(|run| run.outcome == Outcome::Completed);
    let readings = completed.filter_map(|run| measure.at_last(run, weights));
    let values: Vec<f64> = readings.map(|reading| reading.value).collect();
    estimated(Estimate::of(&values).map(|estimate| (estimate.mean, estimate.standard_error)))
}

fn estimated(estimate: Option<(f64, Option<f64>)>) -> Cell {
    Cell::from(estimate.map_or_else(
        || MISSING.to_owned(),
        |(mean, error)| with_error(mean, error),
    ))
}

/// How many of the runs diverged, where any did.
fn diverged(runs: &[&Record]) -> String {
    let completed = runs.iter().filter(|run| run.outcome == Outcome::Completed);
    match runs.len() - completed.count() {
        0 => String::new(),
        count => format!(" ({count} of {} runs diverged)", runs.len()),
    }
}

/// Every optimiser against SGD, seed by seed: ratios as geometric means with their standard error
/// to first order, r · s.e.(ln r), and the difference in accuracy.
pub(super) fn ratios(records: &[&Record]) -> String {
    let names = RATIOS.map(|measure| format!("{} / SGD’s", measure.symbol()));
    let [first, others @ ..] = &names;
    let mut columns = vec![
        ("Optimiser", Align::Start),
        ("Test accuracy − SGD’s", Align::End),
        (first.as_str(), Align::End),
        ("In the paper", Align::End),
    ];
    columns.extend(others.iter().map(|name| (name.as_str(), Align::End)));
    let mut rows = Vec::new();
    for model in models(records.iter().copied()) {
        let of_model = of(records, &model);
        let names = optimizers(of_model.iter().copied());
        let others = names.iter().filter(|name| *name != CONTROL);
        rows.push(Row::Heading(model));
        rows.extend(others.map(|name| Row::Cells(against(&of_model, name))));
    }
    let caption = "Every optimiser against SGD at the finished parameters, mean over seeds ± s.e.";
    table(caption, &columns, rows)
}

fn against(records: &[&Record], name: &str) -> Vec<Cell> {
    let (treatment, control) = (name.to_owned(), CONTROL.to_owned());
    let difference = Statistic::OptimizerDifference {
        quantity: Measure::TestAccuracy,
        treatment: treatment.clone(),
        control: control.clone(),
    };
    let difference = Estimate::of(&difference.evaluate(records).values);
    let [first, others @ ..] = RATIOS.map(|quantity| {
        let log_ratio = Statistic::OptimizerLogRatio {
            quantity,
            treatment: treatment.clone(),
            control: control.clone(),
        };
        let estimate = Estimate::of(&log_ratio.evaluate(records).values);
        estimated(estimate.map(|estimate| {
            let ratio = estimate.mean.exp();
            (ratio, estimate.standard_error.map(|error| ratio * error))
        }))
    });
    let paper = match name {
        "Gadam" | "GadamX" => PAPER,
        _ => MISSING,
    };
    let mut cells = vec![
        Cell::from(name),
        estimated(difference.map(|estimate| (estimate.mean, estimate.standard_error))),
        first,
        Cell::from(paper),
    ];
    cells.extend(others);
    cells
}

/// A heading per model and the rows that `rows_of` makes from the runs of each optimiser.
fn of_optimizers(
    records: &[&Record],
    rows_of: impl Fn(&str, &[&Record]) -> Vec<Vec<Cell>>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for model in models(records.iter().copied()) {
        let of_model = of(records, &model);
        rows.push(Row::Heading(model));
        for name in optimizers(of_model.iter().copied()) {
            let runs = of_model.iter().copied();
            let runs = runs.filter(|run| optimizer_name(&run.spec.train) == name);
            let cells = rows_of(&name, &runs.collect::<Vec<_>>());
            rows.extend(cells.into_iter().map(Row::Cells));
        }
    }
    rows
}

fn of<'a>(records: &[&'a Record], model: &str) -> Vec<&'a Record> {
    let records = records.iter().copied();
    records
        .filter(|record| record.model.name == model)
        .collect()
}
