//! The commands on data sets, and what they make of a training and a measurement.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::{ended, flatness, program, refused};
use crate::{json, write_mnist};

/// Six training examples, grey all over.
fn write_cifar100(directory: &Path) {
    crate::cifar::write_cifar100(directory, 6, |index, _| 40 * index);
}

/// Port 9 of the loopback address: nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9/";

#[test]
fn a_download_that_cannot_be_had_is_one_sentence() {
    for (set, file) in [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("cifar-100", "cifar-100-binary.tar.gz"),
    ] {
        let proxy = "socks5h://127.0.0.1:1";
        let unusable = format!("the proxy \"{proxy}\" cannot be used");
        for (proxy, expected) in [("", file), (proxy, &unusable)] {
            let directory = tempdir().expect("a temporary directory");
            let child = program()
                .args(["data", "fetch", set, "--quiet", "--mirror", NOWHERE, "--to"])
                .arg(directory.path())
                .env_remove("HTTPS_PROXY")
                .env_remove("https_proxy")
                .env("ALL_PROXY", proxy)
                .spawn();
            let (code, output, error) = ended(child.expect("the binary starts"));
            assert_eq!((code, output.as_str()), (2, ""));
            assert_eq!(error.trim_end().lines().count(), 1, "{error}");
            assert!(error.contains(expected), "{error}");
            let left = std::fs::read_dir(directory.path())
                .expect("it is there")
                .count();
            assert_eq!(left, 0, "something half-written is left");
        }
    }
}

#[test]
fn a_mirror_is_an_address_to_which_names_of_files_are_added() {
    let directory = tempdir().expect("a temporary directory");
    for (mirror, asked) in [
        (
            "http://127.0.0.1:9",
            "asking http://127.0.0.1:9/train-images",
        ),
        (
            "http://127.0.0.1:9/a//",
            "asking http://127.0.0.1:9/a/train-images",
        ),
    ] {
        let child = program()
            .args(["data", "fetch", "mnist", "--mirror", mirror, "--to"])
            .arg(directory.path())
            .env("ALL_PROXY", "")
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .spawn();
        let (code, _, error) = ended(child.expect("the binary starts"));
        assert!(code == 2 && error.contains(asked), "{error}");
    }
    for mirror in ["ftp://host/", "host.example/mnist", "http:///", "mnist"] {
        let line = format!("data fetch mnist --mirror {mirror}");
        refused(
            &line,
            &[
                "--mirror",
                "it must begin with http:// or https:// and a host",
            ],
        );
    }
}

#[test]
fn what_is_not_at_hand_is_fetched_where_somebody_publishes_it() {
    refused(
        "data check kmnist",
        &["no kmnist at hand; `flatness data fetch kmnist` gets it, or name its directory"],
    );
    for line in ["data check idx", "train logistic --data-set idx --quiet"] {
        let sentence = refused(line, &["idx at hand; "]);
        assert!(!sentence.contains("data fetch"), "{sentence}");
    }
}

#[test]
fn check_names_what_a_directory_holds() {
    let directory = tempdir().expect("a temporary directory");
    write_mnist(directory.path());
    let path = directory.path().display().to_string();
    let summary = json(&format!("data check mnist {path} --json"));
    assert_eq!(summary["set"], "mnist");
    assert_eq!(summary["train"]["examples"], 10_000);
    assert_eq!(
        summary["test"]["content"],
        "the 10,000 test examples of MNIST"
    );
    for field in ["canonical", "complete"] {
        assert_eq!(summary[field], false, "{field}");
    }
    let counts = summary["test"]["class_counts"].as_array().expect("counts");
    assert_eq!(counts.iter().filter_map(Value::as_u64).sum::<u64>(), 10_000);

    for set in ["mnist", "cifar-100"] {
        let check = format!("data check {set}");
        refused(
            &format!("{check} no-such-directory"),
            &["no-such-directory"],
        );
        // Nor is there a cache.
        let hint = format!("`flatness data fetch {set}` gets it");
        refused(&check, &[&hint]);
    }
}

#[test]
fn check_tells_the_classes_and_the_completeness_of_cifar_100() {
    let directory = tempdir().expect("a temporary directory");
    write_cifar100(directory.path());
    let line = format!("data check cifar-100 {}", directory.path().display());
    let summary = json(&format!("{line} --json"));
    assert_eq!(summary["set"], "cifar-100-like (unknown digest)");
    let train = &summary["train"];
    assert_eq!(train["examples"], 6);
    assert_eq!(train["class_counts"][1], 3);
    assert_eq!(train["shape"], json!([3, 32, 32]));
    assert_eq!(summary["test"]["content"], Value::Null);
    for field in ["canonical", "complete"] {
        assert_eq!(summary[field], false, "{field}");
    }
    assert_eq!(summary["files"].as_array().map(Vec::len), Some(4));
    let superclass = json!({ "name": "name-3", "classes": ["name-0", "name-1"] });
    assert_eq!(summary["superclasses"][3], superclass);

    let (code, output, _) = flatness(&line);
    assert_eq!(code, 0);
    for expected in [
        "train: 6 examples of shape [3, 32, 32], unknown content",
        "name-3: name-0, name-1",
        "CIFAR-100: valid, but not the complete data set",
    ] {
        assert!(output.contains(expected), "{expected} is missing: {output}");
    }
}

#[test]
fn a_network_is_trained_on_cifar_100_normalised_as_its_family_is() {
    let directory = tempdir().expect("a temporary directory");
    write_cifar100(directory.path());
    let path = directory.path().display().to_string();
    let (code, output, error) = flatness(&format!(
        "train --model logistic --data-set cifar-100 --data {path} --epochs 1 --batch-size 2 \
         --validation-examples 2 --threads 1 --quiet --json --runs {path}/runs"
    ));
    assert_eq!(code, 0, "{error}");
    assert!(
        error.starts_with("warning: ") && error.contains("not the published ones"),
        "{error}"
    );
    let record: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(record["model"]["parameters"], 3072 * 100 + 100);
    let data = &record["data"];
    for (field, expected) in [
        ("set", json!("cifar-100-like (unknown digest)")),
        ("train_examples", json!(4)),
        ("validation_examples", json!(2)),
        ("test_examples", json!(2)),
        // MATHS.md, section 4: not VGG, so the constants of CIFAR.
        ("mean", json!([0.4914, 0.4822, 0.4465])),
        ("deviation", json!([0.2023, 0.1994, 0.201])),
    ] {
        assert_eq!(data[field], expected, "{field}");
    }
    let source = data["source"].as_str().expect("text");
    for expected in [path.as_str(), "valid, but not the complete data set"] {
        assert!(source.contains(expected), "{expected} is missing: {source}");
    }
}

#[test]
fn cifar_100_that_is_not_there_is_one_sentence_that_says_how_to_get_it() {
    let directory = tempdir().expect("a temporary directory");
    let runs = directory.path().join("runs");
    let expected = [
        "flatness data fetch cifar-100",
        "--data",
        "cifar-100-binary.tar.gz",
    ];
    let line = "train --model logistic --data-set cifar-100 --runs";
    refused(&format!("{line} {}", runs.display()), &expected);
    let line = format!("{line} {0} --data {0}", runs.display());
    refused(
        &line,
        &[
            "there is no directory",
            "flatness data fetch cifar-100 --to",
        ],
    );
    assert!(!runs.exists());
}

/// A run of one epoch of a logistic network on the fixture with `options`: its record and its directory.
fn trained(runs: &Path, options: &str) -> (Value, String) {
    let runs = runs.display();
    let record = json(&format!(
        "train --model logistic --train-examples 100 --epochs 1 --batch-size 50 --threads 1 --quiet \
         --json --runs {runs} {options}"
    ));
    let at = format!("{runs}/{}", record["id"].as_str().expect("a name"));
    (record, at)
}

#[test]
fn another_normalisation_is_another_network_and_is_recorded() {
    let directory = tempdir().expect("a temporary directory");
    let (stated, changed) = (
        "--mean 0.5 --deviation 0.5",
        "--mean 0.1307 --deviation 0.3081",
    );
    let [(default, at), (_, same), (other, elsewhere)] =
        ["", stated, changed].map(|options| trained(directory.path(), options));
    assert_eq!(default["data"]["mean"], json!([0.5]));
    assert_eq!(other["data"]["deviation"], json!([0.3081]));
    assert_eq!(default["data"]["digest"], other["data"]["digest"]);
    let weights = |at: &str| std::fs::read(format!("{at}/checkpoint.safetensors")).expect("a file");
    assert_eq!(weights(&at), weights(&same));
    assert_ne!(weights(&at), weights(&elsewhere));

    // Beside the checkpoint is the record, which says how it was trained; what is given goes before it.
    let line = format!("measure {at} --examples 20 --what top --budget 20 --threads 1 --quiet");
    let [default, stated, other] =
        ["", stated, changed].map(|options| json(&format!("{line} --json {options}")));
    assert_eq!(stated, default);
    for (report, options, mean, deviation) in
        [(&default, "", 0.5, 0.5), (&other, changed, 0.1307, 0.3081)]
    {
        assert_eq!(report["data"]["mean"], json!([mean]));
        assert_eq!(report["data"]["deviation"], json!([deviation]));
        let said = format!("normalised with mean [{mean}] and deviation [{deviation}]");
        let (_, output, _) = flatness(&format!("{line} {options}"));
        assert!(output.contains(&said), "{output}");
    }
    let largest = |report: &Value| report["matrices"][0]["numbers"]["lambda_max"]["value"].as_f64();
    assert_ne!(default["loss"], other["loss"]);
    let [before, after] = [&default, &other].map(|report| largest(report).expect("a number"));
    assert_ne!(before, after);
    let deviation = "deviation must be 1 finite positive numbers";
    for (options, expected) in [
        (
            "--mean 0.5,0.5 --deviation 1,1",
            "a number for each channel of mnist, 1 each, got 2 and 2",
        ),
        ("--mean 0.5 --deviation 0", deviation),
        ("--mean -0.5 --deviation nan", deviation),
        ("--mean 0.5", "required arguments"),
    ] {
        refused(&format!("{line} {options}"), &[expected]);
    }
}

#[test]
fn another_seed_trains_on_another_sample_only_where_that_is_asked_for() {
    let directory = tempdir().expect("a temporary directory");
    for (options, subset) in [("", "first"), ("--subset seeded", "seeded")] {
        let (record, at) = trained(directory.path(), &format!("--seed 1 {options}"));
        assert_eq!(record["data"]["subset"], subset);
        assert_eq!(record["data"]["train_examples"], 100);
        // How far a loss is from that over what it was trained on.
        let away = |at: &str| {
            let line =
                format!("measure {at} --split train --what norms --threads 1 --quiet --json");
            let losses = [&record["evaluation"]["train"]["loss"], &json(&line)["loss"]];
            let [trained, measured] = losses.map(|loss| loss.as_f64().expect("a number"));
            (trained - measured).abs()
        };
        // The directory says which examples, and so do the options; another seed draws the probes of the same ones.
        let checkpoint = format!("{at}/checkpoint.safetensors");
        for same in [&at, &format!("{at} --seed 2"), &checkpoint] {
            assert!(away(same) < 1e-5, "{subset} {same}: {}", away(same));
        }
        let first = away(&format!("{checkpoint} --ignore-run --train-examples 100"));
        assert_eq!(first > 1e-3, subset == "seeded", "{subset}: {first}");
    }
    let line = "train --model logistic --subset seeded --epochs 1";
    refused(line, &["--train-examples must be given"]);
}

#[test]
fn labels_that_are_none_are_refused_by_product() {
    let directory = tempdir().expect("a temporary directory");
    let (_, at) = trained(directory.path(), "");
    let data = directory.path().join("data.safetensors");
    let path = data.display().to_string();
    let product = format!(
        "product --model logistic --weights {at}/checkpoint.safetensors --data {path} --repeat 1 --threads 1"
    );
    // Three examples and a vector for a logistic network, with these labels.
    let write = |labels: candle_core::Result<Tensor>| {
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).expect("ones");
        let tensors = HashMap::from([
            ("x", ones(&[3, 1, 28, 28])),
            ("y", labels.expect("labels")),
            ("v.fc.weight", ones(&[10, 784])),
            ("v.fc.bias", ones(&[10])),
        ]);
        candle_core::safetensors::save(&tensors, &data).expect("writable");
    };
    let int = |labels: &[i64]| Tensor::new(labels, &Device::Cpu);
    let float = |labels: &[f32]| Tensor::new(labels, &Device::Cpu);
    let integer = "tensor y: labels must be of an integer type";
    for (labels, expected) in [
        (
            int(&[0, 10, 3]),
            "tensor y: label 1 must be in 0..10, got 10",
        ),
        (
            int(&[0, 2, -1]),
            "tensor y: label 2 must be in 0..10, got -1",
        ),
        (float(&[0.9, 2.7, 3.2]), integer),
        (float(&[f32::NAN, 2.0, 3.0]), integer),
        (float(&[0.0, 2.0, 3.0]), "got F32"),
        (
            int(&[1, 2]),
            "tensor y must hold 3 labels, one per example of x, got shape [2]",
        ),
    ] {
        write(labels);
        refused(&product, &[expected, &path]);
    }
    write(int(&[0, 2, 3]));
    json(&product);
}
