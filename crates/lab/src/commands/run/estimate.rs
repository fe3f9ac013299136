//! `flatness run --dry-run`: what runs will take on one core or on the device, without training.
//!
//! ```text
//! seconds = passes · examples · seconds of a gradient's example / 3
//! ```
//!
//! A forward pass is one, a gradient three, a product with a kept linearisation four, and twice that in double precision. The
//! gradient is timed here and now, on some of the run's own examples; on a device on a whole batch, which takes as long as its
//! kernels take to launch where the network is small, whatever the examples. Measurements count with the least that they take
//! (`engine::cost`): most end there, since what is random is small once the large eigenvalues are known. The rules of
//! optimisers are elementwise and count nothing.

use std::time::Instant;

use anyhow::Result;
use flatness_engine::{Size, cost};
use flatness_layers::ParamLayout;
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

/// Multiply-adds of the examples that are timed on a core, at least one and at most a batch: a tenth of a second or so.
const TIMED: f64 = 1e9;

/// Gradients that are timed, after one that is not; the fastest counts.
const TRIES: usize = 3;

/// What a run will take.
#[derive(Debug, Serialize)]
struct Estimate {
    id: String,
    model: String,
    parameters: usize,
    /// On one core, or on the device.
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
            None => {
                let pass = pass(&model, splits, &machine, batch_size)?;
                timed.push((spec.model.clone(), batch_size, pass));
                pass
            }
        };
        estimates.push(one(run, splits, &model, pass)?);
    }
    if options.output.json {
        return put(&serde_json::to_string(&estimates)?);
    }
    let place = match machine.device.is_cpu() {
        true => "one core",
        false => "the device",
    };
    for one in &estimates {
        let Estimate {
            id,
            model,
            parameters,
            seconds,
        } = one;
        let time = duration(*seconds);
        put(&format!(
            "{id}  {model} of {parameters} parameters  about {time} on {place}"
        ))?;
    }
    Ok(())
}

/// Seconds of a forward pass of one example, of a batch of so many.
fn pass(model: &Model, splits: &Splits, machine: &Machine, batch_size: usize) -> Result<f64> {
    let mean_loss = model.mean_loss(&model.network, splits.train.as_ref(), machine, batch_size)?;
    let theta = model.initial(0, &machine.device)?.theta;
    let most = machine.device.is_cpu().then_some(TIMED);
    let examples = timed_examples(model.network.multiply_adds(), batch_size, most);
    let batch: Vec<u32> = (0..).take(examples).collect();
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

/// Examples of a batch that are timed, of so many multiply-adds each: all, or those with `most` in all.
fn timed_examples(multiply_adds: u64, batch_size: usize, most: Option<f64>) -> usize {
    most.map_or(batch_size, |most| {
        let fitting = (most / multiply_adds as f64).ceil() as usize;
        fitting.clamp(1, batch_size)
    })
}

fn one(run: &Run, splits: &Splits, model: &Model, pass: f64) -> Result<Estimate> {
    let spec = run.spec();
    let layout = model.network.layout();
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
        let before = along as f64 * passes(&request.before_the_end(), layout, double);
        passes_of_one += (before + iterates * passes(request, layout, double)) * examples;
        if request.what.contains(&flatness_records::What::Spectrum) {
            dense = EIGENVALUES * (layout.dim() as f64).powi(3);
        }
    }
    Ok(Estimate {
        id: run.id(),
        model: spec.model.name.clone(),
        parameters: layout.dim(),
        seconds: passes_of_one * pass + dense,
    })
}

/// Forward passes over the examples that a measurement is worth.
fn passes(request: &Request, layout: &ParamLayout, double: f64) -> f64 {
    if request.what.is_empty() {
        return 0.0;
    }
    let size = Size {
        parameters: layout.dim(),
        groups: groups(request, layout),
    };
    let work = cost(request, &size);
    let worth = |cost: Cost| {
        cost.losses as f64 + GRADIENT * cost.gradients as f64 + PRODUCT * cost.products as f64
    };
    worth(work.own.least) + double * worth(work.double.least)
}

/// Groups of parameters that are measured by themselves, 1 where there are none.
fn groups(request: &Request, layout: &ParamLayout) -> usize {
    match request.each.as_slice() {
        [only] if only == "layer" => layout.layers().len(),
        patterns => patterns.len().max(1),
    }
}

#[cfg(test)]
mod tests {
    use flatness_models::Architecture;

    use super::*;

    #[test]
    fn a_core_times_some_examples_and_a_device_whole_batches() {
        // Those of an image for wrn-28-10, mlp and nothing at all.
        let of = |most| [5_951_175_000, 9_840, 0].map(|each| timed_examples(each, 128, most));
        assert_eq!(of(Some(TIMED)), [1, 128, 128]);
        assert_eq!(of(None), [128; 3]);
        assert_eq!(timed_examples(247_670_000, 128, Some(TIMED)), 5);
    }

    #[test]
    fn each_layer_is_a_group_and_so_is_each_pattern() {
        let network = Architecture::find("mlp").unwrap();
        let network = network.network(&[1, 28, 28], 10).unwrap();
        let groups = |each: &[&str]| {
            let each = each.iter().map(|&pattern| pattern.to_owned()).collect();
            let request = Request {
                each,
                ..Request::default()
            };
            groups(&request, network.layout())
        };
        assert_eq!(groups(&[]), 1);
        assert_eq!(groups(&["layer"]), 3);
        assert_eq!(groups(&["fc0.*", "*.bias"]), 2);
    }
}
