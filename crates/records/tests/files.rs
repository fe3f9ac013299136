//! Files: whole or not at all, and lines that survive a kill.

use std::fs;

use flatness_records::{
    Cost, EpochMetrics, Error, Outcome, Quantity, SplitEvaluation, Stop, TEMPORARY_PREFIX,
    Uncertainty, append_json_line, create_directories, file_digest, read_json, read_json_lines,
    write_atomic, write_json,
};

fn metrics(epoch: u32) -> EpochMetrics {
    EpochMetrics {
        epoch,
        learning_rate: 0.1,
        running_loss: 1.0 / f64::from(epoch),
        running_accuracy: Some(0.5),
        examples_per_second: 10.0,
        evaluation: None,
        average_evaluation: None,
        parameter_norm: 2.0,
        seconds: 0.5,
    }
}

#[test]
fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("deep/down/file");
    write_atomic(&path, b"first").expect("writable");
    write_atomic(&path, b"second").expect("writable");
    assert_eq!(fs::read(&path).expect("there"), b"second");
    let entries = fs::read_dir(path.parent().expect("deep")).expect("there");
    let names: Vec<_> = entries
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(names, ["file"]);
}

#[test]
fn a_failed_write_leaves_the_old_content_and_no_temporary_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // The target is a directory that is not empty: renaming over it fails for every user.
    let path = directory.path().join("target");
    fs::create_dir(&path).expect("writable");
    fs::write(path.join("old"), b"old").expect("writable");
    assert!(matches!(
        write_atomic(&path, b"new"),
        Err(Error::Write { .. })
    ));
    assert_eq!(fs::read(path.join("old")).expect("there"), b"old");
    let left = fs::read_dir(directory.path())
        .expect("there")
        .filter(|entry| {
            let name = entry.as_ref().expect("readable").file_name();
            name.to_string_lossy().starts_with(TEMPORARY_PREFIX)
        });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_line_cut_off_by_a_kill_is_left_out_and_a_damaged_one_is_an_error() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("metrics.jsonl");
    let read = || read_json_lines::<EpochMetrics>(&path, "metrics");
    assert_eq!(read().expect("none"), []);
    for epoch in [1, 2] {
        append_json_line(&path, &metrics(epoch)).expect("writable");
    }
    let whole = fs::read_to_string(&path).expect("there");
    fs::write(&path, &whole[..whole.len() - 5]).expect("writable");
    assert_eq!(read().expect("one"), [metrics(1)]);
    fs::write(&path, whole.replacen("epoch", "epock", 1)).expect("writable");
    assert!(matches!(read(), Err(Error::Digest { .. })));
    fs::write(&path, "{\n{\n").expect("writable");
    assert!(matches!(read(), Err(Error::Json { .. })));
}

#[test]
fn a_file_of_a_former_version_has_no_digest_and_is_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("file");
    let json = serde_json::to_string(&metrics(3)).expect("JSON");
    fs::write(&path, json + "\n").expect("writable");
    let record: EpochMetrics = read_json(&path, "metrics").expect("readable");
    let lines: Vec<EpochMetrics> = read_json_lines(&path, "metrics").expect("readable");
    assert_eq!((record, lines), (metrics(3), vec![metrics(3)]));
}

#[test]
fn a_file_that_was_changed_says_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("file");
    write_json(&path, &metrics(3)).expect("writable");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, text.replace("2.0", "3.0")).expect("writable");
    let error = read_json::<EpochMetrics>(&path, "metrics").expect_err("changed");
    let expected = format!("{} is damaged: ", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn what_is_read_and_not_what_was_written_is_damage() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("file");
    let is_damaged = || {
        let read = read_json::<EpochMetrics>(&path, "metrics");
        read.expect_err("no metrics").is_damage()
    };
    assert!(!is_damaged(), "there is none");
    write_json(&path, &metrics(3)).expect("writable");
    let whole = fs::read(&path).expect("there");
    let [mut text, mut no_text] = [whole.clone(), whole.clone()];
    text[20] ^= 1;
    no_text[20] |= 0x80;
    for damaged in [&whole[..9], &text, &no_text] {
        fs::write(&path, damaged).expect("writable");
        assert!(is_damaged());
    }
    for of_another_version in ["{}", r#"{"epoch": "third"}"#] {
        fs::write(&path, of_another_version).expect("writable");
        assert!(!is_damaged());
    }
}

#[test]
fn directories_are_made_with_their_parents_and_may_be_there() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let deep = directory.path().join("a/b/c");
    for _ in 0..2 {
        create_directories(&deep).expect("writable");
        assert!(deep.is_dir());
    }
    fs::write(deep.join("file"), b"abc").expect("writable");
    assert!(create_directories(&deep.join("file/d")).is_err());
    // FIPS 180-2, appendix B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(file_digest(&deep.join("file")).expect("there"), expected);
}

#[test]
fn quantities_come_back_from_json_to_the_last_bit() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("quantities.json");
    let (steps, rounding) = (9, 0.0);
    let quantities = [
        Uncertainty::Computed { rounding },
        Uncertainty::Stochastic {
            standard_error: 0.1 + 0.2,
            probes: 3,
        },
        Uncertainty::Iterative {
            residual: 1e-300,
            steps,
            converged: false,
        },
        Uncertainty::LowerBound {
            gap: 2.0,
            steps,
            converged: true,
        },
    ]
    .map(|uncertainty| Quantity {
        stop: Some(Stop::Budget),
        at: Some("fc.weight[0, 1]".to_owned()),
        ..Quantity::new(-1.0 / 3.0, uncertainty, Cost::products(4))
    });
    write_json(&path, &quantities.to_vec()).expect("writable");
    let back: Vec<Quantity> = read_json(&path, "list of quantities").expect("readable");
    assert_eq!(back, quantities);
    let errors = quantities.map(|quantity| quantity.error());
    assert_eq!(errors, [0.0, 0.1 + 0.2, 1e-300, 2.0]);
}

#[test]
fn losses_keep_numbers_that_json_lacks() {
    let outcome = |loss, norm| Outcome::Diverged {
        epoch: 3,
        learning_rate: 0.1,
        step: 29,
        loss,
        parameter_norm: norm,
    };
    let infinite = f64::INFINITY;
    for (loss, norm, text) in [
        (infinite, 1e300, r#""loss":"inf","parameter_norm":1e+300"#),
        (-infinite, 0.1, r#""loss":"-inf","parameter_norm":0.1"#),
    ] {
        let json = serde_json::to_string(&outcome(loss, norm)).expect("JSON can say it");
        assert!(json.contains(text), "{json}");
        let back: Outcome = serde_json::from_str(&json).expect("readable");
        assert_eq!(back, outcome(loss, norm));
    }
    let json = serde_json::to_string(&outcome(f64::NAN, 1.0)).expect("JSON can say it");
    assert!(json.contains(r#""loss":"NaN""#), "{json}");
    let back = serde_json::from_str(&json).expect("readable");
    assert!(matches!(back, Outcome::Diverged { loss, .. } if loss.is_nan()));
    let evaluation = SplitEvaluation {
        loss: f64::NAN,
        accuracy: Some(0.5),
        top5_accuracy: Some(1.0),
    };
    let json = serde_json::to_string(&evaluation).expect("JSON can say it");
    let back: SplitEvaluation = serde_json::from_str(&json).expect("readable");
    assert!(back.loss.is_nan() && back.accuracy == Some(0.5), "{json}");
}
