//! A run killed at any moment, and started again, ends with the same bits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const SPEC: &str = r#"
seed = 3
[data]
set = "mnist"
train_examples = 500
[model]
name = "mlp"
dtype = "f64"
[train]
epochs = 40
batch_size = 50
optimizer = { kind = "sgd", learning_rate = 0.02, momentum = 0.9, nesterov = true, weight_decay = 1e-4 }
schedule = { kind = "paper", ratio = 0.01 }
[measure]
epochs = [0, 3, 20]
split = "train"
matrices = ["hessian"]
batch_size = 250
lanczos = { steps = 8, tolerance = 1e-3 }
trace = { probes = 4, block = 2 }
scales = [1.0, 2.0]
"#;

fn start(spec: &Path, runs: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_flatness"))
        .arg("run")
        .arg(spec)
        .args(["--quiet", "--threads", "2", "--save-every", "0", "--runs"])
        .arg(runs)
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("XDG_CACHE_HOME")
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn finish(mut child: Child) {
    let status = child.wait().expect("the binary ends");
    assert!(status.success(), "{status}");
}

/// The only run under `runs`.
fn run_directory(runs: &Path) -> PathBuf {
    let entries: Vec<_> = fs::read_dir(runs)
        .expect("runs")
        .filter_map(Result::ok)
        .collect();
    assert_eq!(entries.len(), 1);
    entries[0].path()
}

/// Everything of a record but the clock, the memory and the paths.
fn essence(directory: &Path) -> serde_json::Value {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                for name in ["provenance", "training", "seconds"] {
                    fields.remove(name);
                }
                fields.values_mut().for_each(strip);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let text = fs::read_to_string(directory.join("record.json")).expect("the record");
    let mut record = serde_json::from_str(&text).expect("JSON");
    strip(&mut record);
    record
}

#[test]
fn a_killed_run_ends_with_the_same_bits() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let spec = directory.path().join("spec.toml");
    fs::write(&spec, SPEC).expect("writable");
    let whole = directory.path().join("whole");
    finish(start(&spec, &whole));
    let whole = run_directory(&whole);

    let killed = directory.path().join("killed");
    let mut kills = 0;
    // Moments spread over the whole run by a fixed linear congruential sequence.
    let mut moment: u64 = 12_345;
    for _ in 0..12 {
        moment = moment
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut child = start(&spec, &killed);
        sleep(Duration::from_millis((moment >> 33) % 400));
        if child.try_wait().expect("the child is ours").is_none() {
            child.kill().expect("the child is ours");
            kills += 1;
        }
        child.wait().expect("the child is ours");
    }
    assert!(kills > 0, "the run was too short to be killed");
    finish(start(&spec, &killed));
    let killed = run_directory(&killed);

    let checkpoint =
        |directory: &Path| fs::read(directory.join("checkpoint.safetensors")).expect("there");
    assert_eq!(checkpoint(&whole), checkpoint(&killed));
    assert_eq!(essence(&whole), essence(&killed));
    let epochs = |directory: &Path| {
        let text = fs::read_to_string(directory.join("metrics.jsonl")).expect("there");
        text.lines()
            .map(|line| {
                let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                line.as_object_mut().expect("an object").remove("seconds");
                line
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(epochs(&whole), epochs(&killed));
    let mut names: Vec<_> = fs::read_dir(&killed)
        .expect("there")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "checkpoint.safetensors",
            "metrics.jsonl",
            "record.json",
            "spec.toml"
        ]
    );
}

#[test]
fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let spec = directory.path().join("spec.toml");
    fs::write(&spec, SPEC.replace("epochs = 40", "epochs = 100000")).expect("writable");
    let runs = directory.path().join("runs");
    let mut first = start(&spec, &runs);
    // The first is at work when its metrics are there.
    for _ in 0..600 {
        let metrics = fs::read_dir(&runs)
            .ok()
            .and_then(|mut runs| runs.next())
            .and_then(Result::ok);
        if metrics.is_some_and(|run| run.path().join("metrics.jsonl").exists()) {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    let second = start(&spec, &runs)
        .wait_with_output()
        .expect("the binary ends");
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    let pid = first.id();
    first.kill().expect("the child is ours");
    first.wait().expect("the child is ours");
    assert_eq!(second.status.code(), Some(2), "{error}");
    assert!(
        error.contains(&format!("in use by process {pid}")),
        "{error}"
    );
}
