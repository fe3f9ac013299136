//! A run and `flatness measure` are two entrances to the same measurement.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{flatness, refused};
use crate::program::{BATCH_NORM, Place, kill, mlp, record};

/// What there is to measure of an MLP, in the words of a spec and of the command line.
const REQUEST: [(&str, &str); 8] = [
    (
        "what",
        "top=2,bottom,trace,frobenius,rank,keskar-ball=1e-3,quadratic,scaling=2",
    ),
    ("matrices", "hessian,gauss-newton"),
    ("split", "test"),
    ("sample", "60"),
    ("batch_size", "25"),
    ("budget", "200"),
    ("steps", "10"),
    ("relative_error", "0.1"),
];

/// A spec of a short training that measures [`REQUEST`].
fn spec() -> String {
    let field = |(name, value): (&str, &str)| match name {
        "what" | "matrices" => format!("{name} = [\"{}\"]\n", value.replace(',', "\", \"")),
        "split" => format!("{name} = \"{value}\"\n"),
        _ => format!("{name} = {value}\n"),
    };
    format!("{}[measure]\n{}", mlp(2), REQUEST.map(field).concat())
}

/// [`REQUEST`] as options.
fn options() -> String {
    let option = |(name, value): (&str, &str)| format!("--{} {value} ", name.replace('_', "-"));
    REQUEST.map(option).concat()
}

/// What `flatness measure` prints with `--json`.
pub(crate) fn measured(line: &str) -> Value {
    let (code, output, error) = flatness(&format!("measure {line} --threads 2 --quiet --json"));
    assert_eq!(code, 0, "{line}: {error}");
    serde_json::from_str(&output).expect("JSON")
}

/// Asserts that all that was measured is the same to the last bit; what only a run knows is left out.
#[track_caller]
pub(crate) fn assert_same(report: &Value, measurement: &Value) {
    let fields = "examples sampled_from loss retention numbers matrices curves undefined cost";
    for field in fields.split(' ') {
        let mut expected = measurement[field].clone();
        if let Some(numbers) = expected.as_object_mut() {
            numbers.remove("distance_from_initialization");
        }
        assert_eq!(report[field], expected, "{field}");
    }
}

pub(crate) fn measurements(directory: &Path) -> Vec<Value> {
    let record = record(directory);
    let measurements = record["measurements"].as_array();
    measurements.expect("a list").clone()
}

#[test]
fn a_run_is_measured_as_it_measured_itself() {
    let place = Place::new(&spec());
    place.finish("runs");
    let directory = place.run_directory("runs");
    let measurements = measurements(&directory);
    let [of_run] = measurements.as_slice() else {
        panic!("{measurements:?}");
    };
    let run = directory.display();
    let path = directory.join("checkpoint.safetensors");
    let checkpoint = path.display();
    // The directory, the file in it, and a copy elsewhere of which all is said that the record says.
    let copy = place.path("copy.safetensors");
    fs::copy(&path, &copy).expect("writable");
    assert_same(&measured(&run.to_string()), of_run);
    assert_same(&measured(&checkpoint.to_string()), of_run);
    let told = format!("--seed 3 --train-examples 500 {}", options());
    for elsewhere in [
        format!("{} {told}", copy.display()),
        format!("{checkpoint} --ignore-run {told}"),
    ] {
        let mut report = measured(&elsewhere);
        let mut expected = of_run.clone();
        // Only the run knows the L2 term that the loss in the balls has.
        let [found, known] = [&mut report, &mut expected].map(|measured| {
            let curves = measured["curves"].as_array_mut().expect("curves");
            let mut names = curves.iter().map(|curve| &curve["name"]);
            let ball = names.position(|name| name == "keskar.ball");
            let ball = curves.remove(ball.expect("a ball"));
            measured["cost"].take();
            ball["points"][0]["numbers"]["predicted"]["value"].as_f64()
        });
        assert!(found.is_some() && known.is_some() && found != known);
        assert_same(&report, &expected);
    }
    // What is given replaces what the spec says, and nothing else.
    let other = measured(&format!("{run} --examples 40 --matrices residual"));
    assert_eq!(other["examples"], 40);
    assert_eq!(other["matrices"][0]["matrix"], "residual");
    assert_eq!(other["request"]["split"], "test");
    assert!(other.get("sampled_from").is_none());
}

/// With running statistics and an average: the directory stands for the average, and its files for themselves.
#[test]
fn every_checkpoint_of_a_run_is_measured_as_the_run_did() {
    let place = Place::new(&BATCH_NORM.replace("epochs = [1]", "epochs = [2]"));
    place.finish("runs");
    let directory = place.run_directory("runs");
    let [along, last, average]: [Value; 3] = measurements(&directory).try_into().expect("three");
    let measured = |file: &str, options: &str| {
        let (path, data) = (directory.join(file), place.path("data"));
        let (path, data) = (path.display(), data.display());
        measured(&format!("{path} --data {data} {options}"))
    };
    assert_eq!(along["epoch"], 2);
    assert_eq!(average["weights"], "average");
    assert_same(&measured("checkpoint-2.safetensors", "--what top"), &along);
    assert_same(&measured("checkpoint.safetensors", ""), &last);
    assert_same(&measured("", ""), &average);
}

#[test]
fn other_data_than_the_runs_are_refused() {
    let place = Place::new(BATCH_NORM);
    place.finish("runs");
    let directory = place.run_directory("runs");
    place.change_data();
    let (run, data) = (directory.display(), place.path("data"));
    let line = format!("{run} --data {}", data.display());
    let digest = record(&directory)["data"]["digest"].clone();
    let digest = digest.as_str().expect("a digest");
    let other = "belongs to a run on other data";
    let quiet = format!("measure {line} --quiet");
    refused(&quiet, &[other, digest, "--data", "--ignore-run"]);
    let report = measured(&format!(
        "{line} --ignore-run --data-set cifar-100 --what top --budget 4 --batch-size 12"
    ));
    assert_ne!(report["data"]["digest"], digest);
}

#[test]
fn a_spec_that_has_changed_is_not_that_of_its_directory() {
    let place = Place::new(&mlp(100_000).replace("[train]", "[train]\ncheckpoint_every = 1"));
    let child = place.start("runs", &["--quiet"]);
    place.wait_for("runs", "checkpoint-1.safetensors");
    kill(child);
    let directory = place.run_directory("runs");
    let line = format!(
        "{} --what norms",
        directory.join("checkpoint-1.safetensors").display()
    );
    let of_run = measured(&line);
    let spec = directory.join("spec.toml");
    let text = fs::read_to_string(&spec).expect("there");
    // One bit.
    let changed = text.replace("train_examples = 500", "train_examples = 501");
    assert_ne!(changed, text);
    fs::write(&spec, changed).expect("writable");
    let name = directory.file_name().expect("a name").to_string_lossy();
    let expected =
        format!("must be the spec of the run {name}, after which its directory is called");
    let quiet = format!("measure {line} --quiet");
    refused(&quiet, &[&spec.display().to_string(), &expected]);
    fs::write(&spec, text).expect("writable");
    assert_eq!(measured(&line), of_run);
    // A name that somebody has given says nothing of the spec.
    let best = directory.with_file_name("best");
    fs::rename(&directory, &best).expect("renamed");
    let checkpoint = best.join("checkpoint-1.safetensors");
    assert_eq!(
        measured(&format!("{} --what norms", checkpoint.display())),
        of_run
    );
}

#[test]
fn another_checkpoint_than_the_runs_is_refused() {
    let spec = mlp(2).replace("[train]", "[train]\ncheckpoint_every = 1");
    let places = ["seed = 3", "seed = 5"].map(|seed| Place::new(&spec.replace("seed = 3", seed)));
    for place in &places {
        place.finish("runs");
    }
    let [directory, other] = places.each_ref().map(|place| place.run_directory("runs"));
    let run = directory.display();
    let of_run = measured(&format!("{run} --what norms"));
    for name in ["checkpoint.safetensors", "checkpoint-1.safetensors"] {
        let path = directory.join(name);
        let kept = fs::read(&path).expect("there");
        fs::copy(other.join(name), &path).expect("writable");
        let line = format!("{} --what norms", path.display());
        let expected = [
            "is not the file that the run beside it has written",
            "--ignore-run",
        ];
        refused(&format!("measure {line} --quiet"), &expected);
        let other = measured(&format!("{line} --ignore-run"));
        assert_ne!(other["numbers"], of_run["numbers"]);
        fs::write(path, kept).expect("writable");
    }
    assert_eq!(measured(&format!("{run} --what norms")), of_run);
    // A record of a former version says nothing of files.
    let mut record = record(&directory);
    let fields = record.as_object_mut().expect("fields");
    assert_eq!(
        fields["files"].as_object().map(serde_json::Map::len),
        Some(3)
    );
    fields.retain(|name, _| !["files", "digest"].contains(&name.as_str()));
    fs::write(directory.join("record.json"), record.to_string()).expect("writable");
    fs::copy(
        other.join("checkpoint.safetensors"),
        directory.join("checkpoint.safetensors"),
    )
    .expect("writable");
    assert_ne!(
        measured(&format!("{run} --what norms"))["numbers"],
        of_run["numbers"]
    );
}
