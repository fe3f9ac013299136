//! `flatness measure`: the curvature of a checkpoint, or of a run in its own setting.

mod origin;
mod pictures;
mod setting;
mod table;

use anyhow::{Result, bail};
use flatness_data::Examples;
use flatness_engine::{JournalFile, Subject};
use flatness_records::{BatchNorm, DataRecord, Measured, ModelRecord, Request, Streams, What};
use serde::Serialize;

use crate::arguments::MeasureOptions;
use crate::evaluation;
use crate::measuring::{self, Limits};
use crate::output::put;
use crate::progress::Progress;
use crate::ranks::{self, is_silent};
use crate::setting::Machine;

use origin::Origin;
use setting::Setting;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a ModelRecord,
    data: &'a DataRecord,
    loss_function: String,
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
    let setting = Setting::of(options, &origin, &request)?;
    let machine = Machine::new(&options.computing, options.vector_memory)?.shared();
    let Setting {
        model, examples, ..
    } = &setting;
    ranks::agree(&machine.workers, model, &setting.identity)?;
    let weights = setting.weights.to(model.dtype(), &machine.device)?;
    let seed_of_run = origin.spec().map_or(0, |spec| spec.seed);
    let seed = options.seed.unwrap_or(seed_of_run);
    let subject = Subject {
        network: &model.network,
        weights: &weights,
        initial: None,
        examples: examples.as_ref(),
        loss: model.loss.loss(),
        weight_decay: setting.weight_decay,
    };
    let identity = &setting.identity;
    let journal = options.journal.as_ref();
    let limits = Limits {
        time: options.time_limit,
        journal: journal.map(|path| JournalFile { path, identity }),
    };
    let out = options.out.as_deref().filter(|_| !is_silent());
    let made = out.map_or(Ok(()), pictures::make);
    if machine.workers.says(made.is_err())? {
        return made.and_then(|()| bail!("the first process cannot write to --out"));
    }
    let (progress, probes) = (Progress::new(options.output.quiet), Streams::new(seed));
    let found = measuring::measure(&subject, &request, probes, &machine, &limits, progress)?;
    let accuracy = match request.batch_norm {
        BatchNorm::Frozen if examples.is_classified() => {
            let frozen = model.measured(BatchNorm::Frozen, &weights.buffers)?;
            let part = flatness_engine::part(&subject, &request, probes)?;
            let examples = part
                .as_ref()
                .map_or(examples.as_ref(), |part| part as &dyn Examples);
            evaluation::over(model, &frozen, examples, &machine, &weights)?.accuracy
        }
        _ => None,
    };
    let classes = examples.classes();
    let guessed =
        accuracy.filter(|&accuracy| is_chance(accuracy, classes, found.measured.examples));
    if let Some(accuracy) = guessed {
        progress.say(&format!(
            "warning: an accuracy of {:.2} % is no better than chance; were the weights trained with another normalisation \
             (--mean, --deviation), or on other data?",
            100.0 * accuracy
        ));
    }
    let record = model.record(request.batch_norm);
    let mut report = Report {
        model: &record,
        data: &setting.data,
        loss_function: model.loss.spec.to_string(),
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
    let drawn = out.map_or(Ok(Vec::new()), |out| {
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

/// Whether `accuracy` over so many examples is what guessing would have, within three standard errors.
fn is_chance(accuracy: f64, classes: usize, examples: usize) -> bool {
    let chance = 1.0 / classes as f64;
    let error = (chance * (1.0 - chance) / examples as f64).sqrt();
    accuracy <= chance + 3.0 * error
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
    // A reader of JSON sees that there are no files.
    let shown = options.out.is_some() && !options.output.json;
    if shown && !request.what.iter().any(pictures::has_file) {
        bail!(
            "--out is for the files of density, diagonal and landscape; ask for one of them with --what, or leave it out"
        );
    }
    Ok(())
}
