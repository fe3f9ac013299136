//! Runs of networks of ONNX files and over files of tensors: everything that a run of the zoo can do.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flatness_data::{Dataset, EmbeddedMnist, Normalization, Set};
use serde_json::Value;

use crate::common::{flatness, refused};
use crate::entrances::{assert_same, measured, measurements};
use crate::killing::check_kills;
use crate::program::{Finished, Place, assert_says, kill, names, states};

/// Batch-norm, dropout, an average, measurements along training and at the end, of a test split.
const SPEC: &str = r#"
seed = 4
[data]
set = "DATA"
train_examples = 18
subset = "seeded"
validation_examples = 4
[model]
name = "NETWORK"
dtype = "f32"
[train]
epochs = 5
batch_size = 5
optimizer = { kind = "adam", learning_rate = 0.01, weight_decay = 0.1, decay = "decoupled" }
schedule = { kind = "cosine", ratio = 0.1 }
average = { kind = "uniform", from_epoch = 2, every = "step" }
decay_excludes = ["normalization"]
clip_norm = 2.0
sharpness_aware = 0.05
evaluate_every = 2
checkpoint_every = 2
[measure]
epochs = [0, 2]
along = ["top"]
what = ["top", "trace", "confidence"]
split = "test"
matrices = ["hessian", "gauss-newton"]
budget = 8
search = 4
"#;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../onnx/tests/golden/{name}.onnx"))
}

/// 24 examples for `cifar.onnx`, and 7 of another phase.
fn save_data(path: &Path) {
    let x = |examples: usize, phase: f64| {
        let values = (0..examples * 192).map(|i| 2.0 * (phase + f64::from(i as u32)).sin());
        let values = Tensor::from_iter(values, &Device::Cpu).and_then(|x| x.to_dtype(DType::F32));
        values
            .and_then(|x| x.reshape((examples, 3, 8, 8)))
            .expect("inputs")
    };
    let y = |examples: u32| {
        let classes = (0..examples).map(|row| i64::from((7 * row + 3) % 10));
        Tensor::from_iter(classes, &Device::Cpu).expect("classes")
    };
    let tensors = [
        ("x", x(24, 1.0)),
        ("y", y(24)),
        ("x_test", x(7, 0.3)),
        ("y_test", y(7)),
    ];
    candle_core::safetensors::save(&HashMap::from(tensors), path).expect("writable");
}

/// [`SPEC`] with copies of the network and its data beside it.
fn place() -> Place {
    let place = Place::new("");
    let (network, data) = (place.path("net.onnx"), place.path("data.safetensors"));
    fs::copy(golden("cifar"), &network).expect("writable");
    save_data(&data);
    let spec = SPEC.replace("NETWORK", &network.display().to_string());
    let spec = spec.replace("DATA", &data.display().to_string());
    fs::write(place.path("spec.toml"), spec).expect("writable");
    place
}

#[test]
fn a_killed_run_of_an_onnx_file_ends_with_the_same_bits() {
    let kept = [
        "average.safetensors",
        "checkpoint-2.safetensors",
        "checkpoint-4.safetensors",
        "checkpoint.safetensors",
        "lock",
        "metrics.jsonl",
        "record.json",
        "spec.toml",
    ];
    check_kills(&place(), &kept);
}

#[test]
fn a_run_of_files_is_measured_recorded_listed_and_compared() {
    let place = place();
    let Finished { record, .. } = place.finish("runs");
    let directory = place.run_directory("runs");
    let run = directory.display();
    let model = &record["model"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    assert_eq!(
        (text(&model["name"]), &model["classes"]),
        ("net".to_owned(), &10.into())
    );
    assert_eq!(
        text(&model["file"]["path"]),
        place.path("net.onnx").display().to_string()
    );
    assert_eq!(text(&model["file"]["digest"]).len(), 64);
    let data = &record["data"];
    let counts = ["train", "validation", "test"].map(|split| &data[format!("{split}_examples")]);
    assert_eq!(counts, [18, 4, 7]);
    for split in ["train", "validation", "test"] {
        assert!(record["average_evaluation"][split]["accuracy"].is_f64());
    }
    assert!(record["training"].is_null() && record["test_correct"].is_string());

    let [_, _, last, average]: [Value; 4] = measurements(&directory).try_into().expect("four");
    assert_same(&measured(&format!("{run}/checkpoint.safetensors")), &last);
    assert_same(&measured(&run.to_string()), &average);
    let other = measured(&format!("{run} --split validation --what norms"));
    assert_eq!(
        (&other["examples"], &other["model"]["name"]),
        (&4.into(), &"net".into())
    );
    // The weights of a checkpoint in the network of a file.
    let told = format!(
        "{run}/checkpoint.safetensors --ignore-run --model {} --data {} --what norms",
        place.path("net.onnx").display(),
        place.path("data.safetensors").display()
    );
    assert_eq!(
        measured(&told)["numbers"]["parameter_norm"],
        last["numbers"]["parameter_norm"]
    );

    let (code, listed, _) = flatness(&format!("runs {} --json", place.path("runs").display()));
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((code, &listed[0]["state"]), (0, &"finished".into()));
    assert!(listed[0]["test_accuracy"].is_f64());
    let (code, table, _) = flatness(&format!("compare {run} {run}"));
    assert!(
        code == 0 && table.contains("average.test_accuracy"),
        "{table}"
    );
    let arguments = place.arguments("runs", &["--dry-run", "--json"]).join(" ");
    let (code, estimates, error) = flatness(&arguments);
    assert_eq!(code, 0, "{error}");
    let estimates: Value = serde_json::from_str(&estimates).expect("JSON");
    assert_eq!(estimates[0]["parameters"], model["parameters"]);
}

/// Another byte in `file`, which is put back afterwards.
fn with_another_byte(file: &Path, at: usize, then: impl FnOnce()) {
    let before = fs::read(file).expect("readable");
    let mut other = before.clone();
    let at = other.len() - at;
    other[at] ^= 1;
    fs::write(file, other).expect("writable");
    then();
    fs::write(file, before).expect("writable");
}

#[test]
fn a_file_that_has_changed_is_refused_by_the_state_and_the_record() {
    let place = place();
    // In the last weight of the network, and in the last input.
    let files = [
        (
            place.path("net.onnx"),
            400,
            "network file's digest",
            "put that file back",
        ),
        (place.path("data.safetensors"), 4, "data digest", "--data"),
    ];
    let mut child = place.start("runs", &["--quiet", "--save-every", "0"]);
    place.wait_for_step(&mut child, "runs", 3);
    kill(child);
    for is_finished in [false, true] {
        if is_finished {
            place.finish("runs");
        } else if states(&place.run_directory("runs")).is_empty() {
            continue;
        }
        for (file, at, what, hint) in &files {
            with_another_byte(file, *at, || {
                let before = names(&place.run_directory("runs"));
                let ended = place.run("runs", &["--quiet"]);
                assert_says(ended, 2, &[&format!("must be of the {what}"), hint]);
                assert_eq!(names(&place.run_directory("runs")), before);
            });
        }
    }
    let run = place.run_directory("runs");
    for (file, at, ..) in &files {
        with_another_byte(file, *at, || {
            let line = format!("measure {} --quiet --what norms", run.display());
            refused(&line, &["belongs to a run o", "--ignore-run"]);
        });
    }
}

/// `flatness train` with these options: the record, and the bytes of the parameters.
fn trained(place: &Place, runs: &str, options: &str) -> (Value, Vec<u8>) {
    let line = format!(
        "train {options} --runs {} --threads 2 --quiet --json",
        place.path(runs).display()
    );
    let (code, output, error) = flatness(&line);
    assert_eq!((code, error.as_str()), (0, ""), "{line}");
    let record: Value = serde_json::from_str(&output).expect("JSON");
    let parameters = place.run_directory(runs).join("checkpoint.safetensors");
    (record, fs::read(parameters).expect("parameters"))
}

#[test]
fn training_begins_at_the_values_of_the_file_unless_the_seed_is_asked_for() {
    let place = place();
    let files = format!(
        "{} --data {} --epochs 1 --batch-size 12 --learning-rate 1e-30",
        place.path("net.onnx").display(),
        place.path("data.safetensors").display()
    );
    let parameters = |runs: &str, options: &str| {
        let (_, bytes) = trained(&place, runs, &format!("{files} {options}"));
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
        let weight = tensors.expect("tensors")["fc.weight"].flatten_all();
        weight
            .and_then(|flat| flat.to_vec1::<f32>())
            .expect("numbers")
    };
    let stored = parameters("stored", "");
    // Drawn by make.py from (-1, 1) times the root of 3 over the fan-in of 6; PyTorch's own are within 1 over its root.
    let largest = |weight: &[f32]| {
        weight
            .iter()
            .fold(0.0f32, |most, value| most.max(value.abs()))
    };
    assert!(largest(&stored) > 0.5 && largest(&stored) < 0.5f32.sqrt());
    assert_eq!(parameters("other-seed", "--seed 1"), stored);
    assert_eq!(parameters("said", "--initial file"), stored);
    let seeded = [0, 1].map(|seed| {
        parameters(
            &format!("seeded-{seed}"),
            &format!("--initial seeded --seed {seed}"),
        )
    });
    assert!(seeded[0] != seeded[1]);
    for seeded in seeded {
        assert!(largest(&seeded) <= 1.0 / 6f32.sqrt(), "{seeded:?}");
    }
}

fn images(data: &Dataset, count: usize) -> [Tensor; 2] {
    let batch = data
        .batch(0..count, DType::F32, &Device::Cpu)
        .expect("a batch");
    [batch.inputs, batch.labels]
}

/// A network of the zoo over a file of what a data set gives it is the same run.
#[test]
fn a_file_of_tensors_is_as_good_as_the_data_set_that_it_was_made_of() {
    let place = Place::new("");
    let embedded = EmbeddedMnist {
        files: flatness_fixtures::MNIST,
        description: flatness_fixtures::DESCRIPTION,
    };
    let found = Set::Mnist.find(None, None, Some(embedded));
    let set = found.and_then(|found| found.load(Normalization::mnist()));
    let set = set.expect("the fixture");
    let [x, y] = images(&set.train, 300);
    let [x_test, y_test] = images(&set.test, 10_000);
    let data = place.path("data.npz");
    let tensors = [
        ("x", &x),
        ("y", &y),
        ("x_test", &x_test),
        ("y_test", &y_test),
    ];
    Tensor::write_npz(&tensors, &data).expect("writable");
    let common = "--epochs 2 --batch-size 64 --train-examples 200 --weight-decay 1e-3";
    let set = trained(&place, "set", &format!("--model logistic {common}"));
    let file = format!("logistic --data {} {common}", data.display());
    let file = trained(&place, "file", &file);
    for field in ["evaluation", "test_correct", "model"] {
        assert_eq!(set.0[field], file.0[field], "{field}");
    }
    assert_eq!(set.0["training"]["dose"], file.0["training"]["dose"]);
    assert!(set.1 == file.1, "other parameters");
    assert_eq!(file.0["data"]["set"], "tensors");
}

#[test]
fn what_files_cannot_do_is_said_before_anything_is_written() {
    let place = place();
    let spec = fs::read_to_string(place.path("spec.toml")).expect("readable");
    let data = place.path("data.safetensors").display().to_string();
    let network = place.path("net.onnx").display().to_string();
    let named = format!("name = \"{network}\"");
    let alone = place.path("alone.npz");
    let [x, y] = [
        Tensor::zeros((24, 3, 8, 8), DType::F32, &Device::Cpu),
        Tensor::zeros(24, DType::I64, &Device::Cpu),
    ]
    .map(|tensor| tensor.expect("zeros"));
    Tensor::write_npz(&[("x", &x), ("y", &y)], &alone).expect("writable");
    let short = "--epochs 1 --batch-size 4";
    for (good, bad, expected) in [
        (
            "clip_norm = 2.0",
            "augmentation = { flip = true, pad = 4 }",
            "train.augmentation changes images of data sets",
        ),
        (
            &*data,
            &*alone.display().to_string(),
            "has no x_test and y_test",
        ),
        (
            &named,
            "name = \"preresnet-8\"\nconstants = [\"x\"]",
            "is for ONNX files",
        ),
        (
            &named,
            "name = \"preresnet-8\"\ninitial = \"file\"",
            "preresnet-8 has no file",
        ),
        (
            "train_examples = 18",
            "train_examples = 21",
            "in 1..=20, got 21",
        ),
        (
            "[model]",
            "mean = [0.5]\ndeviation = [0.5]\n[model]",
            "are for data sets",
        ),
        (
            "[data]",
            "loss = { kind = \"cross-entropy\", label_smoothing = 1.0 }\n[data]",
            "loss.label_smoothing must be from 0 and below 1",
        ),
    ] {
        let text = spec.replace(good, bad);
        assert_ne!(text, spec, "{good}");
        fs::write(place.path("spec.toml"), text).expect("writable");
        assert_says(place.run("refused", &["--quiet"]), 2, &[expected]);
        assert!(!place.path("refused").exists(), "{bad} has left something");
    }
    for (line, expected) in [
        (format!("train {network} {short}"), "needs its data"),
        (
            format!("train {network} --model mlp {short}"),
            "cannot be used with",
        ),
        (format!("train {short}"), "<NETWORK>"),
        (
            format!("train {network} --data {network} {short}"),
            "neither the directory",
        ),
        (
            format!("train {network} --data-set mnist {short}"),
            "takes inputs of shape [3, 8, 8]",
        ),
        (
            format!("train {network} --data-set mnist --data {data} {short}"),
            "--data-set is for data sets",
        ),
        (
            format!("train vgg-16 --data {data} {short}"),
            "vgg-16 does not fit",
        ),
        (format!("train no.onnx --data {data} {short}"), "no.onnx"),
    ] {
        let (code, _, error) = flatness(&line);
        assert!(code == 2 && error.contains(expected), "{line}: {error}");
    }
}
