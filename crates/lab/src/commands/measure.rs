//! `flatness measure`: the curvature of a checkpoint.

mod functions;
mod parameters;
mod perturbed;
mod picture;
mod sampling;
mod spectral;
mod subject;
mod table;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use flatness_curvature::{MeanLoss, Selection};
use flatness_data::{Examples, Subset};
use flatness_layers::Network;
use flatness_models::checkpoint;
use flatness_operator::{LinearOperator, Principal, Shifted};
use flatness_records::{Dtype, Matrix, ModelSpec, Quantity, Retention, Split, Streams};
use serde::{Serialize, Serializer};

use crate::arguments::{MeasureOptions, What};
use crate::journal::Journal;
use crate::measurement::{curvature, curvature_matrix, retained};
use crate::output::put;
use crate::progress::{Progress, Watched};
use crate::setting::{Machine, Model, Weights, batch_size};

use subject::{check, identity, load};
pub(crate) use table::line;

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    model: String,
    parameters: usize,
    batch_norm: String,
    data: flatness_records::DataRecord,
    examples: usize,
    /// Examples that a random sample stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled_from: Option<usize>,
    batch_size: usize,
    loss: f64,
    accuracy: f64,
    gradient_norm: f64,
    retention: Retention,
    matrix: Matrix,
    /// Rows and columns of the matrix, where they are not all parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    l2: f64,
    seed: u64,
    /// Products of everything that counts them.
    products: u64,
    #[serde(flatten)]
    lines: Lines,
    /// Files written to `--out`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pictures: Vec<String>,
}

/// The numbers in the order in which they are shown.
struct Lines(Vec<Line>);

/// One number.
#[derive(Serialize)]
struct Line {
    #[serde(skip)]
    name: String,
    #[serde(flatten)]
    quantity: Quantity,
    /// What ended the measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'static str>,
    /// Standard error of the value as one over all the examples that a sample stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampling_error: Option<f64>,
}

impl Line {
    fn new(name: impl Into<String>, quantity: Quantity) -> Self {
        Self {
            name: name.into(),
            quantity,
            stop: None,
            sampling_error: None,
        }
    }
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|line| (&line.name, line)))
    }
}

/// The network at the parameters that are measured.
struct Subject<'a> {
    options: &'a MeasureOptions,
    /// What is asked for, each once.
    what: Vec<What>,
    network: &'a Network,
    mean_loss: &'a MeanLoss<'a>,
    theta: &'a Tensor,
    loss: f64,
    streams: Streams,
    progress: Progress,
}

impl Subject<'_> {
    fn asks(&self, matches: impl Fn(&What) -> bool) -> bool {
        self.what.iter().any(matches)
    }
}

pub(crate) fn measure(options: &MeasureOptions) -> Result<()> {
    check(options)?;
    let origin = options.checkpoint.display().to_string();
    let checkpoint = checkpoint::read(&options.checkpoint)?;
    let Some(name) = options.model.as_deref().or(checkpoint.model()) else {
        bail!("{origin} does not name its model; give --model");
    };
    let (data_spec, splits) = load(options, name)?;
    let split = Split::from(options.split);
    let whole = splits.get(split)?;
    let streams = Streams::new(options.seed);
    let sample = options
        .sample
        .map(|count| {
            let sample = Subset::random(whole, count, streams.seed("sample"));
            sample.with_context(|| format!("--sample {count}"))
        })
        .transpose()?;
    let first = options
        .examples
        .map(|count| whole.take(count))
        .transpose()?;
    let examples: &dyn Examples = match (&sample, &first) {
        (Some(sample), _) => sample,
        (None, Some(first)) => first,
        (None, None) => whole,
    };
    let mut model = Model::new(
        &ModelSpec {
            name: name.to_owned(),
            dtype: Dtype::F32,
        },
        examples,
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
    let batch_norm = options.batch_norm.into();
    let network = model.measured(batch_norm, &buffers)?;
    let batch_size = batch_size("--batch-size", options.batch_size, examples)?;
    let rows = match options.parameters.as_slice() {
        [] => None,
        patterns => Some(network.layout().select(patterns)?),
    };
    let mean_loss = model.mean_loss(&network, examples, &machine, batch_size)?;
    let (evaluation, gradient) = mean_loss.gradient(&theta, Selection::All)?;
    let curvature = curvature(&mean_loss, &theta, &machine)?;
    let matrix = Matrix::from(options.matrix);
    let mut what: Vec<What> = Vec::new();
    for &one in &options.what {
        if !what.contains(&one) {
            what.push(one);
        }
    }
    let subject = Subject {
        options,
        what,
        network: &network,
        mean_loss: &mean_loss,
        theta: &theta,
        loss: evaluation.loss,
        streams,
        progress: Progress::new(options.output.quiet),
    };
    let stage = subject
        .progress
        .stage("measuring", "products", options.budget as u64);
    let whole_matrix = curvature.operator(curvature_matrix(matrix))?;
    let principal = rows
        .map(|ranges| Principal::new(&whole_matrix, &ranges))
        .transpose()?;
    let mut operator: Box<dyn LinearOperator + '_> = match &principal {
        Some(principal) => Box::new(principal),
        None => Box::new(&whole_matrix),
    };
    if options.l2 != 0.0 {
        operator = Box::new(Shifted::new(operator, options.l2)?);
    }
    let mut written = None;
    let operator: &dyn LinearOperator = match &options.journal {
        None => &operator,
        Some(path) => {
            let identity = identity(&subject, &buffers, splits.digest(), &machine)?;
            let journal = Journal::open(operator, path, &identity)?;
            if journal.recorded() > 0 {
                let line = format!("{} products are in {}", journal.recorded(), path.display());
                subject.progress.say(&line);
            }
            written.insert(journal)
        }
    };
    let watched = Watched {
        operator,
        stage: &stage,
    };
    let mut spectral = spectral::measure(&subject, &watched, &stage)?;
    drop(stage);
    if let Some(principal) = &principal {
        for eigenvector in &mut spectral.eigenvectors {
            let row = eigenvector.vector.unsqueeze(0)?;
            eigenvector.vector = principal.embed(&row)?.squeeze(0)?;
        }
    }
    if sample.is_some() {
        let matrix = curvature_matrix(matrix);
        sampling::add(&subject, &mut spectral, &curvature, matrix, whole.len())?;
    }
    let mut lines = std::mem::take(&mut spectral.lines);
    lines.extend(parameters::measure(&subject, &curvature)?);
    lines.extend(perturbed::measure(&subject, &spectral, &curvature)?);
    let record = model.record(batch_norm);
    let pictures = match &options.out {
        None => Vec::new(),
        Some(directory) => {
            let name = format!("{}, {}, {}", record.name, matrix.name(), whole.name());
            picture::draw(&subject, &spectral, &curvature, &gradient, name, directory)?
        }
    };
    let report = Report {
        model: record.name,
        parameters: record.parameters,
        batch_norm: record.batch_norm,
        data: splits.record(&data_spec, Some(split)),
        examples: examples.len(),
        sampled_from: sample.is_some().then(|| whole.len()),
        batch_size,
        loss: evaluation.loss,
        accuracy: evaluation.accuracy,
        gradient_norm: flatness_optim::norm(&gradient)?,
        retention: retained(&curvature),
        matrix,
        rows: principal.as_ref().map(LinearOperator::dim),
        l2: options.l2,
        seed: options.seed,
        products: spectral.products,
        lines: Lines(lines),
        pictures,
    };
    if options.output.json {
        put(&serde_json::to_string(&report)?)?;
    } else {
        put(table::table(&report).trim_end())?;
    }
    written.map_or(Ok(()), Journal::remove)
}
