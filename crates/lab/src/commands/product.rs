//! `flatness product`: one curvature product of given weights, data and vector, checked and timed.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use flatness_curvature::{Retention, Selection};
use flatness_data::{Examples, LabelledTensors, class_labels};
use flatness_engine::{Weights, curvature_matrix};
use flatness_kernels::{dot, norm};
use flatness_operator::LinearOperator;
use flatness_records::LossSpec;
use flatness_spectrum::Probe;
use serde::Serialize;

use crate::arguments::{Computing, ProductOptions};
use crate::commands::models::known;
use crate::loss::{ResolvedLoss, check_labels, numbers};
use crate::output::put;
use crate::setting::{Machine, candle_dtype};
use crate::stored::{Stored, Weighted};
use crate::{device, environment};

/// Seed of the vectors besides the given one.
const SEED: u64 = 99;

/// The line that is printed.
#[derive(Serialize)]
struct Line {
    model: String,
    batch_norm: String,
    matrix: &'static str,
    retention: flatness_records::Retention,
    n: usize,
    parameters: usize,
    vectors: u16,
    dtype: String,
    threads: usize,
    device: String,
    loss: f64,
    gradient_norm: f64,
    /// vᵀ A v of the given vector.
    quadratic_form: f64,
    /// ‖A v‖ of the given vector.
    product_norm: f64,
    seconds_min: f64,
    seconds_median: f64,
    gradient_seconds_min: f64,
    gradient_seconds_median: f64,
    peak_rss_mib: f64,
}

pub(crate) fn product(options: &ProductOptions) -> Result<()> {
    // What is kept is an option of its own here.
    let computing = Computing {
        device: options.device.clone(),
        threads: options.threads,
        memory_budget: Some(0),
    };
    let machine = Machine::new(&computing, None)?;
    let (model, names) = (options.model.as_deref(), &options.names);
    let stored = Stored::read(&options.weights, model, names, &names.constants)
        .map_err(|error| known(names.named(error)))?;
    let tensors = candle_core::safetensors::load(&options.data, &Device::Cpu)
        .with_context(|| format!("cannot read the data {}", options.data.display()))?;
    let architecture = &stored.architecture;
    let outputs_for = |labels| architecture.outputs_for(labels);
    let mut outputs = (tensors.get("y")).map_or_else(|| architecture.outputs(), outputs_for);
    if let (Some(classes), Some(last)) = (options.classes, outputs.last_mut()) {
        *last = classes;
    }
    let examples = examples(options, &tensors, &outputs)?;
    let labels = &tensors["y"];
    let usual = || LossSpec::usual(labels.dtype().is_int());
    let spec = options.loss.spec(None)?.unwrap_or_else(usual);
    check_labels(examples.name(), labels, &spec)?;
    let tensor = |name: &str| numbers(name, named(examples.name(), &tensors, name)?);
    let loss = ResolvedLoss::new(spec, &outputs, tensor)?;
    let weighted = stored.network(&examples, loss, Some(options.dtype), options.batch_norm)?;
    let Weighted { model, weights, .. } = weighted;
    let layout = model.network.layout();
    let batch_norm = options.batch_norm;
    let len = examples.len();
    let batch_size = match options.batch {
        Some(size) if !(1..=len).contains(&size) => anyhow::bail!(
            "--batch must be from 1 to {len}, the examples of {}, got {size}",
            examples.name()
        ),
        Some(size) => size,
        None => len.min(1000),
    };
    let Weights { theta, buffers } = weights.to(model.dtype(), &machine.device)?;
    let given = vector(&options.data, &tensors, layout)?
        .to_dtype(model.dtype())?
        .to_device(&machine.device)?;
    drop(tensors);
    let network = model.measured(batch_norm, &buffers)?;
    let mean_loss = model.mean_loss(&network, &examples, &machine, batch_size)?;
    let ((loss, gradient), gradient_seconds) = timed(options.repeat, &machine.device, || {
        Ok(mean_loss.gradient(&theta, Selection::All)?)
    })?;
    let retention = match options.retention {
        flatness_records::Retention::Retain => Retention::Retain,
        flatness_records::Retention::Recompute => Retention::Recompute,
    };
    let curvature = mean_loss.curvature(&theta, retention)?;
    let operator = &curvature.operator(curvature_matrix(options.matrix))?;
    let block = block(operator, &given, usize::from(options.vectors))?;
    let (product, seconds) = timed(options.repeat, &machine.device, || {
        Ok(operator.apply_block(&block)?)
    })?;
    let first = product.get(0)?;
    let record = model.record(batch_norm);
    let line = Line {
        model: record.name,
        batch_norm: record.batch_norm,
        matrix: options.matrix.name(),
        retention: options.retention,
        n: examples.len(),
        parameters: record.parameters,
        vectors: options.vectors,
        dtype: format!("{:?}", model.dtype()).to_lowercase(),
        threads: machine.workers.threads(),
        device: device::name(&machine.device),
        loss,
        gradient_norm: norm(&gradient)?,
        quadratic_form: dot(&given, &first)?,
        product_norm: norm(&first)?,
        seconds_min: seconds.min,
        seconds_median: seconds.median,
        gradient_seconds_min: gradient_seconds.min,
        gradient_seconds_median: gradient_seconds.median,
        peak_rss_mib: environment::peak_rss_mib(),
    };
    put(&serde_json::to_string(&line)?)
}

/// `x` and `y` of the data file, for a network whose outputs have this shape.
fn examples(
    options: &ProductOptions,
    tensors: &HashMap<String, Tensor>,
    outputs: &[usize],
) -> Result<LabelledTensors> {
    let path = options.data.display().to_string();
    let (x, y) = (named(&path, tensors, "x")?, named(&path, tensors, "y")?);
    let examples = x.dims().first().copied().unwrap_or(0);
    if y.dims().first() != Some(&examples) {
        let got = y.dims();
        anyhow::bail!(
            "{path}: tensor y must hold {examples} labels, one per example of x, got shape {got:?}"
        );
    }
    let y = match (y.rank(), outputs) {
        (1, &[classes]) if classes > 1 || y.dtype().is_int() => {
            &class_labels(&format!("{path}: tensor y"), y, classes)?
        }
        _ => y,
    };
    let count = options.n.unwrap_or(examples);
    if count == 0 || count > examples {
        anyhow::bail!("--n must be from 1 to {examples}, the examples of {path}, got {count}");
    }
    let [x, y] = [x, y].map(|tensor| tensor.narrow(0, 0, count));
    let (x, y) = (x?.to_dtype(candle_dtype(options.dtype))?, y?);
    Ok(LabelledTensors::labelled(&path, &x, &y, outputs)?)
}

/// The pieces `v.<parameter>` of the data file as one vector (P).
fn vector(
    path: &Path,
    tensors: &HashMap<String, Tensor>,
    layout: &flatness_layers::ParamLayout,
) -> Result<Tensor> {
    let piece = |(name, tensor): (&String, &Tensor)| {
        Some((name.strip_prefix("v.")?.to_owned(), tensor.clone()))
    };
    let gathered = layout.gather(&tensors.iter().filter_map(piece).collect());
    let context = || {
        format!(
            "the vector v in {} does not fit the network",
            path.display()
        )
    };
    gathered.with_context(context)
}

fn named<'t>(path: &str, tensors: &'t HashMap<String, Tensor>, name: &str) -> Result<&'t Tensor> {
    let found = tensors.get(name);
    found.with_context(|| format!("{path} holds no tensor {name}"))
}

/// The given vector and seeded ±1 vectors, (count, P).
fn block(operator: &dyn LinearOperator, given: &Tensor, count: usize) -> Result<Tensor> {
    let given = given.unsqueeze(0)?;
    if count == 1 {
        return Ok(given);
    }
    let others = Probe::Rademacher.rows(operator, 0..count - 1, SEED)?;
    Ok(Tensor::cat(&[&given, &others], 0)?)
}

/// Seconds of repeated work.
struct Seconds {
    min: f64,
    median: f64,
}

/// Does `work` once untimed and `repeat` times timed; the last result. The clock stops when the result is there on the
/// `device`, not when it is asked for.
fn timed<T>(repeat: u16, device: &Device, work: impl Fn() -> Result<T>) -> Result<(T, Seconds)> {
    let done = || {
        let result = work()?;
        device.synchronize()?;
        Ok::<_, anyhow::Error>(result)
    };
    let mut last = done()?;
    let mut seconds = Vec::with_capacity(usize::from(repeat));
    for _ in 0..repeat {
        let started = Instant::now();
        last = done()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.len() / 2;
    let median = match seconds.len() % 2 {
        1 => seconds[middle],
        _ => 0.5 * (seconds[middle - 1] + seconds[middle]),
    };
    Ok((
        last,
        Seconds {
            min: seconds[0],
            median,
        },
    ))
}
