//! The commands as a user calls them, but for what `measure` measures and how runs go on; and training held against PyTorch.

mod bad_input;
mod batch_norm;
#[path = "../common/cifar.rs"]
mod cifar;
#[path = "../common/mod.rs"]
mod common;
mod data;
mod manual;
mod models;
mod onnx;
mod onnx_training;
mod pytorch_training;

use std::path::Path;

use serde_json::Value;

/// The four files of MNIST by their canonical names, as the fixture has them.
const MNIST: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

fn write_mnist(directory: &Path) {
    for (name, bytes) in MNIST.into_iter().zip(flatness_fixtures::MNIST) {
        std::fs::write(directory.join(name), bytes).expect("writable");
    }
}

/// The JSON that the arguments in `line` print; nothing is said besides.
#[track_caller]
fn json(line: &str) -> Value {
    let (code, output, error) = common::flatness(line);
    assert_eq!((code, error.as_str()), (0, ""), "{line}");
    serde_json::from_str(&output).expect("JSON")
}
