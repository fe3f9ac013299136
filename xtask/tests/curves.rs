//! `cargo xtask curves` on directories made by hand.

use std::path::Path;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;

const SGD: &str = r#""optimizer": { "kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": false, "weight_decay": 0.0005 }"#;
const SWA: &str = r#""average": { "kind": "uniform", "from_epoch": 1, "every": "epoch" }, "#;
const COMPLETED: &str = r#"{ "kind": "completed" }"#;
const DIVERGED: &str = r#"{ "kind": "diverged", "epoch": 1, "learning_rate": 0.1, "step": 3, "loss": "NaN", "parameter_norm": 2.0 }"#;

/// A split with train loss `loss` and a test loss one higher.
fn evaluation(loss: f64) -> String {
    format!(
        r#"{{ "train": {{ "loss": {loss}, "accuracy": 0.5, "top5_accuracy": 0.75 }}, "test": {{ "loss": {}, "accuracy": 0.25, "top5_accuracy": 0.5 }} }}"#,
        loss + 1.0
    )
}

/// One epoch with these further fields.
fn epoch(number: u32, further: &str) -> String {
    format!(
        r#"{{ "epoch": {number}, "learning_rate": 0.1, "running_loss": 1.0, "running_accuracy": 0.5, "examples_per_second": 9.0, "parameter_norm": 1.0, "seconds": 1.0{further} }}"#
    ) + "\n"
}

fn write_run(runs: &Path, id: &str, model: &str, train: &str, outcome: &str, metrics: &str) {
    let evaluation = evaluation(0.5);
    let record = format!(
        r#"{{
            "id": "{id}",
            "spec": {{
                "seed": 3,
                "data": {{ "set": "cifar-100", "validation_examples": 0 }},
                "model": {{ "name": "{model}", "dtype": "f32" }},
                "train": {{ "epochs": 2, "batch_size": 128, "schedule": {{ "kind": "constant" }}, {train} }}
            }},
            "outcome": {outcome},
            "provenance": {{
                "rustc": "rustc", "command": "flatness run /home/me/spec.toml", "finished": "2026-01-01T00:01:00Z",
                "segments": [{{
                    "from_step": 0, "threads": 1, "version": "0.1.0", "commit": "unknown", "dirty": false, "cpu": "cpu",
                    "device": "cpu", "started": "2026-01-01T00:00:00Z"
                }}]
            }},
            "data": {{
                "set": "cifar-100", "source": "archive /home/me/cifar.tar.gz; complete", "digest": "abc",
                "train_examples": 50000, "validation_examples": 0, "test_examples": 10000
            }},
            "model": {{
                "name": "{model}", "parameters": 10, "hidden_units": 4, "classes": 100, "batch_norm": "frozen", "dtype": "f32"
            }},
            "training": {{ "steps": 1, "dose": 0.0, "train_seconds": 1.0, "measure_seconds": 0.0, "peak_rss_mib": 1.0 }},
            "evaluation": {evaluation},
            "measurements": []
        }}"#
    );
    let run = runs.join(id);
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("record.json"), record).unwrap();
    std::fs::write(run.join("metrics.jsonl"), metrics).unwrap();
}

fn curves(runs: &Path, out: &Path) -> Command {
    let mut command = cargo_bin_cmd!("xtask");
    command.arg("curves").arg(runs).arg("--out").arg(out);
    command
}

fn last_iterates() -> String {
    let line = |number, loss| epoch(number, &format!(r#", "evaluation": {}"#, evaluation(loss)));
    line(1, 2.0) + &line(2, 0.5)
}

#[test]
fn finished_runs_become_pictures_numbers_records_and_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let (runs, out) = (directory.path().join("runs"), directory.path().join("out"));
    write_run(&runs, "r1", "vgg@0.25", SGD, COMPLETED, &last_iterates());
    let averaged = epoch(
        2,
        &format!(
            r#", "evaluation": {}, "average_evaluation": {}"#,
            evaluation(1.5),
            evaluation(0.25)
        ),
    );
    let swa = format!("{SWA}{SGD}");
    write_run(&runs, "r2", "vgg@0.25", &swa, COMPLETED, &averaged);
    write_run(&runs, "r3", "resnet", SGD, COMPLETED, &last_iterates());
    write_run(&runs, "r4", "resnet", &swa, DIVERGED, &epoch(1, ""));
    // A run that still goes on, and what is no run at all.
    write_run(&runs, "r5", "resnet", SGD, COMPLETED, &last_iterates());
    std::fs::remove_file(runs.join("r5/record.json")).unwrap();
    std::fs::write(runs.join("notes.txt"), "none").unwrap();

    curves(&runs, &out).assert().success();
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "README.md",
        "curves.csv",
        "resnet.svg",
        "resnet_SGD_3.json",
        "resnet_SWA_3.json",
        "vgg@0.25.svg",
        "vgg@0.25_SGD_3.json",
        "vgg@0.25_SWA_3.json",
    ];
    assert_eq!(names, expected);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let header = "run,model,optimizer,seed,epoch,weights,train_loss,train_accuracy,train_top5_accuracy,\
                  test_loss,test_accuracy,test_top5_accuracy";
    let rows = [
        header,
        "r3,resnet,SGD,3,1,last,2,0.5,0.75,3,0.25,0.5",
        "r3,resnet,SGD,3,2,last,0.5,0.5,0.75,1.5,0.25,0.5",
        "r1,vgg@0.25,SGD,3,1,last,2,0.5,0.75,3,0.25,0.5",
        "r1,vgg@0.25,SGD,3,2,last,0.5,0.5,0.75,1.5,0.25,0.5",
        "r2,vgg@0.25,SWA,3,2,last,1.5,0.5,0.75,2.5,0.25,0.5",
        "r2,vgg@0.25,SWA,3,2,average,0.25,0.5,0.75,1.25,0.25,0.5",
    ];
    assert_eq!(read("curves.csv").lines().collect::<Vec<_>>(), rows);
    let page = read("README.md");
    for expected in [
        "cargo xtask curves runs --out out`",
        "| SWA, average | 3 | 2 | 0.2500 | 1.250 | 25.00 % | 50.00 % |",
        "| SWA | 3 | diverged in epoch 1 |",
        "archive cifar.tar.gz; complete",
    ] {
        assert!(
            page.contains(expected),
            "{expected} is missing from\n{page}"
        );
    }
    assert!(read("resnet_SGD_3.json").contains("\"flatness run spec.toml\""));
    for name in names {
        assert!(
            !read(&name).contains("/home/me"),
            "{name} names a directory of one machine"
        );
    }
}

#[test]
fn what_cannot_be_drawn_is_one_sentence_with_code_2_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("empty")).unwrap();
    write_run(
        &at("unevaluated"),
        "r1",
        "vgg",
        SGD,
        COMPLETED,
        &epoch(1, ""),
    );
    for id in ["r1", "r2"] {
        write_run(&at("twice"), id, "vgg", SGD, COMPLETED, &last_iterates());
    }
    write_run(&at("damaged"), "r1", "vgg", SGD, COMPLETED, "no JSON\n");
    for (runs, expected) in [
        ("missing", "cannot read"),
        ("empty", "has no run with a record.json and a metrics.jsonl"),
        (
            "unevaluated",
            "has no evaluations; train it again with `evaluate_every = 1`",
        ),
        ("twice", "both have SGD and seed 3; move one of them away"),
        ("damaged", "is not a valid list of epochs"),
    ] {
        let assertion = curves(&at(runs), &at("out")).assert().code(2);
        let said = String::from_utf8_lossy(&assertion.get_output().stderr).into_owned();
        assert!(
            said.starts_with("error: ") && said.contains(expected),
            "{runs}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!at("out").exists(), "{runs} has left something behind");
    }
}
