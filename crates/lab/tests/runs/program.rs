//! The program, its specs, and what it leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use candle_core::{DType, Tensor};
use flatness_layers::Network;
use flatness_models::{Architecture, checkpoint};
use serde_json::Value;
use tempfile::TempDir;

use crate::cifar::write_cifar100;
use crate::common::{ended, program};

/// An MLP that is measured on its way.
pub(crate) const MLP: &str = r#"
seed = 3
[data]
set = "mnist"
train_examples = 500
[model]
name = "mlp"
dtype = "f64"
[train]
epochs = 24
batch_size = 50
optimizer = { kind = "sgd", learning_rate = 0.02, momentum = 0.9, nesterov = true, weight_decay = 1e-4 }
schedule = { kind = "paper", ratio = 0.01 }
[measure]
epochs = [0, 3, 20]
along = ["top", "trace"]
what = ["top", "bottom", "trace", "frobenius", "scaling=2"]
batch_size = 250
budget = 12
search = 4
"#;

/// Batch-norm, and everything else that has a state.
pub(crate) const BATCH_NORM: &str = r#"
seed = 4
[data]
set = "cifar-100"
[model]
name = "preresnet-8"
dtype = "f32"
[train]
epochs = 5
batch_size = 4
optimizer = { kind = "padam", learning_rate = 0.05, weight_decay = 2.5e-3, decay = "decoupled", partial = 0.125 }
schedule = { kind = "averaging", start_epoch = 3, ratio = 0.5 }
average = { kind = "uniform", from_epoch = 2, every = "step" }
augmentation = { flip = true, pad = 4 }
decay_excludes = ["biases", "normalization"]
clip_norm = 2.0
sharpness_aware = 0.05
checkpoint_every = 2
[measure]
epochs = [1]
along = ["top"]
what = ["top", "trace"]
batch_size = 12
budget = 4
search = 2
"#;

/// The spec without measurements.
pub(crate) fn trained(spec: &str) -> &str {
    spec.split("[measure]").next().expect("a part")
}

/// The MLP, trained so long and not measured.
pub(crate) fn mlp(epochs: u32) -> String {
    trained(MLP).replace("epochs = 24", &format!("epochs = {epochs}"))
}

/// Training examples of the data like CIFAR-100.
pub(crate) const CIFAR_EXAMPLES: u8 = 12;

/// Where the runs of one test are.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// A directory with the spec and a small data set of the form of CIFAR-100.
    pub(crate) fn new(spec: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = Self { directory };
        fs::write(place.path("spec.toml"), spec).expect("writable");
        fs::create_dir(place.path("data")).expect("writable");
        write_cifar100(&place.path("data"), CIFAR_EXAMPLES, pixel);
        place
    }

    /// Another bit in the first image; the bytes before.
    pub(crate) fn change_data(&self) -> Vec<u8> {
        let path = self.path("data").join("train.bin");
        let before = fs::read(&path).expect("readable");
        let mut other = before.clone();
        other[100] ^= 1;
        fs::write(&path, other).expect("writable");
        before
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The arguments of `flatness run` into the directory `runs`.
    pub(crate) fn arguments(&self, runs: &str, more: &[&str]) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        let mut arguments = vec!["run".to_owned(), path("spec.toml")];
        arguments.extend(["--threads", "2", "--runs"].map(str::to_owned));
        arguments.push(path(runs));
        let spec = fs::read_to_string(self.path("spec.toml")).expect("readable");
        if spec.contains("cifar-100") {
            arguments.extend(["--data".to_owned(), path("data")]);
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        arguments
    }

    pub(crate) fn start(&self, runs: &str, more: &[&str]) -> Child {
        let child = program().args(self.arguments(runs, more)).spawn();
        child.expect("the binary starts")
    }

    /// Runs to the end; exit code and standard error.
    pub(crate) fn run(&self, runs: &str, more: &[&str]) -> (i32, String) {
        let (code, _, error) = ended(self.start(runs, more));
        (code, error)
    }

    /// Runs to a good end.
    pub(crate) fn finish(&self, runs: &str) -> Finished {
        let (code, error) = self.run(runs, &["--quiet"]);
        assert_eq!(code, 0, "{error}");
        Finished::read(&self.run_directory(runs))
    }

    /// The directory of the only run in `runs`.
    pub(crate) fn run_directory(&self, runs: &str) -> PathBuf {
        run_directory(&self.path(runs)).expect("there is a run")
    }

    /// Waits until the run in `runs` has the file `name`, which stays.
    pub(crate) fn wait_for(&self, runs: &str, name: &str) {
        let runs = self.path(runs);
        wait_until(name, || {
            run_directory(&runs).is_some_and(|run| run.join(name).exists())
        });
    }

    /// Steps of the last state of the only run in `runs`.
    pub(crate) fn steps_saved(&self, runs: &str) -> u64 {
        let steps = steps_saved(&self.run_directory(runs));
        steps.last().copied().expect("a state")
    }

    /// Waits until `child` has saved a state of `runs` after `steps` steps or more, or has ended; a
    /// single state is gone two steps later.
    pub(crate) fn wait_for_step(&self, child: &mut Child, runs: &str, steps: u64) {
        let runs = self.path(runs);
        wait_until(&format!("a state after {steps} steps"), || {
            let saved = run_directory(&runs).and_then(|run| steps_saved(&run).last().copied());
            saved.is_some_and(|saved| saved >= steps) || !lives(child)
        });
    }
}

/// Whether the process has not ended.
pub(crate) fn lives(child: &mut Child) -> bool {
    child.try_wait().expect("the child is ours").is_none()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        let waited = started.elapsed();
        assert!(waited < Duration::from_secs(120), "{what} does not come");
        sleep(Duration::from_millis(2));
    }
}

pub(crate) fn kill(mut child: Child) {
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours");
}

/// Asserts that a process has ended with `code` and one sentence with all that is `expected`; it.
#[track_caller]
pub(crate) fn assert_says(ended: (i32, String), code: i32, expected: &[&str]) -> String {
    let (got, error) = ended;
    assert_eq!(got, code, "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    for expected in expected {
        assert!(error.contains(expected), "no `{expected}` in: {error}");
    }
    error
}

fn run_directory(runs: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(runs).ok()?.filter_map(Result::ok);
    let only = entries.next()?.path();
    assert!(entries.next().is_none(), "there are several runs");
    Some(only)
}

/// All that a finished run has left behind, but for the clock, the memory and the paths.
#[derive(Debug, PartialEq)]
pub(crate) struct Finished {
    pub(crate) record: Value,
    metrics: Vec<Value>,
    /// Names and bytes of the parameters.
    weights: Vec<(String, Vec<u8>)>,
    /// Names of all files, but for logs.
    pub(crate) names: Vec<String>,
}

impl Finished {
    pub(crate) fn read(directory: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(directory.join(name)).expect("it is there");
        let mut record = record(directory);
        strip(&mut record);
        let metrics = text("metrics.jsonl");
        let metrics = metrics.lines().map(|line| {
            let mut line = serde_json::from_str(line).expect("JSON");
            strip(&mut line);
            line
        });
        let names = names(directory);
        let weights = names.iter().filter(|name| name.ends_with(".safetensors"));
        let weights = weights.map(|name| {
            let bytes = fs::read(directory.join(name)).expect("readable");
            (name.clone(), bytes)
        });
        Self {
            record,
            metrics: metrics.collect(),
            weights: weights.collect(),
            names,
        }
    }
}

pub(crate) fn record(directory: &Path) -> Value {
    let text = fs::read_to_string(directory.join("record.json")).expect("it is there");
    serde_json::from_str(&text).expect("JSON")
}

/// Removes what is of the clock, and the digest of it all.
fn strip(value: &mut Value) {
    value
        .as_object_mut()
        .and_then(|fields| fields.remove("digest"));
    strip_times(value);
}

fn strip_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["provenance", "training", "seconds", "examples_per_second"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(strip_times);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_times),
        _ => {}
    }
}

/// Names of the files in `directory`, in order, but for logs.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .filter(|name| !name.ends_with(".log"))
        .collect();
    names.sort();
    names
}

/// Paths of the saved states in `directory`, the oldest first.
pub(crate) fn states(directory: &Path) -> Vec<PathBuf> {
    let path = |steps| directory.join(format!("state-{steps}.safetensors"));
    steps_saved(directory).into_iter().map(path).collect()
}

/// Steps after which the states in `directory` were saved, the fewest first.
fn steps_saved(directory: &Path) -> Vec<u64> {
    let number = |name: &String| -> Option<u64> {
        let number = name.strip_prefix("state-")?;
        number.strip_suffix(".safetensors")?.parse().ok()
    };
    let mut numbers: Vec<u64> = names(directory).iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Parameters and running statistics in a checkpoint, in double precision.
pub(crate) fn weights(path: &Path, network: &Network) -> (Vec<f64>, Vec<f64>) {
    let checkpoint = checkpoint::read(path).expect("a checkpoint");
    let values = |tensor: Tensor| {
        let tensor = tensor.to_dtype(DType::F64).expect("numbers");
        tensor.to_vec1().expect("a vector")
    };
    let parameters = checkpoint.parameters(network, "the checkpoint");
    let buffers = checkpoint.buffers(network, "the checkpoint");
    (
        values(parameters.expect("parameters")),
        values(buffers.expect("running statistics")),
    )
}

pub(crate) fn network(name: &str, shape: &[usize], classes: usize) -> Network {
    let architecture = Architecture::find(name).expect("it is in the zoo");
    architecture.network(shape, classes).expect("it fits")
}

/// Byte of training image `index` at `place` of 3072: something without symmetry.
pub(crate) fn pixel(index: u8, place: usize) -> u8 {
    let place = u64::try_from(place).expect("small");
    let mixed = (place + 3072 * u64::from(index)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}
