//! Signals, and two processes that want the same run.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::program::{MLP, Place, command, ended, lives, states};

/// A run that lasts until it is stopped.
fn endless() -> Place {
    let spec = MLP.split("[measure]").next().expect("a part");
    Place::new(&spec.replace("epochs = 24", "epochs = 100000"))
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
        send(signal, &child);
        let (got, error) = ended(child);
        assert_eq!(got, code, "{signal}: {error}");
        assert!(error.contains("the same command goes on"), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        let saved = states(&place.run_directory("runs"));
        let steps = saved.last().expect("a state").display().to_string();
        let steps = steps.rsplit_once("state-").expect("a name").1;
        let steps = steps.strip_suffix(".safetensors").expect("a name");
        assert!(error.contains(&format!("after {steps} steps")), "{error}");

        // Not quiet, so that it says where it goes on.
        let mut child = place.start("runs", &["--save-every", "0"]);
        let saved: u64 = steps.parse().expect("a number");
        place.wait_for_step(&mut child, "runs", saved + 1);
        send("-KILL", &child);
        let (_, error) = ended(child);
        assert!(error.contains(&format!("step {steps}\n")), "{error}");
    }
}

#[test]
fn a_run_ends_with_its_standard_input_where_that_is_asked_for() {
    let place = endless();
    let mut child = command(env!("CARGO_BIN_EXE_flatness"))
        .args(place.arguments("runs", &["--quiet", "--until-eof"]))
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    place.wait_for("runs", "metrics.jsonl");
    // As when the process that holds the other end is killed.
    drop(child.stdin.take());
    let (code, error) = ended(child);
    assert_eq!(code, 143, "{error}");
    assert!(error.contains("the same command goes on"), "{error}");
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
            let (code, error) = ended(child);
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
    send("-INT", &child);
    let (code, error) = ended(child);
    assert_eq!(code, 130, "{error}");
    assert!(error.contains("ended at once"), "{error}");
}

#[test]
fn a_second_process_is_refused_while_the_first_lives() {
    let place = endless();
    let mut first = place.start("runs", &["--quiet"]);
    place.wait_for("runs", "metrics.jsonl");
    let (code, error) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 2, "{error}");
    let holder = format!("in use by process {}", first.id());
    assert!(error.contains(&holder), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");

    first.kill().expect("the child is ours");
    first.wait().expect("the child is ours");
    let lock = place.run_directory("runs").join("lock");
    assert!(lock.exists(), "the dead process has left its lock");
    let mut next = place.start("runs", &["--quiet", "--save-every", "0"]);
    place.wait_for_step(&mut next, "runs", 1);
    send("-TERM", &next);
    let (code, error) = ended(next);
    assert_eq!(code, 143, "{error}");
}
