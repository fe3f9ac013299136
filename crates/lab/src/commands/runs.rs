//! `flatness runs`: what is in a directory of runs.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use flatness_records::{EpochMetrics, Outcome, Record, holder, read_json, read_json_lines};
use serde::Serialize;

use crate::arguments::RunsOptions;
use crate::output::{put, say, sentence};
use crate::progress::duration;
use crate::run_directory::{METRICS, RECORD, read_spec};

/// One run.
#[derive(Serialize)]
struct Row {
    id: String,
    model: String,
    data: String,
    optimizer: String,
    learning_rate: f64,
    weight_decay: f64,
    epochs: u32,
    seed: u64,
    /// `finished`, `diverged in epoch K`, `running in epoch K`, `stopped after epoch K`, or what is wrong.
    state: String,
    /// Of the average where there is one, as all that follows.
    test_accuracy: Option<f64>,
    spectral_norm: Option<f64>,
    /// Seconds since the last change.
    age: f64,
}

pub(crate) fn runs(options: &RunsOptions) -> Result<()> {
    let directory = &options.directory;
    if !directory.exists() {
        bail!(
            "there are no runs in {}, which does not exist; `flatness train` makes one",
            directory.display()
        );
    }
    let cannot = || format!("cannot read {}", directory.display());
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        match row(&path) {
            Ok(row) => rows.extend(row),
            Err(error) => say(&format!("warning: {}; left out", sentence(&error))),
        }
    }
    rows.sort_by(|a: &Row, b| a.age.total_cmp(&b.age));
    if options.json {
        return put(&serde_json::to_string(&rows)?);
    }
    put(&super::table(&cells(&rows)))
}

/// The run in a directory, none where it has no spec.
fn row(path: &Path) -> Result<Option<Row>> {
    let record = match path.join(RECORD) {
        record if record.exists() => read_json::<Record>(&record, "record").map(Some),
        _ => Ok(None),
    };
    // A record has a digest of its own.
    let spec = match &record {
        Ok(Some(record)) => Some(record.spec.clone()),
        _ => read_spec(path)?,
    };
    let Some(spec) = spec else {
        return Ok(None);
    };
    let state = match &record {
        Err(_) => "record not readable".to_owned(),
        Ok(Some(record)) => match record.outcome {
            Outcome::Completed => "finished".to_owned(),
            Outcome::Diverged { epoch, .. } => format!("diverged in epoch {epoch}"),
        },
        Ok(None) => {
            let lines: Vec<EpochMetrics> =
                read_json_lines(&path.join(METRICS), METRICS).unwrap_or_default();
            let epoch = lines.last().map_or(0, |line| line.epoch);
            match holder(path).is_some() {
                true => format!("running in epoch {}", epoch + 1),
                false => format!("stopped after epoch {epoch}"),
            }
        }
    };
    let record = record.ok().flatten();
    let evaluation = record
        .as_ref()
        .map(|record| record.average_evaluation.unwrap_or(record.evaluation));
    let last = record
        .as_ref()
        .and_then(|record| record.measurements.last());
    let changed = [RECORD, METRICS, "spec.toml"].iter().find_map(|name| {
        let metadata = path.join(name).metadata().ok()?;
        metadata.modified().ok()
    });
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    let data = spec.data;
    Ok(Some(Row {
        id: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        model: spec.model.name,
        data: match data.train_examples {
            None => data.set,
            Some(examples) => format!("{}[{examples}]", data.set),
        },
        optimizer: spec.train.optimizer.kind().to_owned(),
        learning_rate: spec.train.optimizer.learning_rate(),
        weight_decay: spec.train.optimizer.weight_decay().0,
        epochs: spec.train.epochs,
        seed: spec.seed,
        state,
        test_accuracy: evaluation.and_then(|evaluation| evaluation.test?.accuracy),
        spectral_norm: last.and_then(|last| Some(last.measured.number("spectral_norm")?.value)),
        age: age.unwrap_or_default().as_secs_f64(),
    }))
}

fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    let heads = "run|model|data|optimizer|rate|decay|epochs|seed|state|test %|spectral norm|age";
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let cells = rows.iter().map(|row| {
        vec![
            row.id.clone(),
            row.model.clone(),
            row.data.clone(),
            row.optimizer.clone(),
            row.learning_rate.to_string(),
            row.weight_decay.to_string(),
            row.epochs.to_string(),
            row.seed.to_string(),
            row.state.clone(),
            or_nothing(
                row.test_accuracy
                    .map(|share| format!("{:.2}", 100.0 * share)),
            ),
            or_nothing(row.spectral_norm.map(|norm| format!("{norm:.4e}"))),
            duration(row.age),
        ]
    });
    let heads = heads.split('|').map(str::to_owned).collect();
    std::iter::once(heads).chain(cells).collect()
}
