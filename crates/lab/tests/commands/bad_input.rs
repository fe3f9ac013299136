//! Bad input gets one sentence and exit code 2, and leaves nothing half-written.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::tempdir;

use crate::common::{flatness, refused};
use crate::{MNIST, write_mnist};

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
[measure]
what = ["norms"]
"#;

/// `flatness run` of `spec` in `directory`.
fn run(directory: &Path, spec: &str) -> String {
    let path = directory.join("spec.toml");
    fs::write(&path, spec).expect("the directory is writable");
    format!(
        "run {} --quiet --threads 1 --runs {}",
        path.display(),
        directory.join("runs").display()
    )
}

/// The only run of `directory`.
fn run_directory(directory: &Path) -> PathBuf {
    let mut runs = fs::read_dir(directory.join("runs")).expect("runs");
    runs.next().expect("a run").expect("readable").path()
}

/// What is replaced in the spec, what comes in its place (`\n` for a new line), and part of the sentence that refuses it. Every
/// range has a test of the records; here is that each kind of refusal comes through, before anything is written.
const REFUSED: &str = r#"
batch_size = 50       | batch_size = 50\nlearning_reat = 1.0  | learning_reat
batch_size = 50       | batch_size = 0                        | train.batch_size must be at least 1, got 0
batch_size = 50       | batch_size = 201                      | train.batch_size must be at most the 200
batch_size = 50       | batch_size = 50\ntf32 = true           | train.tf32 (--tf32) must be left out but for model.dtype f32 on a CUDA device, got f32 on cpu
learning_rate = 0.01  | learning_rate = nan                   | got NaN
epochs = 1            | epochs = "one"                        | line 10
seed = 0              |                                       | seed
name = "logistic"     | name = "vgg"                          | there is no model `vgg`; the nearest is vgg-11, and `flatness models` lists all
set = "mnist"         | set = "imagenet"                      | cifar-10, cifar-100, or a .npz or .safetensors file, got imagenet
train_examples = 200  | train_examples = 20000                | 20000
train_examples = 200  | validation_examples = 10000           | 10000
dtype = "f32"         | dtype = "f16"                         | f16
what = ["norms"]      | lanczos = { steps = 2 }               | lanczos
"norms"               | "sharpness"                           | there is no `sharpness`
"norms"               | "rescaling=0.5:2"                     | --what rescaling: the network has no two layers
"norms"               | "norms"]\nepochs = [0]\nalong = ["top=7851" | the matrix has 7850 eigenvalues
"norms"               | "landscape"                           | landscape
"norms"               | "rank=2"                              | --what rank=2 counts
"norms"               | "norms"]\nmatrices = ["hessian", "hessian" | --matrices names hessian twice
"norms"               | "norms"]\nepochs = [1, 1]\nalong = ["norms" | measure.epochs names 1 twice
"#;

#[test]
fn specs_out_of_range_are_refused_before_anything_is_written() {
    let refused_spec = |spec: &str, expected: &str| {
        let directory = tempdir().expect("a temporary directory");
        refused(&run(directory.path(), spec), &[expected]);
        let runs = fs::read_dir(directory.path().join("runs"));
        let mut runs = runs.into_iter().flatten().filter_map(Result::ok);
        let record = runs.any(|run| run.path().join("record.json").exists());
        assert!(!record, "{spec}: a record was written");
    };
    for row in REFUSED.trim().lines() {
        let [good, bad, expected] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        refused_spec(&SPEC.replace(good, &bad.replace("\\n", "\n")), expected);
    }
    let large = SPEC
        .replace("logistic", "mlp-deep")
        .replace("norms", "spectrum");
    refused_spec(
        &large,
        "--what spectrum takes at most 12000 parameters, got 15685",
    );
}

/// Options of `flatness train`, and parts of the sentence that refuses them.
const REFUSED_OPTIONS: &str = "
--optimizer adam --momentum 0.5   | --momentum is of --optimizer sgd and swa
--optimizer gadamx --momentum 0.9 | --momentum is of --optimizer sgd and swa
--learning-rate -1                | --learning-rate must be | got -1
--weight-decay -1                 | --weight-decay must be | got -1
--optimizer swa --momentum -0.5   | --momentum must be | got -0.5
--clip-norm -2                    | --clip-norm must be | got -2
--label-smoothing -0.1            | --label-smoothing must be | got -0.1
--seed -1                         | --seed | it must be a whole number of at least 0
--epochs -1                       | --epochs | it must be a whole number of at least 0
--threads -1                      | --threads | it must be from 1 to 1024
--threads 65535                   | --threads | it must be from 1 to 1024
--data-set foo                    | data.set (--data-set) must be one of mnist | got foo
--mean -0.5,0.5 --deviation 1,1   | a number for each channel of mnist, 1 each, got 2 and 2
--train-examples 5 --validation-examples 9999 | --train-examples | 9999 are held out | from 1 to 1, got 5
--validation-examples 10000       | from 1 to 9999, got 10000";

#[test]
fn options_out_of_range_are_refused_in_the_words_of_the_program() {
    let directory = tempdir().expect("a temporary directory");
    let runs = directory.path().join("runs");
    for row in REFUSED_OPTIONS.trim().lines() {
        let mut parts = row.split('|').map(str::trim);
        let options = parts.next().unwrap_or_default();
        let line = format!("train logistic --quiet --runs {} {options}", runs.display());
        let sentence = refused(&line, &parts.collect::<Vec<_>>());
        assert!(sentence.len() < 300, "{sentence}");
    }
    assert!(!runs.exists());
}

#[test]
fn what_is_not_there_and_what_cannot_be_written_are_named() {
    let directory = tempdir().expect("a temporary directory");
    refused("run no-such-spec.toml", &["no-such-spec.toml"]);
    // A file where the directory of the runs should be: unwritable for every user, root included.
    let blocked = directory.path().join("runs");
    fs::write(&blocked, "").expect("the directory is writable");
    let line = run(directory.path(), SPEC);
    refused(&line, &["cannot make the run directory"]);
    assert_eq!(fs::read(&blocked).expect("it is still there"), b"");
    fs::remove_file(&blocked).expect("removable");
    for (device, expected) in [
        ("cuda:4095", "use --device cpu"),
        ("cuda:x", "must be cpu, cuda, cuda:N or auto"),
        ("tpu", "must be cpu, cuda, cuda:N or auto"),
    ] {
        refused(&format!("{line} --device {device}"), &[expected]);
    }
}

#[test]
fn damaged_data_is_refused_with_file_and_field() {
    let directory = tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    fs::create_dir(&data).expect("the directory is writable");
    write_mnist(&data);
    let line = format!("{} --data {}", run(directory.path(), SPEC), data.display());
    let (name, whole) = (MNIST[0], flatness_fixtures::MNIST[0]);
    let mut flipped = whole.to_vec();
    flipped[whole.len() / 2] ^= 1;
    for bytes in [
        &whole[..whole.len() / 2],
        &flipped,
        flatness_fixtures::MNIST[1],
        b"",
        b"not an IDX file at all",
    ] {
        fs::write(data.join(name), bytes).expect("the directory is writable");
        refused(&line, &[name]);
    }
    fs::remove_file(data.join(name)).expect("it was written above");
    refused(&line, &["train-images-idx3-ubyte"]);
}

#[test]
fn divergence_keeps_the_last_good_parameters_and_says_epoch_and_rate() {
    let directory = tempdir().expect("a temporary directory");
    let spec = SPEC
        .replace("learning_rate = 0.01", "learning_rate = 1e30")
        .replace("epochs = 1", "epochs = 50")
        .replace("name = \"logistic\"", "name = \"mlp\"");
    let line = run(directory.path(), &spec);
    let expected = ["diverged in epoch 1 at learning rate 1e30"];
    let sentence = refused(&line, &expected);
    let checkpoint = run_directory(directory.path()).join("checkpoint.safetensors");
    let tensors = candle_core::safetensors::load(checkpoint, &candle_core::Device::Cpu);
    for (name, tensor) in tensors.expect("whole") {
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
    assert_eq!(refused(&line, &expected), sentence);
}

#[test]
fn a_checkpoint_that_is_none_is_refused() {
    let directory = tempdir().expect("a temporary directory");
    let (code, _, error) = flatness(&run(directory.path(), SPEC));
    assert_eq!(code, 0, "{error}");
    let whole = fs::read(run_directory(directory.path()).join("checkpoint.safetensors"));
    let whole = whole.expect("written");
    let cut = directory.path().join("cut.safetensors");
    fs::write(&cut, &whole[..whole.len() - 1]).expect("writable");
    for (path, expected) in [
        (cut.display().to_string(), "not a whole safetensors file"),
        ("missing.safetensors".to_owned(), "missing.safetensors"),
        (
            directory.path().display().to_string(),
            "has no average.safetensors and no checkpoint.safetensors",
        ),
    ] {
        refused(&format!("measure {path} --quiet"), &[expected]);
    }
    let known = run_directory(directory.path()).join("checkpoint.safetensors");
    let line = format!("measure {} --entry other --quiet", known.display());
    refused(&line, &["has no entry `other`; its tensors are fc"]);
    // A picture that would go nowhere is refused before the checkpoint is looked for.
    refused(
        "measure missing.safetensors --what top,landscape",
        &["give --out DIR"],
    );
}
