//! A disk that fails at every single call: each leaves a run that goes on, and one sentence.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::{ended, program};
use crate::program::{Finished, Place, assert_says, names};

/// A run with every kind of file.
const SPEC: &str = r#"
seed = 3
[data]
set = "mnist"
train_examples = 20
[model]
name = "logistic"
dtype = "f32"
[train]
epochs = 2
batch_size = 10
optimizer = { kind = "sgd", learning_rate = 0.02, momentum = 0.9, nesterov = true, weight_decay = 1e-4 }
schedule = { kind = "constant" }
average = { kind = "uniform", from_epoch = 1, every = "epoch" }
checkpoint_every = 2
[measure]
epochs = [1]
along = ["norms"]
what = ["norms", "top"]
budget = 4
search = 2
"#;

/// EIO, EINVAL and ENOSPC.
const ERRORS: [u32; 3] = [5, 22, 28];

/// The library that makes calls fail, where there is a C compiler.
fn shim(directory: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/faults.c");
    let library = directory.join("faults.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
    let built = compiler.arg(&library).arg(source).arg("-ldl").status();
    match built {
        Ok(status) => {
            assert!(status.success(), "the shim does not compile");
            Some(library)
        }
        Err(_) => None,
    }
}

/// Asserts that every file in the directory of a run is whole, whatever became of the run.
fn assert_whole(directory: &Path) {
    let files = if directory.exists() {
        names(directory)
    } else {
        Vec::new()
    };
    for name in files.iter().filter(|name| !name.starts_with('.')) {
        let bytes = fs::read(directory.join(name)).expect("readable");
        let text = || String::from_utf8_lossy(&bytes);
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        let is_whole = match name.rsplit('.').next() {
            Some("safetensors") => SafeTensors::deserialize(&bytes).is_ok(),
            Some("json") => is_json(&text()),
            Some("jsonl") => text().lines().all(is_json),
            Some("toml") => text().contains("[train.optimizer]") || text().contains("optimizer ="),
            _ => name == "lock" || name.starts_with("products-"),
        };
        assert!(is_whole, "{name} is torn: {}", text());
    }
}

/// The number-th call fails; its name, unless there are fewer.
fn check_fault(place: &Place, shim: &Path, whole: &Finished, number: usize) -> Option<String> {
    let runs = format!("fault-{number}");
    let child = program()
        .args(place.arguments(&runs, &["--quiet", "--save-every", "0"]))
        .env("LD_PRELOAD", shim)
        .env("FAULT_UNDER", place.path(&runs))
        .env("FAULT_N", number.to_string())
        .env("FAULT_ERRNO", ERRORS[number % 3].to_string())
        .spawn();
    let (code, _, all) = ended(child.expect("the binary starts"));
    let (faults, said): (Vec<&str>, Vec<&str>) =
        all.lines().partition(|line| line.starts_with("fault: "));
    let said = said.join("\n");
    let [fault] = faults[..] else {
        assert_eq!((code, all.as_str()), (0, ""));
        return None;
    };
    if code != 0 || !said.is_empty() {
        let error = assert_says((code, said), 2, &[]);
        assert!(error.starts_with("error: "), "{fault}: {error}");
        assert!(error.contains("(os error "), "{fault}: {error}");
    }
    let id = whole.record["id"].as_str().expect("a name");
    assert_whole(&place.path(&runs).join(id));
    assert_eq!(place.finish(&runs), *whole, "{fault}");
    fault.split(' ').nth(1).map(str::to_owned)
}

#[test]
fn a_run_survives_the_failure_of_every_single_call() {
    let place = Place::new(SPEC);
    let Some(shim) = shim(&place.path("")) else {
        eprintln!("skipped: there is no C compiler `cc`");
        return;
    };
    let whole = place.finish("whole");
    let calls = |first| -> BTreeSet<String> {
        let numbers = (first..).step_by(2);
        let fault = |number| check_fault(&place, &shim, &whole, number);
        numbers.map_while(fault).collect()
    };
    let both = std::thread::scope(|scope| {
        let calls = &calls;
        let threads = [1, 2].map(|first| scope.spawn(move || calls(first)));
        threads.map(|thread| thread.join().expect("no fault tears a run"))
    });
    let every = [
        "flock",
        "fsync",
        "ftruncate",
        "mkdir",
        "open",
        "rename",
        "unlink",
        "write",
    ];
    assert_eq!(
        &both[0] | &both[1],
        BTreeSet::from(every.map(str::to_owned))
    );
}
