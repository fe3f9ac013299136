//! `flatness product` and `measure` of batch-norm networks: which statistics, which batches, and what
//! is refused.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flatness_models::{Architecture, checkpoint};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::refused;
use crate::json;

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

fn product(directory: &Path, options: &str) -> String {
    let path = |name: &str| directory.join(name).display().to_string();
    format!(
        "product --model preresnet-8 --dtype f64 --repeat 1 --threads 2 --weights {} --data {} {options}",
        path("weights.safetensors"),
        path("data.safetensors")
    )
}

fn close(a: &Value, b: &Value) -> bool {
    let [a, b] = [a, b].map(|line| line["quadratic_form"].as_f64().expect("a number"));
    (a - b).abs() <= 1e-9 * a.abs()
}

#[test]
fn the_two_hessians_differ_and_only_one_depends_on_the_batches() {
    let directory = files();
    let of = |options: &str| {
        json(&product(
            directory.path(),
            &format!("--classes 10 {options}"),
        ))
    };
    let frozen = of("--batch-norm frozen");
    let batch = of("--batch-norm batch");
    assert_eq!(frozen["batch_norm"], "frozen");
    assert!(frozen["peak_rss_mib"].as_f64() > Some(0.0), "{frozen}");
    assert_eq!(batch["batch_norm"], "batch");
    assert!(!close(&frozen, &batch));
    for (kind, whole, coupled) in [("frozen", frozen, false), ("batch", batch, true)] {
        let in_fours = of(&format!("--batch-norm {kind} --batch 4"));
        assert_eq!(close(&whole, &in_fours), !coupled, "{kind}");
        let recomputed = of(&format!("--batch-norm {kind} --retention recompute"));
        assert!(close(&whole, &recomputed), "{kind}");
    }
}

#[test]
fn what_does_not_fit_is_one_sentence() {
    let directory = files();
    for (options, expected) in [
        ("--classes 10 --batch 7", "--batch must be from 1 to 6"),
        ("--classes 10 --batch 0", "--batch must be from 1 to 6"),
        ("--classes 7", "fc.weight"),
        ("--classes 3", "label"),
        ("--classes 10 --n 7", "--n must be from 1 to 6"),
        ("--classes 10 --device cuda:4095", "cannot be had"),
    ] {
        refused(&product(directory.path(), options), &[expected]);
    }
}

#[test]
fn a_network_of_colour_images_refuses_mnist_before_any_work() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let runs = directory.path().join("runs");
    let line = format!(
        "train --model preresnet-8 --quiet --runs {}",
        runs.display()
    );
    refused(&line, &["conv1", "[1, 28, 28]"]);
    assert!(!runs.exists());
}
