//! `flatness measure`: the curvature of a checkpoint.

use anyhow::{Result, bail};
use flatness_data::Dataset;
use flatness_models::checkpoint;
use flatness_operator::LinearOperator;
use flatness_records::{
    DataSpec, Dtype, LanczosSpec, Matrix, MatrixRecord, MeasureSpec, ModelSpec, PowerSpec,
    Quantity, Retention, Split, Streams, TraceSpec, Uncertainty,
};
use serde::Serialize;

use crate::arguments::{MatrixName, MeasureOptions, SplitName};
use crate::measurement::{Detail, curvature, describe, matrix_record, retained};
use crate::output::put;
use crate::progress::{Progress, Watched};
use crate::setting::{Machine, Model, Weights, batch_size};
use crate::source;

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    model: String,
    parameters: usize,
    batch_norm: String,
    data: flatness_records::DataRecord,
    examples: usize,
    loss: f64,
    accuracy: f64,
    retention: Retention,
    #[serde(flatten)]
    record: MatrixRecord,
}

pub(crate) fn measure(options: &MeasureOptions) -> Result<()> {
    let origin = options.checkpoint.display().to_string();
    let checkpoint = checkpoint::read(&options.checkpoint)?;
    let Some(name) = options.model.as_deref().or(checkpoint.model()) else {
        bail!("{origin} does not name its model; give --model");
    };
    let data_spec = DataSpec {
        set: options.data_set.clone(),
        train_examples: None,
        validation_examples: 0,
    };
    let splits = source::load(&data_spec, options.data.as_deref(), name)?;
    let split = Split::from(options.split);
    let examples = match options.examples {
        Some(count) => splits.get(split)?.take(count)?,
        None => splits.get(split)?.clone(),
    };
    let mut model = Model::new(
        &ModelSpec {
            name: name.to_owned(),
            dtype: Dtype::F32,
        },
        &examples,
    )?;
    let weights = Weights {
        theta: checkpoint.parameters(&model.network, &origin)?,
        buffers: checkpoint.buffers(&model.network, &origin)?,
    };
    model.dtype = match (options.dtype, weights.theta.dtype()) {
        (Some(dtype), _) => dtype.into(),
        (None, candle_core::DType::F64) => Dtype::F64,
        (None, _) => Dtype::F32,
    };
    let machine = Machine::new(&options.computing)?;
    let Weights { theta, buffers } = weights.to(model.dtype(), &machine.device)?;
    let matrix = match options.matrix {
        MatrixName::Hessian => Matrix::Hessian,
        MatrixName::GaussNewton => Matrix::GaussNewton,
    };
    let spec = spec(options, split, matrix, &examples)?;
    let progress = Progress::new(options.output.quiet);
    let network = model.measured(spec.batch_norm, &buffers)?;
    let mean_loss = model.mean_loss(&network, &examples, &machine, spec.batch_size)?;
    let evaluation = mean_loss.evaluate(&theta)?;
    let products = spec.lanczos.steps + spec.trace.probes + options.power_iterations;
    let stage = progress.stage("measuring", "products", products as u64);
    let curvature = curvature(&mean_loss, &theta, &machine)?;
    let (hessian, gauss_newton) = (curvature.hessian(), curvature.gauss_newton());
    let operator: &dyn LinearOperator = match matrix {
        Matrix::Hessian => &hessian,
        Matrix::GaussNewton => &gauss_newton,
    };
    let watched = Watched {
        operator,
        stage: &stage,
    };
    let streams = Streams::new(options.seed);
    let record = matrix_record(&watched, matrix, &spec, streams, Detail::Full)?;
    drop(stage);
    let record_of_model = model.record(spec.batch_norm);
    let report = Report {
        model: record_of_model.name,
        parameters: record_of_model.parameters,
        batch_norm: record_of_model.batch_norm,
        data: splits.record(&data_spec, Some(split)),
        examples: examples.len(),
        loss: evaluation.loss,
        accuracy: evaluation.accuracy,
        retention: retained(&curvature),
        record,
    };
    if options.output.json {
        put(&serde_json::to_string(&report)?)
    } else {
        put(table(&report).trim_end())
    }
}

fn spec(
    options: &MeasureOptions,
    split: Split,
    matrix: Matrix,
    examples: &Dataset,
) -> Result<MeasureSpec> {
    let power = (options.power_iterations > 0).then_some(PowerSpec {
        iterations: options.power_iterations,
        tolerance: options.tolerance,
    });
    Ok(MeasureSpec {
        epochs: Vec::new(),
        split,
        matrices: vec![matrix],
        batch_norm: options.batch_norm.into(),
        batch_size: batch_size("--batch-size", options.batch_size, examples)?,
        lanczos: LanczosSpec {
            steps: options.steps,
            tolerance: options.tolerance,
        },
        power,
        trace: TraceSpec {
            probes: options.probes,
            block: BLOCK.min(options.probes),
        },
        density: None,
        scales: Vec::new(),
        perturbation: None,
        exact_spectrum: None,
        keskar: None,
        rescaling: None,
    })
}

/// Probes per pass over the data.
const BLOCK: usize = 10;

fn table(report: &Report) -> String {
    let Report {
        model,
        parameters,
        batch_norm,
        data,
        examples,
        loss,
        accuracy,
        retention,
        record,
    } = report;
    let split = data.curvature_split.map_or("", name_of_split);
    let mut lines = vec![
        format!("model      {model}, {parameters} parameters, batch-norm {batch_norm}"),
        format!(
            "data       {examples} {split} examples of {} ({})",
            data.set, data.source
        ),
        format!("loss       {loss:.6}, accuracy {:.2} %", 100.0 * accuracy),
        format!("matrix     {}", name_of_matrix(record.matrix)),
        format!("activations {} between products", describe(*retention)),
        String::new(),
        format!(
            "{:<16} {:>13} {:>12}  {:>8}  how",
            "measure", "value", "error", "products"
        ),
    ];
    let mut add = |name: &str, quantity: &Quantity| {
        let how = match quantity.uncertainty {
            Uncertainty::Exact => "exact".to_owned(),
            Uncertainty::Stochastic { probes, .. } => {
                format!("standard error over {probes} probes")
            }
            Uncertainty::Iterative {
                steps, converged, ..
            } => {
                let state = if converged {
                    "converged"
                } else {
                    "not converged"
                };
                format!("residual after {steps} steps, {state}")
            }
        };
        lines.push(format!(
            "{name:<16} {:>13.6e} {:>12.2e}  {:>8}  {how}",
            quantity.value,
            quantity.error(),
            quantity.products
        ));
    };
    add("lambda_max", &record.lambda_max);
    add("lambda_min", &record.lambda_min);
    add("spectral_norm", &record.spectral_norm);
    if let Some(power) = &record.power_iteration {
        add("power_iteration", power);
    }
    add("trace", &record.trace);
    add("frobenius", &record.frobenius);
    lines.push(String::new());
    lines.join("\n")
}

/// One line of the most asked-for numbers of a matrix.
pub(crate) fn line(record: &MatrixRecord) -> String {
    let number =
        |quantity: &Quantity| format!("{:.4e} +- {:.1e}", quantity.value, quantity.error());
    format!(
        "{:<12} spectral norm {}, trace {}, Frobenius norm {}",
        name_of_matrix(record.matrix),
        number(&record.spectral_norm),
        number(&record.trace),
        number(&record.frobenius)
    )
}

fn name_of_matrix(matrix: Matrix) -> &'static str {
    matrix.name()
}

fn name_of_split(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Self::Train,
            SplitName::Test => Self::Test,
        }
    }
}
