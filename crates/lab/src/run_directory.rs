//! The directory of one run: its files, its lock, and the state that a killed run goes on from.
//!
//! `state.safetensors` is replaced as a whole after some epochs; the lines of `metrics.jsonl` and
//! `measurements.jsonl` that are younger than it are dropped on resuming, and made again.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device};
use flatness_records::{
    EpochMetrics, Measurement, Record, Run, TEMPORARY_PREFIX, append_json_line, read_json,
    read_json_lines, write_atomic, write_json,
};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::setting::Weights;

/// The directory of one run, locked against other processes.
pub(crate) struct RunDirectory {
    path: PathBuf,
    /// Held until the process ends, however it ends.
    _lock: File,
}

/// Training at the end of an epoch.
pub(crate) struct State {
    pub(crate) weights: Weights,
    pub(crate) optimizer: flatness_optim::State,
    pub(crate) clock: Clock,
}

/// Epochs and seconds spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clock {
    pub(crate) epoch: u32,
    pub(crate) steps: u64,
    pub(crate) train_seconds: f64,
    pub(crate) measure_seconds: f64,
}

/// Path of a run's record, whether or not it exists.
pub(crate) fn record_path(runs: &Path, run: &Run) -> PathBuf {
    runs.join(run.id()).join("record.json")
}

/// The record of a run, if it has ended.
pub(crate) fn finished(runs: &Path, run: &Run) -> Result<Option<Record>> {
    let path = record_path(runs, run);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(read_json(&path, "record")?))
}

impl RunDirectory {
    /// Makes and locks the directory of `run` under `runs`.
    pub(crate) fn open(runs: &Path, run: &Run) -> Result<Self> {
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
        let directory = Self { path, _lock: lock };
        write_atomic(
            &directory.file("spec.toml"),
            run.spec().to_toml()?.as_bytes(),
        )?;
        Ok(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Path of the trained parameters.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.file("checkpoint.safetensors")
    }

    /// The state to go on from, if there is one; lines younger than it are dropped.
    pub(crate) fn resume(&self, device: &Device) -> Result<Option<State>> {
        let path = self.file("state.safetensors");
        let state = match std::fs::read(&path) {
            Ok(bytes) => Some(decode(&bytes, device).with_context(|| {
                format!(
                    "{} is damaged; delete it to begin the run anew",
                    path.display()
                )
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let epoch = state.as_ref().map_or(0, |state| state.clock.epoch);
        self.keep("metrics.jsonl", |line: &EpochMetrics| line.epoch <= epoch)?;
        // At the initialisation there is no state yet, and a line of epoch 0 would come twice.
        let done = |line: &Measurement| state.is_some() && line.epoch <= epoch;
        self.keep("measurements.jsonl", done)?;
        Ok(state)
    }

    fn keep<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        name: &'static str,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<()> {
        let path = self.file(name);
        if !path.exists() {
            return Ok(());
        }
        let mut text = String::new();
        for line in read_json_lines::<T>(&path, name)?
            .into_iter()
            .filter(wanted)
        {
            text += &serde_json::to_string(&line)?;
            text.push('\n');
        }
        Ok(write_atomic(&path, text.as_bytes())?)
    }

    /// Saves the state.
    pub(crate) fn save(&self, state: &State) -> Result<()> {
        let clock = serde_json::to_string(&state.clock)?;
        let Weights { theta, buffers } = &state.weights;
        let vectors = state.optimizer.vectors.iter();
        let tensors = [("theta", theta), ("buffers", buffers)]
            .into_iter()
            .chain(vectors.map(|(name, vector)| (name.as_str(), vector)));
        let metadata = HashMap::from([("clock".to_owned(), clock)]);
        let bytes = safetensors::serialize(tensors, Some(metadata))?;
        Ok(write_atomic(&self.file("state.safetensors"), &bytes)?)
    }

    pub(crate) fn add_metrics(&self, metrics: &EpochMetrics) -> Result<()> {
        Ok(append_json_line(&self.file("metrics.jsonl"), metrics)?)
    }

    pub(crate) fn add_measurement(&self, measurement: &Measurement) -> Result<()> {
        Ok(append_json_line(
            &self.file("measurements.jsonl"),
            measurement,
        )?)
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
        for name in ["state.safetensors", "measurements.jsonl", "lock"] {
            let path = self.file(name);
            if path.exists() {
                std::fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
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

fn decode(bytes: &[u8], device: &Device) -> Result<State> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let clock = metadata
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get("clock"));
    let clock: Clock = serde_json::from_str(clock.context("the entry clock is missing")?)?;
    let mut tensors = candle_core::safetensors::load_buffer(bytes, device)?;
    for (name, tensor) in &tensors {
        if !matches!(tensor.dtype(), DType::F32 | DType::F64) {
            bail!("the tensor {name} is not a float");
        }
    }
    let mut take = |name: &str| {
        let tensor = tensors.remove(name);
        tensor.with_context(|| format!("the tensor {name} is missing"))
    };
    let weights = Weights {
        theta: take("theta")?,
        buffers: take("buffers")?,
    };
    Ok(State {
        weights,
        // Whatever else there is belongs to the optimiser, which knows the names.
        optimizer: flatness_optim::State {
            steps: clock.steps,
            vectors: tensors.into_iter().collect(),
        },
        clock,
    })
}
