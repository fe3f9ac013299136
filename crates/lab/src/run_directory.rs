//! The directory of one run: its files, its lock, and the state that a killed run goes on from.
//!
//! `state-<steps>.safetensors` is written between two steps, and the two newest are kept; a damaged
//! one is passed over for the one before. The lines of `metrics.jsonl` and `measurements.jsonl` are on the disk before
//! the state; those that are younger than it are dropped on resuming, and made again.

mod state;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use flatness_records::{
    EpochMetrics, Lock, Measurement, Record, Run, TEMPORARY_PREFIX, append_json_line, json_line,
    read_json, read_json_lines, write_atomic, write_json,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::state::{Origin, Position, State};
use crate::arguments::LogLevel;
use crate::{environment, log, output};

/// States that are kept.
const KEPT: usize = 2;

pub(crate) const RECORD: &str = "record.json";
pub(crate) const METRICS: &str = "metrics.jsonl";
const MEASUREMENTS: &str = "measurements.jsonl";

/// A run, as its directory was found.
pub(crate) enum Found {
    Finished(Box<Record>),
    Open(RunDirectory),
}

/// The directory of one run that is not finished, locked against other processes.
pub(crate) struct RunDirectory {
    path: PathBuf,
    /// What its states are of.
    origin: Origin,
    lock: Lock,
}

impl RunDirectory {
    /// Makes and locks the directory of `run` under `runs` and begins its log, unless the run is finished: then nothing
    /// is written. That is asked again behind the lock, for the process before may have come to the end meanwhile.
    pub(crate) fn open(runs: &Path, run: &Run, origin: Origin, level: LogLevel) -> Result<Found> {
        let path = runs.join(run.id());
        if let Some(record) = finished(&path, &origin)? {
            return Ok(Found::Finished(record));
        }
        let cannot = || format!("cannot make the run directory {}", path.display());
        std::fs::create_dir_all(&path).with_context(cannot)?;
        let lock = Lock::take(&path, &environment::claim())?;
        if let Some(record) = finished(&path, &origin)? {
            return Ok(Found::Finished(record));
        }
        remove_all(&path, |name| name.starts_with(TEMPORARY_PREFIX)).with_context(cannot)?;
        log::start(&path, level)?;
        let directory = Self { path, origin, lock };
        directory.write("spec.toml", run.spec().to_toml()?.as_bytes())?;
        Ok(Found::Open(directory))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces the file `name`.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.lock.check()?;
        Ok(write_atomic(&self.file(name), bytes)?)
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The newest whole state, if there is any; a damaged one before it is removed after a warning,
    /// and lines younger than the state are dropped. `measured` are the epochs after which the run measures.
    pub(crate) fn resume(&self, device: &Device, measured: &[u32]) -> Result<Option<State>> {
        let mut damaged = Vec::new();
        let mut state = None;
        for path in states(&self.path)? {
            match read_state(&path, device) {
                Ok(whole) => {
                    whole.origin.check(&self.origin, &path)?;
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
        let position = state.as_ref().map(|state| state.position);
        let Position { epoch, batch, .. } = position.unwrap_or_default();
        let metrics: Vec<EpochMetrics> = self.lines(METRICS)?;
        let measurements: Vec<Measurement> = self.lines(MEASUREMENTS)?;
        let lines = metrics.iter().map(|line| line.epoch);
        self.check(METRICS, 1..=epoch, lines.collect())?;
        // Whether one after this very epoch was made before the state or not, it is missing and made, or there.
        let before = |&at: &u32| at < epoch || (at == epoch && batch > 0);
        let lines = measurements.iter().map(|line| line.epoch);
        let wanted = measured.iter().copied().filter(before);
        self.check(MEASUREMENTS, wanted, lines.collect())?;
        for (path, error) in damaged {
            let warning = format!(
                "{} is damaged ({error:#}); going on from the state before it",
                path.display()
            );
            output::say(&format!("warning: {warning}"));
            tracing::warn!("{warning}");
            remove(&path)?;
        }
        self.keep(METRICS, metrics, |line| line.epoch <= epoch)?;
        self.keep(MEASUREMENTS, measurements, |line| line.epoch <= epoch)?;
        Ok(state)
    }

    /// Refuses lines with a hole before the state, which nothing would fill.
    fn check(
        &self,
        name: &str,
        wanted: impl IntoIterator<Item = u32>,
        lines: Vec<u32>,
    ) -> Result<()> {
        let mut wanted = wanted.into_iter();
        let Some(epoch) = wanted.find(|epoch| !lines.contains(epoch)) else {
            return Ok(());
        };
        bail!(
            "{} has no line of epoch {epoch}, which the saved state has left behind; delete {} to begin the run anew",
            self.file(name).display(),
            self.path.display()
        );
    }

    fn lines<T: DeserializeOwned>(&self, name: &'static str) -> Result<Vec<T>> {
        Ok(read_json_lines(&self.file(name), name)?)
    }

    /// Drops the lines that are not wanted.
    fn keep<T: Serialize>(
        &self,
        name: &str,
        mut lines: Vec<T>,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<()> {
        lines.retain(wanted);
        let mut text = String::new();
        for line in &lines {
            text += &json_line(&self.file(name), line)?;
        }
        // On a full disk a run that has nothing to drop can still be read.
        let old = std::fs::read_to_string(self.file(name)).unwrap_or_default();
        if old == text {
            return Ok(());
        }
        self.write(name, text.as_bytes())
    }

    /// Saves the state, and removes all but the newest.
    pub(crate) fn save(&self, state: &State) -> Result<()> {
        for name in [METRICS, MEASUREMENTS] {
            // A state without the lines before it would leave a hole after a power cut.
            let synced = File::open(self.file(name)).and_then(|file| file.sync_all());
            match synced {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| {
                        format!("cannot write {} to the disk", self.file(name).display())
                    });
                }
                _ => {}
            }
        }
        let steps = state.position.steps;
        let name = state_name(steps);
        self.write(&name, &state.encode()?)?;
        tracing::info!(epoch = state.position.epoch, steps, name, "saved the state");
        for old in states(&self.path)?.into_iter().skip(KEPT) {
            remove(&old)?;
        }
        Ok(())
    }

    pub(crate) fn add_metrics(&self, metrics: &EpochMetrics) -> Result<()> {
        self.add(METRICS, metrics)
    }

    pub(crate) fn add_measurement(&self, measurement: &Measurement) -> Result<()> {
        self.add(MEASUREMENTS, measurement)
    }

    fn add<T: Serialize>(&self, name: &str, line: &T) -> Result<()> {
        self.lock.check()?;
        Ok(append_json_line(&self.file(name), line)?)
    }

    /// Measurements made so far.
    pub(crate) fn measurements(&self) -> Result<Vec<Measurement>> {
        self.lines(MEASUREMENTS)
    }

    /// Ends the run: writes its record, then removes what only a resumed run needs, where it can be.
    pub(crate) fn finish(&self, record: &Record) -> Result<()> {
        self.lock.check()?;
        write_json(&self.file(RECORD), record)?;
        let _ = remove_leftovers(&self.path);
        Ok(())
    }
}

/// The record in the directory of a run, if it has ended. What only a resumed run needs is removed where it can be, since
/// the process that wrote the record may have been killed before it came to that.
fn finished(directory: &Path, origin: &Origin) -> Result<Option<Box<Record>>> {
    let path = directory.join(RECORD);
    if !path.exists() {
        return Ok(None);
    }
    let record: Record = read_json(&path, "record")?;
    let of_record = Origin {
        run: record.id.clone(),
        data: record.data.digest.clone(),
        normalization: [&record.data.mean, &record.data.deviation].map(Vec::clone),
        network: (record.model.file.as_ref()).map(|file| file.digest.clone()),
    };
    of_record.check(origin, &path)?;
    let _ = remove_leftovers(directory);
    Ok(Some(Box::new(record)))
}

fn state_name(steps: u64) -> String {
    format!("state-{steps}.safetensors")
}

/// Steps of a state of this name.
fn state_steps(name: &str) -> Option<u64> {
    let number = name.strip_prefix("state-")?;
    number.strip_suffix(".safetensors")?.parse().ok()
}

/// Paths of the states in `directory`, the newest first.
fn states(directory: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", directory.display());
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        numbers.extend(state_steps(&name.to_string_lossy()));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let paths = (numbers.into_iter()).map(|steps| directory.join(state_name(steps)));
    Ok(paths.collect())
}

fn read_state(path: &Path, device: &Device) -> Result<State> {
    State::decode(&std::fs::read(path)?, device)
}

/// Removes what only a resumed run needs, but for the lock: another process may wait at it.
fn remove_leftovers(directory: &Path) -> std::io::Result<()> {
    remove_all(directory, |name| {
        name == MEASUREMENTS || state_steps(name).is_some()
    })
}

/// Removes the files in `directory` of such names.
fn remove_all(directory: &Path, unwanted: impl Fn(&str) -> bool) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if unwanted(&entry.file_name().to_string_lossy()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}
