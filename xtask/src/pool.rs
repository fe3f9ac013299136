//! Runs side by side: one process each, in the order of their turns, and of one turn the longest first, so that all cores end
//! together.
//!
//! A process ends, its state saved, when its standard input does: that of all ends with this program, however it ends, and by
//! the first Ctrl-C. Their standard output is the lock of the directory, which is free once the last of them is gone.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use flatness_records::{Outcome, Record, Run, read_json};

use crate::estimate::{said, spec_path};
use crate::progress::say;

/// How often is looked whether to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// How every run of a reproduction is started.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The binary `flatness`.
    pub(crate) binary: PathBuf,
    /// Directory of specs and runs.
    pub(crate) out: PathBuf,
    pub(crate) data: Option<PathBuf>,
    pub(crate) device: String,
    /// Processes at a time.
    pub(crate) jobs: usize,
    /// Worker threads of each.
    pub(crate) threads: usize,
    /// The lock of `out`.
    pub(crate) lock: File,
    /// Whether to stop, all states saved.
    pub(crate) stop: Arc<AtomicBool>,
}

/// A run with the seconds it will take on one core.
#[derive(Debug, Clone)]
pub(crate) struct Job<'a> {
    pub(crate) run: &'a Run,
    /// The lower, the earlier.
    pub(crate) turn: (bool, u64),
    pub(crate) seconds: f64,
}

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    Diverged,
    /// Before its end, as it was told.
    Stopped,
    /// With the sentence it said.
    Failed(String),
}

/// Takes the lock of `out`, once those at work there have ended.
pub(crate) fn lock(out: &Path) -> Result<File> {
    let cannot = || format!("cannot lock {}", out.display());
    std::fs::create_dir_all(out).with_context(cannot)?;
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file = options.open(out.join("lock")).with_context(cannot)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            say(&format!(
                "waiting for the runs at work in {}",
                out.display()
            ));
            file.lock().with_context(cannot)?;
        }
        tried => tried.with_context(cannot)?,
    }
    Ok(file)
}

/// Directory of a run under `out`.
pub(crate) fn run_directory(out: &Path, run: &Run) -> PathBuf {
    out.join("runs").join(run.id())
}

/// Whether the run under `out` has a record of its own that can be read.
pub(crate) fn is_done(out: &Path, run: &Run) -> bool {
    let path = run_directory(out, run).join("record.json");
    read_json(&path, "record of a run").is_ok_and(|record: Record| record.id == run.id())
}

impl Setting {
    /// Directory of the specs.
    pub(crate) fn specs(&self) -> PathBuf {
        self.out.join("specs")
    }

    fn execute(&self, run: &Run, inputs: &Mutex<Vec<ChildStdin>>) -> Ending {
        let output = || {
            let mut command = Command::new(&self.binary);
            command.arg("run").arg(spec_path(&self.specs(), run));
            command.arg("--runs").arg(self.out.join("runs"));
            if let Some(data) = &self.data {
                command.arg("--data").arg(data);
            }
            command.args(["--device", &self.device]);
            command.args(["--threads", &self.threads.to_string()]);
            command.args(["--quiet", "--until-eof"]);
            // The allocator would give pages back and fetch them again, for a tenth of a long run's time.
            command.env("MIMALLOC_PURGE_DELAY", "-1");
            command
                .stdin(Stdio::piped())
                .stdout(self.lock.try_clone()?)
                .stderr(Stdio::piped());
            let mut child = command.spawn()?;
            locked(inputs).extend(child.stdin.take());
            child.wait_with_output()
        };
        match output() {
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
        let sentence = said(output);
        let diverged = || -> Result<bool, flatness_records::Error> {
            let record: Record = read_json(
                &run_directory(&self.out, run).join("record.json"),
                "record of a run",
            )?;
            Ok(matches!(record.outcome, Outcome::Diverged { .. }))
        };
        if sentence.contains("diverged") && diverged().unwrap_or(false) {
            Ending::Diverged
        } else if self.stop.load(Ordering::SeqCst) {
            Ending::Stopped
        } else {
            Ending::Failed(sentence)
        }
    }
}

/// Puts jobs into the order in which they begin: that of their turns, and of one turn the longest first.
pub(crate) fn sort(jobs: &mut [Job<'_>]) {
    jobs.sort_by(|one, other| {
        let turn = one.turn.cmp(&other.turn);
        turn.then(other.seconds.total_cmp(&one.seconds))
    });
}

/// Executes every job and tells `ended` of each as it ends. A run that fails does not stop the
/// others; the failed ones come back with what they said.
pub(crate) fn execute<'a>(
    setting: &Setting,
    mut jobs: Vec<Job<'a>>,
    mut ended: impl FnMut(&Job<'_>, &Ending),
) -> Vec<(&'a Run, String)> {
    sort(&mut jobs);
    // Taken from the end.
    jobs.reverse();
    let queue = Mutex::new(jobs);
    let inputs = Mutex::new(Vec::new());
    let (sender, receiver) = mpsc::channel();
    let mut failed = Vec::new();
    thread::scope(|scope| {
        for _ in 0..setting.jobs {
            let (sender, queue, inputs) = (sender.clone(), &queue, &inputs);
            let next = || locked(queue).pop();
            scope.spawn(move || {
                while let Some(job) = next() {
                    let ending = setting.execute(job.run, inputs);
                    if sender.send((job, ending)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        loop {
            let received = receiver.recv_timeout(GLANCE);
            if setting.stop.load(Ordering::SeqCst) {
                locked(&queue).clear();
                locked(&inputs).clear();
            }
            match received {
                Ok((job, ending)) => {
                    ended(&job, &ending);
                    if let Ending::Failed(sentence) = ending {
                        failed.push((job.run, sentence));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    failed
}

/// What is behind the lock stays whole even if a thread panics while it holds it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use std::collections::HashMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::estimate::{seconds, write_specs};
    use crate::profile::{Profile, label};

    fn runs() -> Vec<Run> {
        let grids = Profile::load("quick").unwrap().grids("quick").unwrap();
        grids[1].runs.iter().take(9).cloned().collect()
    }

    /// A program of these lines of sh stands for the binary.
    fn setting(out: &Path, lines: &str, runs: &[Run], jobs: usize) -> Setting {
        let binary = out.join("program");
        std::fs::write(&binary, format!("#!/bin/sh\n{lines}\n")).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
        write_specs(&out.join("specs"), &runs.iter().collect::<Vec<_>>()).unwrap();
        Setting {
            binary,
            out: out.to_owned(),
            data: None,
            device: "cpu".to_owned(),
            jobs,
            threads: 1,
            lock: lock(out).unwrap(),
            stop: Arc::default(),
        }
    }

    fn jobs(runs: &[Run]) -> Vec<Job<'_>> {
        let job = |(number, run)| Job {
            run,
            turn: (number == 8, u64::from(number % 2 == 1)),
            seconds: f64::from(number),
        };
        (0..).zip(runs).map(job).collect()
    }

    #[test]
    fn what_cannot_be_estimated_says_why_behind_its_warnings() {
        let out = tempfile::tempdir().unwrap();
        let runs = runs();
        let lines = "echo 'warning: other images' >&2\necho 'error: too wide' >&2\nexit 2";
        let setting = setting(out.path(), lines, &runs, 1);
        let runs: Vec<&Run> = runs.iter().collect();
        let error = seconds(&setting.binary, None, "cpu", &setting.specs(), &runs).unwrap_err();
        assert_eq!(error.to_string(), "too wide");
    }

    #[test]
    fn every_run_is_executed_in_its_turn_the_longest_first_and_failures_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let runs = runs();
        let lines = format!(
            "case \"$2\" in\n*{}.toml) echo 'error: the disk is full' >&2; exit 2;;\n*{}.toml) exit 3;;\nesac\n\
             test -f \"$2\" && test \"$1 $3 $5 $6 $7 $8 $9\" = 'run --runs --device cpu --threads 1 --quiet'",
            runs[2].id(),
            runs[5].id()
        );
        let setting = setting(directory.path(), &lines, &runs, 1);
        let mut endings: Vec<(f64, Ending)> = Vec::new();
        let failed = execute(&setting, jobs(&runs), |job, ending| {
            endings.push((job.seconds, ending.clone()));
        });

        let order: Vec<f64> = endings.iter().map(|(seconds, _)| *seconds).collect();
        assert_eq!(order, [6.0, 4.0, 2.0, 0.0, 7.0, 5.0, 3.0, 1.0, 8.0]);
        let failed: HashMap<String, String> = failed
            .into_iter()
            .map(|(run, sentence)| (label(run), sentence))
            .collect();
        assert_eq!(failed.len(), 2);
        assert_eq!(failed[&label(&runs[2])], "the disk is full");
        assert_eq!(
            failed[&label(&runs[5])],
            "ended with exit status: 3 and said nothing"
        );
        let done = endings.iter().filter(|(_, ending)| *ending == Ending::Done);
        assert_eq!(done.count(), 7);
    }

    #[test]
    fn to_stop_ends_the_standard_input_of_those_at_work_and_begins_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let runs = runs();
        let lines = format!(
            "case \"$2\" in *{}.toml) exit 0;; esac\nread never\nexit 143",
            runs[6].id()
        );
        let setting = setting(directory.path(), &lines, &runs, 2);
        let mut endings = Vec::new();
        let failed = execute(&setting, jobs(&runs), |_, ending| {
            endings.push(ending.clone());
            setting.stop.store(true, Ordering::SeqCst);
        });
        // Another may have begun before the first was seen to have ended.
        assert!((2..=3).contains(&endings.len()), "{endings:?}");
        assert_eq!(endings[0], Ending::Done);
        assert!(endings[1..].iter().all(|ending| *ending == Ending::Stopped));
        assert!(failed.is_empty());
    }

    #[test]
    fn a_directory_is_locked_until_the_last_run_there_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let lock = lock(directory.path()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "read never"]).stdin(Stdio::piped());
        let mut run = command.stdout(lock.try_clone().unwrap()).spawn().unwrap();
        // The command keeps a copy, as this program does.
        drop((lock, command));
        let another = File::open(directory.path().join("lock")).unwrap();
        assert!(matches!(another.try_lock(), Err(TryLockError::WouldBlock)));
        drop(run.stdin.take());
        run.wait().unwrap();
        another.try_lock().unwrap();
    }
}
