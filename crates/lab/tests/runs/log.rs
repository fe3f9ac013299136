//! The log of runs that are killed.

use std::fs;
use std::path::Path;

use crate::program::{Place, kill, mlp};

fn lines(directory: &Path) -> Vec<String> {
    let text = fs::read_to_string(directory.join("flatness.log")).expect("the log");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_log_has_the_start_the_epochs_the_saves_and_the_resumes() {
    let place = Place::new(&mlp(60));
    let mut child = place.start("runs", &["--quiet", "--save-every", "0"]);
    place.wait_for_step(&mut child, "runs", 30);
    kill(child);
    let directory = place.run_directory("runs");
    let first = lines(&directory);
    let (code, error) = place.run("runs", &["--quiet", "--save-every", "0"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let log = lines(&directory);
    assert_eq!(log[..first.len()], first);
    let count =
        |lines: &[String], what: &str| lines.iter().filter(|line| line.contains(what)).count();
    let id = directory.file_name().expect("a name").to_string_lossy();
    let start = format!("INFO start spec=\"{id}\" seed=3 threads=2 device=\"cpu\"");
    assert_eq!(count(&first, &start), 1);
    assert_eq!(count(&log, &start), 2);
    assert_eq!(count(&log[first.len()..], "INFO resuming"), 1);
    // A kill may come between a state and its line.
    assert!(count(&log, "saved the state") >= 599);
    for epoch in 1..=60 {
        let done = format!("epoch done epoch={epoch} ");
        assert!(count(&log, &done) >= 1, "{epoch}");
    }
    // The time, in UTC.
    let is_dated = |line: &String| line.starts_with("20") && line[..27].ends_with('Z');
    assert_eq!(log.iter().find(|line| !is_dated(line)), None);
}

#[test]
fn without_a_level_there_is_no_log() {
    for (level, expected) in [("off", None), ("warn", Some(0)), ("error", Some(0))] {
        let place = Place::new(&mlp(1));
        let (code, error) = place.run("runs", &["--quiet", "--log-level", level]);
        assert_eq!(code, 0, "{error}");
        let log = fs::read_to_string(place.run_directory("runs").join("flatness.log"));
        assert_eq!(log.ok().map(|log| log.lines().count()), expected, "{level}");
    }
}
