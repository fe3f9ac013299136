//! Runs side by side: one process each, the longest first, so that all cores end together.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use flatness_records::{Outcome, Record, Run, read_json};

use crate::estimate::spec_path;

/// How every run of a reproduction is started.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The binary `flatness`.
    pub(crate) binary: PathBuf,
    /// Directory of the specs.
    pub(crate) specs: PathBuf,
    /// Directory of the runs.
    pub(crate) runs: PathBuf,
    pub(crate) data: Option<PathBuf>,
    pub(crate) device: String,
    /// Processes at a time.
    pub(crate) jobs: usize,
    /// Worker threads of each.
    pub(crate) threads: usize,
}

/// A run with the seconds it will take on one core.
#[derive(Debug, Clone)]
pub(crate) struct Job<'a> {
    pub(crate) run: &'a Run,
    pub(crate) seconds: f64,
}

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    Diverged,
    /// With the sentence it said.
    Failed(String),
}

impl Setting {
    /// Record of a run.
    pub(crate) fn record(&self, run: &Run) -> Result<Record, flatness_records::Error> {
        read_json(
            &self.runs.join(run.id()).join("record.json"),
            "record of a run",
        )
    }

    fn execute(&self, run: &Run) -> Ending {
        let mut command = Command::new(&self.binary);
        command
            .arg("run")
            .arg(spec_path(&self.specs, run))
            .arg("--runs")
            .arg(&self.runs);
        if let Some(data) = &self.data {
            command.arg("--data").arg(data);
        }
        command.args([
            "--device",
            &self.device,
            "--threads",
            &self.threads.to_string(),
            "--quiet",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        match command.output() {
            Ok(output) => self.ending(run, &output),
            Err(error) => {
                Ending::Failed(format!("cannot start {}: {error}", self.binary.display()))
            }
        }
    }

    /// A diverged run says so and leaves a record that says so; the record of an earlier
    /// attempt alone does not count.
    fn ending(&self, run: &Run, output: &Output) -> Ending {
        if output.status.success() {
            return Ending::Done;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let sentence = last.map_or_else(
            || format!("ended with {} and said nothing", output.status),
            |line| line.trim_start_matches("error: ").to_owned(),
        );
        let diverged = |record: Record| matches!(record.outcome, Outcome::Diverged { .. });
        if sentence.contains("diverged") && self.record(run).is_ok_and(diverged) {
            Ending::Diverged
        } else {
            Ending::Failed(sentence)
        }
    }
}

/// Executes every job and tells `ended` of each as it ends. A run that fails does not stop the
/// others; the failed ones come back with what they said.
pub(crate) fn execute<'a>(
    setting: &Setting,
    mut jobs: Vec<Job<'a>>,
    mut ended: impl FnMut(&Job<'_>, &Ending),
) -> Vec<(&'a Run, String)> {
    // Taken from the end.
    jobs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
    let queue = Mutex::new(jobs);
    let (sender, receiver) = mpsc::channel();
    let mut failed = Vec::new();
    thread::scope(|scope| {
        for _ in 0..setting.jobs {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || {
                while let Some(job) = next(queue) {
                    let ending = setting.execute(job.run);
                    if sender.send((job, ending)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (job, ending) in receiver {
            ended(&job, &ending);
            if let Ending::Failed(sentence) = ending {
                failed.push((job.run, sentence));
            }
        }
    });
    failed
}

fn next<'a>(queue: &Mutex<Vec<Job<'a>>>) -> Option<Job<'a>> {
    // The queue stays whole even if a thread panics while it holds the lock.
    queue
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .pop()
}

#[cfg(all(test, unix))]
mod tests {
    use std::collections::HashMap;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::estimate::write_specs;
    use crate::profile::{Profile, label};

    /// Stands for the binary: fails for two of the specs, with and without a word.
    fn program(directory: &Path, failing: &Run, silent: &Run) -> PathBuf {
        let path = directory.join("program");
        let text = format!(
            "#!/bin/sh\ncase \"$2\" in\n*{}.toml) echo 'error: the disk is full' >&2; exit 2;;\n*{}.toml) exit 3;;\nesac\n\
             test -f \"$2\" && test \"$1 $3 $5 $6 $7 $8 $9\" = 'run --runs --device cpu --threads 1 --quiet'\n",
            failing.id(),
            silent.id()
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn every_run_is_executed_the_longest_first_and_failures_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let grids = Profile::load("quick").unwrap().grids("quick").unwrap();
        let runs: Vec<&Run> = grids[1].runs.iter().take(9).collect();
        let setting = Setting {
            binary: program(directory.path(), runs[2], runs[5]),
            specs: directory.path().join("specs"),
            runs: directory.path().join("runs"),
            data: None,
            device: "cpu".to_owned(),
            jobs: 1,
            threads: 1,
        };
        write_specs(&setting.specs, &runs).unwrap();
        let jobs = (0..).zip(&runs).map(|(number, run)| Job {
            run,
            seconds: f64::from(number),
        });

        let mut endings: Vec<(f64, Ending)> = Vec::new();
        let failed = execute(&setting, jobs.collect(), |job, ending| {
            endings.push((job.seconds, ending.clone()));
        });

        let order: Vec<f64> = endings.iter().map(|(seconds, _)| *seconds).collect();
        assert_eq!(order, [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
        let failed: HashMap<String, String> = failed
            .into_iter()
            .map(|(run, sentence)| (label(run), sentence))
            .collect();
        assert_eq!(failed.len(), 2);
        assert_eq!(failed[&label(runs[2])], "the disk is full");
        assert_eq!(
            failed[&label(runs[5])],
            "ended with exit status: 3 and said nothing"
        );
        assert_eq!(
            endings
                .iter()
                .filter(|(_, ending)| *ending == Ending::Done)
                .count(),
            7
        );
    }
}
