//! What a run says at its end, and the commands that look at runs.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{MLP, Place, command, ended, record};

fn spec(epochs: u32) -> String {
    let spec = MLP.split("[measure]").next().expect("a part");
    spec.replace("epochs = 24", &format!("epochs = {epochs}"))
}

fn output(arguments: &[&str]) -> String {
    let child = command(env!("CARGO_BIN_EXE_flatness"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_run_ends_with_how_good_it_is_and_what_is_next_also_when_asked_again() {
    let place = Place::new(&spec(2));
    let (code, first) = place.run("runs", &[]);
    assert_eq!(code, 0, "{first}");
    let directory = place.run_directory("runs");
    let record = record(&directory);
    let of = |split: &str, name: &str| {
        record["evaluation"][split][name]
            .as_f64()
            .expect("a number")
    };
    let expected = ["train", "test"].map(|split| {
        format!(
            "{split} loss {:.5}, accuracy {:.2} %",
            of(split, "loss"),
            100.0 * of(split, "accuracy")
        )
    });
    assert!(first.contains(&expected.join("; ")), "{first}");
    assert!(
        first.ends_with(&format!("next: flatness measure {}\n", directory.display())),
        "{first}"
    );
    // Two epochs of ten steps at rate 0.02, then 1 % at t = 0.5 and above: docs/MATHS.md.
    let dose = record["training"]["dose"].as_f64().expect("a number");
    assert!(
        (dose - 10.0 * (0.02 + 0.02) * 1e-4 / 0.1).abs() < 1e-12,
        "{dose}"
    );

    let files = || {
        fs::metadata(directory.join("record.json"))
            .expect("there")
            .modified()
            .expect("a time")
    };
    let written = files();
    let (code, again) = place.run("runs", &[]);
    assert_eq!((code, files()), (0, written));
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
        let place = Place::new(&spec(3));
        let mut child = place.start("runs", arguments);
        // The reading end of standard error is gone.
        drop(child.stderr.take());
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn a_loss_that_is_not_finite_at_the_end_is_no_completed_run() {
    let spec = spec(1)
        .replace("batch_size = 50", "batch_size = 500")
        .replace("learning_rate = 0.02", "learning_rate = 1e200");
    let place = Place::new(&spec);
    let (code, error) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("diverged in epoch 1") && error.contains("step 1"),
        "{error}"
    );
    let again = place.run("runs", &["--quiet"]);
    assert_eq!(again, (code, error));
}

#[test]
fn what_no_memory_can_hold_is_refused_before_any_work() {
    let average =
        "average = { kind = \"tail\", window = 10000000000, every = \"step\" }\n[measure]";
    let place = Place::new(&MLP.replace("[measure]", average));
    let (code, error) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 2, "{error}");
    // 10¹⁰ vectors of 9,960 numbers of 8 bytes.
    assert!(
        error.contains("at least 742077") && error.contains("train.average.window"),
        "{error}"
    );
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    assert!(!place.path("runs").exists());
}

#[test]
fn lines_that_lack_an_epoch_are_refused() {
    let place = Place::new(&spec(100_000));
    let child = place.start("runs", &["--quiet", "--save-every", "0"]);
    let mut child = child;
    place.wait_for_step(&mut child, "runs", 45);
    child.kill().expect("ours");
    child.wait().expect("ours");
    let metrics = place.run_directory("runs").join("metrics.jsonl");
    let text = fs::read_to_string(&metrics).expect("there");
    let lines: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|&(place, _)| place != 1)
        .map(|(_, line)| line)
        .collect();
    fs::write(&metrics, lines.join("\n") + "\n").expect("writable");
    let (code, error) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("no line of epoch 2"), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}

#[test]
fn runs_are_listed_and_compared() {
    let spec = |epochs| spec(epochs).replace("[train]", "[train]\nevaluate_every = 1");
    let place = Place::new(&spec(1));
    place.finish("runs");
    fs::write(
        place.path("spec.toml"),
        spec(3).replace("seed = 3", "seed = 5"),
    )
    .expect("writable");
    let (code, error) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 0, "{error}");
    let stopped = place.path("runs").join("stopped");
    fs::create_dir(&stopped).expect("writable");
    fs::write(stopped.join("spec.toml"), spec(2)).expect("writable");

    let runs = place.path("runs").display().to_string();
    let rows: Vec<Value> = serde_json::from_str(&output(&["runs", &runs, "--json"])).expect("JSON");
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
    assert_eq!(output(&["runs", &runs]).lines().count(), 4);

    let of = |epochs: u64| {
        let row = rows
            .iter()
            .find(|row| row["epochs"] == epochs)
            .expect("it is there");
        place.path("runs").join(row["id"].as_str().expect("a name"))
    };
    let directories = [of(1), of(3)];
    let [one, three] = directories
        .each_ref()
        .map(|directory| directory.display().to_string());
    let table = output(&["compare", &one, &three]);
    let row = |name: &str| -> Vec<String> {
        let line = table
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name));
        let cells = line
            .unwrap_or_else(|| panic!("no {name} in {table}"))
            .split_whitespace();
        cells.skip(1).map(str::to_owned).collect()
    };
    assert_eq!(row("train.epochs"), ["1", "3"]);
    assert_eq!(row("seed"), ["3", "5"]);
    assert!(!table.contains("model.name"), "{table}");
    let losses = directories.map(|directory| {
        record(&directory)["evaluation"]["train"]["loss"]
            .as_f64()
            .expect("a number")
    });
    let expected = [losses[0], losses[1]].map(|loss| format!("{loss:.5}"));
    let ratio = format!("{:.4}", losses[1] / losses[0]);
    assert_eq!(
        row("train_loss"),
        [expected[0].clone(), expected[1].clone(), ratio]
    );

    let drawn = ["along.svg", "along.csv"].map(|name| {
        let file = place.path(name).display().to_string();
        output(&["compare", &one, &three, "--out", &file]);
        fs::read_to_string(file).expect("a file")
    });
    assert!(drawn[0].contains("seed 5, epochs 3"), "{}", drawn[0]);
    assert!(
        drawn[1].starts_with("run,label,epoch,weights,number,value"),
        "{}",
        drawn[1]
    );

    for (arguments, sentence) in [
        (
            vec![stopped.display().to_string()],
            "directory of a finished run",
        ),
        (
            vec![one, "--out".to_owned(), "along.pdf".to_owned()],
            "must end in .svg or .csv",
        ),
    ] {
        let mut child = command(env!("CARGO_BIN_EXE_flatness"));
        let (code, error) = ended(
            child
                .arg("compare")
                .args(arguments)
                .spawn()
                .expect("it starts"),
        );
        assert_eq!(code, 2);
        assert!(error.contains(sentence), "{error}");
    }
}
