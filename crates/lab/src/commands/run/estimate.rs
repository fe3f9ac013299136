//! `flatness run --dry-run`: what runs will take on one core, without training.
//!
//! ```text
//! seconds = passes · examples · multiply-adds of an example / rate
//! ```
//!
//! A forward pass is one, a gradient three, a product with a kept linearisation four, and twice that in double precision.
//! Measurements count with the least that they take (`engine::cost`): most end there, since what is random is small once the
//! large eigenvalues are known. The rules of optimisers are elementwise and count nothing.

use anyhow::Result;
use flatness_engine::{Size, cost};
use flatness_records::{Cost, Dtype, Request, Run, Streams};
use serde::Serialize;

use crate::arguments::RunOptions;
use crate::output::put;
use crate::progress::duration;
use crate::setting::Model;
use crate::source::{self, Splits};

/// Multiply-adds a second of one core in the thin float32 products of small networks, elementwise operations included: what
/// logistic regression and the small MLPs reach when both cores of the machine of `docs/PERFORMANCE.md` are busy.
const RATE: f64 = 3e10;

const GRADIENT: f64 = 3.0;
const PRODUCT: f64 = 4.0;

/// Double over single precision.
const DOUBLE: f64 = 2.0;

/// What the eigenvalues of a dense matrix take for each P³, in multiply-adds: 1.3 s for P = 1660 at the rate above.
const EIGENVALUES: f64 = 8.0;

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
    let mut read: Vec<(Run, Splits)> = Vec::new();
    let mut estimates = Vec::new();
    for run in runs {
        let spec = run.spec();
        let like = |(other, _): &&(Run, Splits)| other.spec().data == spec.data;
        if !read.iter().any(|one| like(&one)) {
            let data = options.places.data.as_deref();
            let splits = source::load(&spec.data, Streams::new(spec.seed), data, &spec.model.name)?;
            read.push((run.clone(), splits));
        }
        if let Some((_, splits)) = read.iter().find(like) {
            estimates.push(one(run, splits)?);
        }
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

fn one(run: &Run, splits: &Splits) -> Result<Estimate> {
    let spec = run.spec();
    let model = Model::new(&spec.model, &splits.train)?;
    let parameters = model.network.layout().dim();
    let multiply_adds = model.network.multiply_adds() as f64;
    let width = match spec.model.dtype {
        Dtype::F32 => 1.0,
        Dtype::F64 => DOUBLE,
    };
    let gradients = spec.train.sharpness_aware.map_or(1.0, |_| 2.0);
    let training = width * GRADIENT * gradients * f64::from(spec.train.epochs);
    let mut units = training * splits.train.len() as f64 * multiply_adds;
    if let Some(request) = &spec.measure {
        let split = splits.get(request.split)?.len();
        let examples = request
            .examples
            .or(request.sample)
            .map_or(split, |some| some.min(split)) as f64;
        let iterates = spec.train.average.as_ref().map_or(1.0, |_| 2.0);
        let along = request.before_the_end();
        let before = request.epochs.len() as f64 * passes(&along, parameters, width);
        units +=
            (before + iterates * passes(request, parameters, width)) * examples * multiply_adds;
        if request.what.contains(&flatness_records::What::Spectrum) {
            units += EIGENVALUES * (parameters as f64).powi(3);
        }
    }
    Ok(Estimate {
        id: run.id(),
        model: spec.model.name.clone(),
        parameters,
        seconds: units / RATE,
    })
}

/// Forward passes over the examples that a measurement is worth.
fn passes(request: &Request, parameters: usize, width: f64) -> f64 {
    if request.what.is_empty() {
        return 0.0;
    }
    let groups = request.each.len().max(1);
    let work = cost(request, &Size { parameters, groups });
    let worth = |cost: Cost| {
        cost.losses as f64 + GRADIENT * cost.gradients as f64 + PRODUCT * cost.products as f64
    };
    width * worth(work.own.least) + DOUBLE * worth(work.double.least)
}
