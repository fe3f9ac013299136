//! `flatness run --dry-run`: what runs will take on one core, without training.
//!
//! ```text
//! seconds = passes · examples · seconds of a gradient's example / 3
//! ```
//!
//! A forward pass is one, a gradient three, a product with a kept linearisation four, and twice that in double precision. The
//! gradient is timed here and now, on some of the run's own examples. Measurements count with the least that they take
//! (`engine::cost`): most end there, since what is random is small once the large eigenvalues are known. The rules of
//! optimisers are elementwise and count nothing.

use std::time::Instant;

use anyhow::Result;
use flatness_engine::{Size, cost};
use flatness_records::{Cost, Dtype, ModelSpec, Request, Run, Spec, Streams};
use serde::Serialize;

use crate::architecture::Architecture;
use crate::arguments::{Computing, RunOptions};
use crate::output::put;
use crate::progress::duration;
use crate::setting::{Machine, Model};
use crate::source::{self, Splits};

const GRADIENT: f64 = 3.0;
const PRODUCT: f64 = 4.0;

/// Double over single precision.
const DOUBLE: f64 = 2.0;

/// What the eigenvalues of a dense matrix take for each P³, in seconds: 1.3 s for P = 1660.
const EIGENVALUES: f64 = 2.8e-10;

/// Multiply-adds of the examples that are timed, at least one and at most a batch: a tenth of a second or so.
const TIMED: f64 = 1e9;

/// Gradients that are timed, after one that is not; the fastest counts.
const TRIES: usize = 3;

/// What a run will take.
#[derive(Debug, Serialize)]
struct Estimate {
    id: String,
    model: String,
    parameters: usize,
    /// On one core.
    seconds: f64,
}

/// Prints what each of `runs` will take.
pub(super) fn estimate(runs: &[Run], options: &RunOptions) -> Result<()> {
    let machine = Machine::new(
        &Computing {
            device: options.computing.device.clone(),
            threads: Some(1),
            memory_budget: options.computing.memory_budget,
        },
        None,
    )?;
    let mut read: Vec<(&Spec, Vec<usize>, Splits)> = Vec::new();
    let mut timed: Vec<(ModelSpec, usize, f64)> = Vec::new();
    let mut estimates = Vec::new();
    for run in runs {
        let spec = run.spec();
        let architecture = Architecture::find(&spec.model.name, &spec.model.constants)?;
        let outputs = architecture.outputs();
        // Labels of a file of tensors are read for the outputs of the network.
        let is_named = !source::is_tensors(&spec.data.set);
        let like = |(other, of, _): &&(&Spec, Vec<usize>, Splits)| {
            let same = (&other.data, &other.loss) == (&spec.data, &spec.loss);
            same && (is_named || *of == outputs)
        };
        if !read.iter().any(|one| like(&one)) {
            let (loss, data) = (spec.loss.as_ref(), options.places.data.as_deref());
            let streams = Streams::new(spec.seed);
            let splits = source::load(&spec.data, loss, streams, data, &architecture)?;
            read.push((spec, outputs.clone(), splits));
        }
        let Some((.., splits)) = read.iter().find(like) else {
            continue;
        };
        let examples = splits.train.as_ref();
        let model = Model::new(&architecture, &spec.model, examples, splits.loss.clone())?;
        let batch_size = spec.train.batch_size.min(splits.train.len());
        let known = (timed.iter()).find(|(of, size, _)| *of == spec.model && *size == batch_size);
        let pass = match known {
            Some((_, _, pass)) => *pass,
            None => pass(&model, splits, &machine, batch_size)?,
        };
        timed.push((spec.model.clone(), batch_size, pass));
        estimates.push(one(run, splits, &model, pass)?);
    }
    if options.output.json {
        return put(&serde_json::to_string(&estimates)?);
    }
    for one in &estimates {
        let Estimate {
            id,
            model,
            parameters,
            seconds,
        } = one;
        let time = duration(*seconds);
        put(&format!(
            "{id}  {model} of {parameters} parameters  about {time} on one core"
        ))?;
    }
    Ok(())
}

/// Seconds of a forward pass of one example, of a batch of so many.
fn pass(model: &Model, splits: &Splits, machine: &Machine, batch_size: usize) -> Result<f64> {
    let mean_loss = model.mean_loss(&model.network, splits.train.as_ref(), machine, batch_size)?;
    let theta = model.initial(0, &machine.device)?.theta;
    let fitting = (TIMED / model.network.multiply_adds() as f64).ceil() as usize;
    let batch: Vec<u32> = (0..).take(fitting.clamp(1, batch_size)).collect();
    let mut fastest = f64::INFINITY;
    for warm in (0..=TRIES).map(|number| number > 0) {
        let started = Instant::now();
        mean_loss.training_gradient(&theta, &batch, 0)?;
        machine.device.synchronize()?;
        if warm {
            fastest = fastest.min(started.elapsed().as_secs_f64());
        }
    }
    Ok(fastest / (batch.len() as f64 * GRADIENT))
}

fn one(run: &Run, splits: &Splits, model: &Model, pass: f64) -> Result<Estimate> {
    let spec = run.spec();
    let parameters = model.network.layout().dim();
    let gradients = spec.train.sharpness_aware.map_or(1.0, |_| 2.0);
    let training = GRADIENT * gradients * f64::from(spec.train.epochs);
    // With the evaluations of what is measured.
    let iterates = spec.train.average.as_ref().map_or(1.0, |_| 2.0);
    let along = (spec.measure.as_ref()).map_or(0, |request| request.epochs.len());
    let evaluated = (iterates + along as f64) * splits.sizes().iter().sum::<usize>() as f64;
    let mut passes_of_one = training * splits.train.len() as f64 + evaluated;
    let mut dense = 0.0;
    if let Some(request) = &spec.measure {
        let split = splits.get(request.split)?.len();
        let examples = request
            .examples
            .or(request.sample)
            .map_or(split, |some| some.min(split)) as f64;
        // The pass is timed in the run's own number type.
        let double = match spec.model.dtype {
            Dtype::F32 => DOUBLE,
            Dtype::F64 => 1.0,
        };
        let before = along as f64 * passes(&request.before_the_end(), parameters, double);
        passes_of_one += (before + iterates * passes(request, parameters, double)) * examples;
        if request.what.contains(&flatness_records::What::Spectrum) {
            dense = EIGENVALUES * (parameters as f64).powi(3);
        }
    }
    Ok(Estimate {
        id: run.id(),
        model: spec.model.name.clone(),
        parameters,
        seconds: passes_of_one * pass + dense,
    })
}

/// Forward passes over the examples that a measurement is worth.
fn passes(request: &Request, parameters: usize, double: f64) -> f64 {
    if request.what.is_empty() {
        return 0.0;
    }
    let groups = request.each.len().max(1);
    let work = cost(request, &Size { parameters, groups });
    let worth = |cost: Cost| {
        cost.losses as f64 + GRADIENT * cost.gradients as f64 + PRODUCT * cost.products as f64
    };
    worth(work.own.least) + double * worth(work.double.least)
}
