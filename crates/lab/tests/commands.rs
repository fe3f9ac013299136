//! The commands besides `run` and `data`, as a user calls them.

use std::path::Path;

use assert_cmd::Command;
use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention, Settings};
use flatness_data::Normalization;
use flatness_data::mnist::{self, EmbeddedMnist};
use flatness_layers::{Loss, Workers};
use flatness_models::{Architecture, checkpoint};
use flatness_operator::LinearOperator;
use flatness_spectrum::Probe;

fn flatness(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("flatness")
        .expect("the binary is built for its tests")
        .args(arguments)
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("XDG_CACHE_HOME")
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("it ends by itself"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn models_lists_the_zoo_with_pytorchs_parameter_counts() {
    let (code, output, error) = flatness(&["models", "--json"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&output).expect("a JSON array");
    let counts: Vec<_> = rows
        .iter()
        .map(|row| (row["name"].as_str(), row["parameters"].as_u64()))
        .collect();
    let expected = [
        ("logistic", 7_850),
        ("mlp", 9_960),
        ("mlp-deep", 15_685),
        ("mlp-medium", 15_685),
        ("cnn", 206_922),
        ("preresnet-20", 278_132),
        ("mlp-400", 478_410),
        ("mlp-large", 535_818),
        ("preresnet-56", 613_556),
        ("preresnet-110", 1_169_972),
        ("all-cnn-c", 1_387_108),
        ("preresnet-164", 1_726_388),
        ("wrn-16-4", 2_774_276),
        ("vgg-11", 9_797_092),
        ("vgg-11-bn", 9_802_596),
        ("vgg-16", 15_291_300),
        ("vgg-16-bn", 15_299_748),
        ("wrn-28-10", 36_546_980),
    ];
    assert_eq!(
        counts,
        expected.map(|(name, count)| (Some(name), Some(count)))
    );
}

#[test]
fn models_by_name_may_be_of_any_size() {
    let (code, output, error) = flatness(&["models", "mlp-pooled-2", "wrn-40-4", "--json"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&output).expect("a JSON array");
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str()).collect();
    assert_eq!(names, [Some("mlp-pooled-2"), Some("wrn-40-4")]);
    // Means over 2 x 2 pixels of 28 x 28, 2 units, 10 classes.
    assert_eq!(rows[0]["parameters"], 14 * 14 * 2 + 2 + 2 * 10 + 10);

    let (code, output, error) = flatness(&["models", "wrn-41-4"]);
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(error.contains("wrn-41-4"), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}

#[test]
fn train_then_measure_agree_with_the_record_of_the_same_run() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let runs = directory.path().join("runs").display().to_string();
    let (code, output, error) = flatness(&[
        "train",
        "--model",
        "mlp",
        "--epochs",
        "2",
        "--train-examples",
        "300",
        "--threads",
        "1",
        "--quiet",
        "--json",
        "--dtype",
        "f64",
        "--runs",
        &runs,
    ]);
    assert_eq!(code, 0, "{error}");
    let record: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(record["training"]["steps"], 6);
    assert_eq!(record["outcome"]["kind"], "completed");
    assert_eq!(record["measurements"].as_array().map(Vec::len), Some(0));
    let id = record["id"].as_str().expect("a name");
    let checkpoint = format!("{runs}/{id}/checkpoint.safetensors");
    let measure = |threads: &str, matrix: &str| {
        let (code, output, error) = flatness(&[
            "measure",
            &checkpoint,
            "--examples",
            "300",
            "--what",
            "top,bottom,trace,frobenius",
            "--tolerance",
            "1e-3",
            "--budget",
            "400",
            "--matrix",
            matrix,
            "--threads",
            threads,
            "--quiet",
            "--json",
        ]);
        assert_eq!(code, 0, "{error}");
        serde_json::from_str::<serde_json::Value>(&output).expect("JSON")
    };
    let value =
        |report: &serde_json::Value, name: &str| report[name]["value"].as_f64().expect(name);
    let hessian = measure("1", "hessian");
    assert_eq!(hessian["model"], "mlp");
    // Power iteration shares no code with Lanczos.
    let (lanczos, power) = (value(&hessian, "spectral_norm"), power(&checkpoint));
    assert!(
        (lanczos / power - 1.0).abs() < 1e-2,
        "{lanczos} against {power}"
    );
    // Tr H = Tr G for a ReLU network, and the probes are the same: only R's off-diagonal differs.
    let gauss_newton = measure("1", "gauss-newton");
    let error = hessian["trace"]["standard_error"]
        .as_f64()
        .expect("an error")
        + gauss_newton["trace"]["standard_error"]
            .as_f64()
            .expect("an error");
    assert!((value(&hessian, "trace") - value(&gauss_newton, "trace")).abs() < 4.0 * error);
    assert!(value(&gauss_newton, "lambda_min") > -1e-10);
    // The same command, the same bits.
    assert_eq!(hessian, measure("1", "hessian"));
}

/// Spectral norm of the Hessian of an mlp on the first 300 training images, by power iteration.
fn power(path: &str) -> f64 {
    let embedded = EmbeddedMnist {
        train_images: flatness_fixtures::TRAIN_IMAGES,
        train_labels: flatness_fixtures::TRAIN_LABELS,
        test_images: flatness_fixtures::TEST_IMAGES,
        test_labels: flatness_fixtures::TEST_LABELS,
        description: flatness_fixtures::DESCRIPTION,
    };
    let data = mnist::find(None, None, embedded)
        .and_then(|found| mnist::load(found, Normalization::mnist()));
    let examples = data.expect("the fixture").train.take(300);
    let examples = examples.expect("300 examples");
    let network = Architecture::find("mlp").and_then(|found| found.network(&[1, 28, 28], 10));
    let network = network.expect("a network");
    let checkpoint = checkpoint::read(Path::new(path)).expect("a checkpoint");
    let theta = checkpoint.parameters(&network, path).expect("parameters");
    let workers = Workers::new(1).expect("a thread");
    let settings = Settings {
        dtype: DType::F64,
        device: Device::Cpu,
        batch_size: 300,
    };
    let mean_loss = MeanLoss::new(&network, &examples, Loss::CrossEntropy, &workers, settings);
    let mean_loss = mean_loss.expect("they fit");
    let curvature = mean_loss.curvature(&theta, Retention::Retain);
    let curvature = curvature.expect("a Hessian");
    let hessian = curvature.hessian();
    let dot = |left: &Tensor, right: &Tensor| -> f64 {
        let sum = (left * right).and_then(|products| products.sum_all());
        sum.and_then(|sum| sum.to_scalar()).expect("a number")
    };
    let mut vector = Probe::Gaussian.rows(&hessian, 0..1, 6).expect("a start");
    for _ in 0..500 {
        vector = (&vector / dot(&vector, &vector).sqrt()).expect("a vector");
        let product = hessian.apply_block(&vector).expect("a product");
        let value = dot(&vector, &product);
        let residual = (&product - (&vector * value).expect("a vector")).expect("a vector");
        if dot(&residual, &residual).sqrt() <= 1e-3 * value.abs() {
            return value.abs();
        }
        vector = product;
    }
    panic!("no eigenvalue after 500 products");
}
