//! Several runs by one process, and by two that have the same list.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::{ended, program};
use crate::program::{Finished, MLP, mlp, trained};

/// A directory with the specs `0.toml`, `1.toml` and so on.
fn place(specs: &[String]) -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    for (number, spec) in specs.iter().enumerate() {
        let path = place.path().join(format!("{number}.toml"));
        fs::write(path, spec).expect("writable");
    }
    place
}

/// Does the runs of these specs into the directory `runs`; the process.
fn start(place: &Path, runs: &str, specs: &[usize]) -> std::process::Child {
    let mut command = program();
    command
        .current_dir(place)
        .args(["run", "--quiet", "--threads", "1", "--runs", runs]);
    command.args(specs.iter().map(|number| format!("{number}.toml")));
    command.spawn().expect("the binary starts")
}

/// The runs in a directory, by their names.
fn runs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths
}

fn finished(directory: &Path) -> Vec<Finished> {
    runs(directory)
        .iter()
        .map(|run| Finished::read(run))
        .collect()
}

#[test]
fn several_runs_by_one_process_have_the_bits_of_each_alone_and_one_that_fails_stops_no_other() {
    let wrong = mlp(2).replace("name = \"mlp\"", "name = \"no-such\"");
    let specs = [MLP.replace("epochs = 24", "epochs = 21"), wrong, mlp(3)];
    let place = place(&specs);
    for number in [0, 2] {
        let (code, _, error) = ended(start(place.path(), "alone", &[number]));
        assert_eq!(code, 0, "{error}");
    }
    let (code, _, error) = ended(start(place.path(), "together", &[0, 1, 2]));
    assert_eq!(code, 2, "{error}");
    let lines: Vec<&str> = error.lines().collect();
    let [first, last] = lines[..] else {
        panic!("{error}");
    };
    assert!(
        first.starts_with("error: 1.toml: there is no model `no-such`"),
        "{first}"
    );
    assert_eq!(last, "error: 1 of 3 runs failed");
    let [alone, together] = ["alone", "together"].map(|runs| place.path().join(runs));
    assert_eq!(finished(&alone), finished(&together));
    // Each has a log of its own.
    for run in runs(&together) {
        let log = fs::read_to_string(run.join("flatness.log")).expect("a log");
        let id = run.file_name().expect("a name").to_string_lossy();
        assert_eq!(log.matches(" start spec=").count(), 1, "{log}");
        assert!(log.contains(&*id), "{log}");
    }
}

#[test]
fn a_spec_that_is_refused_is_named_once() {
    let place = place(&[mlp(0), trained(MLP).replace("seed = 3", "sed = 3")]);
    let (code, _, error) = ended(start(place.path(), "runs", &[0, 1]));
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!((code, lines.len()), (2, 3), "{error}");
    for (number, line) in lines[..2].iter().enumerate() {
        let file = format!("{number}.toml");
        assert!(line.starts_with(&format!("error: {file}")), "{error}");
        assert_eq!(line.matches(&file).count(), 1, "{error}");
    }
}

#[test]
fn two_processes_with_the_same_list_do_every_run_once() {
    let specs: Vec<String> = (0..6)
        .map(|seed| mlp(4).replace("seed = 3", &format!("seed = {seed}")))
        .collect();
    let place = place(&specs);
    let both = [[0, 1, 2, 3, 4, 5], [0, 3, 1, 5, 4, 2]];
    let both = both.map(|order| start(place.path(), "runs", &order));
    let mut codes = Vec::new();
    for process in both {
        let (code, _, said) = ended(process);
        let is_left =
            |line: &str| line.starts_with("warning: ") && line.contains(" is in use by process ");
        let last =
            "of 6 runs are in use by other processes; repeat the command once these have ended";
        let is_last = |line: &str| line.starts_with("error: ") && line.ends_with(last);
        let mut lines = said.lines().skip_while(|line| is_left(line));
        assert!(
            lines.next().is_none_or(is_last) && lines.next().is_none(),
            "{said}"
        );
        assert_eq!(code == 2, said.lines().any(is_last), "{said}");
        codes.push(code);
    }
    // Who ends last has left nothing.
    assert!(codes.contains(&0) && codes.iter().all(|code| [0, 2].contains(code)));
    let runs = runs(&place.path().join("runs"));
    assert_eq!(runs.len(), specs.len());
    for run in runs {
        assert!(run.join("record.json").exists());
        let log = fs::read_to_string(run.join("flatness.log")).expect("a log");
        assert_eq!(log.matches(" start spec=").count(), 1, "{log}");
    }
}

#[test]
fn what_another_process_has_at_the_end_of_the_list_too_is_said_with_code_2() {
    let place = place(&[mlp(100_000), mlp(2)]);
    let mut other = start(place.path(), "runs", &[0]);
    let lock = || {
        runs(&place.path().join("runs"))
            .pop()
            .map(|run| run.join("lock"))
    };
    while !(place.path().join("runs").exists() && lock().is_some_and(|lock| lock.exists())) {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let (code, _, said) = ended(start(place.path(), "runs", &[0, 1]));
    other.kill().expect("the child is ours");
    other.wait().expect("the child is ours");
    assert_eq!(code, 2, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let [first, second, last] = lines[..] else {
        panic!("{said}");
    };
    for line in [first, second] {
        assert!(
            line.starts_with("warning: 0.toml: ") && line.contains(" is in use by process "),
            "{said}"
        );
    }
    let expected = "error: 1 of 2 runs are in use by other processes; repeat the command once these have ended";
    assert_eq!(last, expected);
    let runs = runs(&place.path().join("runs"));
    let done = runs.iter().filter(|run| run.join("record.json").exists());
    assert_eq!((runs.len(), done.count()), (2, 1));
}
