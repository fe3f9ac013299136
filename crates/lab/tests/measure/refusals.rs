//! Bad input gets one clear sentence and exit code 2.

use std::fs;

use candle_core::{Device, Tensor};

use crate::program::{Place, ended, program};

/// Asserts that `flatness measure` with these options says `expected`, and nothing else but where help is.
#[track_caller]
fn check_refusal(place: &Place, options: &str, expected: &[&str]) {
    let (code, output, error) = ended(place.start(&format!("--threads 1 {options}")));
    assert_eq!((code, output.as_str()), (2, ""), "{options}: {error}");
    let sentence = error.lines().next().unwrap_or_default();
    assert!(sentence.starts_with("error: "), "{options}: {error}");
    for expected in expected {
        assert!(
            sentence.contains(expected),
            "{options}: expected `{expected}` in: {error}"
        );
    }
    // What the parser of the command line refuses ends with the choices and a pointer to the help.
    let known = ["", "For more information, try '--help'."];
    let extra = |line: &&str| !known.contains(line) && !line.starts_with("  [possible values: ");
    let rest: Vec<&str> = error.lines().skip(1).filter(extra).collect();
    assert!(rest.is_empty(), "{options}: {error}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new("logistic");
    for (options, expected) in [
        (
            "--what sharpness",
            &[
                "there is no `sharpness`",
                "choose from top[=K]",
                "landscape",
            ][..],
        ),
        (
            "--what top=0",
            &["top takes a number of at least 1, got `0`"],
        ),
        (
            "--what bottom=-1",
            &["bottom takes a number of at least 1, got `-1`"],
        ),
        ("--what trace=2", &["trace takes no number"]),
        (
            "--what count=3:1",
            &["LOW:HIGH with LOW below HIGH, got `3:1`"],
        ),
        (
            "--what log-determinant",
            &["log-determinant needs a number"],
        ),
        (
            "--what pac-bayes=0",
            &["pac-bayes takes a positive number, got `0`"],
        ),
        (
            "--what top=7851",
            &["top=7851", "the matrix has 7850 eigenvalues"],
        ),
        (
            "--what top=11 --parameters fc.bias",
            &["top=11", "the matrix has 10 eigenvalues"],
        ),
        (
            "--what bottom=7851",
            &["bottom=7851", "the matrix has 7850 eigenvalues"],
        ),
        (
            "--parameters conv*",
            &["no parameter is called conv*", "fc.weight, fc.bias"],
        ),
        ("--budget 0", &["--budget must be at least 1, got 0"]),
        ("--block 0", &["--block must be at least 1, got 0"]),
        ("--steps 0", &["--steps must be at least 1, got 0"]),
        (
            "--what rank --budget 10",
            &["budget is 10 products", "takes 61 at least"],
        ),
        (
            "--what trace --budget 1",
            &["budget is 1 products", "takes 3 at least"],
        ),
        (
            "--relative-error=-0.1",
            &["--relative-error must be a positive number, got -0.1"],
        ),
        (
            "--relative-error=0",
            &["--relative-error must be a positive number, got 0"],
        ),
        (
            "--tolerance=nan",
            &["--tolerance must be a positive number, got NaN"],
        ),
        (
            "--time-limit=0",
            &["--time-limit must be a positive number, got 0"],
        ),
        ("--l2=-1", &["--l2 must be a number of at least 0, got -1"]),
        (
            "--split validation",
            &["--split validation needs --train-size"],
        ),
        (
            "--split validation --train-size 0",
            &["--train-size must be in 1..10000", "got 0"],
        ),
        (
            "--train-size 10000",
            &["--train-size must be in 1..10000", "got 10000"],
        ),
        ("--sample 10001", &["subset", "10000", "got 10001"]),
        ("--train-size 20 --sample 21", &["20", "got 21"]),
        ("--sample 0", &["got 0"]),
        (
            "--examples 10001",
            &["number of examples must be from 1 to 10000, got 10001"],
        ),
        (
            "--what top,bottom --basis 2",
            &["the basis holds 2 vectors", "at least 4"],
        ),
        ("--matrix fisher", &["fisher", "--matrix"]),
        ("--model mlp", &["fc0.weight"]),
        ("--journal /", &["cannot open the journal /"]),
    ] {
        let few = match options.contains("--sample") || options.contains("--examples") {
            true => String::new(),
            false => "--examples 3 ".to_owned(),
        };
        check_refusal(&place, &format!("{few}{options}"), expected);
    }
}

#[test]
fn a_checkpoint_with_nan_is_refused_with_the_parameter() {
    let whole = Place::new("logistic");
    let mut theta: Vec<f64> = whole.theta.to_vec1().expect("a vector");
    theta[7845] = f64::NAN;
    let theta = Tensor::new(theta, &Device::Cpu).expect("a vector");
    let place = Place::with("logistic", whole.network, theta);
    let expected = ["weights.safetensors: fc.bias has values that are not finite"];
    check_refusal(&place, "--examples 3", &expected);
}

#[test]
fn measurements_that_do_not_fit_the_network_of_a_spec_are_refused() {
    let place = Place::new("logistic");
    for (model, measured, expected) in [
        (
            "logistic",
            "rescaling = { alphas = [0.5, 2.0] }",
            "measure.rescaling: logistic has no two layers",
        ),
        (
            "mlp-deep",
            "exact_spectrum = { relative_threshold = 1e-3 }",
            "measure.exact_spectrum takes at most 12000 parameters, mlp-deep has 15685",
        ),
    ] {
        let spec = format!(
            r#"
seed = 0
[data]
set = "mnist"
train_examples = 20
[model]
name = "{model}"
dtype = "f32"
[train]
epochs = 1
batch_size = 20
optimizer = {{ kind = "sgd", learning_rate = 0.01, momentum = 0.0, nesterov = false, weight_decay = 0.0 }}
schedule = {{ kind = "constant" }}
[measure]
epochs = []
split = "train"
matrices = ["hessian"]
batch_size = 20
lanczos = {{ steps = 2, tolerance = 1e-3 }}
trace = {{ probes = 2, block = 2 }}
{measured}
"#
        );
        let path = place.path("spec.toml");
        fs::write(&path, spec).expect("writable");
        let mut command = program();
        command
            .arg("run")
            .arg(&path)
            .args(["--quiet", "--threads", "1", "--runs"]);
        let child = command
            .arg(place.path(model))
            .spawn()
            .expect("the binary starts");
        let (code, output, error) = ended(child);
        assert_eq!((code, output.as_str()), (2, ""), "{model}: {error}");
        assert!(error.contains(expected), "{model}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{model}: {error}");
    }
}
