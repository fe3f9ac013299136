//! The commands besides `run`, as a user calls them.

use assert_cmd::Command;

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
        ("mlp-400", 478_410),
        ("mlp-large", 535_818),
    ];
    assert_eq!(
        counts,
        expected.map(|(name, count)| (Some(name), Some(count)))
    );
}

#[test]
fn a_download_that_cannot_be_had_is_one_sentence() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let to = directory.path().join("mnist");
    // Port 9 of the loopback address: nothing listens there.
    let to = to.display().to_string();
    let arguments = [
        "data",
        "fetch",
        "mnist",
        "--quiet",
        "--mirror",
        "http://127.0.0.1:9/",
        "--to",
        &to,
    ];
    let (code, output, error) = flatness(&arguments);
    assert_eq!((code, output.as_str()), (2, ""));
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    assert!(error.contains("train-images-idx3-ubyte.gz"), "{error}");
    let left = std::fs::read_dir(to).map_or(0, Iterator::count);
    assert_eq!(left, 0, "something half-written is left");
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
    let (code, output, _) = flatness(&["data", "check", &path, "--json"]);
    assert_eq!(code, 0);
    let summary: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(summary["train"]["examples"], 10_000);
    assert_eq!(
        summary["test"]["content"],
        "the 10,000 test examples of MNIST"
    );
    assert_eq!(summary["canonical"], false);
    let counts = summary["test"]["class_counts"].as_array().expect("counts");
    assert_eq!(
        counts
            .iter()
            .filter_map(serde_json::Value::as_u64)
            .sum::<u64>(),
        10_000
    );

    let (code, _, error) = flatness(&["data", "check", "no-such-directory"]);
    assert_eq!(code, 2);
    assert!(error.contains("no-such-directory"), "{error}");
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
            "--steps",
            "40",
            "--probes",
            "40",
            "--power-iterations",
            "500",
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
    let (lanczos, power) = (
        value(&hessian, "spectral_norm"),
        value(&hessian, "power_iteration"),
    );
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
