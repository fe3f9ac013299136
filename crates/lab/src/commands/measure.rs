//! `flatness measure`: the curvature of a checkpoint.

mod allowance;
mod block;
mod diagonal;
mod functions;
mod loss_picture;
mod memory;
mod moments;
mod narrow;
mod parameters;
mod perturbed;
mod picture;
mod purse;
mod report;
mod sampling;
mod spectral;
mod subject;
mod table;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use flatness_curvature::{Curvature, MeanLoss, Selection};
use flatness_data::{Examples, Subset};
use flatness_layers::Network;
use flatness_measures::Objective;
use flatness_models::checkpoint;
use flatness_records::{Dtype, Matrix, ModelSpec, Split, Streams};

use crate::arguments::{MeasureOptions, What};
use crate::measurement::{curvature, curvature_matrix, retained};
use crate::output::put;
use crate::progress::Progress;
use crate::setting::{Machine, Model, Weights, batch_size};

use block::Journalled;
use report::Report;
use subject::{check, identity, load};
pub(crate) use table::line;

/// The network at the parameters that are measured.
struct Subject<'a> {
    options: &'a MeasureOptions,
    /// What is asked for, each once.
    what: Vec<What>,
    network: &'a Network,
    mean_loss: &'a MeanLoss<'a>,
    theta: &'a Tensor,
    /// Mean loss and parameters in double precision, for differences of losses.
    double: (Objective<'a>, &'a Tensor),
    loss: f64,
    /// ∇L (P)
    gradient: &'a Tensor,
    curvature: &'a Curvature<'a>,
    matrix: flatness_curvature::Matrix,
    /// Model, matrix and data, for pictures.
    title: String,
    /// Examples that a random sample stands for.
    population: Option<usize>,
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
    let splits = load(options, name)?;
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
    let mean_loss = model.mean_loss(&network, examples, &machine, batch_size)?;
    let double_theta = theta.to_dtype(DType::F64)?;
    let double_network = model.measured(batch_norm, &buffers.to_dtype(DType::F64)?)?;
    let double = mean_loss.double(&double_network)?;
    let mut what: Vec<What> = Vec::new();
    for &one in &options.what {
        if !what.contains(&one) {
            what.push(one);
        }
    }
    let blocks = block::blocks(options, &what, &mean_loss)?;
    let (evaluation, gradient) = mean_loss.gradient(&theta, Selection::All)?;
    let curvature = curvature(&mean_loss, &theta, &machine)?;
    let matrix = Matrix::from(options.matrix);
    let record = model.record(batch_norm);
    let subject = Subject {
        options,
        what,
        network: &network,
        mean_loss: &mean_loss,
        theta: &theta,
        double: (Objective::new(&double, 0.0)?, &double_theta),
        loss: evaluation.loss,
        gradient: &gradient,
        curvature: &curvature,
        matrix: curvature_matrix(matrix),
        title: format!("{}, {}, {}", record.name, matrix.name(), whole.name()),
        population: sample.is_some().then(|| whole.len()),
        streams,
        progress: Progress::new(options.output.quiet),
    };
    let identity = identity(&subject, &buffers, &splits.identity(), &machine)?;
    let operator = curvature.operator(subject.matrix)?;
    let (mut measured, mut journals) = (Vec::new(), Vec::new());
    for block in &blocks {
        let (found, journal) = block.measure(&subject, &operator, &identity)?;
        measured.push(found);
        journals.extend(journal);
    }
    let (whole_matrix, products) = match options.each.as_slice() {
        [] => (measured.pop(), None),
        _ => (
            None,
            Some(measured.iter().map(|found| found.products).sum()),
        ),
    };
    let report = Report {
        model: record.name,
        parameters: record.parameters,
        batch_norm: record.batch_norm,
        data: splits.record(Some(split)),
        examples: examples.len(),
        sampled_from: subject.population,
        batch_size,
        loss: evaluation.loss,
        accuracy: evaluation.accuracy,
        gradient_norm: flatness_optim::norm(&gradient)?,
        retention: retained(&curvature),
        matrix,
        l2: options.l2,
        seed: options.seed,
        products,
        whole: whole_matrix,
        groups: measured,
    };
    if options.output.json {
        put(&serde_json::to_string(&report)?)?;
    } else {
        put(table::table(&report).trim_end())?;
    }
    journals.into_iter().try_for_each(Journalled::remove)
}
