//! A hundred steps of training against PyTorch in float64, and the same steps by the binary.
//!
//! `fixtures/pytorch/training.py` made the losses and states the formula for the initial parameters.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Settings};
use flatness_data::{Dataset, Divisible, EmbeddedMnist, Normalization, Order, Set};
use flatness_layers::{Loss, Network, Parameter, Workers};
use flatness_models::Architecture;
use flatness_optim::{Adam, Decay, MomentSettings, Momentum, Optimizer, Sgd};
use flatness_records::Streams;

use crate::json;

const BATCH: usize = 32;

/// Other orders of summation than PyTorch's, carried through a hundred steps; a wrong coefficient is
/// off by its own size.
const TOLERANCE: f64 = 1e-10;

#[derive(serde::Deserialize)]
struct Case {
    network: String,
    optimizer: String,
    losses: Vec<f64>,
}

/// The first `n` training images of the fixture.
fn examples(n: usize) -> Dataset {
    let embedded = EmbeddedMnist {
        files: flatness_fixtures::MNIST,
        description: flatness_fixtures::DESCRIPTION,
    };
    let found = Set::Mnist
        .find(None, None, Some(embedded))
        .expect("the fixture");
    let data = found.load(Normalization::mnist()).expect("the fixture");
    data.train.take(n).expect("n examples")
}

fn network(name: &str) -> Network {
    let architecture = Architecture::find(name).expect("in the zoo");
    architecture.network(&[1, 28, 28], 10).expect("fits MNIST")
}

/// Parameters by the formula of the script.
fn initial(parameters: &[Parameter]) -> Tensor {
    let mut state: u64 = 1;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        2.0 * ((state >> 11) as f64 * 0.5f64.powi(53)) - 1.0
    };
    let mut theta = Vec::new();
    for parameter in parameters {
        let fan_in: usize = parameter.shape.iter().skip(1).product();
        let scale = match parameter.shape.len() {
            1 => 0.125,
            _ => (6.0 / fan_in as f64).sqrt(),
        };
        theta.extend((0..parameter.len()).map(|_| uniform() * scale));
    }
    Tensor::new(theta, &Device::Cpu).expect("a vector")
}

fn optimizer(name: &str, theta: &Tensor) -> (Box<dyn Optimizer>, f64) {
    let decay = Decay::coupled(1e-3).expect("in range");
    match name {
        "sgd" => {
            let sgd = Sgd::new(Momentum::HeavyBall(0.9), decay, theta);
            (Box::new(sgd.expect("in range")), 0.003)
        }
        "adam" => {
            let adam = Adam::new(MomentSettings::PUBLISHED, decay, theta);
            (Box::new(adam.expect("in range")), 0.001)
        }
        other => panic!("no settings for {other}"),
    }
}

fn mean_loss<'a>(
    network: &'a Network,
    examples: &'a Dataset,
    workers: &'a Workers,
) -> MeanLoss<'a> {
    let settings = Settings {
        dtype: DType::F64,
        device: Device::Cpu,
        batch_size: BATCH,
    };
    MeanLoss::new(network, examples, Loss::CrossEntropy, workers, settings).expect("fits")
}

/// The loss of every batch before the step on it.
fn losses(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    optimizer: &mut dyn Optimizer,
    learning_rate: f64,
    indices: &[u32],
) -> Vec<f64> {
    let step = |batch| {
        let point = mean_loss.training_gradient(theta, batch, 0);
        let point = point.expect("a gradient");
        let stepped = optimizer.step(theta, &point.gradient, learning_rate);
        stepped.expect("a step");
        point.evaluation.loss
    };
    indices.chunks(BATCH).map(step).collect()
}

#[test]
fn every_loss_of_a_hundred_steps_is_that_of_pytorch() {
    let golden = include_str!("../../../../fixtures/pytorch/training.json");
    let cases: Vec<Case> = serde_json::from_str(golden).expect("JSON");
    let workers = Workers::new(1).expect("one thread");
    for case in cases {
        let (name, rule, expected) = (case.network, case.optimizer, case.losses);
        let network = network(&name);
        let examples = examples(BATCH * expected.len());
        let mean_loss = mean_loss(&network, &examples, &workers);
        let theta = initial(network.layout().parameters());
        let (mut optimizer, rate) = optimizer(&rule, &theta);
        let indices: Vec<u32> = (0..examples.len() as u32).collect();
        let losses = losses(&mean_loss, &theta, &mut *optimizer, rate, &indices);
        assert_eq!(losses.len(), expected.len());
        for (step, (loss, expected)) in losses.iter().zip(&expected).enumerate() {
            let error = (loss / expected - 1.0).abs();
            assert!(
                error <= TOLERANCE,
                "{name}, {rule}, step {step}: {loss} for {expected}"
            );
        }
    }
}

/// With the parameters and the orders that its seed gives, the binary takes the same steps: its mean
/// losses are those of the steps above, which are PyTorch's.
#[test]
fn the_binary_takes_the_same_steps() {
    let (seed, epochs, count) = (11, 3, 320);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let workers = Workers::new(2).expect("two threads");
    let (network, examples) = (network("mlp"), examples(count));
    let mean_loss = mean_loss(&network, &examples, &workers);
    for rule in ["sgd", "adam"] {
        let settings = match rule {
            "sgd" => "learning_rate = 0.003, momentum = 0.9, nesterov = false, weight_decay = 1e-3",
            _ => "learning_rate = 0.001, weight_decay = 1e-3, decay = \"coupled\"",
        };
        let spec = format!(
            "seed = {seed}\ndata = {{ set = \"mnist\", train_examples = {count} }}\nmodel = {{ name = \"mlp\", dtype = \"f64\" }}\n\
             [train]\nepochs = {epochs}\nbatch_size = {BATCH}\noptimizer = {{ kind = \"{rule}\", {settings} }}\n\
             schedule = {{ kind = \"constant\" }}\n"
        );
        let path = directory.path().join("spec.toml");
        std::fs::write(&path, spec).expect("writable");
        let runs = directory.path().join(rule);
        let (path, at) = (path.display(), runs.display());
        let record = json(&format!(
            "run {path} --quiet --json --threads 2 --runs {at}"
        ));
        let run = runs.join(record["id"].as_str().expect("a name"));
        let metrics = std::fs::read_to_string(run.join("metrics.jsonl"));

        let streams = Streams::new(seed);
        let layout = network.layout();
        let theta = layout.initialize(streams.seed("init"), DType::F64, &Device::Cpu);
        let theta = theta.expect("a vector");
        let (mut optimizer, rate) = optimizer(rule, &theta);
        let metrics = metrics.expect("metrics.jsonl");
        assert_eq!(metrics.lines().count(), epochs);
        for (epoch, line) in (0..).zip(metrics.lines()) {
            let seed = streams.seed("shuffle");
            let indices = Order::Shuffled { seed, epoch }.indices(count as u32);
            let losses = losses(&mean_loss, &theta, &mut *optimizer, rate, &indices);
            let expected = losses.iter().sum::<f64>() / losses.len() as f64;
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let loss = line["running_loss"].as_f64().expect("a number");
            // The same steps with the same threads: only the mean is added up differently.
            let error = (loss / expected - 1.0).abs();
            assert!(
                error <= 1e-14,
                "{rule}, epoch {epoch}: {loss} for {expected}"
            );
        }
    }
}
