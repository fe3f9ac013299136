//! Signals, and two processes that want the same run.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::common::{ended, program};
use crate::program::{MLP, Place, assert_says, kill, lives, mlp};

/// A run that lasts until it is stopped.
fn endless() -> Place {
    Place::new(&mlp(100_000))
}

/// How it ends after the signal; exit code and standard error.
fn signalled(signal: &str, child: Child) -> (i32, String) {
    send(signal, &child);
    let (code, _, error) = ended(child);
    (code, error)
}

fn send(signal: &str, child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.expect("kill runs").success());
}

/// Waits until the thread that takes the signals is there, or the process has ended.
fn wait_for_handler(child: &mut Child) {
    let tasks = format!("/proc/{}/task", child.id());
    let listens = || -> std::io::Result<bool> {
        for task in fs::read_dir(&tasks)? {
            if fs::read_to_string(task?.path().join("comm"))?.trim() == "signals" {
                return Ok(true);
            }
        }
        Ok(false)
    };
    while lives(child) {
        if listens().unwrap_or(false) {
            return;
        }
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_signal_ends_a_run_behind_a_step_and_the_same_command_goes_on() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let place = endless();
        let child = place.start("runs", &["--quiet"]);
        place.wait_for("runs", "metrics.jsonl");
        let ended = signalled(signal, child);
        let steps = place.steps_saved("runs");
        let after = format!("after {steps} steps");
        assert_says(ended, code, &["the same command goes on", &after]);

        // Not quiet, so that it says where it goes on.
        let mut child = place.start("runs", &["--save-every", "0"]);
        place.wait_for_step(&mut child, "runs", steps + 1);
        let (_, error) = signalled("-KILL", child);
        assert!(error.contains(&format!("step {steps}\n")), "{error}");
    }
}

#[test]
fn a_run_ends_with_its_standard_input_where_that_is_asked_for() {
    let place = endless();
    let mut child = program()
        .args(place.arguments("runs", &["--quiet", "--until-eof"]))
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    place.wait_for("runs", "metrics.jsonl");
    // As when the process that holds the other end is killed.
    drop(child.stdin.take());
    let (code, _, error) = ended(child);
    assert_says((code, error), 143, &["the same command goes on"]);
}

#[test]
fn an_interrupted_run_ends_with_the_same_bits() {
    let place = Place::new(MLP);
    let whole = place.finish("whole");
    // A signal may come after the end of a short run: then another is begun.
    for attempt in 0.. {
        let runs = format!("runs-{attempt}");
        let mut interrupted = 0;
        while interrupted < 3 {
            let mut child = place.start(&runs, &["--quiet"]);
            place.wait_for(&runs, "metrics.jsonl");
            wait_for_handler(&mut child);
            if lives(&mut child) {
                send("-INT", &child);
            }
            let (code, _, error) = ended(child);
            if code == 0 {
                break;
            }
            assert_eq!(code, 130, "{error}");
            interrupted += 1;
        }
        assert_eq!(place.finish(&runs), whole);
        if interrupted > 0 {
            break;
        }
    }
}

#[test]
fn a_signal_ends_a_measurement_at_once() {
    // Hours of products, before the first step.
    let spec = MLP.replace("budget = 12", "budget = 100000000");
    let spec = spec.replace("epochs = [0, 3, 20]", "epochs = [0]\nrelative_error = 1e-9");
    let place = Place::new(&spec);
    let mut child = place.start("runs", &[]);
    wait_for_handler(&mut child);
    let (code, error) = signalled("-INT", child);
    assert_eq!(code, 130, "{error}");
    assert!(error.contains("ended at once"), "{error}");
}

#[test]
fn a_second_process_is_refused_while_the_first_lives() {
    let place = endless();
    let first = place.start("runs", &["--quiet"]);
    place.wait_for("runs", "metrics.jsonl");
    let holder = format!("in use by process {}", first.id());
    assert_says(place.run("runs", &["--quiet"]), 2, &[&holder]);

    kill(first);
    let lock = place.run_directory("runs").join("lock");
    assert!(lock.exists(), "the dead process has left its lock");
    let mut next = place.start("runs", &["--quiet", "--save-every", "0"]);
    place.wait_for_step(&mut next, "runs", 1);
    let (code, error) = signalled("-TERM", next);
    assert_eq!(code, 143, "{error}");
}
