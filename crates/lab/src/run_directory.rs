//! The directory of one run: its files, its lock, and the state that a killed run goes on from.
//!
//! `state-<steps>.safetensors` is written between two steps, and the two newest are kept; a damaged
//! one is passed over for the one before. The lines of `metrics.jsonl` and `measurements.jsonl` are on the disk before
//! the state; those that are younger than it are dropped on resuming, and made again. What is measured behind the last state
//! has a journal of its products, `products-<epoch>-...`, until its numbers are a line.

mod state;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use flatness_records::{
    EpochMetrics, Error, Lock, Measurement, Record, Run, Spec, TEMPORARY_PREFIX, append_json_line,
    create_directories, file_digest, json_line, read_json, read_json_lines, write_atomic,
    write_json,
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
const SPEC: &str = "spec.toml";

/// Names of the journals of a measurement begin with this.
const PRODUCTS: &str = "products-";

/// Names of the parameters that a run writes begin with these.
const PARAMETERS: [&str; 2] = ["checkpoint", "average"];

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
    /// Makes and locks the directory of `run` under `runs` and begins its log, unless the run is [`finished`]: then nothing
    /// is written. That is asked again behind the lock, for the process before may have come to the end meanwhile.
    pub(crate) fn open(runs: &Path, run: &Run, origin: Origin, level: LogLevel) -> Result<Found> {
        let path = runs.join(run.id());
        let cannot = || format!("cannot make the run directory {}", path.display());
        create_directories(&path).with_context(cannot)?;
        let lock = Lock::take(&path, &environment::claim())?;
        match read_record(&path, &origin)? {
            Some(Ok(record)) => return Ok(Found::Finished(record)),
            Some(Err(damaged)) => {
                output::say(&format!("warning: {damaged}; the run is done anew"));
            }
            None => {}
        }
        remove_all(&path, |name| name.starts_with(TEMPORARY_PREFIX)).with_context(cannot)?;
        log::start(&path, level)?;
        let directory = Self { path, origin, lock };
        directory.write(SPEC, run.spec().to_toml()?.as_bytes())?;
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
            self.sync(name)?;
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

    /// Puts the lines in the file `name` on the disk, where there are any.
    fn sync(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        let synced = File::open(&path).and_then(|file| file.sync_all());
        match synced {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot write {} to the disk", path.display()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn add_metrics(&self, metrics: &EpochMetrics) -> Result<()> {
        self.add(METRICS, metrics)
    }

    /// Writes the numbers down, and removes the journals that they came from.
    pub(crate) fn add_measurement(&self, measurement: &Measurement) -> Result<()> {
        self.add(MEASUREMENTS, measurement)?;
        self.sync(MEASUREMENTS)?;
        self.keep_journals(None)
    }

    /// The journal of a measurement, by what its products are of; those of others are removed.
    pub(crate) fn journal(&self, of: &str) -> Result<PathBuf> {
        let name = format!("{PRODUCTS}{of}");
        self.keep_journals(Some(&name))?;
        Ok(self.file(&name))
    }

    /// Removes all journals but that of this `name`, which has one file for each matrix.
    pub(crate) fn keep_journals(&self, name: Option<&str>) -> Result<()> {
        let is_other = |file: &str| {
            let is_kept = name.is_some_and(|name| file.starts_with(name));
            file.starts_with(PRODUCTS) && !is_kept
        };
        self.lock.check()?;
        let cannot = || format!("cannot remove a journal from {}", self.path.display());
        remove_all(&self.path, is_other).with_context(cannot)
    }

    fn add<T: Serialize>(&self, name: &str, line: &T) -> Result<()> {
        self.lock.check()?;
        Ok(append_json_line(&self.file(name), line)?)
    }

    /// Measurements made so far.
    pub(crate) fn measurements(&self) -> Result<Vec<Measurement>> {
        self.lines(MEASUREMENTS)
    }

    /// SHA-256 of the parameters written so far, by the names of their files.
    pub(crate) fn digests(&self) -> Result<BTreeMap<String, String>> {
        let cannot = || format!("cannot read {}", self.path.display());
        let mut digests = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path).with_context(cannot)? {
            let name = entry.with_context(cannot)?.file_name();
            let name = name.to_string_lossy().into_owned();
            if is_of_parameters(&name) {
                let digest = file_digest(&self.file(&name))?;
                digests.insert(name, digest);
            }
        }
        Ok(digests)
    }

    /// Ends the run: writes its record, then removes what only a resumed run needs, where it can be.
    pub(crate) fn finish(&self, record: &Record) -> Result<()> {
        self.lock.check()?;
        write_json(&self.file(RECORD), record)?;
        let _ = remove_leftovers(&self.path);
        Ok(())
    }
}

/// Whether a file of this name has parameters of the run beside it.
pub(crate) fn is_of_parameters(name: &str) -> bool {
    PARAMETERS.iter().any(|start| name.starts_with(start))
}

/// Whether a directory of this name has not been given another one.
fn is_id(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The spec in the directory of a run, none where it has no spec. It has no digest: the name of the directory is its own, unless
/// somebody has named it anew.
pub(crate) fn read_spec(directory: &Path) -> Result<Option<Spec>> {
    let path = directory.join(SPEC);
    let origin = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        text => text.with_context(|| format!("cannot read {origin}"))?,
    };
    let run = Spec::from_toml(&text, &origin)?.validate(&origin)?;
    // Of `.` and links, the name that it was made with.
    let whole = directory.join(".").canonicalize();
    let name = whole
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    match name {
        Some(name) if is_id(&name) && name != run.id() => bail!(
            "{origin} must be the spec of the run {name}, after which its directory is called, but is that of {}; put that spec \
             back, or give the directory that name",
            run.id()
        ),
        _ => Ok(Some(run.spec().clone())),
    }
}

/// The record of `run` under `runs`, if it has ended. One that is damaged counts for nothing.
pub(crate) fn finished(runs: &Path, run: &Run, origin: &Origin) -> Result<Option<Box<Record>>> {
    let record = read_record(&runs.join(run.id()), origin)?;
    Ok(record.and_then(Result::ok))
}

/// The record in the directory of a run, if it has ended, or how it is damaged. What only a resumed run needs is removed where it
/// can be, since the process that wrote the record may have been killed before it came to that.
fn read_record(directory: &Path, origin: &Origin) -> Result<Option<Result<Box<Record>, Error>>> {
    let path = directory.join(RECORD);
    if !path.exists() {
        return Ok(None);
    }
    let record: Record = match read_json(&path, "record") {
        Err(error) if error.is_damage() => return Ok(Some(Err(error))),
        record => record?,
    };
    let of_record = Origin {
        run: record.id.clone(),
        data: record.data.digest.clone(),
        normalization: [&record.data.mean, &record.data.deviation].map(Vec::clone),
        network: (record.model.file.as_ref()).map(|file| file.digest.clone()),
    };
    of_record.check(origin, &path)?;
    let _ = remove_leftovers(directory);
    Ok(Some(Ok(Box::new(record))))
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
        name == MEASUREMENTS || name.starts_with(PRODUCTS) || state_steps(name).is_some()
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
