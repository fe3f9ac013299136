//! The results besides the page: a table for the terminal and for Markdown, `results.json` and `results.csv`.

use flatness_records::{Iterate, Outcome, Quantity, Record};
use serde::Serialize;

use crate::number::{significant, with_error};
use crate::reading::{Point, read_at};
use crate::reproduction::distinct;
use crate::selection::{Field, decimal};
use crate::table::{Cell, Row, Table};
use crate::{
    Claim, ClaimVerdict, Error, Estimate, Reproduction, Sample, SeedValue, TableSpec, Verdict,
    optimizer_name,
};

/// Every verdict, and the predicates that do not hold, for a terminal.
#[must_use]
pub fn terminal_table(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    overview(claims, verdicts).terminal()
}

/// Every verdict as a table of Markdown, under a sentence that counts them.
#[must_use]
pub fn results_markdown(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    format!(
        "{}\n\n{}",
        summary(verdicts),
        overview(claims, verdicts).markdown()
    )
}

/// A row for each claim and model.
pub(crate) fn overview(claims: &[Claim], verdicts: &[ClaimVerdict]) -> Table {
    let mut table = Table::new(
        "Verdict on each claim for each model",
        &["Model", "Verdict", "Why"],
    );
    for claim in claims {
        let of_claim: Vec<&ClaimVerdict> = verdicts
            .iter()
            .filter(|row| row.claim == claim.id && row.verdict.is_some())
            .collect();
        if !of_claim.is_empty() {
            table
                .rows
                .push(Row::Heading(format!("{} {}", claim.id, claim.title)));
        }
        for verdict in of_claim {
            let against = verdict
                .predicates
                .iter()
                .filter(|one| one.verdict == Some(Verdict::Fails));
            let against: Vec<String> = against
                .map(|one| format!("not so: {} ({})", one.text, one.shown()))
                .collect();
            let why = match verdict.verdict {
                Some(Verdict::NotTested) => verdict.summary(),
                _ => [vec![verdict.summary()], against].concat().join("; "),
            };
            table.push(vec![
                verdict.model.clone().into(),
                Cell::from(verdict.verdict.unwrap_or(Verdict::Undecided)),
                why.into(),
            ]);
        }
    }
    table
}

/// What came out, in a sentence.
pub(crate) fn summary(verdicts: &[ClaimVerdict]) -> String {
    let judged = || verdicts.iter().filter(|row| row.verdict.is_some());
    let count = |verdict: Verdict| judged().filter(|row| row.verdict == Some(verdict)).count();
    let claims = distinct(judged().map(|row| row.claim.clone())).len();
    let models = distinct(judged().map(|row| row.model.clone())).len();
    format!(
        "Of {} verdicts ({claims} claims on {models} models), {} hold, {} fail, {} are undecided and {} were not tested.",
        judged().count(),
        count(Verdict::Holds),
        count(Verdict::Fails),
        count(Verdict::Undecided),
        count(Verdict::NotTested),
    )
}

/// A table that a claim asks for.
pub(crate) fn claim_table(reproduction: &Reproduction, spec: &TableSpec) -> Table {
    let records: Vec<&Record> = reproduction.records_of(&spec.experiment).collect();
    let records = records
        .into_iter()
        .filter(|record| record.outcome == Outcome::Completed);
    let records: Vec<&Record> = spec
        .select
        .of(&records.collect::<Vec<_>>(), crate::selection::ALL_MODELS);
    let words = |record: &Record| -> Vec<String> {
        let word =
            |name: &String| Field::of(record, name).map_or_else(String::new, |field| field.words());
        spec.rows.iter().map(word).collect()
    };
    let mut table = Table {
        caption: spec.title.clone(),
        ..Table::default()
    };
    table.columns.extend(spec.rows.iter().map(|name| {
        (
            name.rsplit('.').next().unwrap_or(name).replace('_', " "),
            false,
        )
    }));
    table
        .columns
        .extend(spec.columns.iter().map(|column| (column.symbol(), true)));
    for row in distinct(records.iter().map(|record| words(record))) {
        let runs: Vec<&Record> = records
            .iter()
            .copied()
            .filter(|record| words(record) == row)
            .collect();
        let cells = spec.columns.iter().map(|column| {
            let value = |run: &&Record| {
                let value = read_at(run, column, spec.at.as_ref())?.value;
                let Some(control) = &spec.relative_to else {
                    return Some((run.spec.seed, value));
                };
                let of_seed = records
                    .iter()
                    .copied()
                    .filter(|other| other.spec.seed == run.spec.seed);
                let control = control.one(&of_seed.collect::<Vec<_>>(), &run.model.name)?;
                Some((
                    run.spec.seed,
                    (value / read_at(control, column, spec.at.as_ref())?.value).ln(),
                ))
            };
            let seeds = runs
                .iter()
                .filter_map(value)
                .map(|(seed, value)| SeedValue {
                    seed,
                    value,
                    error: 0.0,
                    relative_error: 0.0,
                });
            let sample = Sample {
                seeds: seeds.filter(|seed| seed.value.is_finite()).collect(),
                ..Sample::default()
            };
            Cell::from(match (Estimate::of(&sample), &spec.relative_to) {
                (None, _) => crate::number::MISSING.to_owned(),
                (Some(estimate), None) => {
                    // Seeds that agree need no error.
                    let error = estimate
                        .standard_error
                        .filter(|error| *error > 1e-12 * estimate.mean.abs());
                    with_error(estimate.mean, error)
                }
                (Some(estimate), Some(_)) => {
                    let factor = significant(estimate.mean.exp(), 3);
                    let error = estimate
                        .standard_error
                        .map(|error| format!(" ×/÷ {}", significant(error.exp(), 3)));
                    factor + &error.unwrap_or_default()
                }
            })
        });
        let cells: Vec<Cell> = cells.collect();
        table.push(row.into_iter().map(Cell::from).chain(cells).collect());
    }
    table
}

/// Every number of every measurement at full precision, one a row (RFC 4180).
#[must_use]
pub fn results_csv(reproduction: &Reproduction) -> String {
    let columns = [
        "experiment",
        "run",
        "model",
        "optimizer",
        "weight_decay",
        "seed",
        "epoch",
        "weights",
        "curve",
        "x",
        "name",
        "value",
        "error",
    ];
    let mut table = Table::new("", &columns);
    for (experiment, record) in reproduction.records() {
        for measurement in &record.measurements {
            let weights = match measurement.weights {
                Iterate::Last => "last",
                Iterate::Average => "average",
            };
            let mut row = |curve: &str, x: &str, name: &str, value: f64, error: Option<f64>| {
                let cells = [
                    experiment.to_owned(),
                    record.id.clone(),
                    record.model.name.clone(),
                    optimizer_name(&record.spec.train),
                    decimal(record.spec.train.optimizer.weight_decay().0),
                    record.spec.seed.to_string(),
                    measurement.epoch.to_string(),
                    weights.to_owned(),
                    curve.to_owned(),
                    x.to_owned(),
                    name.to_owned(),
                    format!("{value:?}"),
                    error.map_or_else(String::new, |error| format!("{error:?}")),
                ];
                table.push(cells.map(Cell::from).to_vec());
            };
            let evaluation = &measurement.evaluation;
            let splits = [
                ("train", Some(evaluation.train)),
                ("validation", evaluation.validation),
                ("test", Some(evaluation.test)),
            ];
            for (name, split) in splits {
                for (of_split, value) in split
                    .iter()
                    .flat_map(|split| [("loss", split.loss), ("accuracy", split.accuracy)])
                {
                    row("", "", &format!("{name}.{of_split}"), value, None);
                }
            }
            let mut numbers =
                |curve: &str, x: &str, prefix: &str, numbers: &flatness_records::Numbers| {
                    for (name, quantity) in numbers {
                        row(
                            curve,
                            x,
                            &format!("{prefix}{name}"),
                            quantity.value,
                            Some(Quantity::error(quantity)),
                        );
                    }
                };
            let measured = &measurement.measured;
            numbers("", "", "", &measured.numbers);
            for matrix in &measured.matrices {
                let group = matrix
                    .group
                    .as_ref()
                    .map_or_else(String::new, |group| format!("[{group}]"));
                numbers(
                    "",
                    "",
                    &format!("{}{group}.", matrix.matrix.name()),
                    &matrix.numbers,
                );
            }
            for curve in &measured.curves {
                for point in &curve.points {
                    numbers(&curve.name, &format!("{:?}", point.x), "", &point.numbers);
                }
            }
        }
    }
    table.csv()
}

#[derive(Serialize)]
struct Results<'a> {
    profile: &'a str,
    description: &'a str,
    command: &'a str,
    verdicts: &'a [ClaimVerdict],
    experiments: Vec<Runs<'a>>,
}

#[derive(Serialize)]
struct Runs<'a> {
    name: &'a str,
    claims: &'a [String],
    records: Vec<Record>,
}

/// The verdicts and what every record says, as JSON with a final newline. Ritz values, densities and spectra are nine
/// tenths of a record; they stay in `record.json`.
///
/// # Errors
/// [`Error::Encode`].
pub fn results_json(
    reproduction: &Reproduction,
    verdicts: &[ClaimVerdict],
) -> Result<String, Error> {
    let essentials = |record: &Record| {
        let mut record = record.clone();
        let measurements = record.measurements.iter_mut();
        for matrix in measurements.flat_map(|measurement| &mut measurement.measured.matrices) {
            matrix.stems.clear();
            matrix.eigenvalues.clear();
            matrix.density = None;
            matrix.log_density = None;
        }
        record
    };
    let experiments = reproduction.experiments.iter().map(|experiment| Runs {
        name: &experiment.name,
        claims: &experiment.claims,
        records: experiment.records.iter().map(essentials).collect(),
    });
    let results = Results {
        profile: &reproduction.profile,
        description: &reproduction.description,
        command: &reproduction.command,
        verdicts,
        experiments: experiments.collect(),
    };
    let json = serde_json::to_string(&results);
    json.map(|text| text + "\n").map_err(|error| Error::Encode {
        message: error.to_string(),
    })
}

/// Every completed run at the end of its training.
pub(crate) fn runs(reproduction: &Reproduction) -> Table {
    let columns = [
        "Experiment",
        "Model",
        "Optimiser",
        "#Decay",
        "#Rate",
        "#Seed",
        "#Training loss",
        "#Test accuracy",
        "#λ₁",
        "#Tr H",
        "#‖θ‖",
    ];
    let names = [
        "train.loss",
        "test.accuracy",
        "spectral_norm",
        "trace",
        "parameter_norm",
    ];
    let mut table = Table::new("Every run at the end of its training", &columns);
    for (experiment, record) in reproduction.records() {
        let optimizer = &record.spec.train.optimizer;
        let end = Point::end(record);
        let numbers = names.map(|name| {
            let reading = name.parse().ok().and_then(|name| end?.read(&name));
            reading.map_or_else(
                || crate::number::MISSING.to_owned(),
                |reading| significant(reading.value, 4),
            )
        });
        let mut cells = vec![
            experiment.to_owned(),
            record.model.name.clone(),
            optimizer_name(&record.spec.train),
            decimal(optimizer.weight_decay().0),
            decimal(optimizer.learning_rate()),
            record.spec.seed.to_string(),
        ];
        cells.extend(numbers);
        table.push(cells.into_iter().map(Cell::from).collect());
    }
    table
}
