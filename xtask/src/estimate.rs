//! How long runs will take on one core, to start the longest first and to tell the reader: the program is asked, and it
//! asks the engine that measures.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use flatness_records::{Run, write_atomic};
use serde::Deserialize;

/// What `flatness run --dry-run --json` prints of a spec.
#[derive(Debug, Deserialize)]
struct Estimate {
    id: String,
    seconds: f64,
}

/// Seconds on one core by the id of the run.
pub(crate) type Seconds = HashMap<String, f64>;

/// Specs that one process is asked for: a command line has an end.
const AT_ONCE: usize = 2000;

/// File of a run's spec in `directory`.
pub(crate) fn spec_path(directory: &Path, run: &Run) -> PathBuf {
    directory.join(format!("{}.toml", run.id()))
}

/// Writes the spec of every run where the processes will look for it.
pub(crate) fn write_specs(directory: &Path, runs: &[&Run]) -> Result<()> {
    for run in runs {
        write_atomic(&spec_path(directory, run), run.spec().to_toml()?.as_bytes())?;
    }
    Ok(())
}

/// Why a program failed: the last line of what it said, behind its warnings.
pub(crate) fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(
        || format!("ended with {} and said nothing", output.status),
        |line| line.trim_start_matches("error: ").to_owned(),
    )
}

/// What the program says of `runs`, whose specs are in `directory`; its own sentence where it refuses one.
pub(crate) fn seconds(
    binary: &Path,
    data: Option<&Path>,
    device: &str,
    directory: &Path,
    runs: &[&Run],
) -> Result<Seconds> {
    let mut known = Seconds::new();
    for runs in runs.chunks(AT_ONCE) {
        let mut command = Command::new(binary);
        command.args(["run", "--dry-run", "--json", "--device", device]);
        command.args(runs.iter().map(|run| spec_path(directory, run)));
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        let output = command
            .output()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        if !output.status.success() {
            bail!("{}", said(&output));
        }
        let estimates: Vec<Estimate> =
            serde_json::from_slice(&output.stdout).with_context(|| {
                format!(
                    "`{} run --dry-run` did not print estimates",
                    binary.display()
                )
            })?;
        known.extend(estimates.into_iter().map(|one| (one.id, one.seconds)));
    }
    Ok(known)
}
