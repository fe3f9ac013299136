//! What a run says at its end, and the commands that look at runs.

use std::fs;

use serde_json::Value;

use crate::common::{flatness, refused};
use crate::program::{MLP, Place, assert_says, kill, mlp, record};

fn output(line: &str) -> String {
    let (code, output, error) = flatness(line);
    assert_eq!(code, 0, "{line}: {error}");
    output
}

#[test]
fn a_run_ends_with_how_good_it_is_and_what_is_next_also_when_asked_again() {
    let place = Place::new(&mlp(2));
    let (code, first) = place.run("runs", &[]);
    assert_eq!(code, 0, "{first}");
    let directory = place.run_directory("runs");
    let record = record(&directory);
    let expected = ["train", "test"].map(|split| {
        let of = |name: &str| record["evaluation"][split][name].as_f64();
        let (loss, accuracy) = of("loss").zip(of("accuracy")).expect("numbers");
        format!("{split} loss {loss:.5}, accuracy {:.2} %", 100.0 * accuracy)
    });
    assert!(first.contains(&expected.join("; ")), "{first}");
    let next = format!("next: flatness measure {}\n", directory.display());
    assert!(first.ends_with(&next), "{first}");
    // Two epochs of ten steps at rate 0.02, then 1 % at t = 0.5 and above: docs/MATHS.md.
    let dose = record["training"]["dose"].as_f64().expect("a number");
    let expected = 10.0 * (0.02 + 0.02) * 1e-4 / 0.1;
    assert!((dose - expected).abs() < 1e-12, "{dose}");

    let changed = || fs::metadata(directory.join("record.json")).and_then(|file| file.modified());
    let written = changed().expect("a time");
    let (code, again) = place.run("runs", &[]);
    assert_eq!((code, changed().expect("a time")), (0, written));
    let when = record["provenance"]["finished"].as_str().expect("a time");
    let (head, rest) = again.split_once('\n').expect("lines");
    assert_eq!(
        head,
        format!("finished before, at {when}; nothing was done")
    );
    assert_eq!(rest, first);
}

#[test]
fn nobody_who_listens_is_no_panic() {
    for (arguments, expected) in [(&[][..], 0), (&["--quiet"], 0), (&["--device=none"], 2)] {
        let place = Place::new(&mlp(3));
        let mut child = place.start("runs", arguments);
        // The reading end of standard error is gone.
        drop(child.stderr.take());
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn a_loss_that_is_not_finite_at_the_end_is_no_completed_run() {
    let spec = mlp(1)
        .replace("batch_size = 50", "batch_size = 500")
        .replace("learning_rate = 0.02", "learning_rate = 1e200");
    let place = Place::new(&spec);
    let run = || place.run("runs", &["--quiet"]);
    let error = assert_says(run(), 2, &["diverged in epoch 1", "step 1"]);
    assert_eq!(run(), (2, error));
}

#[test]
fn what_no_memory_can_hold_is_refused_before_any_work() {
    let average =
        "average = { kind = \"tail\", window = 10000000000, every = \"step\" }\n[measure]";
    let place = Place::new(&MLP.replace("[measure]", average));
    // 10¹⁰ vectors of 9,960 numbers of 8 bytes.
    let expected = ["at least 742077", "train.average.window"];
    assert_says(place.run("runs", &["--quiet"]), 2, &expected);
    assert!(!place.path("runs").exists());
}

#[test]
fn a_run_that_is_refused_leaves_nothing() {
    let spec = MLP.replace(", \"scaling=2\"", "");
    let measured = |more: &str| spec.replace("batch_size = 250", more);
    for (spec, options, expected) in [
        (mlp(2), &["--quiet", "--device", "foo"][..], "got foo"),
        (measured("batch_size = 501"), &["--quiet"], "got 501"),
        (measured("parameters = [\"zz\"]"), &["--quiet"], "zz"),
        (
            mlp(2).replace("[train]", "[train]\ntf32 = true"),
            &["--quiet"],
            "tf32",
        ),
    ] {
        let place = Place::new(&spec);
        assert_says(place.run("runs", options), 2, &[expected]);
        assert!(!place.path("runs").exists(), "{expected}");
    }
}

#[test]
fn lines_that_lack_an_epoch_are_refused() {
    let place = Place::new(&mlp(100_000));
    let mut child = place.start("runs", &["--quiet", "--save-every", "0"]);
    place.wait_for_step(&mut child, "runs", 45);
    kill(child);
    let metrics = place.run_directory("runs").join("metrics.jsonl");
    let text = fs::read_to_string(&metrics).expect("there");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.remove(1);
    fs::write(&metrics, lines.join("\n") + "\n").expect("writable");
    assert_says(place.run("runs", &["--quiet"]), 2, &["no line of epoch 2"]);
}

#[test]
fn runs_are_listed_and_compared() {
    let spec = |epochs| mlp(epochs).replace("[train]", "[train]\nevaluate_every = 1");
    let place = Place::new(&spec(1));
    place.finish("runs");
    let other = spec(3).replace("seed = 3", "seed = 5");
    fs::write(place.path("spec.toml"), other).expect("writable");
    let (code, error) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 0, "{error}");
    let runs = place.path("runs").display().to_string();
    let other = place.path("other.toml");
    fs::write(&other, spec(2)).expect("writable");
    let estimate = output(&format!("run {} --dry-run --json", other.display()));
    let estimate: Value = serde_json::from_str(&estimate).expect("JSON");
    let id = estimate[0]["id"].as_str().expect("a name");
    let stopped = place.path("runs").join(id);
    // One whose spec is that of its name, and one whose spec is not.
    let another = "0123456789abcdef";
    for directory in [&stopped, &place.path("runs").join(another)] {
        fs::create_dir(directory).expect("writable");
        fs::copy(&other, directory.join("spec.toml")).expect("writable");
    }
    let (code, _, said) = flatness(&format!("runs {runs}"));
    let expected = format!(
        "must be the spec of the run {another}, after which its directory is called, but is that of {id}"
    );
    assert_says((code, said), 0, &["warning: ", &expected, "; left out"]);
    let nowhere = place.path("nowhere");
    let (code, _, said) = flatness(&format!("runs {}", nowhere.display()));
    assert_says(
        (code, said),
        2,
        &["there are no runs in", "`flatness train` makes one"],
    );
    let rows = output(&format!("runs {runs} --json"));
    let rows: Vec<Value> = serde_json::from_str(&rows).expect("JSON");
    let states = rows.iter().map(|row| {
        (
            row["epochs"].as_u64(),
            row["state"].as_str().expect("a state"),
        )
    });
    let mut states: Vec<_> = states.collect();
    states.sort_unstable();
    assert_eq!(
        states,
        [
            (Some(1), "finished"),
            (Some(2), "stopped after epoch 0"),
            (Some(3), "finished")
        ]
    );
    assert_eq!(output(&format!("runs {runs}")).lines().count(), 4);

    let of = |epochs: u64| {
        let row = rows.iter().find(|row| row["epochs"] == epochs);
        let row = row.expect("it is there");
        place.path("runs").join(row["id"].as_str().expect("a name"))
    };
    let (one, three) = (of(1), of(3));
    let compare = format!("compare {} {}", one.display(), three.display());
    let table = output(&compare);
    let row = |name: &str| -> Vec<&str> {
        let mut rows = table.lines().map(str::split_whitespace);
        let row = rows.find(|cells| cells.clone().next() == Some(name));
        row.unwrap_or_else(|| panic!("no {name} in {table}"))
            .skip(1)
            .collect()
    };
    assert_eq!(row("train.epochs"), ["1", "3"]);
    assert_eq!(row("seed"), ["3", "5"]);
    assert!(!table.contains("model.name"), "{table}");
    let [first, last] = [&one, &three].map(|directory| {
        let loss = record(directory)["evaluation"]["train"]["loss"].as_f64();
        loss.expect("a number")
    });
    let expected = format!("{first:.5} {last:.5} {:.4}", last / first);
    assert_eq!(row("train_loss").join(" "), expected);

    let [svg, csv] = ["along.svg", "along.csv"].map(|name| {
        let file = place.path(name);
        output(&format!("{compare} --out {}", file.display()));
        fs::read_to_string(file).expect("a file")
    });
    assert!(svg.contains("seed 5, epochs 3"), "{svg}");
    assert!(
        csv.starts_with("run,label,epoch,weights,number,value"),
        "{csv}"
    );

    refused(
        &format!("compare {}", stopped.display()),
        &["directory of a finished run"],
    );
    refused(
        &format!("compare {} --out along.pdf", one.display()),
        &["must end in .svg or .csv"],
    );
}
