//! The directory of one run: its files, its lock, and the state that a killed run goes on from.
//!
//! `state-<steps>.safetensors` is written between two steps, and the two newest are kept; a damaged
//! one is passed over for the one before. The lines of `metrics.jsonl` and `measurements.jsonl` that
//! are younger than the state are dropped on resuming, and made again.

mod state;

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use flatness_records::{
    EpochMetrics, Measurement, Record, Run, TEMPORARY_PREFIX, append_json_line, read_json,
    read_json_lines, write_atomic, write_json,
};
use serde::Serialize;

use crate::arguments::Telemetry;
use crate::telemetry::{self, Events};

pub(crate) use state::{Position, State};

/// States that are kept.
const KEPT: usize = 2;

/// The directory of one run, locked against other processes.
pub(crate) struct RunDirectory {
    path: PathBuf,
    /// Held until the process ends, however it ends.
    _lock: File,
    /// Whether there are scalars for TensorBoard.
    tensorboard: bool,
    /// Those scalars, once it is known from where training goes on.
    events: RefCell<Option<Events>>,
}

/// Path of a run's record, whether or not it exists.
pub(crate) fn record_path(runs: &Path, run: &Run) -> PathBuf {
    runs.join(run.id()).join("record.json")
}

/// The record of a run, if it has ended; what only a resumed run needs is then removed, since the
/// process that wrote the record may have been killed before it came to that.
pub(crate) fn finished(runs: &Path, run: &Run) -> Result<Option<Record>> {
    let path = record_path(runs, run);
    if !path.exists() {
        return Ok(None);
    }
    let record = read_json(&path, "record")?;
    remove_leftovers(&runs.join(run.id()))?;
    Ok(Some(record))
}

impl RunDirectory {
    /// Makes and locks the directory of `run` under `runs`, and begins its log.
    pub(crate) fn open(runs: &Path, run: &Run, telemetry: &Telemetry) -> Result<Self> {
        let path = runs.join(run.id());
        let cannot = || format!("cannot make the run directory {}", path.display());
        std::fs::create_dir_all(&path).with_context(cannot)?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .with_context(cannot)?;
        if lock.try_lock().is_err() {
            let holder = std::fs::read_to_string(&lock_path).unwrap_or_default();
            bail!(
                "{} is in use by process {}; wait for it or stop it",
                path.display(),
                holder.trim()
            );
        }
        std::fs::write(&lock_path, std::process::id().to_string()).with_context(cannot)?;
        sweep(&path).with_context(cannot)?;
        telemetry::start_log(&path, telemetry.log_level)?;
        let directory = Self {
            path,
            _lock: lock,
            tensorboard: telemetry.tensorboard,
            events: RefCell::default(),
        };
        write_atomic(
            &directory.file("spec.toml"),
            run.spec().to_toml()?.as_bytes(),
        )?;
        Ok(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes the parameters of the last step.
    pub(crate) fn write_checkpoint(&self, bytes: &[u8]) -> Result<()> {
        Ok(write_atomic(&self.file("checkpoint.safetensors"), bytes)?)
    }

    /// Writes the average of the iterates.
    pub(crate) fn write_average(&self, bytes: &[u8]) -> Result<()> {
        Ok(write_atomic(&self.file("average.safetensors"), bytes)?)
    }

    /// Writes the parameters after `epoch`, which stay beside those of the last step.
    pub(crate) fn write_epoch(&self, epoch: u32, bytes: &[u8]) -> Result<()> {
        let name = format!("checkpoint-{epoch}.safetensors");
        Ok(write_atomic(&self.file(&name), bytes)?)
    }

    /// The newest whole state, if there is any; a damaged one before it is removed after a warning,
    /// and lines younger than the state are dropped.
    pub(crate) fn resume(&self, device: &Device) -> Result<Option<State>> {
        let mut damaged = Vec::new();
        let mut state = None;
        for path in states(&self.path)? {
            match read_state(&path, device) {
                Ok(whole) => {
                    state = Some(whole);
                    break;
                }
                Err(error) => damaged.push((path, error)),
            }
        }
        if state.is_none() && !damaged.is_empty() {
            let reasons = damaged
                .iter()
                .map(|(path, error)| format!("{} is damaged ({error:#})", path.display()));
            let reasons = reasons.collect::<Vec<_>>().join(", ");
            let them = if damaged.len() == 1 { "it" } else { "them" };
            bail!("{reasons}; delete {them} to begin the run anew");
        }
        for (path, error) in damaged {
            let warning = format!(
                "{} is damaged ({error:#}); going on from the state before it",
                path.display()
            );
            eprintln!("warning: {warning}");
            tracing::warn!("{warning}");
            remove(&path)?;
        }
        let epoch = state.as_ref().map_or(0, |state| state.position.epoch);
        let metrics = self.keep("metrics.jsonl", |line: &EpochMetrics| line.epoch <= epoch)?;
        let done = |line: &Measurement| line.epoch <= epoch;
        let measurements = self.keep("measurements.jsonl", done)?;
        if self.tensorboard {
            let mut events = Events::open(&self.path, epoch)?;
            // What is there already is not added again; the rest was made without the option.
            metrics.iter().try_for_each(|line| events.epoch(line))?;
            (measurements.iter()).try_for_each(|line| events.measurement(line))?;
            self.events.replace(Some(events));
        }
        Ok(state)
    }

    /// Drops the lines that are not wanted; the others.
    fn keep<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        name: &'static str,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>> {
        let path = self.file(name);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let mut lines = read_json_lines::<T>(&path, name)?;
        lines.retain(wanted);
        let mut text = String::new();
        for line in &lines {
            text += &serde_json::to_string(line)?;
            text.push('\n');
        }
        // On a full disk a run that has nothing to drop can still be read.
        let as_it_is = std::fs::read_to_string(&path).is_ok_and(|old| old == text);
        if !as_it_is {
            write_atomic(&path, text.as_bytes())?;
        }
        Ok(lines)
    }

    /// Saves the state, and removes all but the newest.
    pub(crate) fn save(&self, state: &State) -> Result<()> {
        let steps = state.position.steps;
        let path = self.file(&state_name(steps));
        write_atomic(&path, &state.encode()?)?;
        tracing::info!(epoch = state.position.epoch, steps, path = %path.display(), "saved the state");
        for old in states(&self.path)?.into_iter().skip(KEPT) {
            remove(&old)?;
        }
        Ok(())
    }

    pub(crate) fn add_metrics(&self, metrics: &EpochMetrics) -> Result<()> {
        append_json_line(&self.file("metrics.jsonl"), metrics)?;
        let mut events = self.events.borrow_mut();
        events
            .as_mut()
            .map_or(Ok(()), |events| events.epoch(metrics))
    }

    pub(crate) fn add_measurement(&self, measurement: &Measurement) -> Result<()> {
        append_json_line(&self.file("measurements.jsonl"), measurement)?;
        self.show(measurement)
    }

    /// Adds a measurement to the log, and to the scalars for TensorBoard where there are any.
    pub(crate) fn show(&self, measurement: &Measurement) -> Result<()> {
        let Measurement {
            epoch,
            train_loss,
            test_accuracy,
            seconds,
            ..
        } = measurement;
        tracing::info!(epoch, train_loss, test_accuracy, seconds, "measured");
        let mut events = self.events.borrow_mut();
        (events.as_mut()).map_or(Ok(()), |events| events.measurement(measurement))
    }

    /// Measurements made so far.
    pub(crate) fn measurements(&self) -> Result<Vec<Measurement>> {
        Ok(read_json_lines(
            &self.file("measurements.jsonl"),
            "measurements.jsonl",
        )?)
    }

    /// Ends the run: writes its record, then removes what only a resumed run needs.
    pub(crate) fn finish(&self, record: &Record) -> Result<()> {
        write_json(&self.file("record.json"), record)?;
        remove_leftovers(&self.path)
    }
}

fn state_name(steps: u64) -> String {
    format!("state-{steps}.safetensors")
}

/// Paths of the states in `directory`, the newest first.
fn states(directory: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", directory.display());
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix("state-");
        let number = number.and_then(|rest| rest.strip_suffix(".safetensors"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let paths = numbers
        .into_iter()
        .map(|steps| directory.join(state_name(steps)));
    Ok(paths.collect())
}

fn read_state(path: &Path, device: &Device) -> Result<State> {
    State::decode(&std::fs::read(path)?, device)
}

/// Removes what only a resumed run needs.
fn remove_leftovers(directory: &Path) -> Result<()> {
    for path in states(directory)? {
        remove(&path)?;
    }
    for name in ["measurements.jsonl", "lock"] {
        remove(&directory.join(name))?;
    }
    Ok(())
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes the temporary files of a process that was killed while it replaced a file.
fn sweep(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(TEMPORARY_PREFIX)
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
