//! `results.json`: the verdicts and what every record says, without Ritz values, densities and exact eigenvalues.

use flatness_records::{Measurement, Record};
use serde::Serialize;

use crate::{ClaimVerdict, Correlation, Error, Reproduction, correlations};

#[derive(Serialize)]
struct Results<'a> {
    profile: &'a str,
    description: &'a str,
    command: &'a str,
    verdicts: &'a [ClaimVerdict],
    /// Over the records of claim C8.
    correlations: Vec<Correlation>,
    experiments: Vec<Runs<'a>>,
}

#[derive(Serialize)]
struct Runs<'a> {
    name: &'a str,
    claims: &'a [String],
    records: Vec<Record>,
}

/// The results as indented JSON with a final newline.
///
/// # Errors
/// [`Error::Encode`].
pub fn results_json(
    reproduction: &Reproduction,
    verdicts: &[ClaimVerdict],
) -> Result<String, Error> {
    let runs = reproduction.experiments.iter().map(|experiment| Runs {
        name: &experiment.name,
        claims: &experiment.claims,
        records: experiment.records.iter().map(essentials).collect(),
    });
    let results = Results {
        profile: &reproduction.profile,
        description: &reproduction.description,
        command: &reproduction.command,
        verdicts,
        correlations: correlations(&reproduction.records_of("C8").collect::<Vec<_>>()),
        experiments: runs.collect(),
    };
    let json = serde_json::to_string_pretty(&results);
    json.map(|text| text + "\n").map_err(|error| Error::Encode {
        message: error.to_string(),
    })
}

/// Ritz values, densities and exact eigenvalues are nine tenths of a record; they stay in `record.json`.
fn essentials(record: &Record) -> Record {
    let mut record = record.clone();
    let strip = |measurement: &mut Measurement| {
        for matrix in &mut measurement.matrices {
            matrix.ritz.clear();
            matrix.density = None;
        }
    };
    record.measurements.iter_mut().for_each(strip);
    if let Some(spectrum) = &mut record.exact_spectrum {
        spectrum.eigenvalues.clear();
    }
    record
}
