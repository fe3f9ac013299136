//! Damaged states, and a disk that is full.

use std::fs;
use std::path::PathBuf;

use crate::common::{command, ended};
use crate::program::{MLP, Place, assert_says, kill, mlp, states};

/// A killed run with two states, the older first.
fn killed() -> (Place, [PathBuf; 2]) {
    // Without measurements, whose lines are longer than those of the metrics.
    let spec = mlp(24);
    loop {
        let place = Place::new(&spec);
        let child = place.start("runs", &["--quiet", "--save-every", "0"]);
        place.wait_for("runs", "metrics.jsonl");
        kill(child);
        let states = states(&place.run_directory("runs"));
        // A kill between a new state and the removal of the oldest leaves three.
        if let [oldest, _, _] = states.as_slice() {
            fs::remove_file(oldest).expect("removable");
        }
        let newest: Vec<PathBuf> = states.into_iter().rev().take(2).rev().collect();
        // The kill may come after the end of so short a run: then another is begun.
        if let Ok(states) = newest.try_into() {
            return (place, states);
        }
    }
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() - 8].to_vec()
}

fn empty(_: &[u8]) -> Vec<u8> {
    Vec::new()
}

/// One bit of the last element: only the digest tells.
fn flip(bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() - 1] ^= 1;
    flipped
}

#[test]
fn a_damaged_state_is_passed_over_for_the_one_before() {
    for damage in [cut, empty, flip] {
        let (place, [older, newest]) = killed();
        let bytes = fs::read(&newest).expect("readable");
        fs::write(&newest, damage(&bytes)).expect("writable");
        let newest = newest.display().to_string();
        let ended = place.run("runs", &["--quiet"]);
        let error = assert_says(ended, 0, &[&newest]);
        assert!(error.starts_with("warning: "), "{error}");
        assert!(!error.contains(&older.display().to_string()), "{error}");
        assert_eq!(place.finish("runs"), place.finish("whole"));
    }
}

#[test]
fn two_damaged_states_are_one_sentence_and_stay_as_they_are() {
    let (place, states) = killed();
    for state in &states {
        fs::write(state, b"something else").expect("writable");
    }
    let error = assert_says(place.run("runs", &["--quiet"]), 2, &["delete them"]);
    for state in &states {
        assert!(error.contains(&state.display().to_string()), "{error}");
        assert_eq!(fs::read(state).expect("there"), b"something else");
        fs::remove_file(state).expect("removable");
    }
    assert_eq!(place.finish("runs"), place.finish("whole"));
}

#[test]
fn a_damaged_record_is_made_anew() {
    let place = Place::new(MLP);
    let whole = place.finish("runs");
    let record = place.run_directory("runs").join("record.json");
    let bytes = fs::read(&record).expect("there");
    let mut no_text = bytes.clone();
    no_text[40] |= 0x80;
    for damaged in [cut(&bytes), empty(&bytes), no_text] {
        fs::write(&record, damaged).expect("writable");
        let ended = place.run("runs", &["--quiet"]);
        let name = record.display().to_string();
        assert_says(ended, 0, &["warning: ", &name, "; the run is done anew"]);
        assert_eq!(place.finish("runs"), whole);
    }
}

/// Goes on where no file may become larger than so many blocks of 512 bytes, as if the disk were full.
fn limited(place: &Place, blocks: usize, more: &[&str]) -> (i32, String) {
    // A write beyond the limit is an error where the signal is ignored.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let child = command("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_flatness")])
        .args(place.arguments("runs", more))
        .spawn();
    let (code, _, error) = ended(child.expect("sh starts"));
    (code, error)
}

#[test]
fn a_state_that_does_not_fit_on_the_disk_leaves_the_one_before_whole() {
    let (place, states) = killed();
    let bytes = || {
        states
            .each_ref()
            .map(|state| fs::read(state).expect("there"))
    };
    let before = bytes();
    let ended = limited(&place, 100, &["--quiet", "--save-every", "0"]);
    assert_says(ended, 2, &["cannot write", "state-"]);
    assert!(before == bytes(), "a state has changed");
    assert_eq!(place.finish("runs"), place.finish("whole"));
}

#[test]
fn half_a_line_of_metrics_is_repaired() {
    let (place, _) = killed();
    let metrics = place.run_directory("runs").join("metrics.jsonl");
    let length = || fs::metadata(&metrics).expect("there").len();
    // Room for some lines more, and for a part of one.
    let blocks = usize::try_from(length() / 512 + 2).expect("small");
    let ended = limited(&place, blocks, &["--quiet", "--save-every", "1000"]);
    assert_says(ended, 2, &["cannot write", "metrics.jsonl"]);
    assert_eq!(length(), 512 * blocks as u64);
    let text = fs::read_to_string(&metrics).expect("there");
    assert!(!text.ends_with('\n'), "the last line is whole");
    assert_eq!(place.finish("runs"), place.finish("whole"));
}
