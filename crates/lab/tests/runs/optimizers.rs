//! The ready-made optimisers of `flatness train`.

use crate::program::{Place, command, ended};

const EPOCHS: u32 = 30;

/// Trains a little with the optimiser `name`; the spec that was made of the arguments.
fn spec(name: &str, more: &[&str]) -> toml::Table {
    let place = Place::new("");
    let child = command(env!("CARGO_BIN_EXE_flatness"))
        .args(["train", "--model", "logistic", "--train-examples", "50"])
        .args(["--batch-size", "50", "--epochs", &EPOCHS.to_string()])
        .args(["--threads", "1", "--quiet", "--optimizer", name, "--runs"])
        .arg(place.path("runs"))
        .args(more)
        .spawn()
        .expect("the binary starts");
    let (code, error) = ended(child);
    assert_eq!(code, 0, "{name}: {error}");
    let path = place.run_directory("runs").join("spec.toml");
    let text = std::fs::read_to_string(path).expect("the spec");
    text.parse().expect("TOML")
}

#[test]
fn names_stand_for_the_published_settings() {
    // docs/MATHS.md: kind, rate, weight decay, kind of it, p, start of averaging at 161/300.
    for (name, kind, rate, weight_decay, decay, partial, start) in [
        ("sgd", "sgd", 0.03, 0.0, None, None, None),
        ("adam", "adam", 1e-3, 0.0, None, None, None),
        ("adamw", "adam", 5e-4, 0.25, Some("decoupled"), None, None),
        ("amsgrad", "amsgrad", 1e-3, 0.0, None, None, None),
        ("padam", "padam", 0.1, 5e-4, None, Some(0.125), None),
        (
            "gadam",
            "adam",
            5e-4,
            0.25,
            Some("decoupled"),
            None,
            Some(16),
        ),
        (
            "gadamx",
            "padam",
            0.1,
            2.5e-3,
            Some("decoupled"),
            Some(0.125),
            Some(16),
        ),
        ("swa", "sgd", 0.1, 5e-4, None, None, Some(16)),
    ] {
        let spec = spec(name, &[]);
        let train = &spec["train"];
        let optimizer = &train["optimizer"];
        assert_eq!(optimizer["kind"].as_str(), Some(kind), "{name}");
        assert_eq!(optimizer["learning_rate"].as_float(), Some(rate), "{name}");
        assert_eq!(
            optimizer["weight_decay"].as_float(),
            Some(weight_decay),
            "{name}"
        );
        assert_eq!(
            optimizer.get("decay").and_then(|decay| decay.as_str()),
            decay,
            "{name}"
        );
        let got = optimizer.get("partial").and_then(toml::Value::as_float);
        assert_eq!(got, partial, "{name}");
        let average = train.get("average").map(|average| &average["from_epoch"]);
        assert_eq!(average.and_then(toml::Value::as_integer), start, "{name}");
        let schedule = &train["schedule"];
        let ratio = schedule["ratio"].as_float();
        assert_eq!(
            ratio,
            Some(if start.is_some() { 0.5 } else { 0.01 }),
            "{name}"
        );
    }
}

#[test]
fn options_replace_the_published_settings() {
    let more = [
        "--learning-rate=0.2",
        "--weight-decay=0.1",
        "--average-from=7",
        "--constant-rate",
        "--warm-up=3",
        "--clip-norm=1.5",
        "--sharpness-aware=0.1",
        "--augmentation",
        "--checkpoint-every=10",
        "--decay-excludes=biases",
        "--decay-excludes=normalization",
    ];
    let spec = spec("gadam", &more);
    let train = r#"
        epochs = 30
        batch_size = 50
        optimizer = { kind = "adam", learning_rate = 0.2, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.1, decay = "decoupled" }
        schedule = { kind = "constant" }
        warm_up = { epochs = 3, from = 0.1 }
        clip_norm = 1.5
        decay_excludes = ["biases", "normalization"]
        sharpness_aware = 0.1
        average = { kind = "uniform", from_epoch = 7, every = "epoch" }
        augmentation = { flip = true, pad = 4 }
        checkpoint_every = 10
    "#;
    let expected: toml::Table = train.parse().expect("TOML");
    assert_eq!(spec["train"].as_table(), Some(&expected));
}

#[test]
fn what_is_refused_is_said_in_the_words_of_the_options() {
    for (arguments, expected) in [
        (
            &["--average-from=30"][..],
            "--average-from must be below --epochs, got 30",
        ),
        (
            &["--optimizer=swa", "--average-from=31"],
            "--average-from must be below --epochs, got 31",
        ),
        (
            &["--warm-up=30"],
            "--warm-up must be at least 1 and below --epochs, got 30",
        ),
        (
            &["--learning-rate=-1"],
            "--learning-rate must be a positive finite number, got -1",
        ),
        (
            &["--seed=9007199254740993"],
            "--seed must be at most 2^53 = 9007199254740992, got 9007199254740993",
        ),
        (&["--model=vgg-16"], "it is made for --data-set cifar-100"),
    ] {
        let place = Place::new("");
        let model = !arguments[0].starts_with("--model");
        let child = command(env!("CARGO_BIN_EXE_flatness"))
            .args(["train", "--epochs=30", "--quiet", "--runs"])
            .arg(place.path("runs"))
            .args(model.then_some("--model=logistic"))
            .args(arguments)
            .spawn()
            .expect("the binary starts");
        let (code, error) = ended(child);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
}
