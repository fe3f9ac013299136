//! Synthetic records with known answers.
#![allow(dead_code, reason = "every test file takes what it needs")]

use flatness_records::{CurvePoint, Hits, Numbers, Record, Spec};
use flatness_report::{Experiment, Reproduction};
use serde_json::{Value, json};

pub(crate) const SEEDS: [u64; 5] = [0, 1, 2, 3, 4];

/// A measured number with a relative standard error of 1 %.
pub(crate) fn quantity(value: f64) -> Value {
    json!({ "value": value, "method": "stochastic", "standard_error": 0.01 * value.abs(), "probes": 8 })
}

fn numbers(pairs: &[(&str, f64)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), quantity(*value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A run of `model` with this training table (without epochs, batch and schedule) that ends with these numbers.
pub(crate) fn record(model: &str, seed: u64, train: &str) -> Record {
    let text = format!(
        "seed = {seed}\ndata = {{ set = 'mnist', validation_examples = 500 }}\nmodel = {{ name = '{model}', dtype = 'f32' }}\n\
         [train]\nepochs = 10\nbatch_size = 128\nschedule = {{ kind = 'constant' }}\n{train}\n"
    );
    let spec = Spec::from_toml(&text, "synthetic").expect("a spec");
    let split = json!({ "loss": 0.3, "accuracy": 0.9, "top5_accuracy": 1.0 });
    let value = json!({
        "id": format!("{model}-{seed}-{:016x}", train.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte))),
        "spec": serde_json::to_value(&spec).expect("JSON"),
        "outcome": { "kind": "completed" },
        "provenance": { "rustc": "rustc", "command": "flatness run", "finished": "2026-01-01T00:01:00Z", "segments": [{
            "from_step": 0, "threads": 1, "version": "0.1.0", "commit": "0123456789abcdef", "dirty": false,
            "cpu": "<b>Imaginary</b> & Sons", "device": "cpu", "started": "2026-01-01T00:00:00Z"
        }] },
        "data": { "set": "mnist", "source": "the embedded fixture", "digest": "abc", "train_examples": 9500, "validation_examples": 500,
            "test_examples": 1000 },
        "model": { "name": model, "parameters": 9960, "hidden_units": 110, "classes": 10, "batch_norm": "none", "dtype": "f32" },
        "training": { "steps": 790, "dose": 1.0, "train_seconds": 1.0, "measure_seconds": 1.0, "peak_rss_mib": 1.0 },
        "evaluation": { "train": split, "validation": split, "test": split },
        "measurements": [{
            "epoch": 10,
            "evaluation": { "train": split, "validation": split, "test": split },
            "examples": 9500, "loss": 0.3, "retention": "retain", "numbers": {},
            "matrices": [{ "matrix": "hessian", "products": 10, "numbers": {} }],
            "cost": {}, "seconds": 1.0
        }]
    });
    serde_json::from_value(value).expect("a record")
}

pub(crate) fn sgd(weight_decay: f64) -> String {
    format!(
        "optimizer = {{ kind = 'sgd', learning_rate = 0.03, momentum = 0.9, nesterov = false, weight_decay = {weight_decay:?} }}"
    )
}

/// Sets numbers of the last measurement: those of the Hessian, of the network, and test error.
pub(crate) fn with(mut record: Record, pairs: &[(&str, f64)]) -> Record {
    let last = record.measurements.last_mut().expect("a measurement");
    for (name, value) in pairs {
        let number = serde_json::from_value(quantity(*value)).expect("a quantity");
        match *name {
            "train.loss" => last.evaluation.train.loss = *value,
            "train.accuracy" => last.evaluation.train.accuracy = *value,
            "test.loss" => last.evaluation.test.loss = *value,
            "test.accuracy" => last.evaluation.test.accuracy = *value,
            "validation.accuracy" => {
                if let Some(validation) = &mut last.evaluation.validation {
                    validation.accuracy = *value;
                }
            }
            "dose" => record.training.dose = *value,
            "trace" | "frobenius" | "spectral_norm" | "lambda_max" => {
                last.measured.matrices[0]
                    .numbers
                    .insert((*name).to_owned(), number);
            }
            name => {
                last.measured.numbers.insert(name.to_owned(), number);
            }
        }
    }
    record
}

/// Adds a curve to the last measurement: rows of x and numbers.
pub(crate) fn curve(mut record: Record, name: &str, rows: &[(f64, &[(&str, f64)])]) -> Record {
    let point = |(x, pairs): &(f64, &[(&str, f64)])| CurvePoint {
        x: *x,
        numbers: serde_json::from_value::<Numbers>(numbers(pairs)).expect("numbers"),
    };
    let points = rows.iter().map(point).collect();
    let last = record.measurements.last_mut().expect("a measurement");
    last.measured.curves.push(flatness_records::Curve {
        name: name.to_owned(),
        points,
    });
    record
}

/// Adds a path: the last measurement again at each epoch with these numbers, the end included.
pub(crate) fn path(record: Record, rows: &[&[(&str, f64)]]) -> Record {
    let mut whole = record.clone();
    whole.measurements.clear();
    for (epoch, pairs) in (0..).zip(rows) {
        let mut one = with(record.clone(), pairs);
        one.measurements[0].epoch = epoch;
        whole.measurements.append(&mut one.measurements);
    }
    whole
}

/// The first `correct` of 1000 test images but those in `wrong`.
pub(crate) fn answers(mut record: Record, correct: impl Fn(usize) -> bool) -> Record {
    record.test_correct = Some(Hits((0..1000).map(correct).collect()));
    record
}

pub(crate) fn reproduction(experiments: Vec<(&str, Vec<Record>)>) -> Reproduction {
    Reproduction {
        profile: "synthetic".to_owned(),
        description: "Records with known answers.".to_owned(),
        command: "cargo xtask reproduce --profile synthetic".to_owned(),
        experiments: experiments
            .into_iter()
            .map(|(name, records)| Experiment {
                name: name.to_owned(),
                claims: Vec::new(),
                records,
            })
            .collect(),
    }
}

/// Something for every claim.
pub(crate) fn everything() -> Reproduction {
    let mut decay = Vec::new();
    let mut separable = Vec::new();
    let mut optimizers = Vec::new();
    let (mut rank, mut quadratic, mut regions, mut rescaling, mut measures) =
        (vec![], vec![], vec![], vec![], vec![]);
    for seed in SEEDS {
        let wobble = 1.0 + 0.03 * ((seed * 7 % 5) as f64 - 2.0);
        for (model, factor) in [
            ("logistic", 1.0),
            ("mlp <&\"'>".replace('\'', "’").as_str(), 3.0),
            ("preresnet-20", 9.0),
        ] {
            for (place, weight_decay) in [0.0, 1e-4, 5e-4, 5e-3].into_iter().enumerate() {
                let rise = 1.0 + place as f64 * wobble;
                let run = answers(record(model, seed, &sgd(weight_decay)), |image| {
                    image % 10 > 1 + usize::from(place < 2 && image % 7 == 0)
                });
                decay.push(with(
                    run,
                    &[
                        ("spectral_norm", factor * rise * wobble),
                        ("trace", 9.0 * factor * rise * wobble),
                        ("frobenius", 2.0 * factor * rise),
                        ("parameter_norm", 10.0 / rise),
                        ("scale_invariant_norm", 6.0 / rise.sqrt() * wobble),
                        ("confidence_trace", 0.1 * rise),
                        ("test.loss", 0.3 / rise),
                        ("test.accuracy", 0.8 + 0.01 * place as f64 * wobble),
                        ("validation.accuracy", 0.8 + 0.01 * rise),
                        (
                            "dose",
                            if model == "logistic" {
                                0.28
                            } else {
                                2000.0 * weight_decay
                            },
                        ),
                    ],
                ));
            }
        }
        let rows: Vec<Vec<(&str, f64)>> = (0..6)
            .map(|step: i32| {
                let loss = 0.5 * 0.2f64.powi(step) * wobble;
                vec![
                    ("train.loss", loss),
                    ("train.accuracy", if step > 2 { 1.0 } else { 0.9 }),
                    ("spectral_norm", 20.0 * loss.powf(0.8)),
                    ("gauss-newton.trace", 90.0 * loss),
                    ("frobenius", 30.0 * loss),
                    ("parameter_norm", 5.0 + f64::from(step)),
                    ("smallest_margin", f64::from(step) - 3.0),
                ]
            })
            .collect();
        let rows: Vec<&[(&str, f64)]> = rows.iter().map(Vec::as_slice).collect();
        separable.push(curve(
            path(record("mlp", seed, &sgd(0.0)), &rows),
            "scaling",
            &[
                (
                    0.5,
                    &[
                        ("accuracy", 1.0),
                        ("spectral_norm", 2.0 * wobble),
                        ("gauss_newton_trace", 9.0),
                        ("frobenius", 3.0),
                    ],
                ),
                (
                    1.0,
                    &[
                        ("accuracy", 1.0),
                        ("spectral_norm", 4.0),
                        ("gauss_newton_trace", 20.0 * wobble),
                        ("frobenius", 6.0),
                    ],
                ),
                (
                    4.0,
                    &[
                        ("accuracy", 1.0),
                        ("spectral_norm", 0.01 * wobble),
                        ("gauss_newton_trace", 0.05 * wobble),
                        ("frobenius", 0.02 * wobble),
                    ],
                ),
            ],
        ));
        let average = "average = { kind = 'uniform', from_epoch = 5, every = 'epoch' }";
        for (optimizer, sharp, accuracy) in [
            (sgd(5e-4), 1.0, 0.80),
            (format!("{}\n{average}", sgd(5e-4)), 0.7, 0.81),
            (
                format!(
                    "optimizer = {{ kind = 'adam', learning_rate = 5e-4, weight_decay = 0.25, decay = 'decoupled' }}\n{average}"
                ),
                8.0,
                0.815,
            ),
            (
                format!(
                    "optimizer = {{ kind = 'padam', learning_rate = 0.1, partial = 0.125, weight_decay = 2.5e-3, decay = 'decoupled' }}\n{average}"
                ),
                12.0,
                0.82,
            ),
        ] {
            let rows: Vec<Vec<(&str, f64)>> = (0..4)
                .map(|step: i32| {
                    vec![
                        ("train.loss", 2.0 * 0.5f64.powi(step) * wobble),
                        ("spectral_norm", sharp * wobble * f64::from(step + 1)),
                        ("trace", 9.0 * sharp),
                        ("frobenius", 2.0 * sharp * wobble),
                        ("parameter_norm", 40.0),
                        ("test.accuracy", accuracy * (1.0 + 0.001 * wobble)),
                        ("test.loss", 1.0),
                    ]
                })
                .collect();
            optimizers.push(path(
                record("vgg-16-bn@0.25", seed, &optimizer),
                &rows.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            ));
        }
        for (width, units) in [("mlp-pooled-4", 4.0), ("mlp-pooled-16", 16.0)] {
            let mut run = with(
                record(width, seed, &sgd(5e-4)),
                &[("train.accuracy", if units < 10.0 { 0.5 } else { 1.0 })],
            );
            run.model.hidden_units = units as usize;
            let ranks: Vec<[(&str, f64); 1]> = (1..=8)
                .map(|decade| [("rank", units * 3.0 * f64::from(decade) * wobble)])
                .collect();
            let rows: Vec<(f64, &[(&str, f64)])> = (1..=8)
                .rev()
                .map(|decade: i32| (10f64.powi(-decade), ranks[decade as usize - 1].as_slice()))
                .collect();
            let mut run = curve(run, "rank", &rows);
            run.measurements[0].measured.matrices[0].eigenvalues =
                (0..200).map(|rank| units * 0.93f64.powi(rank)).collect();
            rank.push(run);
        }
        for (model, kinks) in [("logistic", 0.0), ("mlp", 0.4), ("mlp-softplus", 0.01)] {
            let mut run = record(model, seed, &sgd(5e-4));
            for name in ["rise.random", "rise.top"] {
                let ratios: Vec<[(&str, f64); 3]> = [1e-4, 1e-3, 1e-2, 1e-1]
                    .map(|x: f64| {
                        [
                            ("ratio", wobble.powf(0.1) + kinks * x.powf(0.25)),
                            ("rise", 3.0 * x * x),
                            ("predicted", 2.9 * x * x * wobble),
                        ]
                    })
                    .to_vec();
                let rows: Vec<(f64, &[(&str, f64)])> = [1e-4, 1e-3, 1e-2, 1e-1]
                    .into_iter()
                    .zip(&ratios)
                    .map(|(x, row)| (x, row.as_slice()))
                    .collect();
                run = curve(run, name, &rows);
            }
            quadratic.push(run);
        }
        for (place, weight_decay) in [0.0, 5e-4, 2e-3, 1e-2].into_iter().enumerate() {
            let lambda = 3f64.powi(place as i32) * wobble;
            let mut run = with(
                record("mlp", seed, &sgd(weight_decay)),
                &[("spectral_norm", lambda)],
            );
            for (name, size) in [("keskar.ball", 1.05), ("keskar.box", 900.0)] {
                let at = |x: f64| {
                    [
                        ("phi", size * 0.5 * lambda.powf(0.95) * x * x),
                        ("predicted", 0.5 * lambda * x * x),
                    ]
                };
                run = curve(
                    run,
                    name,
                    &[(1e-4, &at(1e-4)), (1e-3, &at(1e-3)), (1e-2, &at(1e-2))],
                );
            }
            regions.push(run);
        }
        let at = |alpha: f64| {
            [
                ("loss", 0.3 + 1e-13 * wobble),
                ("spectral_norm", wobble * alpha.max(1.0 / alpha)),
                ("trace", 9.0 * alpha.max(1.0 / alpha)),
                ("frobenius", 2.0 * alpha.max(1.0 / alpha) * wobble),
                ("adaptive_lambda_max", 7.0 + 1e-3 * alpha.ln() * wobble),
            ]
        };
        rescaling.push(curve(
            record("cnn", seed, &sgd(5e-4)),
            "rescaling",
            &[(0.01, &at(0.01)), (1.0, &at(1.0)), (100.0, &at(100.0))],
        ));
        for (model, width) in [("mlp", 1.0), ("mlp-medium", 2.0)] {
            for weight_decay in [0.0, 1e-3] {
                for rate in ["0.03", "0.1"] {
                    let rise =
                        1.0 + 900.0 * weight_decay + 10.0 * rate.parse::<f64>().expect("a rate");
                    measures.push(with(
                        record(model, seed, &sgd(weight_decay).replace("0.03", rate)),
                        &[
                            ("spectral_norm", rise * wobble),
                            ("trace", 5.0 * rise),
                            ("frobenius", rise),
                            ("parameter_norm", 20.0 * width / rise),
                            ("fisher_rao", 3.0 / rise),
                            ("adaptive_lambda_max", rise),
                            ("test.accuracy", 0.9 + 0.01 * rise / width),
                            ("train.loss", 0.1 * rise * width * wobble),
                            ("test.loss", 0.5 / rise),
                        ],
                    ));
                }
            }
        }
    }
    reproduction(vec![
        ("decay", decay),
        ("separable", separable),
        ("optimizers", optimizers),
        ("rank", rank),
        ("quadratic", quadratic),
        ("regions", regions),
        ("rescaling", rescaling),
        ("measures", measures),
    ])
}
