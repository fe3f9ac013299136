//! States that go on with something else than they began with.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use crate::common::{command, ended, program};
use crate::program::{BATCH_NORM, Place, assert_says, mlp, record, states, trained};

/// Kills a run of `place`, of `before` steps, when it has a state of more; whether there is one.
fn kill(place: &Place, before: u64, mut child: Child) -> bool {
    place.wait_for_step(&mut child, "runs", before + 1);
    crate::program::kill(child);
    !states(&place.run_directory("runs")).is_empty()
}

/// A run with a state of at least one step.
fn killed(spec: &str) -> Place {
    let place = Place::new(spec);
    while !kill(&place, 0, place.start("runs", &OFTEN)) {
        fs::remove_dir_all(place.path("runs")).expect("removable");
    }
    place
}

/// Saves after each step.
const OFTEN: [&str; 3] = ["--quiet", "--save-every", "0"];

#[test]
fn a_state_of_other_data_is_refused_and_stays_as_it_is() {
    let place = killed(&trained(BATCH_NORM).replace("epochs = 5", "epochs = 50"));
    let before = place.change_data();
    let directory = place.run_directory("runs");
    let saved = || -> Vec<Vec<u8>> {
        let states = states(&directory).into_iter();
        states.map(|path| fs::read(path).expect("there")).collect()
    };
    let states_before = saved();
    let (code, error) = place.run("runs", &["--quiet"]);
    // The other line is that of data which nobody has published.
    let (warning, error) = error.split_once('\n').expect("two lines");
    assert!(warning.starts_with("warning: the examples of"), "{warning}");
    let expected = ["must be of the data digest", "--data"];
    assert_says((code, error.to_owned()), 2, &expected);
    assert!(saved() == states_before, "a state has changed");

    let path = place.path("data").join("train.bin");
    fs::write(&path, before).expect("writable");
    assert_eq!(place.finish("runs"), place.finish("whole"));
}

#[test]
fn the_state_and_the_record_of_another_run_are_refused() {
    let spec = mlp(300);
    let [place, other] =
        ["seed = 3", "seed = 5"].map(|seed| killed(&spec.replace("seed = 3", seed)));
    let directory = place.run_directory("runs");
    for state in states(&directory) {
        fs::remove_file(state).expect("removable");
    }
    let source = states(&other.run_directory("runs")).pop().expect("a state");
    let target = directory.join(source.file_name().expect("a name"));
    fs::copy(&source, &target).expect("writable");
    let check = || assert_says(place.run("runs", &["--quiet"]), 2, &["must be of the run"]);
    check();
    fs::remove_file(target).expect("removable");
    other.finish("runs");
    let record = other.run_directory("runs").join("record.json");
    fs::copy(record, directory.join("record.json")).expect("writable");
    check();
}

/// The commit in a state.
fn commit(state: &[u8]) -> String {
    let state = String::from_utf8_lossy(state);
    let commit = state
        .split("\\\"commit\\\":\\\"")
        .nth(1)
        .expect("it is in the state");
    commit.split('\\').next().expect("a part").to_owned()
}

/// A program like this one with another commit in it, and that commit.
fn with_another_commit(place: &Place, commit: &str) -> (PathBuf, String) {
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
    (other, turned)
}

#[test]
fn the_journal_of_another_program_says_which() {
    let place = killed(&mlp(300).replace("[train]", "[train]\ncheckpoint_every = 1"));
    let directory = place.run_directory("runs");
    let state = states(&directory).pop().expect("a state");
    let commit = commit(&fs::read(state).expect("readable"));
    let finished = place.finish("runs");
    assert!(
        finished
            .names
            .contains(&"checkpoint.safetensors".to_owned())
    );
    let journal = place.path("journal");
    let line = format!(
        "measure {} --what top,trace --budget 100000 --relative-error 1e-9 --threads 1 --quiet --journal {}",
        directory.display(),
        journal.display()
    );
    let child = program().args(line.split(' ')).spawn().expect("it starts");
    while fs::metadata(&journal).map_or(0, |file| file.len()) < 200_000 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    crate::program::kill(child);
    let before = fs::read(&journal).expect("a journal");
    let (other, turned) = with_another_commit(&place, &commit);
    let other = command(&other.display().to_string())
        .args(line.split(' '))
        .spawn();
    let (code, _, error) = ended(other.expect("it starts"));
    let expected = [
        format!("it was begun by another commit: {commit}"),
        format!(", here {turned}"),
        "remove it, name another file, or go on there".to_owned(),
    ];
    assert_says((code, error), 2, &expected.each_ref().map(String::as_str));
    assert_eq!(fs::read(&journal).expect("a journal"), before);
}

#[test]
fn other_threads_and_another_program_are_segments_of_the_record() {
    let place = killed(&mlp(300));
    // The same again is no new segment.
    let before = place.steps_saved("runs");
    let again = place.start("runs", &OFTEN);
    assert!(kill(&place, before, again), "the run was too short");
    let before = place.steps_saved("runs");
    let arguments = place.arguments("runs", &OFTEN).join(" ");
    let arguments = arguments.replace("--threads 2", "--threads 1");
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let alone = program().args(&arguments).spawn().expect("it starts");
    assert!(kill(&place, before, alone), "the run was too short");

    // The same program with another commit in it, where it knows one.
    let state = states(&place.run_directory("runs")).pop().expect("a state");
    let commit = commit(&fs::read(state).expect("readable"));
    let (other, turned) = with_another_commit(&place, &commit);
    let program = command(&other.display().to_string())
        .args(&arguments)
        .spawn();
    let (code, _, error) = ended(program.expect("it starts"));
    assert_eq!(code, 0, "{error}");
    // Threads, commit, steps before it.
    let record = record(&place.run_directory("runs"));
    let of = |name: &str| {
        let segments = record["provenance"]["segments"].as_array();
        let segments = segments.expect("a list").iter();
        segments
            .map(|segment| segment[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("threads"), [2, 1, 1]);
    assert_eq!(
        of("commit"),
        [commit.as_str(), commit.as_str(), turned.as_str()]
    );
    let from = of("from_step")
        .into_iter()
        .map(|step| step.as_u64().expect("a number"));
    let from: Vec<u64> = from.collect();
    assert!(
        from[0] == 0 && 0 < from[1] && from[1] < from[2] && from[2] <= 3000,
        "{from:?}"
    );
}
