//! `flatness run`: train and measure what a spec asks for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flatness_models::checkpoint;
use flatness_records::{BatchNorm, Iterate, Measurement, Outcome, Record, Run, Spec, Training};

use crate::arguments::{Computing, Output, Places, RunOptions};
use crate::evaluation::evaluate;
use crate::measurement::{
    Detail, Instrument, exact_spectrum, keskar, perturbations, rescaling, scaling,
};
use crate::output::put;
use crate::progress::Progress;
use crate::run_directory::{self, Position, RunDirectory};
use crate::setting::{Machine, Model, Weights};
use crate::source::{self, Splits};
use crate::training::{Interrupted, Interruption, Trained, Trainer};
use crate::{device, environment};

pub(crate) fn run(options: &RunOptions) -> Result<()> {
    let origin = options.spec.display().to_string();
    let text = std::fs::read_to_string(&options.spec)
        .with_context(|| format!("cannot read the spec {origin}"))?;
    let run = Spec::from_toml(&text, &origin)?.validate(&origin)?;
    execute(&run, &options.places, &options.computing, options.output)
}

/// Does a run, or finds it done, and prints its outcome.
pub(crate) fn execute(
    run: &Run,
    options: &Places,
    computing: &Computing,
    output: Output,
) -> Result<()> {
    let progress = Progress::new(output.quiet);
    let runs = options.runs.as_path();
    let spec = run.spec();
    let directory = options.data.as_deref();
    let splits = source::load(&spec.data, run.streams(), directory, &spec.model.name)?;
    let record = match run_directory::finished(runs, run)? {
        Some(record) => {
            if record.data.digest != splits.digest() {
                bail!(
                    "{} was made from other data ({}, digest {}); give another directory for the runs",
                    run_directory::record_path(runs, run).display(),
                    record.data.source,
                    record.data.digest
                );
            }
            record
        }
        None => {
            let done = work(run, options, &splits, &Machine::new(computing)?, progress);
            done.map_err(end_if_interrupted)?
        }
    };
    if output.json {
        put(&serde_json::to_string(&record)?)?;
    } else {
        progress.say(&summary(&record, &run_directory::record_path(runs, run)));
    }
    match record.outcome {
        Outcome::Completed => Ok(()),
        Outcome::Diverged {
            epoch,
            learning_rate,
            step,
            loss,
            parameter_norm,
        } => {
            // Records of former versions lack these.
            let step = step.map(|step| format!("step {step}"));
            let loss = loss.map(|loss| format!("loss {loss:?}"));
            let norm = parameter_norm.map(|norm| format!("parameter norm {norm:?}"));
            let known: Vec<String> = [step, loss, norm].into_iter().flatten().collect();
            bail!(
                "training diverged in epoch {epoch} at learning rate {learning_rate:?} ({}): loss or parameters are \
                 not finite; the parameters before that epoch are in {}; lower train.optimizer.learning_rate",
                known.join(", "),
                runs.join(run.id()).join("checkpoint.safetensors").display()
            )
        }
    }
}

/// Ends the process by the exit code of the signal, if one has ended the run.
fn end_if_interrupted(error: anyhow::Error) -> anyhow::Error {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        eprintln!("{interrupted}");
        std::process::exit(interrupted.exit_code());
    }
    error
}

fn work(
    run: &Run,
    options: &Places,
    splits: &Splits,
    machine: &Machine,
    progress: Progress,
) -> Result<Record> {
    let spec = run.spec();
    let device_name = device::name(&machine.device);
    let threads = machine.workers.threads();
    let command = command(run, options, threads, &device_name);
    let provenance = environment::provenance(threads, device_name, command);
    let model = Model::new(&spec.model, &splits.train)?;
    let batch_size = spec.train.batch_size;
    let examples = splits.train.len();
    if batch_size > examples {
        bail!(
            "train.batch_size must be at most the {examples} training examples, got {batch_size}"
        );
    }
    let directory = RunDirectory::open(&options.runs, run, &options.telemetry)?;
    tracing::info!(
        spec = run.id(),
        seed = spec.seed,
        threads,
        device = provenance.device,
        "start"
    );
    let mean_loss = model.mean_loss(&model.network, &splits.train, machine, batch_size)?;
    let initial = model.initial(run.streams().seed("init"), &machine.device)?;
    let instrument = spec.measure.as_ref().map(|spec| Instrument {
        model: &model,
        splits,
        machine,
        spec,
        streams: run.streams(),
        progress,
        initial: &initial,
    });
    if let Some(instrument) = &instrument {
        instrument.check()?;
    }
    let measure = |epoch: u32, weights: &_| match &instrument {
        None => Ok(0.0),
        Some(instrument) => {
            let made = directory.measurements()?;
            if let Some(made) = made.iter().find(|made| made.epoch == epoch) {
                return Ok(made.seconds);
            }
            let measurement = instrument.measure(epoch, Iterate::Last, weights, Detail::Path)?;
            directory.add_measurement(&measurement)?;
            Ok(measurement.seconds)
        }
    };
    let interruption = Interruption::watch()?;
    let trainer = Trainer {
        run,
        mean_loss: &mean_loss,
        examples: &splits.train,
        directory: &directory,
        save_every: Duration::from_secs(options.save_every),
        progress,
        interruption: &interruption,
        evaluate: &|weights| evaluate(&model, splits, machine, batch_size, weights),
    };
    let encode = |weights: &Weights| {
        checkpoint::encode(
            &model.network,
            &weights.theta,
            &weights.buffers,
            &model.name,
        )
    };
    let Trained {
        weights,
        average,
        position,
        outcome,
    } = trainer.train(&initial, measure)?;
    directory.write_checkpoint(&encode(&weights)?)?;
    if let Some(average) = &average {
        directory.write_average(&encode(average)?)?;
    }
    let batch_norm = spec
        .measure
        .as_ref()
        .map_or(BatchNorm::Frozen, |measure| measure.batch_norm);
    let mut record = Record {
        id: run.id(),
        spec: spec.clone(),
        provenance,
        data: splits.record(spec.measure.as_ref().map(|measure| measure.split)),
        model: model.record(batch_norm),
        training: training(position, 0.0),
        measurements: directory.measurements()?,
        scaling: Vec::new(),
        perturbations: Vec::new(),
        exact_spectrum: None,
        keskar: Vec::new(),
        rescaling: Vec::new(),
        outcome,
    };
    if let (Some(instrument), Outcome::Completed) = (&instrument, &record.outcome) {
        let started = Instant::now();
        let epoch = position.epoch;
        let last = instrument.measure(epoch, Iterate::Last, &weights, Detail::Full)?;
        directory.show(&last)?;
        record.measurements.push(last);
        if let Some(average) = &average {
            let average = instrument.measure(epoch, Iterate::Average, average, Detail::Full)?;
            directory.show(&average)?;
            record.measurements.push(average);
        }
        let finished = average.as_ref().unwrap_or(&weights);
        record.scaling = scaling(instrument, finished)?;
        if let Some(perturbation) = &instrument.spec.perturbation {
            record.perturbations = perturbations(instrument, perturbation, finished)?;
        }
        if let Some(exact) = &instrument.spec.exact_spectrum {
            record.exact_spectrum = Some(exact_spectrum(instrument, exact, finished)?);
        }
        if let Some(spec) = &instrument.spec.keskar {
            record.keskar = keskar(instrument, spec, finished)?;
        }
        if let Some(spec) = &instrument.spec.rescaling {
            record.rescaling = rescaling(instrument, spec, finished)?;
        }
        record.training = training(position, started.elapsed().as_secs_f64());
    }
    directory.finish(&record)?;
    Ok(record)
}

fn training(position: Position, measure_seconds: f64) -> Training {
    Training {
        steps: position.steps,
        train_seconds: position.train_seconds,
        measure_seconds: position.measure_seconds + measure_seconds,
        peak_rss_mib: environment::peak_rss_mib(),
    }
}

/// The command that makes the record again.
fn command(run: &Run, options: &Places, threads: usize, device: &str) -> String {
    let runs = &options.runs;
    let spec = runs.join(run.id()).join("spec.toml");
    let data = options
        .data
        .as_ref()
        .map_or_else(String::new, |data| format!(" --data {}", data.display()));
    format!(
        "flatness run {} --runs {}{data} --device {device} --threads {threads}",
        spec.display(),
        runs.display()
    )
}

fn summary(record: &Record, path: &Path) -> String {
    let Record {
        model,
        data,
        training,
        ..
    } = record;
    let mut lines = vec![format!(
        "{} ({} parameters) on {} training examples of {data}",
        model.name, model.parameters, data.train_examples
    )];
    if let Some(Measurement {
        train_loss,
        train_accuracy,
        test_accuracy,
        matrices,
        ..
    }) = record.measurements.last()
    {
        lines.push(format!(
            "train loss {train_loss:.5}, train accuracy {:.2} %, test accuracy {:.2} %",
            100.0 * train_accuracy,
            100.0 * test_accuracy
        ));
        lines.extend(matrices.iter().map(super::measure::line));
    }
    lines.push(format!(
        "trained {:.1} s, measured {:.1} s; {}",
        training.train_seconds,
        training.measure_seconds,
        path.display()
    ));
    lines.join("\n")
}
