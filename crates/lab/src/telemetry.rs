//! What a run says of itself besides its results: a log, and scalars for TensorBoard.
//!
//! The log `flatness.log` gets one line per event, with the time: start, epochs, saved states, resumes,
//! damaged states, divergence, signals. The scalars are those of `metrics.jsonl` and of the measurements,
//! with the epochs done as their step.

mod event_file;
mod protocol;

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use flatness_records::{EpochMetrics, Iterate, Measurement};
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::LogLevel;
use event_file::EventFile;

/// TensorBoard reads every file with `tfevents` in its name.
const EVENT_FILE: &str = "events.out.tfevents.flatness";

const LOG_FILE: &str = "flatness.log";

/// From now on events of `level` and worse are appended to the log in `directory`.
pub(crate) fn start_log(directory: &Path, level: LogLevel) -> Result<()> {
    let level = match level {
        LogLevel::Off => return Ok(()),
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let path = directory.join(LOG_FILE);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open the log {}", path.display()))?;
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .with_target(false)
        // Standard error is for progress; where the log cannot be written, the other files cannot either.
        .log_internal_errors(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).context("the log is open already")
}

/// Scalars of a run in a file that TensorBoard reads.
pub(crate) struct Events {
    file: EventFile,
}

impl Events {
    /// Opens the file in `directory`. The scalars of the first `kept` epochs stay, as the lines of
    /// `metrics.jsonl` do on resuming.
    pub(crate) fn open(directory: &Path, kept: u32) -> Result<Self> {
        let file = EventFile::open(directory.join(EVENT_FILE), i64::from(kept))?;
        Ok(Self { file })
    }

    /// Adds the metrics of an epoch, unless they are there. Tags are `train/...` and, where the splits were
    /// evaluated, `evaluated/...` and `evaluated/average/...`.
    pub(crate) fn epoch(&mut self, metrics: &EpochMetrics) -> Result<()> {
        let mut scalars = vec![
            ("train/running_loss", metrics.running_loss),
            ("train/learning_rate", metrics.learning_rate),
            ("train/parameter_norm", metrics.parameter_norm),
        ];
        let optional = [
            ("train/running_accuracy", metrics.running_accuracy),
            ("train/examples_per_second", metrics.examples_per_second),
        ];
        scalars.extend(present(optional));
        let scalars = scalars.into_iter();
        let mut scalars: Vec<_> = scalars
            .map(|(tag, value)| (tag.to_owned(), value))
            .collect();
        for (of, evaluation) in [
            ("", &metrics.evaluation),
            ("average/", &metrics.average_evaluation),
        ] {
            let Some(evaluation) = evaluation else {
                continue;
            };
            let splits = [
                ("train", Some(evaluation.train)),
                ("validation", evaluation.validation),
                ("test", Some(evaluation.test)),
            ];
            for (split, values) in splits {
                let values = values.into_iter().flat_map(|values| {
                    [
                        ("loss", values.loss),
                        ("accuracy", values.accuracy),
                        ("top5_accuracy", values.top5_accuracy),
                    ]
                });
                scalars.extend(
                    values.map(|(name, value)| (format!("evaluated/{of}{split}_{name}"), value)),
                );
            }
        }
        self.file.add(metrics.epoch.into(), &scalars)
    }

    /// Adds a measurement, unless it is there. Tags are `measured/...` and `hessian/...` or
    /// `gauss-newton/...`, those of averaged parameters `measured/average/...` and so on.
    pub(crate) fn measurement(&mut self, measurement: &Measurement) -> Result<()> {
        let of = match measurement.weights {
            Iterate::Last => "",
            Iterate::Average => "average/",
        };
        let mut scalars = vec![
            ("train_loss", measurement.train_loss),
            ("train_accuracy", measurement.train_accuracy),
            ("test_loss", measurement.test_loss),
            ("test_accuracy", measurement.test_accuracy),
            ("gradient_norm", measurement.gradient_norm),
            ("parameter_norm", measurement.parameter_norm),
            (
                "distance_from_initialization",
                measurement.distance_from_initialization,
            ),
            ("fisher_rao", measurement.fisher_rao.value),
            ("adaptive_lambda_max", measurement.adaptive_lambda_max.value),
        ];
        let optional = [
            ("train_top5_accuracy", measurement.train_top5_accuracy),
            ("test_top5_accuracy", measurement.test_top5_accuracy),
            ("validation_loss", measurement.validation_loss),
            ("validation_accuracy", measurement.validation_accuracy),
            (
                "validation_top5_accuracy",
                measurement.validation_top5_accuracy,
            ),
        ];
        scalars.extend(present(optional));
        let scalars = scalars.into_iter();
        let mut scalars: Vec<_> = scalars
            .map(|(name, value)| (format!("measured/{of}{name}"), value))
            .collect();
        for matrix in &measurement.matrices {
            let name = matrix.matrix.name();
            let quantities = [
                ("lambda_max", &matrix.lambda_max),
                ("lambda_min", &matrix.lambda_min),
                ("spectral_norm", &matrix.spectral_norm),
                ("trace", &matrix.trace),
                ("frobenius", &matrix.frobenius),
            ];
            let quantities = quantities.into_iter();
            scalars.extend(
                quantities.map(|(tag, quantity)| (format!("{name}/{of}{tag}"), quantity.value)),
            );
        }
        self.file.add(measurement.epoch.into(), &scalars)
    }
}

fn present<const N: usize>(
    scalars: [(&'static str, Option<f64>); N],
) -> impl Iterator<Item = (&'static str, f64)> {
    let scalars = scalars.into_iter();
    scalars.filter_map(|(tag, value)| value.map(|value| (tag, value)))
}
