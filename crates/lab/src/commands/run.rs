//! `flatness run`: train and measure what a spec asks for.

mod estimate;
mod following;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use flatness_engine::Weights;
use flatness_records::{
    BatchNorm, Dtype, EpochEvaluation, Error, Hits, Iterate, Measurement, Outcome, Provenance,
    Record, Run, Segment, Spec, SplitEvaluation, Training,
};
use sha2::{Digest, Sha256};

use crate::arguments::{Computing, Output, Places, RunOptions};
use crate::evaluation::evaluate;
use crate::measuring::{Instrument, Point};
use crate::output::{put, say, sentence};
use crate::progress::{Progress, duration};
use crate::run_directory::{Found, Origin, RunDirectory, finished};
use crate::setting::{Machine, Model, Task};
use crate::source::Splits;
use crate::training::{self, Interrupted, Setup, Trained, Trainer};
use crate::{device, environment, ranks};

pub(crate) fn run(options: &RunOptions) -> Result<()> {
    if ranks::is_silent() {
        return following::follow(options);
    }
    let runs = options.specs.iter().map(|spec| read(spec));
    if options.dry_run {
        return estimate::estimate(&runs.collect::<Result<Vec<_>>>()?, options);
    }
    let execute = |run: &Run| execute(run, &options.places, &options.computing, options.output);
    if let [spec] = options.specs.as_slice() {
        return execute(&read(spec)?);
    }
    let complain = |kind: &str, spec: &Path, error: &anyhow::Error| {
        let (spec, sentence) = (spec.display().to_string(), sentence(error));
        let place = match sentence.contains(&spec) {
            true => String::new(),
            false => format!("{spec}: "),
        };
        say(&format!("{kind}: {place}{sentence}"));
    };
    let mut failed = 0;
    let mut left = Vec::new();
    // Whether another process has it.
    let mut is_left = |spec: &Path, done: Result<()>| {
        let Err(error) = done else {
            return false;
        };
        let is_in_use = matches!(error.downcast_ref(), Some(Error::InUse { .. }));
        failed += usize::from(!is_in_use);
        complain(if is_in_use { "warning" } else { "error" }, spec, &error);
        is_in_use
    };
    for (spec, run) in options.specs.iter().zip(runs) {
        match run {
            Err(error) => drop(is_left(spec, Err(error))),
            Ok(run) => {
                if is_left(spec, execute(&run)) {
                    left.push((spec, run));
                }
            }
        }
    }
    // Who had them may have ended, or been killed.
    left.retain(|(spec, run)| is_left(spec, execute(run)));
    let (all, left) = (options.specs.len(), left.len());
    let again = "in use by other processes; repeat the command once these have ended";
    match (failed, left) {
        (0, 0) => Ok(()),
        (0, left) => bail!("{left} of {all} runs are {again}"),
        (failed, 0) => bail!("{failed} of {all} runs failed"),
        (failed, left) => bail!("{failed} of {all} runs failed, and {left} are {again}"),
    }
}

fn read(spec: &Path) -> Result<Run> {
    let origin = spec.display().to_string();
    let mut text = String::new();
    let file = File::open(spec).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    let length = file.with_context(|| format!("cannot read the spec {origin}"))?;
    if length as u64 == LONGEST {
        bail!(
            "{origin} is no spec: it is longer than {} MiB",
            LONGEST >> 20
        );
    }
    Ok(Spec::from_toml(&text, &origin)?.validate(&origin)?)
}

/// Bytes of a file that is no spec.
const LONGEST: u64 = 16 << 20;

/// Does a run, or finds it done, and prints its outcome.
pub(crate) fn execute(
    run: &Run,
    places: &Places,
    computing: &Computing,
    output: Output,
) -> Result<()> {
    let progress = Progress::new(output.quiet);
    let spec = run.spec();
    let Task {
        splits,
        model,
        notes,
    } = Task::of(spec, places.data.as_deref())?;
    notes.iter().for_each(|note| progress.say(note));
    let (batch_size, examples) = (spec.train.batch_size, splits.train.len());
    if batch_size > examples {
        bail!(
            "train.batch_size must be at most the {examples} training examples, got {batch_size}"
        );
    }
    if spec.train.augmentation.is_some() && splits.images.is_none() {
        bail!(
            "train.augmentation changes images of data sets, and {} holds tensors; leave it out",
            splits.train.name()
        );
    }
    if let Some(request) = &spec.measure {
        splits.get(request.split)?;
    }
    // All that can be refused is, before anything is written; the memory of a device is known once it is open.
    if computing.device == "cpu" {
        check_tf32(spec, &Device::Cpu)?;
        training::check_memory(spec, &model.network, environment::memory())?;
    }
    let data = splits.record();
    let origin = Origin {
        run: run.id(),
        data: data.digest.clone(),
        normalization: [&data.mean, &data.deviation].map(Vec::clone),
        network: model.file.as_ref().map(|file| file.digest.clone()),
    };
    let is_done = |record: Box<Record>| {
        let when = &record.provenance.finished;
        progress.say(&format!("finished before, at {when}; nothing was done"));
        *record
    };
    let record = match finished(&places.runs, run, &origin)? {
        Some(record) => is_done(record),
        None => {
            let machine = Machine::new(computing, None)?;
            check_tf32(spec, &machine.device)?;
            training::check_memory(spec, &model.network, machine.memory)?;
            let shared = machine.shared();
            let initial = model.initial(run.streams().seed("init"), &machine.device)?;
            let instrument = Instrument::of(run, &model, &splits, &shared, &initial, progress);
            if let Some(instrument) = &instrument {
                following::check(instrument)?;
            }
            match RunDirectory::open(&places.runs, run, origin, places.log_level)? {
                Found::Finished(record) => is_done(record),
                Found::Open(directory) => {
                    let ready = Ready {
                        run,
                        model: &model,
                        splits: &splits,
                        places,
                        machine: &machine,
                        initial: &initial,
                        instrument,
                        directory: &directory,
                        progress,
                    };
                    ready.work().map_err(end_if_interrupted)?
                }
            }
        }
    };
    let directory = places.runs.join(run.id());
    if output.json {
        put(&serde_json::to_string(&record)?)?;
    } else {
        for line in summary(&record) {
            progress.say(&line);
        }
        progress.say(&format!("next: flatness measure {}", directory.display()));
    }
    match record.outcome {
        Outcome::Completed => Ok(()),
        Outcome::Diverged {
            epoch,
            learning_rate,
            step,
            loss,
            parameter_norm,
        } => bail!(
            "training diverged in epoch {epoch} at learning rate {learning_rate:?} (step {step}, loss {loss:?}, \
             parameter norm {parameter_norm:?}): loss or parameters are not finite; the last parameters before that \
             are in {}; lower train.optimizer.learning_rate (--learning-rate)",
            directory.join("checkpoint.safetensors").display()
        ),
    }
}

/// Refuses TF32 where there is none.
fn check_tf32(spec: &Spec, device: &Device) -> Result<()> {
    if spec.train.tf32 && (device.is_cpu() || spec.model.dtype != Dtype::F32) {
        bail!(
            "train.tf32 (--tf32) must be left out but for model.dtype f32 on a CUDA device, got {} on {}",
            format!("{:?}", spec.model.dtype).to_lowercase(),
            device::name(device)
        );
    }
    Ok(())
}

/// Ends the process by the exit code of the signal, 130 or 143 as a shell would say, if one has ended the run.
fn end_if_interrupted(error: anyhow::Error) -> anyhow::Error {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        say(&interrupted.to_string());
        ranks::part(false);
        ranks::leave();
        std::process::exit(128 + interrupted.signal);
    }
    error
}

/// A run that nothing refuses any more, in its directory.
struct Ready<'a> {
    run: &'a Run,
    model: &'a Model,
    splits: &'a Splits,
    places: &'a Places,
    machine: &'a Machine,
    initial: &'a Weights,
    /// Where something is measured.
    instrument: Option<Instrument<'a>>,
    directory: &'a RunDirectory,
    progress: Progress,
}

impl Ready<'_> {
    fn work(&self) -> Result<Record> {
        let Self {
            run,
            model,
            splits,
            places,
            machine,
            directory,
            ..
        } = *self;
        let spec = run.spec();
        let batch_size = spec.train.batch_size;
        let segment = self.segment();
        tracing::info!(
            spec = run.id(),
            seed = spec.seed,
            threads = segment.threads,
            device = segment.device,
            "start"
        );
        let command = command(run, places, &segment);
        let examples = splits.train.as_ref();
        let mean_loss = model.mean_loss(&model.network, examples, machine, batch_size)?;
        let evaluate = |weights: &Weights| evaluate(model, splits, machine, weights);
        let measure = |epoch: u32, weights: &Weights| -> Result<f64> {
            let Some(instrument) = &self.instrument else {
                return Ok(0.0);
            };
            let evaluate = || Ok(evaluate(weights)?.splits);
            let of = (Iterate::Last, weights);
            let measured = self.measurement(instrument, (epoch, Point::Along), of, evaluate)?;
            Ok(measured.seconds)
        };
        training::listen()?;
        if places.until_eof {
            training::listen_to_input()?;
        }
        let setup = Setup {
            run,
            mean_loss: &mean_loss,
            images: splits.images.as_ref(),
            directory,
            segment,
            save_every: Duration::from_secs(places.save_every),
            progress: self.progress,
            evaluate: &evaluate,
            measure: &measure,
        };
        let Trained {
            weights,
            evaluation,
            average,
            position,
            segments,
            outcome,
        } = Trainer::new(setup, self.initial)?.train()?;
        let write = |name: &str, weights: &Weights| {
            directory.write(name, &model.encode(weights, &spec.model)?)
        };
        write("checkpoint.safetensors", &weights)?;
        if let Some((average, _)) = &average {
            write("average.safetensors", average)?;
        }
        let mut measure_seconds = position.measure_seconds;
        if let (Some(instrument), Outcome::Completed) = (&self.instrument, &outcome) {
            let average = average.as_ref();
            let average = average.map(|(average, of)| (Iterate::Average, average, of.splits));
            let last = (Iterate::Last, &weights, evaluation.splits);
            for (iterate, weights, evaluation) in [last].into_iter().chain(average) {
                let (at, of) = ((position.epoch, Point::End), (iterate, weights));
                let measured = self.measurement(instrument, at, of, || Ok(evaluation))?;
                measure_seconds += measured.seconds;
            }
        }
        let batch_norm = (spec.measure.as_ref()).map_or(BatchNorm::Frozen, |spec| spec.batch_norm);
        let steps_per_epoch = examples.len().div_ceil(batch_size) as u64;
        let record = Record {
            id: run.id(),
            spec: spec.clone(),
            outcome,
            provenance: Provenance {
                rustc: env!("FLATNESS_RUSTC").to_owned(),
                command,
                segments,
                finished: environment::now(),
            },
            data: splits.record().clone(),
            model: model.record(batch_norm),
            training: Training {
                steps: position.steps,
                dose: training::dose(&spec.train, steps_per_epoch, position.steps)?,
                train_seconds: position.train_seconds,
                measure_seconds,
                peak_rss_mib: environment::peak_rss_mib(),
            },
            evaluation: evaluation.splits,
            average_evaluation: average.as_ref().map(|(_, average)| average.splits),
            test_correct: average
                .map_or(evaluation, |(_, average)| average)
                .hits
                .map(|hits| Hits::from(&hits[..])),
            measurements: directory.measurements()?,
            files: directory.digests()?,
        };
        directory.finish(&record)?;
        Ok(record)
    }

    /// This program on this machine.
    fn segment(&self) -> Segment {
        let shared = self.machine.shared();
        let (threads, ranks) = (shared.workers.threads(), shared.workers.ranks());
        environment::segment(threads, ranks, device::name(&self.machine.device))
    }

    /// What is measured of these weights after so many epochs: as it was written down before, or made and written down, with its
    /// products in a journal until then.
    fn measurement(
        &self,
        instrument: &Instrument<'_>,
        (epoch, point): (u32, Point),
        (iterate, weights): (Iterate, &Weights),
        evaluate: impl FnOnce() -> Result<EpochEvaluation>,
    ) -> Result<Measurement> {
        let made = self.directory.measurements()?.into_iter();
        let mut made = made.filter(|made| (made.epoch, made.weights) == (epoch, iterate));
        if let Some(made) = made.next() {
            return Ok(made);
        }
        let evaluation = evaluate()?;
        let started = Instant::now();
        let journal = self.journal(epoch, weights)?;
        let instrument = Instrument {
            journal: &journal,
            ..*instrument
        };
        let measure = || following::measure(&instrument, point, weights);
        let is_foreign = |error: &anyhow::Error| {
            let error: Option<&flatness_engine::Error> = error.downcast_ref();
            error.is_some_and(flatness_engine::Error::is_of_a_foreign_journal)
        };
        // With other memory for vectors, others may be asked for. Of several processes one alone has failed, which ends all.
        let measured = match measure() {
            Err(error) if is_foreign(&error) && instrument.machine.workers.ranks() == 1 => {
                say(&format!("warning: {}; it is removed", sentence(&error)));
                self.directory.keep_journals(None)?;
                measure()?
            }
            measured => measured?,
        };
        let measurement = Measurement {
            epoch,
            weights: iterate,
            evaluation,
            measured,
            seconds: started.elapsed().as_secs_f64(),
        };
        self.directory.add_measurement(&measurement)?;
        tracing::info!(epoch, seconds = measurement.seconds, "measured");
        Ok(measurement)
    }

    /// Where the products at these weights are written down. Elsewhere they have other bits, and another journal.
    fn journal(&self, epoch: u32, weights: &Weights) -> Result<PathBuf> {
        let segment = Segment {
            started: String::new(),
            ..self.segment()
        };
        let mut hash = Sha256::new_with_prefix(serde_json::to_string(&segment)?);
        hash.update(self.model.encode(weights, &self.run.spec().model)?);
        let digest = hash.finalize();
        let digest = digest[..8].iter().map(|byte| format!("{byte:02x}"));
        self.directory
            .journal(&format!("{epoch}-{}", digest.collect::<String>()))
    }
}

/// The command that makes the record again.
fn command(run: &Run, places: &Places, segment: &Segment) -> String {
    let runs = &places.runs;
    let spec = runs.join(run.id()).join("spec.toml");
    let data = (places.data.as_ref())
        .map_or_else(String::new, |data| format!(" --data {}", data.display()));
    let Segment {
        threads,
        ranks,
        device,
        ..
    } = segment;
    let among = match ranks {
        1 => String::new(),
        ranks => format!("mpirun -n {ranks} "),
    };
    format!(
        "{among}flatness run {} --runs {}{data} --device {device} --threads {threads}",
        spec.display(),
        runs.display()
    )
}

/// What came out, a line each: how good the network is, how sharp, what it took.
fn summary(record: &Record) -> Vec<String> {
    let Record {
        model,
        data,
        training,
        ..
    } = record;
    let mut lines = vec![
        format!(
            "{} ({} parameters) on {} training examples of {data}",
            model.name, model.parameters, data.train_examples
        ),
        evaluated("", &record.evaluation),
    ];
    lines.extend(
        (record.average_evaluation.iter()).map(|of| evaluated("average of the iterates: ", of)),
    );
    for matrix in (record.measurements.last().iter()).flat_map(|last| &last.measured.matrices) {
        let numbers = matrix
            .numbers
            .iter()
            .map(|(name, number)| format!("{name} {}", super::compare::with_error(number)));
        let numbers: Vec<String> = numbers.collect();
        lines.push(format!("{}: {}", matrix.matrix.name(), numbers.join(", ")));
    }
    lines.push(format!(
        "trained {}, measured {}",
        duration(training.train_seconds),
        duration(training.measure_seconds)
    ));
    lines
}

fn evaluated(of: &str, evaluation: &EpochEvaluation) -> String {
    let split = |name, split: &SplitEvaluation| {
        let accuracy = split.accuracy;
        let accuracy = accuracy.map(|share| format!(", accuracy {:.2} %", 100.0 * share));
        let accuracy = accuracy.unwrap_or_default();
        format!("{name} loss {:.5}{accuracy}", split.loss)
    };
    let EpochEvaluation { train, test, .. } = evaluation;
    let test = test.as_ref();
    let test = test.map_or_else(|| "no test set".to_owned(), |test| split("test", test));
    format!("{of}{}; {test}", split("train", train))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_no_spec() {
        let error = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(error, "/dev/zero is no spec: it is longer than 16 MiB");
    }
}
