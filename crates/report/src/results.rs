//! The results besides the page: a table for the terminal and for Markdown, `results.json` and `results.csv`.

use flatness_records::{Measurement, Numbers, Record};
use serde::Serialize;

use crate::number::{significant, with_error};
use crate::reading::Point;
use crate::reproduction::distinct;
use crate::selection::{ALL_MODELS, decimal, relative, word};
use crate::table::{Cell, Table};
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
    for row in distinct(records.iter().map(|record| words(record))) {
        let runs: Vec<&Record> = records
            .iter()
            .copied()
            .filter(|record| words(record) == row)
            .collect();
        let (at, control) = (spec.at.as_ref(), spec.relative_to.as_ref());
        let cells = spec.columns.iter().map(|column| {
            let of_run = |run: &&Record| {
                let value = relative(run, column, at, control, &records, &run.model.name)?;
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
#[must_use]
pub fn results_csv(reproduction: &Reproduction) -> String {
    let columns =
        "experiment|run|model|optimizer|weight_decay|seed|epoch|weights|curve|x|name|value|error";
    let mut table = Table::new("", columns);
    for (experiment, record) in reproduction.records() {
        let train = &record.spec.train;
        for measurement in &record.measurements {
            for Number {
                curve,
                x,
                name,
                value,
                error,
            } in numbers(measurement)
            {
                table.push([
                    experiment.to_owned(),
                    record.id.clone(),
                    record.model.name.clone(),
                    optimizer_name(train),
                    decimal(train.optimizer.weight_decay().0),
                    record.spec.seed.to_string(),
                    measurement.epoch.to_string(),
                    measurement.weights.name().to_owned(),
                    curve.to_owned(),
                    x,
                    name,
                    format!("{value:?}"),
                    error.map_or_else(String::new, |error| format!("{error:?}")),
                ]);
            }
        }
    }
    table.csv()
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
            (matrix.density, matrix.log_density) = (None, None);
        }
        record
    };
    let experiments = reproduction.experiments.iter().map(|experiment| Runs {
        name: &experiment.name,
        claims: &experiment.claims,
        records: experiment.records.iter().map(essentials).collect(),
    });
    let json = serde_json::to_string(&Results {
        profile: &reproduction.profile,
        description: &reproduction.description,
        command: &reproduction.command,
        verdicts,
        experiments: experiments.collect(),
    });
    let encode = |error: serde_json::Error| Error::Encode {
        message: error.to_string(),
    };
    json.map(|text| text + "\n").map_err(encode)
}

/// Every completed run at the end of its training.
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
    for (experiment, record) in reproduction.records() {
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
