//! The commands on data sets, as a user calls them.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

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

#[test]
fn a_download_that_cannot_be_had_is_one_sentence() {
    for (set, file) in [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("cifar-100", "cifar-100-binary.tar.gz"),
    ] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let to = directory.path().join(set);
        let to = to.display().to_string();
        // Port 9 of the loopback address: nothing listens there.
        let nowhere = "http://127.0.0.1:9/";
        let arguments = [
            "data", "fetch", set, "--quiet", "--mirror", nowhere, "--to", &to,
        ];
        let (code, output, error) = flatness(&arguments);
        assert_eq!((code, output.as_str()), (2, ""));
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(file), "{error}");
        let left: Vec<_> = std::fs::read_dir(to)
            .expect("the directory is made")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        assert_eq!(left, [".fetch.lock"], "something half-written is left");
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
    let (code, output, _) = flatness(&["data", "check", "mnist", &path, "--json"]);
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
        let (code, _, error) = flatness(&["data", "check", set, "no-such-directory"]);
        assert_eq!(code, 2);
        assert!(error.contains("no-such-directory"), "{error}");
    }
}

#[test]
fn check_without_a_directory_or_a_cache_says_how_to_get_the_data() {
    for set in ["mnist", "cifar-100"] {
        let (code, output, error) = flatness(&["data", "check", set]);
        assert_eq!((code, output.as_str()), (2, ""));
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        let expected = format!("`flatness data fetch {set}` gets it");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn check_tells_the_classes_and_the_completeness_of_cifar_100() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_cifar100(directory.path());
    let path = directory.path().display().to_string();
    let (code, output, error) = flatness(&["data", "check", "cifar-100", &path, "--json"]);
    assert_eq!(code, 0, "{error}");
    let summary: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(summary["set"], "cifar-100");
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

    let (code, output, _) = flatness(&["data", "check", "cifar-100", &path]);
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
    let (code, output, error) = flatness(&[
        "train",
        "--model",
        "logistic",
        "--data-set",
        "cifar-100",
        "--data",
        &path,
        "--epochs",
        "1",
        "--batch-size",
        "2",
        "--validation-examples",
        "2",
        "--threads",
        "1",
        "--quiet",
        "--json",
        "--runs",
        &runs,
    ]);
    assert_eq!(code, 0, "{error}");
    let record: Value = serde_json::from_str(&output).expect("JSON");
    let data = &record["data"];
    assert_eq!(data["set"], "cifar-100");
    assert_eq!(data["train_examples"], 4);
    assert_eq!(data["validation_examples"], 2);
    assert_eq!(data["test_examples"], 2);
    assert_eq!(record["model"]["parameters"], 3072 * 100 + 100);
    let source = data["source"].as_str().expect("text");
    // MATHS.md, section 4: not VGG, so the constants of CIFAR.
    for expected in [
        path.as_str(),
        "valid, but not the complete data set",
        "mean [0.4914, 0.4822, 0.4465] and deviation [0.2023, 0.1994, 0.201]",
    ] {
        assert!(source.contains(expected), "{expected} is missing: {source}");
    }
}

#[test]
fn cifar_100_that_is_not_there_is_one_sentence_that_says_how_to_get_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let runs = directory.path().join("runs").display().to_string();
    let train = [
        "train",
        "--model",
        "logistic",
        "--data-set",
        "cifar-100",
        "--runs",
        &runs,
    ];
    let (code, output, error) = flatness(&train);
    assert_eq!((code, output.as_str()), (2, ""));
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    for expected in [
        "flatness data fetch cifar-100",
        "--data",
        "cifar-100-binary.tar.gz",
    ] {
        assert!(error.contains(expected), "{expected} is missing: {error}");
    }
    assert!(!Path::new(&runs).exists());
}
