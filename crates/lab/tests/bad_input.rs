//! Bad input gets one sentence and exit code 2, and leaves nothing half-written.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

/// A spec that is well, for one epoch on 200 images.
const SPEC: &str = r#"
seed = 0
[data]
set = "mnist"
train_examples = 200
[model]
name = "logistic"
dtype = "f32"
[train]
epochs = 1
batch_size = 50
optimizer = { kind = "sgd", learning_rate = 0.01, momentum = 0.9, nesterov = false, weight_decay = 0.0 }
schedule = { kind = "constant" }
"#;

fn flatness() -> Command {
    let mut command = Command::cargo_bin("flatness").expect("the binary is built for its tests");
    // A home of its own, so that no cached data set takes the place of the fixture.
    command
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("XDG_CACHE_HOME");
    command
}

/// Runs `flatness run` on `spec` in `directory`; exit code and standard error.
fn run(directory: &Path, spec: &str, more: &[&str]) -> (i32, String) {
    let path = directory.join("spec.toml");
    fs::write(&path, spec).expect("the directory is writable");
    let runs = directory.join("runs");
    let output = flatness()
        .arg("run")
        .arg(&path)
        .args(["--quiet", "--threads", "1", "--runs"])
        .arg(&runs)
        .args(more)
        .output()
        .expect("the binary runs");
    let code = output.status.code().expect("the binary ends by itself");
    (code, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn specs_out_of_range_are_refused_before_anything_is_written() {
    let cases = [
        (
            "batch_size = 50",
            "batch_size = 50\nlearning_reat = 1.0",
            "learning_reat",
        ),
        (
            "batch_size = 50",
            "batch_size = 0",
            "train.batch_size must be at least 1, got 0",
        ),
        (
            "batch_size = 50",
            "batch_size = 201",
            "train.batch_size must be at most the 200",
        ),
        (
            "learning_rate = 0.01",
            "learning_rate = -0.01",
            "train.optimizer.learning_rate must be",
        ),
        ("learning_rate = 0.01", "learning_rate = nan", "got NaN"),
        (
            "weight_decay = 0.0",
            "weight_decay = inf",
            "train.optimizer.weight_decay must be",
        ),
        (
            "momentum = 0.9",
            "momentum = 1.0",
            "train.optimizer.momentum must be in [0, 1), got 1",
        ),
        (
            "epochs = 1",
            "epochs = 0",
            "train.epochs must be at least 1",
        ),
        ("epochs = 1", "epochs = \"one\"", "line 10"),
        ("seed = 0", "", "seed"),
        (
            "name = \"logistic\"",
            "name = \"vgg\"",
            "there is no model `vgg`; choose one of logistic",
        ),
        (
            "set = \"mnist\"",
            "set = \"imagenet\"",
            "data.set must be mnist or cifar-100, got imagenet",
        ),
        ("train_examples = 200", "train_examples = 20000", "20000"),
        (
            "train_examples = 200",
            "validation_examples = 10000",
            "10000",
        ),
        ("dtype = \"f32\"", "dtype = \"f16\"", "f16"),
    ];
    for (good, bad, expected) in cases {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (code, error) = run(directory.path(), &SPEC.replace(good, bad), &[]);
        assert_eq!(code, 2, "{bad}: {error}");
        assert!(
            error.contains(expected),
            "{bad}: expected `{expected}` in: {error}"
        );
        assert_eq!(
            error.trim_end().lines().count(),
            1,
            "{bad}: more than one line: {error}"
        );
        let records = directory.path().join("runs");
        let written = fs::read_dir(records).map_or(0, |entries| {
            entries
                .filter_map(Result::ok)
                .filter(|run| run.path().join("record.json").exists())
                .count()
        });
        assert_eq!(written, 0, "{bad}: a record was written");
    }
}

#[test]
fn a_missing_spec_and_an_unwritable_directory_are_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = flatness()
        .args(["run", "no-such-spec.toml"])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-spec.toml"));

    // A file where the directory of the runs should be: unwritable for every user, root included.
    let blocked = directory.path().join("blocked");
    fs::write(&blocked, "").expect("the directory is writable");
    let path = directory.path().join("spec.toml");
    fs::write(&path, SPEC).expect("the directory is writable");
    let output = flatness()
        .arg("run")
        .arg(&path)
        .arg("--runs")
        .arg(&blocked)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot make the run directory"));
    assert_eq!(fs::read(&blocked).expect("it is still there"), b"");
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (device, expected) in [
        ("cuda", "use --device cpu"),
        ("tpu", "must be cpu, cuda, cuda:N or auto"),
    ] {
        let (code, error) = run(directory.path(), SPEC, &["--device", device]);
        assert_eq!(code, 2);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn damaged_data_is_refused_with_file_and_field() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let files = [
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
    ];
    let data = directory.path().join("data");
    let damage = |name: &str, bytes: &[u8]| {
        fs::create_dir_all(&data).expect("the directory is writable");
        for (file, whole) in files {
            let content = if file == name { bytes } else { whole };
            fs::write(data.join(file), content).expect("the directory is writable");
        }
        run(
            directory.path(),
            SPEC,
            &["--data", &data.display().to_string()],
        )
    };
    let (name, whole) = files[0];
    let mut flipped = whole.to_vec();
    flipped[whole.len() / 2] ^= 1;
    for bytes in [
        &whole[..whole.len() / 2],
        &flipped,
        files[1].1,
        b"",
        b"not an IDX file at all",
    ] {
        let (code, error) = damage(name, bytes);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(name), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
    fs::remove_file(data.join(name)).expect("it was written above");
    let (code, error) = run(
        directory.path(),
        SPEC,
        &["--data", &data.display().to_string()],
    );
    assert_eq!(code, 2);
    assert!(error.contains("train-images-idx3-ubyte"), "{error}");
}

#[test]
fn divergence_keeps_the_last_good_parameters_and_says_epoch_and_rate() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let spec = SPEC
        .replace("learning_rate = 0.01", "learning_rate = 1e30")
        .replace("epochs = 1", "epochs = 50")
        .replace("name = \"logistic\"", "name = \"mlp\"");
    let (code, error) = run(directory.path(), &spec, &[]);
    assert_eq!(code, 2);
    assert!(
        error.contains("diverged in epoch 1 at learning rate 1e30"),
        "{error}"
    );
    let run_directory = fs::read_dir(directory.path().join("runs"))
        .expect("the run has a directory")
        .next()
        .expect("the run has a directory")
        .expect("the directory is readable")
        .path();
    let checkpoint = fs::read(run_directory.join("checkpoint.safetensors")).expect("kept");
    let tensors = candle_core::safetensors::load_buffer(&checkpoint, &candle_core::Device::Cpu)
        .expect("whole");
    for (name, tensor) in tensors {
        // It diverges in the first epoch, so these are the initial values: below 1/sqrt(10) by PyTorch's rule.
        let largest = tensor
            .abs()
            .and_then(|t| t.flatten_all())
            .and_then(|t| t.max(0))
            .and_then(|t| t.to_scalar::<f32>())
            .expect("f32");
        assert!(largest > 0.0 && largest < 0.32, "{name}: {largest}");
    }
    // The same again, from the record.
    let (again, repeated) = run(directory.path(), &spec, &[]);
    assert_eq!((again, repeated), (code, error));
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (code, error) = run(directory.path(), SPEC, &[]);
    assert_eq!(code, 0, "{error}");
    let run_directory = fs::read_dir(directory.path().join("runs"))
        .expect("runs")
        .next()
        .expect("one")
        .expect("readable");
    let checkpoint = run_directory.path().join("checkpoint.safetensors");
    let whole = fs::read(&checkpoint).expect("written");
    let cut = directory.path().join("cut.safetensors");
    fs::write(&cut, &whole[..whole.len() - 1]).expect("writable");
    let cases = [
        (
            vec![
                checkpoint.display().to_string(),
                "--model".to_owned(),
                "mlp".to_owned(),
            ],
            "fc0.weight",
        ),
        (
            vec![cut.display().to_string()],
            "not a whole safetensors file",
        ),
        (
            vec!["missing.safetensors".to_owned()],
            "missing.safetensors",
        ),
        (
            vec![
                checkpoint.display().to_string(),
                "--budget".to_owned(),
                "1".to_owned(),
            ],
            "budget",
        ),
        (
            vec![
                checkpoint.display().to_string(),
                "--steps".to_owned(),
                "0".to_owned(),
            ],
            "steps",
        ),
        (
            vec![
                checkpoint.display().to_string(),
                "--examples".to_owned(),
                "0".to_owned(),
            ],
            "0",
        ),
        (
            vec![
                checkpoint.display().to_string(),
                "--batch-size".to_owned(),
                "0".to_owned(),
            ],
            "--batch-size",
        ),
        (
            vec![
                checkpoint.display().to_string(),
                "--tolerance=-1".to_owned(),
            ],
            "tolerance",
        ),
    ];
    for (arguments, expected) in cases {
        let output = flatness()
            .arg("measure")
            .args(&arguments)
            .arg("--quiet")
            .output()
            .expect("the binary runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert_eq!(
            error.trim_end().lines().count(),
            1,
            "{arguments:?}: {error}"
        );
    }
}
