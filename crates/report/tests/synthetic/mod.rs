//! Synthetic records with known answers.
#![allow(dead_code, reason = "every test file takes what it needs")]

use flatness_records::{CurvePoint, Density, Hits, Numbers, Record, Spec};
use flatness_report::{Experiment, Reader, Reproduction, Summary};
use serde_json::{Value, json};

pub(crate) const SEEDS: [u64; 5] = [0, 1, 2, 3, 4];

/// A measured number with a relative standard error of 1 %.
pub(crate) fn quantity(value: f64) -> Value {
    json!({ "value": value, "method": "stochastic", "standard_error": 0.01 * value.abs(), "probes": 8 })
}

/// A table of numbers by name.
fn numbers(values: &Value) -> Numbers {
    let values = values.as_object().expect("a table").iter();
    let quantities =
        values.map(|(name, value)| (name.clone(), quantity(value.as_f64().expect(name))));
    let quantities = Value::Object(quantities.collect());
    serde_json::from_value(quantities).expect("numbers")
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

/// Sets numbers of the last measurement, a table by name: those of the Hessian, of the network, and of the splits.
pub(crate) fn with(mut record: Record, values: &Value) -> Record {
    let last = record.measurements.last_mut().expect("a measurement");
    for (name, number) in numbers(values) {
        let value = number.value;
        let evaluation = &mut last.evaluation;
        match name.as_str() {
            "train.loss" => evaluation.train.loss = value,
            "train.accuracy" => evaluation.train.accuracy = Some(value),
            "test.loss" => evaluation.test.as_mut().expect("a split").loss = value,
            "test.accuracy" => evaluation.test.as_mut().expect("a split").accuracy = Some(value),
            "validation.accuracy" => {
                evaluation.validation.as_mut().expect("a split").accuracy = Some(value)
            }
            "dose" => record.training.dose = value,
            "trace" | "frobenius" | "spectral_norm" | "lambda_max" => {
                last.measured.matrices[0].numbers.insert(name, number);
            }
            _ => {
                last.measured.numbers.insert(name, number);
            }
        }
    }
    record
}

/// Adds a curve to the last measurement: x and a table of numbers for each point.
pub(crate) fn curve(
    mut record: Record,
    name: &str,
    points: impl IntoIterator<Item = (f64, Value)>,
) -> Record {
    let points = points.into_iter();
    let points = points.map(|(x, values)| CurvePoint {
        x,
        numbers: numbers(&values),
    });
    let curve = flatness_records::Curve {
        name: name.to_owned(),
        points: points.collect(),
    };
    let last = record.measurements.last_mut().expect("a measurement");
    last.measured.curves.push(curve);
    record
}

/// Makes a path: the last measurement again at each epoch with these numbers, the end included.
pub(crate) fn path(record: &Record, rows: impl IntoIterator<Item = Value>) -> Record {
    let mut whole = record.clone();
    whole.measurements.clear();
    for (epoch, values) in (0..).zip(rows) {
        let mut one = with(record.clone(), &values);
        one.measurements[0].epoch = epoch;
        whole.measurements.append(&mut one.measurements);
    }
    whole
}

/// The first `correct` of 1000 test images but those in `wrong`.
pub(crate) fn answers(mut record: Record, correct: impl Fn(usize) -> bool) -> Record {
    record.test_correct = Some(Hits::from(&(0..1000).map(correct).collect::<Vec<_>>()[..]));
    record
}

/// The text of a record without its spectra.
pub(crate) fn line(record: &Record) -> String {
    let mut record = record.clone();
    let measured = record.measurements.iter_mut().map(|one| &mut one.measured);
    for matrix in measured.flat_map(|measured| &mut measured.matrices) {
        (matrix.density, matrix.log_density) = (None, None);
        matrix.stems.clear();
        matrix.eigenvalues.clear();
    }
    serde_json::to_string(&record).expect("JSON")
}

/// What a report takes from records.
pub(crate) fn summaries(records: &[Record]) -> Vec<Summary> {
    let mut reader = Reader::default();
    let read = |record: &Record| {
        let json = serde_json::to_string_pretty(record).expect("JSON");
        reader.read(&json).expect("a record").0
    };
    records.iter().map(read).collect()
}

pub(crate) fn reproduction(experiments: Vec<(&str, Vec<Record>)>) -> Reproduction {
    let experiments = experiments.into_iter().map(|(name, records)| Experiment {
        name: name.to_owned(),
        claims: Vec::new(),
        records: summaries(&records),
        missing: Vec::new(),
    });
    Reproduction {
        profile: "synthetic".to_owned(),
        description: "Records with known answers.".to_owned(),
        command: "cargo xtask reproduce --profile synthetic".to_owned(),
        experiments: experiments.collect(),
    }
}

/// Something for every claim.
pub(crate) fn everything() -> Vec<(&'static str, Vec<Record>)> {
    type OfSeed = fn(u64, f64) -> Vec<Record>;
    let experiments: [(&str, OfSeed); 8] = [
        ("decay", decay),
        ("separable", separable),
        ("optimizers", optimizers),
        ("rank", rank),
        ("quadratic", quadratic),
        ("regions", regions),
        ("rescaling", rescaling),
        ("measures", measures),
    ];
    let seeds = SEEDS.map(|seed| (seed, 1.0 + 0.03 * ((seed * 7 % 5) as f64 - 2.0)));
    let records = |of: OfSeed| {
        seeds
            .into_iter()
            .flat_map(|(seed, wobble)| of(seed, wobble))
            .collect()
    };
    experiments.map(|(name, of)| (name, records(of))).to_vec()
}

fn decay(seed: u64, wobble: f64) -> Vec<Record> {
    let mut runs = Vec::new();
    for (model, factor) in [
        ("logistic", 1.0),
        ("mlp <&\"’>", 3.0),
        ("preresnet-20", 9.0),
    ] {
        for (place, weight_decay) in [0.0, 1e-4, 5e-4, 5e-3].into_iter().enumerate() {
            let rise = 1.0 + place as f64 * wobble;
            let run = answers(record(model, seed, &sgd(weight_decay)), |image| {
                image % 10 > 1 + usize::from(place < 2 && image % 7 == 0)
            });
            let dose = if model == "logistic" {
                0.28
            } else {
                2000.0 * weight_decay
            };
            let values = json!({
                "spectral_norm": factor * rise * wobble, "trace": 9.0 * factor * rise * wobble,
                "frobenius": 2.0 * factor * rise, "parameter_norm": 10.0 / rise,
                "scale_invariant_norm": 6.0 / rise.sqrt() * wobble, "confidence_trace": 0.1 * rise,
                "test.loss": 0.3 / rise, "test.accuracy": 0.8 + 0.01 * place as f64 * wobble,
                "validation.accuracy": 0.8 + 0.01 * rise, "dose": dose,
            });
            let mut run = with(run, &values);
            run.measurements[0].measured.matrices[0].density = Some(Density {
                grid: vec![-1.0, 0.0, rise],
                density: vec![0.1, 0.8, 0.1 * wobble],
                standard_error: vec![0.01; 3],
                sigma: 0.1,
                probes: 4,
                steps: 24,
            });
            runs.push(run);
        }
    }
    runs
}

fn separable(seed: u64, wobble: f64) -> Vec<Record> {
    let rows = (0..6).map(|step: i32| {
        let loss = 0.5 * 0.2f64.powi(step) * wobble;
        json!({
            "train.loss": loss, "train.accuracy": if step > 2 { 1.0 } else { 0.9 },
            "spectral_norm": 20.0 * loss.powf(0.8), "gauss-newton.trace": 90.0 * loss, "frobenius": 30.0 * loss,
            "parameter_norm": 5.0 + f64::from(step), "smallest_margin": f64::from(step) - 3.0,
        })
    });
    let at = |lambda: f64, trace: f64, frobenius: f64| json!({ "accuracy": 1.0, "spectral_norm": lambda, "gauss_newton_trace": trace, "frobenius": frobenius });
    let points = [
        (0.5, at(2.0 * wobble, 9.0, 3.0)),
        (1.0, at(4.0, 20.0 * wobble, 6.0)),
        (4.0, at(0.01 * wobble, 0.05 * wobble, 0.02 * wobble)),
    ];
    vec![curve(
        path(&record("mlp", seed, &sgd(0.0)), rows),
        "scaling",
        points,
    )]
}

fn optimizers(seed: u64, wobble: f64) -> Vec<Record> {
    let average = "average = { kind = 'uniform', from_epoch = 5, every = 'epoch' }";
    let adaptive =
        |settings: &str| format!("optimizer = {{ {settings}, decay = 'decoupled' }}\n{average}");
    let swa = format!("{}\n{average}", sgd(5e-4));
    let gadam = adaptive("kind = 'adam', learning_rate = 5e-4, weight_decay = 0.25");
    let gadamx =
        adaptive("kind = 'padam', learning_rate = 0.1, partial = 0.125, weight_decay = 2.5e-3");
    let all = [
        (sgd(5e-4), 1.0, 0.80),
        (swa, 0.7, 0.81),
        (gadam, 8.0, 0.815),
        (gadamx, 12.0, 0.82),
    ];
    let run = |(optimizer, sharp, accuracy): (String, f64, f64)| {
        let rows = (0..4).map(|step: i32| {
            json!({
                "train.loss": 2.0 * 0.5f64.powi(step) * wobble, "spectral_norm": sharp * wobble * f64::from(step + 1),
                "trace": 9.0 * sharp, "frobenius": 2.0 * sharp * wobble, "parameter_norm": 40.0,
                "test.accuracy": accuracy * (1.0 + 0.001 * wobble), "test.loss": 1.0,
            })
        });
        path(&record("vgg-16-bn@0.25", seed, &optimizer), rows)
    };
    all.map(run).to_vec()
}

fn rank(seed: u64, wobble: f64) -> Vec<Record> {
    let run = |(width, units): (&str, f64)| {
        let accuracy = if units < 10.0 { 0.5 } else { 1.0 };
        let run = record(width, seed, &sgd(5e-4));
        let mut run = with(run, &json!({ "train.accuracy": accuracy }));
        run.model.hidden_units = units as usize;
        let points = (1..=8).rev().map(|decade: i32| {
            let rank = units * 3.0 * f64::from(decade) * wobble;
            (10f64.powi(-decade), json!({ "rank": rank }))
        });
        let mut run = curve(run, "rank", points);
        run.measurements[0].measured.matrices[0].eigenvalues =
            (0..200).map(|rank| units * 0.93f64.powi(rank)).collect();
        run
    };
    [("mlp-pooled-4", 4.0), ("mlp-pooled-16", 16.0)]
        .map(run)
        .to_vec()
}

fn quadratic(seed: u64, wobble: f64) -> Vec<Record> {
    let run = |(model, kinks): (&str, f64)| {
        let at = |x: f64| {
            let ratio = wobble.powf(0.1) + kinks * x.powf(0.25);
            (
                x,
                json!({ "ratio": ratio, "rise": 3.0 * x * x, "predicted": 2.9 * x * x * wobble }),
            )
        };
        let run = record(model, seed, &sgd(5e-4));
        ["rise.random", "rise.top"]
            .into_iter()
            .fold(run, |run, name| {
                curve(run, name, [1e-4, 1e-3, 1e-2, 1e-1].map(at))
            })
    };
    [("logistic", 0.0), ("mlp", 0.4), ("mlp-softplus", 0.01)]
        .map(run)
        .to_vec()
}

fn regions(seed: u64, wobble: f64) -> Vec<Record> {
    let runs = [0.0, 5e-4, 2e-3, 1e-2].into_iter().enumerate();
    let runs = runs.map(|(place, weight_decay)| {
        let lambda = 3f64.powi(place as i32) * wobble;
        let run = record("mlp", seed, &sgd(weight_decay));
        let run = with(run, &json!({ "spectral_norm": lambda }));
        [("keskar.ball", 1.05), ("keskar.box", 900.0)]
            .into_iter()
            .fold(run, |run, (name, size)| {
                let at = |x: f64| {
                    let phi = size * 0.5 * lambda.powf(0.95) * x * x;
                    (x, json!({ "phi": phi, "predicted": 0.5 * lambda * x * x }))
                };
                curve(run, name, [1e-4, 1e-3, 1e-2].map(at))
            })
    });
    runs.collect()
}

fn rescaling(seed: u64, wobble: f64) -> Vec<Record> {
    let at = |alpha: f64| {
        let most = alpha.max(1.0 / alpha);
        let values = json!({
            "loss": 0.3 + 1e-13 * wobble, "spectral_norm": wobble * most, "trace": 9.0 * most,
            "frobenius": 2.0 * most * wobble, "adaptive_lambda_max": 7.0 + 1e-3 * alpha.ln() * wobble,
        });
        (alpha, values)
    };
    let run = record("cnn", seed, &sgd(5e-4));
    vec![curve(run, "rescaling", [0.01, 1.0, 100.0].map(at))]
}

fn measures(seed: u64, wobble: f64) -> Vec<Record> {
    let mut runs = Vec::new();
    for (model, width) in [("mlp", 1.0), ("mlp-medium", 2.0)] {
        for (weight_decay, rate) in [(0.0, 0.03), (0.0, 0.1), (1e-3, 0.03), (1e-3, 0.1)] {
            let rise = 1.0 + 900.0 * weight_decay + 10.0 * rate;
            let run = record(
                model,
                seed,
                &sgd(weight_decay).replace("0.03", &f64::to_string(&rate)),
            );
            let values = json!({
                "spectral_norm": rise * wobble, "trace": 5.0 * rise, "frobenius": rise,
                "parameter_norm": 20.0 * width / rise, "fisher_rao": 3.0 / rise, "adaptive_lambda_max": rise,
                "test.accuracy": 0.9 + 0.01 * rise / width, "train.loss": 0.1 * rise * width * wobble,
                "test.loss": 0.5 / rise,
            });
            runs.push(with(run, &values));
        }
    }
    runs
}
