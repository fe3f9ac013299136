//! Records with known answers: every number is a formula of model, seed, decay and epoch.
//!
//! λ₁ = s (1 + seed/10) e^{k}, k = number of the decay in the grid; ‖θ‖² = s e^{−2k}, so λ₁‖θ‖² falls by e
//! from one decay to the next. Tr = 10 λ₁, ‖H‖_F = 2 λ₁. Along training both loss and λ₁ halve at
//! each measured epoch. Under scaling λ₁ rises to 4 at a = 1 and ends at 4/100. For an optimiser k is its
//! number in the list, and one more at the last iterate of a run with an average.

mod special;

use flatness_records::{
    DataRecord, Density, Dtype, Iterate, Matrix, MatrixRecord, Measurement, ModelRecord, Outcome,
    Perturbation, Provenance, Quantity, Record, Retention, Ritz, ScalePoint, Spec, Split,
    SubsetSpec, Training, Uncertainty,
};
use flatness_report::{Experiment, Reproduction};

/// Decays of the grid.
pub(crate) const DECAYS: [f64; 4] = [0.0, 1e-4, 5e-4, 5e-3];

/// Optimisers, each with the fields of its spec.
pub(crate) const OPTIMIZERS: [(&str, &str); 5] = [
    (
        "SGD",
        r#"optimizer = { kind = "sgd", learning_rate = 0.05, momentum = 0.9, nesterov = false, weight_decay = 5e-4 }"#,
    ),
    (
        "SWA",
        r#"optimizer = { kind = "sgd", learning_rate = 0.1, momentum = 0.9, nesterov = false, weight_decay = 5e-4 }
        average = { kind = "uniform", from_epoch = 50, every = "epoch" }"#,
    ),
    (
        "Adam",
        r#"optimizer = { kind = "adam", learning_rate = 5e-4, weight_decay = 5e-4 }"#,
    ),
    (
        "Gadam",
        r#"optimizer = { kind = "adam", learning_rate = 5e-4, weight_decay = 0.25, decay = "decoupled" }
        average = { kind = "uniform", from_epoch = 50, every = "epoch" }"#,
    ),
    (
        "GadamX",
        r#"optimizer = { kind = "padam", learning_rate = 0.1, partial = 0.125, weight_decay = 2.5e-3, decay = "decoupled" }
        average = { kind = "uniform", from_epoch = 50, every = "epoch" }"#,
    ),
];

/// Models, each with the factor s of its curvature.
pub(crate) const MODELS: [(&str, f64); 2] = [("logistic", 1.0), ("mlp <&\"'>", 3.0)];

/// Seeds of every experiment.
pub(crate) const SEEDS: [u64; 3] = [0, 1, 2];

/// All experiments, all runs completed.
pub(crate) fn reproduction() -> Reproduction {
    let runs = |decays: &[f64], epochs: &[u32]| {
        let mut records = Vec::new();
        for (model, factor) in MODELS {
            for &decay in decays {
                records.extend(SEEDS.map(|seed| record(model, factor, seed, decay, epochs)));
            }
        }
        records
    };
    let mut compared = Vec::new();
    for (model, factor) in MODELS {
        for number in 0..OPTIMIZERS.len() {
            compared.extend(SEEDS.map(|seed| optimized(model, factor, seed, number)));
        }
    }
    let every = |run: fn(&str, f64, u64) -> Record| {
        let models = MODELS.into_iter();
        models
            .flat_map(|(model, factor)| SEEDS.map(|seed| run(model, factor, seed)))
            .collect()
    };
    let experiment = |name: &str, claims: &[&str], records| Experiment {
        name: name.to_owned(),
        claims: claims.iter().map(|&id| id.to_owned()).collect(),
        records,
    };
    Reproduction {
        profile: "synthetic".to_owned(),
        description: "Records with known answers.".to_owned(),
        command: "cargo xtask reproduce --profile synthetic".to_owned(),
        experiments: vec![
            experiment("decay", &["C1", "C8"], runs(&DECAYS, &[100])),
            experiment(
                "separable",
                &["C2"],
                runs(&[0.0], &[0, 1, 2, 5, 10, 20, 50, 100]),
            ),
            experiment("quadratic", &["C5"], runs(&[5e-4], &[100])),
            experiment("optimizers", &["C3"], compared),
            experiment("rank", &["C4"], every(special::exact)),
            experiment("regions", &["C6"], every(special::keskar)),
            experiment("rescaling", &["C7"], every(special::rescaled)),
        ],
    }
}

/// One run.
pub(crate) fn record(model: &str, factor: f64, seed: u64, decay: f64, epochs: &[u32]) -> Record {
    let number = DECAYS
        .iter()
        .position(|&other| other == decay)
        .expect("a decay of the grid");
    let optimizer = format!(
        r#"optimizer = {{ kind = "sgd", learning_rate = 0.01, momentum = 0.9, nesterov = false, weight_decay = {decay:?} }}"#
    );
    let steps = (0..).zip(epochs);
    let measurements =
        steps.map(|(step, &epoch)| measurement(factor, seed, number as f64, step, epoch));
    let id = format!("{model}-{seed}-{decay}-{}", epochs.len());
    finished(id, model, factor, seed, &optimizer, measurements.collect())
}

/// One run with the optimiser of this number.
pub(crate) fn optimized(model: &str, factor: f64, seed: u64, number: usize) -> Record {
    let (name, optimizer) = OPTIMIZERS[number];
    let at = |weights, number| Measurement {
        weights,
        ..measurement(factor, seed, number, 0, 100)
    };
    let end = number as f64;
    let measurements = if optimizer.contains("average") {
        vec![at(Iterate::Last, end + 1.0), at(Iterate::Average, end)]
    } else {
        vec![at(Iterate::Last, end)]
    };
    let id = format!("{model}-{seed}-{name}");
    finished(id, model, factor, seed, optimizer, measurements)
}

fn finished(
    id: String,
    model: &str,
    factor: f64,
    seed: u64,
    optimizer: &str,
    measurements: Vec<Measurement>,
) -> Record {
    let text = spec_text(model, seed, optimizer);
    Record {
        id,
        spec: Spec::from_toml(&text, "synthetic").expect("a valid spec"),
        outcome: Outcome::Completed,
        provenance: Provenance {
            version: "0.1.0".to_owned(),
            commit: "0123456789abcdef".to_owned(),
            dirty: false,
            rustc: "rustc 1.95.0".to_owned(),
            cpu: "<b>Imaginary</b> & Sons".to_owned(),
            threads: 1,
            device: "cpu".to_owned(),
            started: format!("2026-01-0{}T00:00:00Z", seed + 1),
            command: "flatness run".to_owned(),
        },
        data: DataRecord {
            set: "mnist".to_owned(),
            source: "the embedded fixture".to_owned(),
            digest: "a".repeat(64),
            train_examples: 10_000,
            subset: SubsetSpec::First,
            validation_examples: 0,
            test_examples: 10_000,
            mean: vec![0.5],
            deviation: vec![0.5],
            curvature_split: Some(Split::Train),
        },
        model: ModelRecord {
            name: model.to_owned(),
            parameters: 7850,
            batch_norm: "none".to_owned(),
            dtype: Dtype::F32,
        },
        training: Training {
            steps: 7900,
            train_seconds: 2.0,
            measure_seconds: 1.0,
            peak_rss_mib: 120.0,
        },
        measurements,
        scaling: [(0.25, 1.0), (1.0, 4.0), (8.0, 0.04)]
            .map(|(scale, value)| scale_point(factor, scale, value))
            .to_vec(),
        perturbations: perturbations(seed),
        exact_spectrum: None,
        keskar: Vec::new(),
        rescaling: Vec::new(),
    }
}

fn spec_text(model: &str, seed: u64, optimizer: &str) -> String {
    let model = model.replace('"', "\\\"");
    format!(
        r#"
        seed = {seed}
        data = {{ set = "mnist" }}
        model = {{ name = "{model}", dtype = "f32" }}
        [train]
        epochs = 100
        batch_size = 128
        {optimizer}
        schedule = {{ kind = "paper", ratio = 0.01 }}
        [measure]
        split = "train"
        matrices = ["hessian"]
        batch_size = 1000
        lanczos = {{ steps = 60, tolerance = 1e-3 }}
        trace = {{ probes = 30, block = 10 }}
        density = {{ probes = 4, steps = 40 }}
        scales = [0.25, 1.0, 8.0]
        perturbation = {{ relative_radii = [1e-3, 1e-2, 1e-1], directions = 8 }}
        exact_spectrum = {{ relative_threshold = 1e-3 }}
        keskar = {{ epsilons = [1e-4, 1e-3], subspace = 100, steps = 30, starts = 2 }}
        rescaling = {{ alphas = [0.1, 1.0, 10.0] }}
        "#
    )
}

fn measurement(factor: f64, seed: u64, number: f64, step: i32, epoch: u32) -> Measurement {
    let decline = 0.5f64.powi(step);
    let lambda = factor * (1.0 + seed as f64 / 10.0) * number.exp() * decline;
    let norm = factor.sqrt() * (-number).exp() * f64::from(step + 1);
    Measurement {
        retention: Retention::Retain,
        epoch,
        weights: Iterate::Last,
        train_loss: 0.3 * (1.0 + 0.1 * number) * decline,
        train_accuracy: 0.93 - 0.002 * number,
        train_top5_accuracy: None,
        test_loss: 0.31 * decline,
        test_accuracy: 0.9 + 0.01 * number + 1e-3 * seed as f64,
        test_top5_accuracy: Some(0.99),
        validation_loss: None,
        validation_accuracy: None,
        validation_top5_accuracy: None,
        gradient_norm: 1e-3,
        parameter_norm: norm,
        distance_from_initialization: norm / 2.0,
        fisher_rao: stochastic(lambda * norm * norm / 3.0, 0.01),
        adaptive_lambda_max: iterative(lambda / 7.0),
        matrices: vec![MatrixRecord {
            matrix: Matrix::Hessian,
            lambda_max: iterative(lambda),
            lambda_min: iterative(-0.01 * lambda),
            spectral_norm: iterative(lambda),
            power_iteration: None,
            trace: stochastic(10.0 * lambda, 0.02),
            frobenius: stochastic(2.0 * lambda, 0.03),
            ritz: vec![Ritz {
                value: lambda,
                weight: 0.1,
                residual: 0.0,
            }],
            density: Some(density(lambda)),
        }],
        seconds: 0.5,
    }
}

/// A bulk at zero and one outlier at λ₁.
fn density(lambda: f64) -> Density {
    let grid: Vec<f64> = (-10..=110)
        .map(|step| lambda * f64::from(step) / 100.0)
        .collect();
    let sigma = 0.02 * lambda;
    let bump = |x: f64, centre: f64| (-((x - centre) / sigma).powi(2) / 2.0).exp() / sigma;
    Density {
        density: grid
            .iter()
            .map(|&x| 0.4 * bump(x, 0.0) + 1e-4 * bump(x, lambda))
            .collect(),
        grid,
        sigma,
        probes: 4,
        steps: 40,
        products: 160,
        seed: 7,
    }
}

fn scale_point(factor: f64, scale: f64, value: f64) -> ScalePoint {
    ScalePoint {
        scale,
        loss: 0.3 / scale,
        accuracy: 0.93,
        spectral_norm: iterative(factor * value),
        trace: stochastic(10.0 * factor * value, 0.02),
        frobenius: stochastic(2.0 * factor * value, 0.03),
    }
}

/// Exactly quadratic at the two smaller radii, twice the prediction at the largest.
fn perturbations(seed: u64) -> Vec<Perturbation> {
    let mut rows = Vec::new();
    for direction in ["random", "top-eigenvector"] {
        for radius in [1e-3, 1e-2, 1e-1] {
            let quadratic = 3.0 * radius * radius;
            let ratio = if radius > 0.05 {
                2.0
            } else {
                1.0 + 0.01 * (seed as f64 - 1.0)
            };
            rows.push(Perturbation {
                direction: direction.to_owned(),
                relative_radius: radius,
                radius: 10.0 * radius,
                rise: stochastic(ratio * quadratic, 0.05),
                one_sided_rise: stochastic(ratio * quadratic, 0.05),
                quadratic: stochastic(quadratic, 0.05),
                predicted: stochastic(quadratic, 0.02),
            });
        }
    }
    rows
}

fn stochastic(value: f64, relative: f64) -> Quantity {
    let standard_error = relative * value.abs();
    let uncertainty = Uncertainty::Stochastic {
        standard_error,
        probes: 30,
        seed: 5,
    };
    Quantity {
        value,
        products: 30,
        uncertainty,
    }
}

fn iterative(value: f64) -> Quantity {
    let residual = 1e-4 * value.abs();
    let uncertainty = Uncertainty::Iterative {
        residual,
        steps: 60,
        converged: true,
        seed: 5,
    };
    Quantity {
        value,
        products: 60,
        uncertainty,
    }
}
