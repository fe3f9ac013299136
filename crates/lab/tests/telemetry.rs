//! The log and the scalars for TensorBoard, read by a reader of their own, of runs that are killed.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

const EPOCHS: u64 = 60;
const MEASURED: [u64; 3] = [0, 4, EPOCHS];

const SPEC: &str = r#"
seed = 5
[data]
set = "mnist"
train_examples = 300
[model]
name = "mlp"
dtype = "f64"
[train]
epochs = 60
batch_size = 50
optimizer = { kind = "sgd", learning_rate = 0.02, momentum = 0.9, nesterov = false, weight_decay = 1e-4 }
schedule = { kind = "paper", ratio = 0.01 }
average = { kind = "uniform", from_epoch = 40, every = "epoch" }
evaluate_every = 20
[measure]
epochs = [0, 4]
split = "train"
matrices = ["hessian", "gauss-newton"]
batch_size = 300
lanczos = { steps = 6, tolerance = 1e-3 }
trace = { probes = 4, block = 2 }
"#;

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::write(directory.path().join("spec.toml"), SPEC).expect("writable");
        Self { directory }
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flatness"));
        command
            .arg("run")
            .arg(self.directory.path().join("spec.toml"))
            .args(["--threads", "2", "--save-every", "0", "--runs"])
            .arg(self.directory.path().join("runs"))
            .args(options)
            .env("HOME", env!("CARGO_TARGET_TMPDIR"))
            .env_remove("XDG_CACHE_HOME")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn finish(&self, options: &[&str]) -> Output {
        let output = self.command(options).output().expect("the binary starts");
        assert!(output.status.success(), "{output:?}");
        output
    }

    /// Kills a run when it has done `epochs`.
    fn kill_after(&self, epochs: usize, options: &[&str]) {
        let mut child = self.command(options).spawn().expect("the binary starts");
        loop {
            let runs = self.directory.path().join("runs");
            let done = runs.exists() && self.lines("metrics.jsonl").len() >= epochs;
            if done {
                break;
            }
            assert!(child.try_wait().expect("ours").is_none(), "too short");
            sleep(Duration::from_millis(1));
        }
        child.kill().expect("ours");
        child.wait().expect("ours");
    }

    /// The directory of the only run.
    fn run(&self) -> Option<PathBuf> {
        let runs = self.directory.path().join("runs");
        let mut entries = fs::read_dir(runs).expect("runs");
        Some(entries.next()?.expect("readable").path())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.run().expect("one run").join(name)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = self.run().map(|run| fs::read_to_string(run.join(name)));
        let text = text.and_then(Result::ok).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn events(&self) -> PathBuf {
        self.path("events.out.tfevents.flatness")
    }
}

/// CRC-32C bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for &byte in bytes {
        remainder ^= u32::from(byte);
        for _ in 0..8 {
            let feedback = if remainder & 1 == 1 { 0x82f6_3b78 } else { 0 };
            remainder = (remainder >> 1) ^ feedback;
        }
    }
    !remainder
}

/// The next `count` bytes.
fn take<'b>(bytes: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn number(bytes: &mut &[u8], count: usize) -> u64 {
    let little_endian = take(bytes, count).iter().rev();
    little_endian.fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let byte = number(bytes, 1);
    match byte < 0x80 {
        true => byte,
        false => (byte & 0x7f) | varint(bytes) << 7,
    }
}

/// Fields of a message: number, and value or bytes.
fn message(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (value, content): (_, &[u8]) = match key % 8 {
            0 => (varint(&mut bytes), &[]),
            1 => (number(&mut bytes, 8), &[]),
            5 => (number(&mut bytes, 4), &[]),
            _ => {
                let length = varint(&mut bytes);
                (length, take(&mut bytes, length as usize))
            }
        };
        fields.push((key / 8, value, content));
    }
    fields
}

/// Scalars by tag and step; none may be there twice.
fn scalars(path: &Path) -> BTreeMap<(String, u64), f32> {
    let file = fs::read(path).expect("the event file");
    let (mut rest, mut scalars, mut records) = (&file[..], BTreeMap::new(), 0);
    while !rest.is_empty() {
        let mut checked = |count: usize| {
            let bytes = take(&mut rest, count);
            let expected = crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8);
            assert_eq!(number(&mut rest, 4), u64::from(expected));
            bytes
        };
        let length = number(&mut checked(8), 8);
        let event = message(checked(length as usize));
        if records == 0 {
            assert_eq!(event[1], (3, 13, &b"brain.Event:2"[..]));
        }
        records += 1;
        let step = event
            .iter()
            .find(|field| field.0 == 2)
            .map_or(0, |field| field.1);
        for (_, _, summary) in event.iter().filter(|field| field.0 == 5) {
            for (_, _, value) in message(summary) {
                let fields = message(value);
                let tag = String::from_utf8(fields[0].2.to_vec()).expect("UTF-8");
                let old = scalars.insert((tag, step), f32::from_bits(fields[1].1 as u32));
                assert_eq!(old, None, "step {step} twice: {fields:?}");
            }
        }
    }
    scalars
}

/// Every scalar is a number of `metrics.jsonl` or of the record, and all of those are there.
fn check_scalars(fixture: &Fixture) {
    let scalars = scalars(&fixture.events());
    let mut expected = BTreeMap::new();
    let mut expect = |tag: &str, step: u64, value: &serde_json::Value| {
        let value = value.as_f64().unwrap_or_else(|| panic!("{tag} is {value}"));
        expected.insert((tag.to_owned(), step), value as f32);
    };
    for line in fixture.lines("metrics.jsonl") {
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let epoch = line["epoch"].as_u64().expect("a number");
        for name in [
            "running_loss",
            "running_accuracy",
            "examples_per_second",
            "learning_rate",
            "parameter_norm",
        ] {
            expect(&format!("train/{name}"), epoch, &line[name]);
        }
        for (of, evaluation) in [("", "evaluation"), ("average/", "average_evaluation")] {
            for split in ["train", "test"] {
                for name in ["loss", "accuracy", "top5_accuracy"] {
                    if let Some(value) = line.get(evaluation).map(|splits| &splits[split][name]) {
                        expect(&format!("evaluated/{of}{split}_{name}"), epoch, value);
                    }
                }
            }
        }
    }
    let record = fs::read_to_string(fixture.path("record.json")).expect("the record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let measurements = record["measurements"].as_array().expect("an array");
    assert_eq!(measurements.len(), MEASURED.len() + 1);
    for measurement in measurements {
        let epoch = measurement["epoch"].as_u64().expect("a number");
        assert!(MEASURED.contains(&epoch));
        let of = match measurement["weights"].as_str() {
            Some("average") => "average/",
            _ => "",
        };
        for name in [
            "train_loss",
            "train_accuracy",
            "train_top5_accuracy",
            "test_loss",
            "test_accuracy",
            "test_top5_accuracy",
            "gradient_norm",
            "parameter_norm",
            "distance_from_initialization",
        ] {
            expect(&format!("measured/{of}{name}"), epoch, &measurement[name]);
        }
        for name in ["fisher_rao", "adaptive_lambda_max"] {
            let value = &measurement[name]["value"];
            expect(&format!("measured/{of}{name}"), epoch, value);
        }
        for matrix in measurement["matrices"].as_array().expect("an array") {
            let matrix_name = matrix["matrix"].as_str().expect("a name");
            for name in [
                "lambda_max",
                "lambda_min",
                "spectral_norm",
                "trace",
                "frobenius",
            ] {
                let value = &matrix[name]["value"];
                expect(&format!("{matrix_name}/{of}{name}"), epoch, value);
            }
        }
    }
    for (key, value) in &expected {
        // Where no time is measured the numbers are the same; where it is, a line may have been
        // made again after a kill.
        let same = key.0 == "train/examples_per_second" || scalars.get(key) == Some(value);
        assert!(
            same && scalars.contains_key(key),
            "{key:?}: {:?} for {value}",
            scalars.get(key)
        );
    }
    assert_eq!(scalars.len(), expected.len());
}

#[test]
fn killed_runs_write_every_scalar_once() {
    let fixture = Fixture::new();
    fixture.kill_after(2, &["--quiet", "--tensorboard"]);
    // What a process leaves that is killed while it writes.
    let mut file = OpenOptions::new()
        .append(true)
        .open(fixture.events())
        .expect("there");
    file.write_all(&[40, 0, 0, 0, 0, 0]).expect("writable");
    fixture.kill_after(12, &["--quiet", "--tensorboard"]);
    fixture.kill_after(30, &["--quiet", "--tensorboard"]);
    fixture.finish(&["--quiet", "--tensorboard"]);
    check_scalars(&fixture);
}

#[test]
fn scalars_of_epochs_without_the_option_are_made_up_for() {
    let fixture = Fixture::new();
    fixture.kill_after(10, &["--quiet"]);
    assert!(!fixture.events().exists());
    fixture.finish(&["--quiet", "--tensorboard"]);
    check_scalars(&fixture);
}

#[test]
fn the_log_has_the_start_the_epochs_the_saves_and_the_resumes() {
    let fixture = Fixture::new();
    fixture.kill_after(3, &["--quiet"]);
    let first = fixture.lines("flatness.log");
    let output = fixture.finish(&["--quiet"]);
    assert!(output.stderr.is_empty(), "{output:?}");
    let log = fixture.lines("flatness.log");
    assert_eq!(log[..first.len()], first);
    let count =
        |lines: &[String], what: &str| lines.iter().filter(|line| line.contains(what)).count();
    let id = fixture.run().expect("one run");
    let id = id
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let start = format!("INFO start spec=\"{id}\" seed=5 threads=2 device=\"cpu\"");
    assert_eq!(count(&first, &start), 1);
    assert_eq!(count(&log, &start), 2);
    assert_eq!(count(&log[first.len()..], "INFO resuming"), 1);
    assert!(count(&log, "saved the state") >= EPOCHS as usize);
    for epoch in 1..=EPOCHS {
        assert!(
            count(&log, &format!("epoch done epoch={epoch} ")) >= 1,
            "{epoch}"
        );
    }
    assert!(count(&log, "measured epoch=4 ") >= 1);
    // The time, in UTC.
    let is_dated = |line: &String| line.starts_with("20") && line[..27].ends_with('Z');
    assert_eq!(log.iter().find(|line| !is_dated(line)), None);
}

#[test]
fn without_a_level_there_is_no_log_and_without_the_option_no_scalars() {
    for (level, expected) in [("off", None), ("warn", Some(0)), ("error", Some(0))] {
        let fixture = Fixture::new();
        fixture.finish(&["--quiet", "--log-level", level]);
        let log = fs::read_to_string(fixture.path("flatness.log"));
        assert_eq!(log.ok().map(|log| log.lines().count()), expected, "{level}");
        assert!(!fixture.events().exists());
    }
}
