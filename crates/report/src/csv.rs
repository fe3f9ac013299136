//! `results.csv`: one row per measurement, every number at full precision (RFC 4180).

use flatness_records::{
    Iterate, Matrix, MatrixRecord, Measurement, OptimizerSpec, Outcome, Quantity, Record,
};

use crate::{Reproduction, optimizer_name};

/// What every matrix contributes, each column followed by its error.
const CURVATURE: [&str; 5] = [
    "lambda_max",
    "lambda_min",
    "spectral_norm",
    "trace",
    "frobenius",
];

/// Matrices in the order of their columns.
const MATRICES: [(Matrix, &str); 2] = [
    (Matrix::Hessian, "hessian"),
    (Matrix::GaussNewton, "gauss_newton"),
];

/// One row per measurement of every record; a diverged run has one row without measurements.
#[must_use]
pub fn results_csv(reproduction: &Reproduction) -> String {
    let mut csv = line(&header());
    for (experiment, record) in reproduction.records() {
        let run = run_cells(experiment, record);
        if record.measurements.is_empty() {
            let blanks = header().len() - run.len();
            csv += &line(&[run, vec![String::new(); blanks]].concat());
        } else {
            for measurement in &record.measurements {
                csv += &line(&[run.clone(), measurement_cells(measurement)].concat());
            }
        }
    }
    csv
}

fn header() -> Vec<String> {
    let run = [
        "experiment",
        "run",
        "outcome",
        "model",
        "parameters",
        "dtype",
        "seed",
        "optimizer",
        "weight_decay",
        "learning_rate",
        "momentum",
        "batch_size",
        "epochs",
        "train_examples",
        "data_digest",
    ];
    let measurement = [
        "epoch",
        "weights",
        "train_loss",
        "train_accuracy",
        "train_top5_accuracy",
        "test_loss",
        "test_accuracy",
        "test_top5_accuracy",
        "validation_loss",
        "validation_accuracy",
        "validation_top5_accuracy",
        "gradient_norm",
        "parameter_norm",
        "distance_from_initialization",
        "fisher_rao",
        "fisher_rao_error",
        "adaptive_lambda_max",
        "adaptive_lambda_max_error",
    ];
    let curvature = MATRICES.iter().flat_map(|(_, matrix)| {
        let columns = CURVATURE.iter();
        columns.flat_map(move |name| [format!("{matrix}_{name}"), format!("{matrix}_{name}_error")])
    });
    let named = run.into_iter().chain(measurement).map(str::to_owned);
    named
        .chain(curvature)
        .chain(["seconds".to_owned()])
        .collect()
}

fn run_cells(experiment: &str, record: &Record) -> Vec<String> {
    let train = &record.spec.train;
    let (weight_decay, _) = train.optimizer.weight_decay();
    let momentum = match train.optimizer {
        OptimizerSpec::Sgd { momentum, .. } => Some(momentum),
        OptimizerSpec::Adam(_) | OptimizerSpec::Amsgrad(_) | OptimizerSpec::Padam(_) => None,
    };
    let outcome = match record.outcome {
        Outcome::Completed => "completed",
        Outcome::Diverged { .. } => "diverged",
    };
    vec![
        quoted(experiment),
        quoted(&record.id),
        outcome.to_owned(),
        quoted(&record.model.name),
        record.model.parameters.to_string(),
        format!("{:?}", record.model.dtype).to_lowercase(),
        record.spec.seed.to_string(),
        optimizer_name(train),
        number(weight_decay),
        number(train.optimizer.learning_rate()),
        optional(momentum),
        train.batch_size.to_string(),
        train.epochs.to_string(),
        record.data.train_examples.to_string(),
        quoted(&record.data.digest),
    ]
}

fn measurement_cells(measurement: &Measurement) -> Vec<String> {
    let weights = match measurement.weights {
        Iterate::Last => "last",
        Iterate::Average => "average",
    };
    let mut cells = vec![
        measurement.epoch.to_string(),
        weights.to_owned(),
        number(measurement.train_loss),
        number(measurement.train_accuracy),
        optional(measurement.train_top5_accuracy),
        number(measurement.test_loss),
        number(measurement.test_accuracy),
        optional(measurement.test_top5_accuracy),
        optional(measurement.validation_loss),
        optional(measurement.validation_accuracy),
        optional(measurement.validation_top5_accuracy),
        number(measurement.gradient_norm),
        number(measurement.parameter_norm),
        number(measurement.distance_from_initialization),
    ];
    cells.extend(pair(&measurement.fisher_rao));
    cells.extend(pair(&measurement.adaptive_lambda_max));
    for (matrix, _) in MATRICES {
        match measurement
            .matrices
            .iter()
            .find(|record| record.matrix == matrix)
        {
            Some(record) => cells.extend(curvature(record).into_iter().flat_map(pair)),
            None => cells.extend(vec![String::new(); 2 * CURVATURE.len()]),
        }
    }
    cells.push(number(measurement.seconds));
    cells
}

/// In the order of [`CURVATURE`].
fn curvature(record: &MatrixRecord) -> [&Quantity; CURVATURE.len()] {
    [
        &record.lambda_max,
        &record.lambda_min,
        &record.spectral_norm,
        &record.trace,
        &record.frobenius,
    ]
}

fn pair(quantity: &Quantity) -> [String; 2] {
    [number(quantity.value), number(quantity.error())]
}

/// The shortest text that reads back to the same double.
pub(crate) fn number(value: f64) -> String {
    format!("{value:?}")
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, number)
}

pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

pub(crate) fn line(cells: &[String]) -> String {
    cells.join(",") + "\n"
}
