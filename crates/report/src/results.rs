//! The results besides the page: a table for the terminal and for Markdown, `results.json` and `results.csv`.

use std::io::{self, Write};

use flatness_records::{Measurement, Numbers, Record, write_sealed};
use serde::{Serialize, Serializer};

use crate::number::{significant, with_error};
use crate::reading::Point;
use crate::reproduction::distinct;
use crate::selection::{ALL_MODELS, by_seed, decimal, relative, word};
use crate::table::{Cell, Table, csv_line};
use crate::{
    Claim, ClaimVerdict, Estimate, Reproduction, Sample, SeedValue, TableSpec, Verdict,
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
    let completed: Vec<&Record> = reproduction.completed(&spec.experiment).collect();
    let records = spec.select.of(&completed, ALL_MODELS);
    let words = |record: &Record| -> Vec<String> {
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
    let mut rows: Vec<(Vec<String>, Vec<&Record>)> = Vec::new();
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
            let of_run = |run: &&Record| {
                let value = relative(run, column, at, control, &seeds, &run.model.name)?;
                let value = if control.is_some() { value.ln() } else { value };
                let seed = run.spec.seed;
                value.is_finite().then_some(SeedValue {
                    seed,
                    value,
                    error: 0.0,
                    relative_error: 0.0,
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
        let train = &record.spec.train;
        let (optimizer, seed) = (optimizer_name(train), record.spec.seed.to_string());
        let decay = decimal(train.optimizer.weight_decay().0);
        for measurement in &record.measurements {
            for Number {
                curve,
                x,
                name,
                value,
                error,
            } in numbers(measurement)
            {
                let line = csv_line([
                    experiment,
                    &record.id,
                    &record.model.name,
                    &optimizer,
                    &decay,
                    &seed,
                    &measurement.epoch.to_string(),
                    measurement.weights.name(),
                    curve,
                    &x,
                    &name,
                    &format!("{value:?}"),
                    &error.map_or_else(String::new, |error| format!("{error:?}")),
                ]);
                out.write_all(line.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// A number with its name, and its place on a curve.
struct Number<'a> {
    curve: &'a str,
    x: String,
    name: String,
    value: f64,
    error: Option<f64>,
}

/// Losses and accuracies, numbers of the network, of each matrix, and along curves.
fn numbers(measurement: &Measurement) -> Vec<Number<'_>> {
    let (measured, evaluation) = (&measurement.measured, &measurement.evaluation);
    let mut all = Vec::new();
    let splits = [
        ("train", Some(evaluation.train)),
        ("validation", evaluation.validation),
        ("test", evaluation.test),
    ];
    for (split, of_split) in splits
        .into_iter()
        .filter_map(|(name, split)| Some((name, split?)))
    {
        let values = [
            ("loss", Some(of_split.loss)),
            ("accuracy", of_split.accuracy),
        ];
        for (name, value) in values
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
        {
            let name = format!("{split}.{name}");
            all.push(Number {
                curve: "",
                x: String::new(),
                name,
                value,
                error: None,
            });
        }
    }
    let mut add = |curve, x: &str, prefix: &str, numbers: &Numbers| {
        all.extend(numbers.iter().map(|(name, number)| Number {
            curve,
            x: x.to_owned(),
            name: format!("{prefix}{name}"),
            value: number.value,
            error: Some(number.error()),
        }));
    };
    add("", "", "", &measured.numbers);
    for matrix in &measured.matrices {
        let group = matrix.group.as_ref().map(|group| format!("[{group}]"));
        let prefix = format!("{}{}.", matrix.matrix.name(), group.unwrap_or_default());
        add("", "", &prefix, &matrix.numbers);
    }
    for curve in &measured.curves {
        for point in &curve.points {
            add(&curve.name, &format!("{:?}", point.x), "", &point.numbers);
        }
    }
    all
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
    records: Vec<Essentials<'a>>,
}

/// A record without Ritz values, densities and spectra.
struct Essentials<'a>(&'a Record);

impl Serialize for Essentials<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = self.0.clone();
        let measurements = record.measurements.iter_mut();
        for matrix in measurements.flat_map(|measurement| &mut measurement.measured.matrices) {
            matrix.stems.clear();
            matrix.eigenvalues.clear();
            (matrix.density, matrix.log_density) = (None, None);
        }
        record.serialize(serializer)
    }
}

/// The verdicts and what every record says, as JSON with its digest. Ritz values, densities and spectra are nine
/// tenths of a record; they stay in `record.json`.
///
/// # Errors
/// Those of `out`, and of numbers that JSON lacks.
pub fn results_json(
    reproduction: &Reproduction,
    verdicts: &[ClaimVerdict],
    out: &mut dyn Write,
) -> io::Result<()> {
    let experiments = reproduction.experiments.iter().map(|experiment| Runs {
        name: &experiment.name,
        claims: &experiment.claims,
        records: experiment.records.iter().map(Essentials).collect(),
    });
    let results = Results {
        profile: &reproduction.profile,
        description: &reproduction.description,
        command: &reproduction.command,
        verdicts,
        experiments: experiments.collect(),
    };
    write_sealed(&results, out)
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
        let (train, end) = (&record.spec.train, Point::end(record));
        let numbers = names.map(|name| {
            let reading = name.parse().ok().and_then(|name| end?.read(&name));
            significant(reading.map_or(f64::NAN, |reading| reading.value), 4)
        });
        let whose = [
            experiment.to_owned(),
            record.model.name.clone(),
            optimizer_name(train),
            decimal(train.optimizer.weight_decay().0),
            decimal(train.optimizer.learning_rate()),
            record.spec.seed.to_string(),
        ];
        table.push(whose.into_iter().chain(numbers));
    }
    table
}
