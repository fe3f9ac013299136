//! The commands on data sets, as a user calls them.

mod common;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::{flatness, program, refused};
use serde_json::Value;

/// The files of CIFAR-100 with 6 training and 2 test examples of classes 0 and 1, both in superclass 3.
fn write_cifar100(directory: &Path) {
    let records = |count: u8| {
        let record = |index: u8| [vec![3, index % 2], vec![40 * index; 3072]].concat();
        (0..count).map(record).collect::<Vec<_>>().concat()
    };
    let names = |count: usize| {
        let lines = (0..count).map(|index| format!("name-{index}\n"));
        lines.collect::<String>().into_bytes()
    };
    for (name, content) in [
        ("train.bin", records(6)),
        ("test.bin", records(2)),
        ("fine_label_names.txt", names(100)),
        ("coarse_label_names.txt", names(20)),
    ] {
        std::fs::write(directory.join(name), content).expect("writable");
    }
}

/// Port 9 of the loopback address: nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9/";

#[test]
fn a_download_that_cannot_be_had_is_one_sentence() {
    for (set, file) in [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("cifar-100", "cifar-100-binary.tar.gz"),
    ] {
        for (proxy, expected) in [
            ("", file),
            (
                "socks5h://127.0.0.1:1",
                "the proxy \"socks5h://127.0.0.1:1\" cannot be used",
            ),
        ] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let to = directory.path().join("to");
            std::fs::create_dir(&to).expect("writable");
            let output = program()
                .args(["data", "fetch", set, "--quiet", "--mirror", NOWHERE, "--to"])
                .arg(&to)
                .env_remove("HTTPS_PROXY")
                .env_remove("https_proxy")
                .env("ALL_PROXY", proxy)
                .output()
                .expect("the binary runs");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
            assert_eq!(error.trim_end().lines().count(), 1, "{error}");
            assert!(error.contains(expected), "{error}");
            let left = std::fs::read_dir(to).expect("it is there").count();
            assert_eq!(left, 0, "something half-written is left");
        }
    }
}

#[test]
fn check_names_what_a_directory_holds() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in [
        (
            "train-images-idx3-ubyte.gz",
            flatness_fixtures::TRAIN_IMAGES,
        ),
        (
            "train-labels-idx1-ubyte.gz",
            flatness_fixtures::TRAIN_LABELS,
        ),
        ("t10k-images-idx3-ubyte.gz", flatness_fixtures::TEST_IMAGES),
        ("t10k-labels-idx1-ubyte.gz", flatness_fixtures::TEST_LABELS),
    ] {
        std::fs::write(directory.path().join(name), bytes).expect("writable");
    }
    let path = directory.path().display().to_string();
    let (code, output, _) = flatness(&format!("data check mnist {path} --json"));
    assert_eq!(code, 0);
    let summary: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(summary["set"], "mnist");
    assert_eq!(summary["train"]["examples"], 10_000);
    assert_eq!(
        summary["test"]["content"],
        "the 10,000 test examples of MNIST"
    );
    assert_eq!(summary["canonical"], false);
    assert_eq!(summary["complete"], false);
    let counts = summary["test"]["class_counts"].as_array().expect("counts");
    assert_eq!(counts.iter().filter_map(Value::as_u64).sum::<u64>(), 10_000);

    for set in ["mnist", "cifar-100"] {
        refused(
            &format!("data check {set} no-such-directory"),
            &["no-such-directory"],
        );
    }
}

#[test]
fn check_without_a_directory_or_a_cache_says_how_to_get_the_data() {
    for set in ["mnist", "cifar-100"] {
        let expected = format!("`flatness data fetch {set}` gets it");
        refused(&format!("data check {set}"), &[&expected]);
    }
}

#[test]
fn check_tells_the_classes_and_the_completeness_of_cifar_100() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_cifar100(directory.path());
    let path = directory.path().display().to_string();
    let (code, output, error) = flatness(&format!("data check cifar-100 {path} --json"));
    assert_eq!(code, 0, "{error}");
    let summary: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(summary["set"], "cifar-100-like (unknown digest)");
    assert_eq!(summary["train"]["examples"], 6);
    assert_eq!(summary["train"]["shape"], serde_json::json!([3, 32, 32]));
    assert_eq!(summary["train"]["class_counts"][1], 3);
    assert_eq!(summary["test"]["content"], Value::Null);
    assert_eq!(summary["canonical"], false);
    assert_eq!(summary["complete"], false);
    assert_eq!(summary["files"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        summary["superclasses"][3],
        serde_json::json!({ "name": "name-3", "classes": ["name-0", "name-1"] })
    );

    let (code, output, _) = flatness(&format!("data check cifar-100 {path}"));
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
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_cifar100(directory.path());
    let path = directory.path().display().to_string();
    let runs = directory.path().join("runs").display().to_string();
    let train = format!(
        "train --model logistic --data-set cifar-100 --data {path} --epochs 1 --batch-size 2 \
         --validation-examples 2 --threads 1 --quiet --json --runs {runs}"
    );
    let (code, output, error) = flatness(&train);
    assert_eq!(code, 0, "{error}");
    assert!(
        error.starts_with("warning: ") && error.contains("not the published ones"),
        "{error}"
    );
    let record: Value = serde_json::from_str(&output).expect("JSON");
    let data = &record["data"];
    assert_eq!(data["set"], "cifar-100-like (unknown digest)");
    assert_eq!(data["train_examples"], 4);
    assert_eq!(data["validation_examples"], 2);
    assert_eq!(data["test_examples"], 2);
    assert_eq!(record["model"]["parameters"], 3072 * 100 + 100);
    // MATHS.md, section 4: not VGG, so the constants of CIFAR.
    assert_eq!(data["mean"], serde_json::json!([0.4914, 0.4822, 0.4465]));
    assert_eq!(
        data["deviation"],
        serde_json::json!([0.2023, 0.1994, 0.201])
    );
    let source = data["source"].as_str().expect("text");
    for expected in [path.as_str(), "valid, but not the complete data set"] {
        assert!(source.contains(expected), "{expected} is missing: {source}");
    }
}

/// A run of one epoch of a logistic network on the fixture with `options`: its record and its directory.
fn trained(runs: &Path, options: &str) -> (Value, String) {
    let runs = runs.display();
    let train = format!(
        "train --model logistic --train-examples 100 --epochs 1 --batch-size 50 --threads 1 --quiet \
         --json --runs {runs} {options}"
    );
    let (code, output, error) = flatness(&train);
    assert_eq!((code, error.as_str()), (0, ""));
    let record: Value = serde_json::from_str(&output).expect("JSON");
    let id = record["id"].as_str().expect("a name").to_owned();
    (record, format!("{runs}/{id}"))
}

#[test]
fn another_normalisation_is_another_network_and_is_recorded() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (default, at) = trained(directory.path(), "");
    assert_eq!(default["data"]["mean"], serde_json::json!([0.5]));
    let stated = trained(directory.path(), "--mean 0.5 --deviation 0.5");
    let other = trained(directory.path(), "--mean 0.1307 --deviation 0.3081");
    assert_eq!(other.0["data"]["deviation"], serde_json::json!([0.3081]));
    assert_eq!(default["data"]["digest"], other.0["data"]["digest"]);
    let weights =
        |at: &str| std::fs::read(format!("{at}/checkpoint.safetensors")).expect("it is there");
    assert_eq!(weights(&at), weights(&stated.1));
    assert_ne!(weights(&at), weights(&other.1));

    // Beside the checkpoint is the record, which says how it was trained; what is given goes before it.
    let line = |options: &str| {
        format!("measure {at} --examples 20 --what top --budget 20 --threads 1 --quiet {options}")
    };
    let text = |options: &str| {
        let (code, output, error) = flatness(&line(options));
        assert_eq!((code, error.as_str()), (0, ""), "{options}");
        output
    };
    let json = |options: &str| -> Value {
        serde_json::from_str(&text(&format!("--json {options}"))).expect("JSON")
    };
    let default = json("");
    assert_eq!(json("--mean 0.5 --deviation 0.5"), default);
    let other = json("--mean 0.1307 --deviation 0.3081");
    for (report, options, mean, deviation) in [
        (&default, "", 0.5, 0.5),
        (&other, "--mean 0.1307 --deviation 0.3081", 0.1307, 0.3081),
    ] {
        assert_eq!(report["data"]["mean"], serde_json::json!([mean]));
        assert_eq!(report["data"]["deviation"], serde_json::json!([deviation]));
        let said = format!("normalised with mean [{mean}] and deviation [{deviation}]");
        assert!(text(options).contains(&said), "{}", text(options));
    }
    let lambda_max = |report: &Value| report["matrices"][0]["numbers"]["lambda_max"].clone();
    assert_ne!(default["loss"], other["loss"]);
    assert_ne!(
        lambda_max(&default)["value"].as_f64().expect("a number"),
        lambda_max(&other)["value"].as_f64().expect("a number")
    );
    for (options, expected) in [
        (
            "--mean 0.5,0.5 --deviation 1,1",
            "normalization must be for 1 channels, got 2",
        ),
        (
            "--mean 0.5 --deviation 0",
            "deviation must be 1 finite positive numbers",
        ),
        (
            "--mean -0.5 --deviation nan",
            "deviation must be 1 finite positive numbers",
        ),
        ("--mean 0.5", "required arguments"),
    ] {
        refused(&line(options), &[expected]);
    }
}

#[test]
fn another_seed_trains_on_another_sample_only_where_that_is_asked_for() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let report = |line: &str| -> Value {
        let (code, output, error) = flatness(line);
        assert_eq!((code, error.as_str()), (0, ""), "{line}");
        serde_json::from_str(&output).expect("JSON")
    };
    for (options, subset) in [("", "first"), ("--subset seeded", "seeded")] {
        let (record, at) = trained(directory.path(), &format!("--seed 1 {options}"));
        let data = &record["data"];
        assert_eq!(
            (&data["subset"], &data["train_examples"]),
            (&subset.into(), &100.into())
        );
        // The directory says which examples, and so do the options; another seed draws the probes of the same ones.
        let line = "--split train --what norms --threads 1 --quiet --json";
        let checkpoint = format!("{at}/checkpoint.safetensors");
        // From the loss over what it was trained on.
        let away = |at: &str| {
            let losses = [
                &record["evaluation"]["train"]["loss"],
                &report(&format!("measure {at} {line}"))["loss"],
            ];
            let [trained, measured] = losses.map(|loss| loss.as_f64().expect("a number"));
            (trained - measured).abs()
        };
        for same in [at.clone(), format!("{at} --seed 2"), checkpoint.clone()] {
            assert!(away(&same) < 1e-5, "{subset} {same}: {}", away(&same));
        }
        let first = away(&format!("{checkpoint} --ignore-run --train-examples 100"));
        assert_eq!(first > 1e-3, subset == "seeded", "{subset}: {first}");
    }
    refused(
        "train --model logistic --subset seeded --epochs 1",
        &["--train-examples must be given"],
    );
}

/// A safetensors file for `product`, three examples and a vector for a logistic network, with these labels.
fn write_product(path: &Path, y: &Tensor) {
    let zeros = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).expect("ones");
    let tensors = HashMap::from([
        ("x".to_owned(), zeros(&[3, 1, 28, 28])),
        ("y".to_owned(), y.clone()),
        ("v.fc.weight".to_owned(), zeros(&[10, 784])),
        ("v.fc.bias".to_owned(), zeros(&[10])),
    ]);
    candle_core::safetensors::save(&tensors, path).expect("writable");
}

#[test]
fn labels_that_are_none_are_refused_by_product() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_, at) = trained(directory.path(), "");
    let data = directory.path().join("data.safetensors");
    let path = data.display().to_string();
    let product = format!(
        "product --model logistic --weights {at}/checkpoint.safetensors --data {path} --repeat 1 --threads 1"
    );
    let int = |labels: &[i64]| Tensor::new(labels, &Device::Cpu).expect("labels");
    let float = |labels: &[f32]| Tensor::new(labels, &Device::Cpu).expect("labels");
    for (labels, expected) in [
        (
            int(&[0, 10, 3]),
            "tensor y: label 1 must be in 0..10, got 10",
        ),
        (
            int(&[0, 2, -1]),
            "tensor y: label 2 must be in 0..10, got -1",
        ),
        (
            float(&[0.9, 2.7, 3.2]),
            "tensor y: labels must be of an integer type",
        ),
        (
            float(&[f32::NAN, 2.0, 3.0]),
            "tensor y: labels must be of an integer type",
        ),
        (float(&[0.0, 2.0, 3.0]), "got F32"),
        (
            int(&[1, 2]),
            "tensor y must hold 3 labels, one per example of x, got shape [2]",
        ),
    ] {
        write_product(&data, &labels);
        refused(&product, &[expected, &path]);
    }
    write_product(&data, &int(&[0, 2, 3]));
    let (code, _, error) = flatness(&product);
    assert_eq!(code, 0, "{error}");
}

#[test]
fn cifar_100_that_is_not_there_is_one_sentence_that_says_how_to_get_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let runs = directory.path().join("runs").display().to_string();
    refused(
        &format!("train --model logistic --data-set cifar-100 --runs {runs}"),
        &[
            "flatness data fetch cifar-100",
            "--data",
            "cifar-100-binary.tar.gz",
        ],
    );
    assert!(!Path::new(&runs).exists());
}
