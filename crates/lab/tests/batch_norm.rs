//! `flatness product` and `measure` of batch-norm networks: which statistics, which batches, and what
//! is refused.

use std::collections::HashMap;
use std::path::Path;

use assert_cmd::Command;
use candle_core::{DType, Device, Tensor};
use flatness_models::{Architecture, checkpoint};
use serde_json::Value;
use tempfile::TempDir;

const EXAMPLES: usize = 6;

/// Weights of an 8-layer PreResNet, and six images with a vector, in a directory of their own.
fn files() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = Architecture::find("preresnet-8")
        .and_then(|architecture| architecture.network(&[3, 32, 32], 10))
        .expect("a network");
    let initial = |layout: &flatness_layers::ParamLayout| {
        layout
            .initialize(1, DType::F64, &Device::Cpu)
            .expect("values")
    };
    let (theta, buffers) = (initial(network.layout()), initial(network.buffers()));
    let weights = checkpoint::encode(&network, &theta, &buffers, "preresnet-8").expect("bytes");
    std::fs::write(directory.path().join("weights.safetensors"), weights).expect("a file");

    let count = EXAMPLES * 3 * 32 * 32;
    let pixels: Vec<f64> = (0..count).map(|i| (0.7 * i as f64 + 0.3).sin()).collect();
    let images = Tensor::from_vec(pixels, (EXAMPLES, 3, 32, 32), &Device::Cpu);
    let labels = Tensor::new(&[0i64, 1, 2, 3, 4, 5], &Device::Cpu);
    let mut tensors: HashMap<String, Tensor> = HashMap::from([
        ("x".to_owned(), images.expect("images")),
        ("y".to_owned(), labels.expect("labels")),
    ]);
    let views = network.layout().views(&theta.cos().expect("a vector"));
    let parameters = network.layout().parameters().iter();
    for (parameter, piece) in parameters.zip(views.expect("pieces")) {
        let piece = piece.contiguous().expect("a piece");
        tensors.insert(format!("v.{}", parameter.name), piece);
    }
    let data = directory.path().join("data.safetensors");
    candle_core::safetensors::save(&tensors, data).expect("a file");
    directory
}

fn product(directory: &Path, arguments: &[&str]) -> std::process::Output {
    let path = |name: &str| directory.join(name);
    Command::cargo_bin("flatness")
        .expect("the binary is built for its tests")
        .args(["product", "--model", "preresnet-8", "--dtype", "f64"])
        .args(["--repeat", "1", "--threads", "2", "--weights"])
        .arg(path("weights.safetensors"))
        .arg("--data")
        .arg(path("data.safetensors"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn line(directory: &Path, arguments: &[&str]) -> Value {
    let arguments = [&["--classes", "10"], arguments].concat();
    let output = product(directory, &arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn close(a: &Value, b: &Value) -> bool {
    let [a, b] = [a, b].map(|line| line["quadratic_form"].as_f64().expect("a number"));
    (a - b).abs() <= 1e-9 * a.abs()
}

#[test]
fn the_two_hessians_differ_and_only_one_depends_on_the_batches() {
    let directory = files();
    let of = |arguments: &[&str]| line(directory.path(), arguments);
    let frozen = of(&["--batch-norm", "frozen"]);
    let batch = of(&["--batch-norm", "batch"]);
    assert_eq!(frozen["batch_norm"], "frozen");
    assert_eq!(batch["batch_norm"], "batch");
    assert!(!close(&frozen, &batch));
    let in_fours = |kind| of(&["--batch-norm", kind, "--batch", "4"]);
    assert!(close(&frozen, &in_fours("frozen")));
    assert!(!close(&batch, &in_fours("batch")));
    for kind in ["frozen", "batch"] {
        let retained = of(&["--batch-norm", kind]);
        let recomputed = of(&["--batch-norm", kind, "--retention", "recompute"]);
        assert!(close(&retained, &recomputed), "{kind}");
    }
}

#[test]
fn what_does_not_fit_is_one_sentence() {
    let directory = files();
    for (arguments, expected) in [
        (&["--batch", "7"][..], "--batch must be in 1..=6"),
        (&["--batch", "0"], "--batch must be in 1..=6"),
        (&["--classes", "7"], "fc.weight"),
        (&["--classes", "3"], "label"),
        (&["--n", "7"], "--n must be in 1..=6"),
        (&["--device", "cuda"], "cannot be had"),
    ] {
        let given: &[&str] = match arguments {
            ["--classes", _] => arguments,
            _ => &[&["--classes", "10"], arguments].concat(),
        };
        let output = product(directory.path(), given);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
}

#[test]
fn a_network_of_colour_images_refuses_mnist_before_any_work() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = Command::cargo_bin("flatness")
        .expect("the binary is built for its tests")
        .args(["train", "--model", "preresnet-8", "--quiet", "--runs"])
        .arg(directory.path().join("runs"))
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("XDG_CACHE_HOME")
        .output()
        .expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("conv1") && error.contains("[1, 28, 28]"),
        "{error}"
    );
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    assert!(!directory.path().join("runs").exists());
}

#[test]
fn a_memory_budget_below_one_sweep_says_what_would_fit() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = Architecture::find("cnn")
        .and_then(|architecture| architecture.network(&[1, 28, 28], 10))
        .expect("a network");
    let initial = |layout: &flatness_layers::ParamLayout| {
        layout
            .initialize(1, DType::F32, &Device::Cpu)
            .expect("values")
    };
    let (theta, buffers) = (initial(network.layout()), initial(network.buffers()));
    let bytes = checkpoint::encode(&network, &theta, &buffers, "cnn").expect("bytes");
    let path = directory.path().join("cnn.safetensors");
    std::fs::write(&path, bytes).expect("a file");
    let output = Command::cargo_bin("flatness")
        .expect("the binary is built for its tests")
        .arg("measure")
        .arg(&path)
        .args(["--examples", "100", "--threads", "1", "--quiet"])
        .args(["--memory-budget", "1"])
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("XDG_CACHE_HOME")
        .output()
        .expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("--memory-budget must be at least"),
        "{error}"
    );
    assert!(error.contains("got 1 MiB"), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}
