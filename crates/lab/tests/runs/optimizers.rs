//! The ready-made optimisers of `flatness train`.

use crate::common::{flatness, refused};
use crate::program::Place;

/// Trains a little with the optimiser and the options in `line`; the spec that was made of them.
fn spec(line: &str) -> toml::Table {
    let place = Place::new("");
    let (code, _, error) = flatness(&format!(
        "train --model logistic --train-examples 50 --batch-size 50 --epochs 30 --threads 1 --quiet --runs {} \
         --optimizer {line}",
        place.path("runs").display()
    ));
    assert_eq!(code, 0, "{line}: {error}");
    let path = place.run_directory("runs").join("spec.toml");
    let text = std::fs::read_to_string(path).expect("the spec");
    text.parse().expect("TOML")
}

/// By name, docs/MATHS.md: kind, rate, weight decay, kind of it, p, start of averaging at 161/300, ratio of the schedule.
const PUBLISHED: &str = "
sgd      sgd      0.03    0.0     -          -      -   0.01
adam     adam     0.001   0.0     -          -      -   0.01
adamw    adam     0.0005  0.25    decoupled  -      -   0.01
amsgrad  amsgrad  0.001   0.0     -          -      -   0.01
padam    padam    0.1     0.0005  -          0.125  -   0.01
gadam    adam     0.0005  0.25    decoupled  -      16  0.5
gadamx   padam    0.1     0.0025  decoupled  0.125  16  0.5
swa      sgd      0.1     0.0005  -          -      16  0.5
";

#[test]
fn names_stand_for_the_published_settings() {
    for row in PUBLISHED.trim().lines() {
        let (name, expected) = row.split_once(' ').expect(row);
        let spec = spec(name);
        let train = &spec["train"];
        let of = |table: &str, field: &str| {
            let value = train.get(table).and_then(|table| table.get(field));
            value.map_or("-".to_owned(), |value| value.to_string().replace('"', ""))
        };
        let fields = ["kind", "learning_rate", "weight_decay", "decay", "partial"];
        let mut got = fields.map(|field| of("optimizer", field)).to_vec();
        got.extend([of("average", "from_epoch"), of("schedule", "ratio")]);
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn options_replace_the_published_settings() {
    let more = "--learning-rate=0.2 --weight-decay=0.1 --average-from=7 --constant-rate --warm-up=3 --clip-norm=1.5 \
                --sharpness-aware=0.1 --augmentation --checkpoint-every=10 --decay-excludes=biases \
                --decay-excludes=normalization";
    let spec = spec(&format!("gadam {more}"));
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

/// Options, and the sentence that refuses them.
const REFUSED: &str = "
--model logistic --average-from=30                  | --average-from must be below --epochs, got 30
--model logistic --optimizer=swa --average-from=31  | --average-from must be below --epochs, got 31
--model logistic --warm-up=30                       | --warm-up must be at least 1 and below --epochs, got 30
--model logistic --learning-rate=-1                 | --learning-rate must be a positive finite number, got -1
--model logistic --seed=9007199254740993            | --seed must be at most 2^53 = 9007199254740992, got 9007199254740993
--model vgg-16                                      | it is made for --data-set cifar-100
";

#[test]
fn what_is_refused_is_said_in_the_words_of_the_options() {
    for row in REFUSED.trim().lines() {
        let (options, expected) = row.split_once(" | ").expect(row);
        let place = Place::new("");
        let runs = place.path("runs");
        let line = format!(
            "train --epochs=30 --quiet --runs {} {options}",
            runs.display()
        );
        refused(&line, &[expected]);
    }
}
