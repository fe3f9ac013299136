//! `flatness measure`: the curvature of a checkpoint, or of a run in its own setting.

mod origin;
mod pictures;
mod table;

use anyhow::{Result, bail};
use flatness_data::Examples;
use flatness_engine::{JournalFile, Subject, Weights};
use flatness_models::checkpoint;
use flatness_records::{
    BatchNorm, DataRecord, Dtype, Measured, ModelRecord, ModelSpec, Request, Split, Streams, What,
};
use serde::Serialize;

use crate::arguments::MeasureOptions;
use crate::evaluation;
use crate::measuring::{self, Limits};
use crate::output::{put, say};
use crate::progress::Progress;
use crate::setting::{Machine, Model};
use crate::source;

use origin::Origin;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a ModelRecord,
    data: &'a DataRecord,
    request: &'a Request,
    seed: u64,
    /// Share of the examples that are classified correctly.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(flatten)]
    measured: &'a Measured,
    /// Files written to `--out`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
}

pub(crate) fn measure(options: &MeasureOptions) -> Result<()> {
    let origin = Origin::find(&options.checkpoint, options.ignore_run)?;
    let request = options.request.request(origin.request());
    check(options, &request)?;
    let file = origin.checkpoint.display().to_string();
    let mut checkpoint = checkpoint::read(&origin.checkpoint)?;
    if let Some(entry) = &options.entry {
        checkpoint = checkpoint.entry(entry, &file)?;
    }
    let Some(name) = options.model.as_deref().or(checkpoint.model()) else {
        bail!("{file} does not name its model; give --model");
    };
    let seed_of_run = origin.spec().map_or(0, |spec| spec.seed);
    let data = options.data.spec(origin.data());
    if request.split == Split::Validation && data.validation_examples == 0 {
        bail!(
            "--split validation needs --validation-examples, which says how many training examples were held out"
        );
    }
    // The subset is that of the run, whatever the seed of the probes.
    let streams = Streams::new(seed_of_run);
    let splits = source::load(&data, streams, options.data.data.as_deref(), name)?;
    if options.data.data_set.is_none() {
        origin.hold(splits.digest())?;
    }
    let examples = splits.get(request.split)?;
    let spec = ModelSpec {
        name: name.to_owned(),
        dtype: Dtype::F32,
        dropout: true,
    };
    let mut model = Model::new(&spec, examples)?;
    let theta = checkpoint.parameters(&model.network, &file)?;
    let place = checkpoint.place(&model.network, &file)?;
    if let Some(place) = place.filter(|_| !options.output.quiet) {
        say(&format!("{file}: {place}"));
    }
    model.dtype = match (options.dtype, theta.dtype()) {
        (Some(dtype), _) => dtype,
        (None, candle_core::DType::F64) => Dtype::F64,
        (None, _) => Dtype::F32,
    };
    let buffers = match request.batch_norm {
        BatchNorm::Frozen => checkpoint.buffers(&model.network, &file)?,
        BatchNorm::Batch => theta.narrow(0, 0, 0)?,
    };
    let machine = Machine::new(&options.computing, options.vector_memory)?;
    let weights = Weights { theta, buffers }.to(model.dtype(), &machine.device)?;
    let seed = options.seed.unwrap_or(seed_of_run);
    let decay = origin
        .spec()
        .map(|spec| spec.train.optimizer.weight_decay().0);
    let subject = Subject {
        network: &model.network,
        weights: &weights,
        initial: None,
        examples,
        loss: flatness_layers::Loss::CrossEntropy,
        weight_decay: decay.unwrap_or(0.0),
    };
    let (split, sizes) = (request.split.name(), splits.sizes());
    let identity = format!("{} {split} {sizes:?} {seed_of_run}", splits.identity());
    let journal = options.journal.as_ref();
    let limits = Limits {
        time: options.time_limit,
        journal: journal.map(|path| JournalFile {
            path,
            identity: &identity,
        }),
    };
    let (progress, probes) = (Progress::new(options.output.quiet), Streams::new(seed));
    let found = measuring::measure(&subject, &request, probes, &machine, &limits, progress)?;
    let accuracy = match request.batch_norm {
        BatchNorm::Batch => None,
        BatchNorm::Frozen => {
            let frozen = model.measured(BatchNorm::Frozen, &weights.buffers)?;
            let part = flatness_engine::part(&subject, &request, probes)?;
            let examples = part.as_ref().map_or(examples as &dyn Examples, |part| part);
            Some(evaluation::over(&model, &frozen, examples, &machine, &weights)?.accuracy)
        }
    };
    let (record, data) = (model.record(request.batch_norm), splits.record());
    let mut report = Report {
        model: &record,
        data: &data,
        request: &request,
        seed,
        accuracy,
        measured: &found.measured,
        files: Vec::new(),
    };
    // The numbers come before the files: a full disk must not lose them.
    if !options.output.json {
        put(table::table(&report).trim_end())?;
    }
    let drawn = options.out.as_ref().map_or(Ok(Vec::new()), |out| {
        let title = format!("{}, {}", record.name, examples.name());
        pictures::draw(&found, &title, out)
    });
    if options.output.json {
        report.files = drawn.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
        put(&serde_json::to_string(&report)?)?;
    }
    for file in drawn?.iter().filter(|_| !options.output.json) {
        progress.say(file);
    }
    Ok(found.remove_journals()?)
}

/// Refuses options that contradict themselves, before anything is read.
fn check(options: &MeasureOptions, request: &Request) -> Result<()> {
    if let Some((field, expected, got)) = request.problem() {
        let option = field.replace('_', "-");
        bail!("--{option} must be {expected}, got {got}");
    }
    let limit = options.time_limit;
    if let Some(limit) = limit.filter(|limit| !(limit.is_finite() && *limit > 0.0)) {
        bail!("--time-limit must be a positive number, got {limit}");
    }
    if options.out.is_none() && request.what.contains(&What::Landscape) {
        bail!("--what landscape is a picture; give --out DIR to have it");
    }
    Ok(())
}
