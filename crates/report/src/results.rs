//! The results besides the page: a table for the terminal and for Markdown, `results.json` and `results.csv`.

use std::fmt::{self, Write as _};
use std::io::{self, BufRead, Write};

use flatness_records::write_sealed;
use serde::Serialize;

use crate::number::{counted, significant, with_error};
use crate::reading::Point;
use crate::reproduction::distinct;
use crate::selection::{ALL_MODELS, by_seed, decimal, relative, word};
use crate::summary::{Measurement, Number};
use crate::table::{Cell, Table, csv_cell};
use crate::{
    Claim, ClaimVerdict, Estimate, Reproduction, Sample, SeedValue, Summary, TableSpec, Verdict,
};

/// Every verdict, and the predicates that do not hold, for a terminal.
#[must_use]
pub fn terminal_table(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    overview(claims, verdicts).terminal()
}

/// Every verdict as a table of Markdown, under a sentence that counts them.
#[must_use]
pub fn results_markdown(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    let table = overview(claims, verdicts).markdown();
    format!("{}\n\n{table}", summary(verdicts))
}

/// A row for each claim and model.
pub(crate) fn overview(claims: &[Claim], verdicts: &[ClaimVerdict]) -> Table {
    let mut table = Table::new("Verdict on each claim for each model", "Model|Verdict|Why");
    for claim in claims {
        let of_claim = verdicts.iter().filter(|row| row.claim == claim.id);
        let judged = of_claim.filter_map(|row| Some((row, row.verdict?)));
        for (place, (row, verdict)) in judged.enumerate() {
            if place == 0 {
                table.push_heading(format!("{} {}", claim.id, claim.title));
            }
            let mut why = vec![row.summary()];
            if verdict != Verdict::NotTested {
                let against = row.predicates.iter();
                let against = against.filter(|one| one.verdict == Some(Verdict::Fails));
                why.extend(against.map(|one| format!("not so: {} ({})", one.text, one.shown())));
            }
            table.push([
                row.model.clone().into(),
                Cell::from(verdict),
                why.join("; ").into(),
            ]);
        }
    }
    table
}

/// What came out, in a sentence.
pub(crate) fn summary(verdicts: &[ClaimVerdict]) -> String {
    let judged = || verdicts.iter().filter(|row| row.verdict.is_some());
    let count = |verdict: Verdict| judged().filter(|row| row.verdict == Some(verdict)).count();
    let claims = distinct(judged().map(|row| &row.claim)).len();
    let models = distinct(judged().map(|row| &row.model)).len();
    format!(
        "Of {} ({} on {}), {} hold, {} fail, {} are undecided and {} were not tested.",
        counted(judged().count(), "verdict"),
        counted(claims, "claim"),
        counted(models, "model"),
        count(Verdict::Holds),
        count(Verdict::Fails),
        count(Verdict::Undecided),
        count(Verdict::NotTested),
    )
}

/// A table that a claim asks for.
pub(crate) fn claim_table(reproduction: &Reproduction, spec: &TableSpec) -> Table {
    let completed: Vec<&Summary> = reproduction.completed(&spec.experiment).collect();
    let records = spec.select.of(&completed, ALL_MODELS);
    let words = |record: &Summary| -> Vec<String> {
        spec.rows.iter().map(|name| word(record, name)).collect()
    };
    let mut table = Table::new(&spec.title, "");
    let fields = spec
        .rows
        .iter()
        .map(|name| name.rsplit('.').next().unwrap_or(name));
    table.add_columns(fields.map(|name| name.replace('_', " ")), false);
    table.add_columns(spec.columns.iter().map(|column| column.symbol()), true);
    let seeds = by_seed(&records);
    let mut rows: Vec<(Vec<String>, Vec<&Summary>)> = Vec::new();
    for record in &records {
        let words = words(record);
        match rows.iter_mut().find(|(row, _)| *row == words) {
            Some((_, runs)) => runs.push(record),
            None => rows.push((words, vec![record])),
        }
    }
    for (row, runs) in rows {
        let (at, control) = (spec.at.as_ref(), spec.relative_to.as_ref());
        let cells = spec.columns.iter().map(|column| {
            let of_run = |run: &&Summary| {
                let value = relative(run, column, at, control, &seeds, &run.setting.model.name)?;
                let value = if control.is_some() { value.ln() } else { value };
                let seed = run.seed;
                value.is_finite().then_some(SeedValue {
                    seed,
                    value,
                    ..SeedValue::default()
                })
            };
            let seeds = runs.iter().filter_map(of_run).collect();
            let estimate = Estimate::of(&Sample {
                seeds,
                ..Sample::default()
            });
            match (estimate, control) {
                (None, _) => crate::number::MISSING.to_owned(),
                (
                    Some(Estimate {
                        mean,
                        standard_error,
                        ..
                    }),
                    None,
                ) => {
                    // Seeds that agree need no error.
                    with_error(
                        mean,
                        standard_error.filter(|error| *error > 1e-12 * mean.abs()),
                    )
                }
                (
                    Some(Estimate {
                        mean,
                        standard_error,
                        ..
                    }),
                    Some(_),
                ) => {
                    let factor = |logarithm: f64| significant(logarithm.exp(), 3);
                    let error = standard_error.map(|error| format!(" ×/÷ {}", factor(error)));
                    factor(mean) + &error.unwrap_or_default()
                }
            }
        });
        table.push(row.iter().cloned().chain(cells));
    }
    table
}

/// Every number of every measurement at full precision, one a row (RFC 4180).
///
/// # Errors
/// Those of `out`.
pub fn results_csv(reproduction: &Reproduction, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "experiment,run,model,optimizer,weight_decay,seed,epoch,weights,curve,x,name,value,error"
    )?;
    for (experiment, record) in reproduction.records() {
        let Summary {
            id, seed, setting, ..
        } = record;
        let decay = decimal(setting.spec.train.optimizer.weight_decay().0);
        let whose = [experiment, id, &setting.model.name, &setting.optimizer].map(csv_cell);
        let whose = format!("{},{decay},{seed}", whose.join(","));
        let mut lines = String::new();
        for measurement in &record.measurements {
            let (epoch, weights) = (measurement.epoch, measurement.weights.name());
            let rows = rows(
                measurement,
                &format!("{whose},{epoch},{weights}"),
                &mut lines,
            );
            rows.map_err(io::Error::other)?;
        }
        out.write_all(lines.as_bytes())?;
    }
    Ok(())
}

/// Losses and accuracies, numbers of the network, of each matrix, and along curves.
fn rows(measurement: &Measurement, whose: &str, lines: &mut String) -> fmt::Result {
    let mut row = |[curve, name]: [&str; 2], x: Option<f64>, value: f64, error: Option<f64>| {
        let ([curve, name], [x, error]) = ([curve, name].map(csv_cell), [x, error].map(Digits));
        writeln!(lines, "{whose},{curve},{x},{name},{value:?},{error}")
    };
    let evaluation = &measurement.evaluation;
    for (split, evaluation) in [
        ("train", Some(evaluation.train)),
        ("validation", evaluation.validation),
        ("test", evaluation.test),
    ] {
        let loss = evaluation.map(|evaluation| evaluation.loss);
        let accuracy = evaluation.and_then(|evaluation| evaluation.accuracy);
        for (name, value) in [("loss", loss), ("accuracy", accuracy)] {
            if let Some(value) = value {
                row(["", &format!("{split}.{name}")], None, value, None)?;
            }
        }
    }
    for (name, Number { value, error, .. }) in measurement.numbers.iter() {
        row(["", name], None, value, Some(error))?;
    }
    for matrix in &measurement.matrices {
        let group = matrix.group.as_ref().map(|group| format!("[{group}]"));
        let prefix = format!("{}{}", matrix.matrix.name(), group.unwrap_or_default());
        for (name, Number { value, error, .. }) in matrix.numbers.iter() {
            row(["", &format!("{prefix}.{name}")], None, value, Some(error))?;
        }
    }
    for curve in &measurement.curves {
        for point in &curve.points {
            for (name, Number { value, error, .. }) in point.numbers.iter() {
                row([&curve.name, name], Some(point.x), value, Some(error))?;
            }
        }
    }
    Ok(())
}

/// A number with all its digits, or nothing.
struct Digits(Option<f64>);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |number| write!(f, "{number:?}"))
    }
}

/// The verdicts and what every record says, as JSON with its digest; `records` has a line for each of them in their order, from a [`Reader`](crate::Reader).
///
/// # Errors
/// Those of `records` and `out`, and of numbers that JSON lacks.
pub fn results_json(
    reproduction: &Reproduction,
    verdicts: &[ClaimVerdict],
    records: &mut dyn BufRead,
    out: &mut dyn Write,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Head<'a> {
        profile: &'a str,
        description: &'a str,
        command: &'a str,
        verdicts: &'a [ClaimVerdict],
    }
    #[derive(Serialize)]
    struct Runs<'a> {
        name: &'a str,
        claims: &'a [String],
    }
    let head = Head {
        profile: &reproduction.profile,
        description: &reproduction.description,
        command: &reproduction.command,
        verdicts,
    };
    let mut line = Vec::new();
    write_sealed(out, |out| {
        write!(out, "{},\"experiments\":[", open(&head)?)?;
        for (place, experiment) in reproduction.experiments.iter().enumerate() {
            let runs = Runs {
                name: &experiment.name,
                claims: &experiment.claims,
            };
            let between = if place == 0 { "" } else { "," };
            write!(out, "{between}{},\"records\":[", open(&runs)?)?;
            for place in 0..experiment.records.len() {
                line.clear();
                if records.read_until(b'\n', &mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                out.write_all(if place == 0 { b"" } else { b"," })?;
                out.write_all(line.trim_ascii_end())?;
            }
            write!(out, "]}}")?;
        }
        write!(out, "]}}")
    })
}

/// The JSON of an object but for its end.
fn open(object: &impl Serialize) -> serde_json::Result<String> {
    let mut json = serde_json::to_string(object)?;
    json.pop();
    Ok(json)
}

/// Rows of the table of runs: of more a reader takes `results.csv`.
const MOST_ROWS: usize = 5000;

/// Every completed run at the end of its training, of very many the first.
pub(crate) fn runs(reproduction: &Reproduction) -> Table {
    let names = [
        "train.loss",
        "test.accuracy",
        "spectral_norm",
        "trace",
        "parameter_norm",
    ];
    let mut table = Table::new(
        "Every run at the end of its training",
        "Experiment|Model|Optimiser|#Decay|#Rate|#Seed|#Training loss|#Test accuracy|#λ₁|#Tr H|#‖θ‖",
    );
    for (experiment, record) in reproduction.records().take(MOST_ROWS) {
        let (train, end) = (&record.setting.spec.train, Point::end(record));
        let numbers = names.map(|name| {
            let reading = name.parse().ok().and_then(|name| end?.read(&name));
            significant(reading.map_or(f64::NAN, |reading| reading.value), 4)
        });
        let whose = [
            experiment.to_owned(),
            record.setting.model.name.clone(),
            record.setting.optimizer.clone(),
            decimal(train.optimizer.weight_decay().0),
            decimal(train.optimizer.learning_rate()),
            record.seed.to_string(),
        ];
        table.push(whose.into_iter().chain(numbers));
    }
    table
}
