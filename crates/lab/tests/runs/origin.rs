//! States that go on with something else than they began with.

use std::fs;
use std::path::Path;
use std::process::Child;

use serde_json::Value;

use crate::program::{BATCH_NORM, MLP, Place, command, ended, record, states};

/// Without measurements.
fn trained(spec: &str) -> &str {
    spec.split("[measure]").next().expect("a part")
}

/// Kills a run of `place` in `runs`, of `before` steps, when it has a state of more; whether there is one.
fn kill(place: &Place, runs: &str, before: u64, mut child: Child) -> bool {
    place.wait_for_step(&mut child, runs, before + 1);
    child.kill().expect("ours");
    child.wait().expect("ours");
    !states(&place.run_directory(runs)).is_empty()
}

/// A run with a state of at least one step.
fn killed(spec: &str, more: &[&str]) -> Place {
    let place = Place::new(spec);
    loop {
        let child = place.start("runs", &[&["--quiet", "--save-every", "0"], more].concat());
        if kill(&place, "runs", 0, child) {
            return place;
        }
        fs::remove_dir_all(place.path("runs")).expect("removable");
    }
}

/// Segments of a finished run: threads, commit, steps before it.
fn segments(directory: &Path) -> Vec<Value> {
    let record = record(directory);
    record["provenance"]["segments"]
        .as_array()
        .expect("a list")
        .clone()
}

#[test]
fn a_state_of_other_data_is_refused_and_stays_as_it_is() {
    let place = killed(
        &trained(BATCH_NORM).replace("epochs = 5", "epochs = 50"),
        &[],
    );
    let path = place.path("data").join("train.bin");
    let before = fs::read(&path).expect("readable");
    let mut other = before.clone();
    other[100] ^= 1;
    fs::write(&path, other).expect("writable");
    let directory = place.run_directory("runs");
    let saved = || {
        states(&directory)
            .iter()
            .map(|path| fs::read(path).expect("there"))
            .collect::<Vec<_>>()
    };
    let states_before = saved();
    let (code, error) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("must be of the data digest") && error.contains("--data"),
        "{error}"
    );
    // The other line is that of data which nobody has published.
    let (warning, error) = error.split_once('\n').expect("two lines");
    assert!(warning.starts_with("warning: the examples of"), "{warning}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    assert!(saved() == states_before, "a state has changed");

    fs::write(&path, before).expect("writable");
    assert_eq!(place.finish("runs"), place.finish("whole"));
}

#[test]
fn the_state_and_the_record_of_another_run_are_refused() {
    let spec = trained(MLP).replace("epochs = 24", "epochs = 300");
    let (place, other) = (
        killed(&spec, &[]),
        killed(&spec.replace("seed = 3", "seed = 5"), &[]),
    );
    let directory = place.run_directory("runs");
    for state in states(&directory) {
        fs::remove_file(state).expect("removable");
    }
    let source = states(&other.run_directory("runs")).pop().expect("a state");
    let target = directory.join(source.file_name().expect("a name"));
    fs::copy(&source, &target).expect("writable");
    let check = || {
        let (code, error) = place.run("runs", &["--quiet"]);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("must be of the run"), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    };
    check();
    fs::remove_file(target).expect("removable");
    other.finish("runs");
    let record = other.run_directory("runs").join("record.json");
    fs::copy(record, directory.join("record.json")).expect("writable");
    check();
}

#[test]
fn other_threads_and_another_program_are_segments_of_the_record() {
    let place = killed(&trained(MLP).replace("epochs = 24", "epochs = 300"), &[]);
    // The same again is no new segment.
    let before = place.steps_saved("runs");
    let child = place.start("runs", &["--quiet", "--save-every", "0"]);
    assert!(kill(&place, "runs", before, child), "the run was too short");
    let before = place.steps_saved("runs");
    let mut arguments = place.arguments("runs", &["--quiet", "--save-every", "0"]);
    let threads = arguments
        .iter()
        .position(|argument| argument == "--threads")
        .expect("given");
    arguments[threads + 1] = "1".to_owned();
    let program = command(env!("CARGO_BIN_EXE_flatness"))
        .args(&arguments)
        .spawn();
    assert!(
        kill(&place, "runs", before, program.expect("it starts")),
        "the run was too short"
    );

    // The same program with another commit in it, where it knows one.
    let state = states(&place.run_directory("runs")).pop().expect("a state");
    let state = String::from_utf8_lossy(&fs::read(state).expect("readable")).into_owned();
    let commit = state
        .split("\\\"commit\\\":\\\"")
        .nth(1)
        .expect("it is in the state");
    let commit = commit.split('\\').next().expect("a part");
    let mut bytes = fs::read(env!("CARGO_BIN_EXE_flatness")).expect("readable");
    // Eight bytes at a time, as the compiler may have put a part of it into an instruction.
    let mut turned = String::new();
    for piece in commit.as_bytes().chunks(8) {
        let reversed: Vec<u8> = piece.iter().rev().copied().collect();
        let places: Vec<usize> = (0..bytes.len() - piece.len())
            .filter(|&place| bytes[place..].starts_with(piece))
            .collect();
        for place in places {
            bytes[place..place + piece.len()].copy_from_slice(&reversed);
        }
        turned += &String::from_utf8_lossy(&reversed);
    }
    let other = place.path("other");
    fs::copy(env!("CARGO_BIN_EXE_flatness"), &other).expect("writable");
    fs::write(&other, bytes).expect("writable");
    let program = command(&other.display().to_string())
        .args(&arguments)
        .spawn();
    let (code, error) = ended(program.expect("it starts"));
    assert_eq!(code, 0, "{error}");
    let segments = segments(&place.run_directory("runs"));
    let of = |name: &str| {
        segments
            .iter()
            .map(|segment| segment[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("threads"), [2, 1, 1]);
    assert_eq!(of("commit"), [commit, commit, turned.as_str()]);
    let from: Vec<u64> = of("from_step")
        .iter()
        .map(|step| step.as_u64().expect("a number"))
        .collect();
    assert!(
        from[0] == 0 && 0 < from[1] && from[1] < from[2] && from[2] <= 3000,
        "{from:?}"
    );
}
