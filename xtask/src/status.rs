//! `cargo xtask reproduce --status`: what of a grid is done, running, failed and missing.
//!
//! Who is running says so in the lock of the run, host and job included; why one failed is in what the tasks of a job array
//! said. Everything is read, nothing is written.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Result;
use flatness_records::{Outcome, Run, holder, read_json};
use serde::Deserialize;

use crate::pool::run_directory;
use crate::profile::{Grid, label};
use crate::progress::put;
use crate::reproduce::by_model;
use crate::slurm::{BIN, DIRECTORY};

/// What is asked of a record.
#[derive(Deserialize)]
struct Ended {
    outcome: Outcome,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Done,
    Diverged,
    /// Who does it.
    Running(String),
    /// Begun, and at work nowhere.
    Stopped,
    /// The sentence it said.
    Failed(String),
    Missing,
}

/// Heads of the columns, in the order of the states.
const HEADS: [&str; 6] = [
    "done", "diverged", "running", "stopped", "failed", "missing",
];

impl State {
    fn of(run: &Run, out: &Path, failures: &HashMap<String, String>) -> Self {
        let directory = run_directory(out, run);
        let record = directory.join("record.json");
        if record.exists() {
            return match read_json::<Ended>(&record, "record of a run") {
                Ok(ended) if ended.outcome == Outcome::Completed => Self::Done,
                Ok(_) => Self::Diverged,
                Err(error) => Self::Failed(error.to_string()),
            };
        }
        if let Some(holder) = holder(&directory) {
            return Self::Running(holder);
        }
        match failures.get(&run.id()) {
            Some(sentence) => Self::Failed(sentence.clone()),
            None if directory.exists() => Self::Stopped,
            None => Self::Missing,
        }
    }

    fn column(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Diverged => 1,
            Self::Running(_) => 2,
            Self::Stopped => 3,
            Self::Failed(_) => 4,
            Self::Missing => 5,
        }
    }
}

/// Prints how many runs of every experiment and model are in each state, who is running, and what failed.
pub(crate) fn show(out: &Path, grids: &[Grid]) -> Result<()> {
    let failures = failures(&out.join(DIRECTORY))?;
    let mut states = HashMap::new();
    let heads = HEADS.map(|head| format!("{head:>9}")).concat();
    put(&format!(
        "{:<12}{:<24}{:>6}{heads}",
        "experiment", "model", "runs"
    ));
    for grid in grids {
        for group in by_model(&grid.runs) {
            let of = |run: &&Run| {
                let state = || State::of(run, out, &failures);
                states.entry(run.id()).or_insert_with(state).column()
            };
            let model = group.first().map_or("", |run| &run.spec().model.name);
            let counts = row(&group.iter().map(of).collect::<Vec<_>>());
            put(&format!("{:<12}{model:<24}{counts}", grid.name));
        }
    }
    let all: Vec<usize> = states.values().map(State::column).collect();
    // A run of two experiments counts once.
    put(&format!("{:<36}{}", "in all", row(&all)));
    let mut running = BTreeMap::new();
    let mut failed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for run in grids.iter().flat_map(|grid| &grid.runs) {
        let name = format!("{} ({})", label(run), run.id());
        match states.get(&run.id()) {
            Some(State::Running(holder)) => drop(running.insert(name, holder)),
            Some(State::Failed(sentence)) => failed.entry(sentence).or_default().push(name),
            _ => {}
        }
    }
    for (run, holder) in running {
        put(&format!("running: {run}: {holder}"));
    }
    for (sentence, mut runs) in failed {
        runs.dedup();
        let others = match runs.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        put(&format!("failed: {}{others}: {sentence}", runs[0]));
    }
    Ok(())
}

/// How many runs there are, and how many in each state.
fn row(columns: &[usize]) -> String {
    let counts = (0..HEADS.len()).map(|state| {
        match columns.iter().filter(|&&column| column == state).count() {
            0 => format!("{:>9}", "-"),
            count => format!("{count:>9}"),
        }
    });
    format!("{:>6}{}", columns.len(), counts.collect::<String>())
}

/// The last sentence that the tasks of arrays said of each run, by its id.
fn failures(directory: &Path) -> Result<HashMap<String, String>> {
    let mut logs: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    if directory.exists() {
        for entry in std::fs::read_dir(directory)? {
            let (entry, metadata) = entry.and_then(|one| one.metadata().map(|of| (one, of)))?;
            if entry.path().extension().is_some_and(|end| end == "log") {
                logs.push((metadata.modified()?, entry.path()));
            }
        }
    }
    logs.sort();
    let mut sentences = HashMap::new();
    for (_, log) in logs {
        let text = std::fs::read(&log)?;
        sentences.extend(said(&String::from_utf8_lossy(&text)));
    }
    Ok(sentences)
}

/// What the tasks said of each run in one log: behind its spec, or, of a bin of one, behind nothing.
fn said(log: &str) -> HashMap<String, String> {
    let mut bin = Vec::new();
    let mut sentences = HashMap::new();
    for line in log.lines() {
        if let Some(specs) = line.strip_prefix(BIN) {
            let specs = specs.split_whitespace();
            bin = specs
                .filter_map(|spec| spec.strip_suffix(".toml"))
                .collect();
        }
        let Some(error) = line.strip_prefix("error: ") else {
            continue;
        };
        let named = error.split_once(".toml: ");
        match named.filter(|(run, _)| bin.contains(run)) {
            Some((run, sentence)) => drop(sentences.insert(run.to_owned(), sentence.to_owned())),
            None if bin.len() == 1 => drop(sentences.insert(bin[0].to_owned(), error.to_owned())),
            None => {}
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use flatness_records::{Lock, write_atomic};

    use super::*;
    use crate::profile::Profile;

    const LOG: &str = "bin: aa.toml bb.toml cc.toml
warning: cc.toml: it is in use
error: bb.toml: the disk is full
error: 1 of 3 runs failed
slurmstepd: error: *** JOB 7 ON node1 CANCELLED ***
bin: dd.toml
error: cannot read x.toml: it is gone
bin: bb.toml ee.toml
error: bb.toml: the disk is still full
error: 1 of 2 runs failed
";

    #[test]
    fn the_last_sentence_of_each_run_is_found_in_what_tasks_said() {
        let expected = [
            ("bb", "the disk is still full"),
            ("dd", "cannot read x.toml: it is gone"),
        ];
        let expected = expected.map(|(run, said)| (run.to_owned(), said.to_owned()));
        assert_eq!(said(LOG), HashMap::from(expected));
    }

    #[test]
    fn a_run_is_in_the_state_that_its_directory_says() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let grids = Profile::load("quick").unwrap().grids("quick").unwrap();
        let run = &grids[0].runs[0];
        let path = run_directory(out, run);
        let record = path.join("record.json");
        let none = HashMap::new();
        let failed = HashMap::from([(run.id(), "the disk is full".to_owned())]);
        let state = |failures| State::of(run, out, failures);
        assert_eq!(state(&none), State::Missing);
        std::fs::create_dir_all(&path).unwrap();
        assert_eq!(state(&none), State::Stopped);
        assert_eq!(state(&failed), State::Failed("the disk is full".to_owned()));
        let lock = Lock::take(&path, "process 1 on node1, job 7_1").unwrap();
        let running = State::Running("process 1 on node1, job 7_1".to_owned());
        assert_eq!(state(&failed), running);
        drop(lock);
        for (text, expected) in [
            (r#"{"outcome":{"kind":"completed"}}"#, State::Done),
            (
                r#"{"outcome":{"kind":"diverged","epoch":1,"learning_rate":1,"step":1,"loss":"NaN","parameter_norm":1}}"#,
                State::Diverged,
            ),
        ] {
            write_atomic(&record, text.as_bytes()).unwrap();
            assert_eq!(state(&failed), expected);
        }
        write_atomic(&record, b"{").unwrap();
        assert!(matches!(state(&none), State::Failed(said) if said.contains("not a valid record")));
    }
}
