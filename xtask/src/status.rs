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
    /// Begun, and at work nowhere, with the last line that its task said.
    Stopped(Option<String>),
    /// The sentence it said.
    Failed(String),
    Missing,
}

/// Heads of the columns, in the order of the states.
const HEADS: [&str; 6] = [
    "done", "diverged", "running", "stopped", "failed", "missing",
];

impl State {
    fn of(run: &Run, out: &Path, said: &Said) -> Self {
        let directory = run_directory(out, run);
        let record = directory.join("record.json");
        let ended = record
            .exists()
            .then(|| read_json::<Ended>(&record, "record of a run"));
        match ended {
            Some(Ok(ended)) if ended.outcome == Outcome::Completed => return Self::Done,
            Some(Ok(_)) => return Self::Diverged,
            _ => {}
        }
        // One whose record is damaged may be done anew.
        if let Some(holder) = holder(&directory) {
            return Self::Running(holder);
        }
        if let Some(Err(error)) = ended {
            return Self::Failed(error.to_string());
        }
        let id = run.id();
        match said.sentences.get(&id) {
            Some(sentence) => Self::Failed(sentence.clone()),
            None if directory.exists() => Self::Stopped(said.last.get(&id).cloned()),
            None => Self::Missing,
        }
    }

    fn column(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Diverged => 1,
            Self::Running(_) => 2,
            Self::Stopped(_) => 3,
            Self::Failed(_) => 4,
            Self::Missing => 5,
        }
    }
}

/// Prints how many runs of every experiment and model are in each state, who is running, and what failed.
pub(crate) fn show(out: &Path, grids: &[Grid]) -> Result<()> {
    let said = said_in(&out.join(DIRECTORY))?;
    let mut states = HashMap::new();
    let heads = HEADS.map(|head| format!("{head:>9}")).concat();
    put(&format!(
        "{:<12}{:<24}{:>6}{heads}",
        "experiment", "model", "runs"
    ));
    for grid in grids {
        for group in by_model(&grid.runs) {
            let of = |run: &&Run| {
                let state = || State::of(run, out, &said);
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
    let mut ended: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for run in grids.iter().flat_map(|grid| &grid.runs) {
        let name = format!("{} ({})", label(run), run.id());
        let why = match states.get(&run.id()) {
            Some(State::Running(holder)) => {
                running.insert(name, holder);
                continue;
            }
            Some(State::Failed(sentence)) => ("failed", sentence.as_str()),
            Some(State::Stopped(Some(line))) => ("stopped", line.as_str()),
            _ => continue,
        };
        ended.entry(why).or_default().push(name);
    }
    for (run, holder) in running {
        put(&format!("running: {run}: {holder}"));
    }
    for ((state, why), mut runs) in ended {
        runs.dedup();
        let others = match runs.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        put(&format!("{state}: {}{others}: {why}", runs[0]));
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

/// What the tasks of arrays said, by the ids of the runs.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// The last sentence of each run that failed.
    sentences: HashMap<String, String>,
    /// The last line of the last task that had a run in its bin, where that is no sentence of the program: of a panic, or what
    /// Slurm says of a task that it ended.
    last: HashMap<String, String>,
}

/// What is said in the logs of a directory, the newest last.
fn said_in(directory: &Path) -> Result<Said> {
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
    let mut said = Said::default();
    for (_, log) in logs {
        let text = std::fs::read(&log)?;
        said.add(&String::from_utf8_lossy(&text));
    }
    Ok(said)
}

impl Said {
    /// Adds what is in one log: of each run behind its spec, or, of a bin of one, behind nothing.
    fn add(&mut self, log: &str) {
        let mut bin: Vec<&str> = Vec::new();
        for line in log.lines() {
            if let Some(specs) = line.strip_prefix(BIN) {
                let specs = specs.split_whitespace();
                bin = specs
                    .filter_map(|spec| spec.strip_suffix(".toml"))
                    .collect();
                // Begun again, it has not said why it ends.
                bin.iter().for_each(|&run| drop(self.last.remove(run)));
                continue;
            }
            let Some(error) = line.strip_prefix("error: ") else {
                // The note behind a panic says nothing of it.
                if !line.trim().is_empty() && !line.starts_with("note: ") {
                    let last = |&run: &&str| (run.to_owned(), line.to_owned());
                    self.last.extend(bin.iter().map(last));
                }
                continue;
            };
            bin.iter().for_each(|&run| drop(self.last.remove(run)));
            let named = error.split_once(".toml: ");
            let of = match named.filter(|(run, _)| bin.contains(run)) {
                None if bin.len() == 1 => Some((bin[0], error)),
                named => named,
            };
            self.sentences
                .extend(of.map(|(run, sentence)| (run.to_owned(), sentence.to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use flatness_records::{Lock, write_atomic};

    use super::*;
    use crate::profile::Profile;

    const LOG: &str = "bin: aa.toml bb.toml cc.toml
thread 'main' panicked at a line that was long ago
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
        let said = said(LOG);
        assert_eq!(said.sentences, table(&expected));
        // Behind the last sentence of its program only Slurm has spoken.
        let slurm = "slurmstepd: error: *** JOB 7 ON node1 CANCELLED ***";
        assert_eq!(said.last, table(&[("aa", slurm), ("cc", slurm)]));
    }

    fn said(log: &str) -> Said {
        let mut said = Said::default();
        said.add(log);
        said
    }

    fn table(of: &[(&str, &str)]) -> HashMap<String, String> {
        let of = of.iter();
        of.map(|&(run, said)| (run.to_owned(), said.to_owned()))
            .collect()
    }

    #[test]
    fn a_task_that_ends_without_a_sentence_is_known_by_its_last_line() {
        let panic = "bin: aa.toml bb.toml\nwarning: aa.toml: it is in use\n\nthread 'main' panicked at src/a.rs:1:2:\n\
                     index out of bounds\nnote: run with `RUST_BACKTRACE=1`\n\n";
        let out = "index out of bounds";
        assert_eq!(said(panic).last, table(&[("aa", out), ("bb", out)]));
        let killed = format!(
            "{panic}bin: bb.toml\nslurmstepd: error: Detected 1 oom_kill event in StepId=7.batch\n"
        );
        let slurm = "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch";
        assert_eq!(said(&killed).last, table(&[("aa", out), ("bb", slurm)]));
        let again = format!("{killed}bin: bb.toml\n");
        assert_eq!(said(&again).last, table(&[("aa", out)]));
    }

    #[test]
    fn a_run_is_in_the_state_that_its_directory_says() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let grids = Profile::load("quick").unwrap().grids("quick").unwrap();
        let run = &grids[0].runs[0];
        let path = run_directory(out, run);
        let record = path.join("record.json");
        let none = Said::default();
        let of_run = |said: &str| HashMap::from([(run.id(), said.to_owned())]);
        let failed = Said {
            sentences: of_run("the disk is full"),
            last: of_run("it ends"),
        };
        let killed = Said {
            last: of_run("oom_kill"),
            ..Said::default()
        };
        let state = |said| State::of(run, out, said);
        assert_eq!(state(&killed), State::Missing);
        std::fs::create_dir_all(&path).unwrap();
        assert_eq!(state(&none), State::Stopped(None));
        assert_eq!(state(&killed), State::Stopped(Some("oom_kill".to_owned())));
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
        let _lock = Lock::take(&path, "process 1 on node1, job 7_1").unwrap();
        assert_eq!(state(&none), running);
    }
}
