//! Small problems as mean losses over their batch, float64 on the CPU.

use std::cell::Cell;

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Curvature, MeanLoss, Retention, Settings};
use flatness_data::LabelledTensors;
use flatness_layers::{Loss, Network, Workers};
use flatness_measures::{Error, Objective, Watch};
use flatness_models::Architecture;
use flatness_testkit::{Activation, Normalization, Problem, values, vgg};

/// A problem with what a mean loss over its batch borrows.
pub(crate) struct Toy {
    pub(crate) problem: Problem,
    data: LabelledTensors,
    workers: Workers,
}

impl Toy {
    pub(crate) fn new(problem: Problem) -> Self {
        let classes = problem.classes();
        let data = LabelledTensors::new("toy", &problem.inputs, &problem.labels, classes);
        Self {
            data: data.unwrap(),
            workers: Workers::new(1).unwrap(),
            problem,
        }
    }

    pub(crate) fn mean_loss(&self) -> MeanLoss<'_> {
        let settings = Settings {
            dtype: DType::F64,
            device: Device::Cpu,
            batch_size: self.problem.examples(),
        };
        let Self {
            problem,
            data,
            workers,
        } = self;
        MeanLoss::new(&problem.network, data, problem.loss, workers, settings).unwrap()
    }

    /// What `measure` gives for the mean loss.
    pub(crate) fn on<T>(&self, measure: impl FnOnce(&Objective<'_>) -> T) -> T {
        self.on_decayed(0.0, measure)
    }

    /// What `measure` gives for the mean loss with the L2 coefficient `decay`.
    pub(crate) fn on_decayed<T>(&self, decay: f64, measure: impl FnOnce(&Objective<'_>) -> T) -> T {
        measure(&Objective::new(&self.mean_loss(), decay).unwrap())
    }

    /// The logits (B, C) of its batch at θ, row by row.
    pub(crate) fn logits(&self, theta: &Tensor) -> Vec<f64> {
        let network = &self.problem.network;
        let views = network.layout().views(theta).unwrap();
        values(&network.forward(&views, &self.problem.inputs).unwrap())
    }

    /// The loss at θ.
    pub(crate) fn loss(&self, theta: &[f64]) -> f64 {
        self.mean_loss().evaluate(&vector(theta)).unwrap().loss
    }

    /// What `measure` gives for the curvature at θ.
    pub(crate) fn curved<T>(&self, theta: &Tensor, measure: impl FnOnce(&Curvature<'_>) -> T) -> T {
        let mean_loss = self.mean_loss();
        measure(&mean_loss.curvature(theta, Retention::Retain).unwrap())
    }

    /// θ, (P).
    pub(crate) fn theta(&self) -> Tensor {
        vector(&self.problem.theta)
    }
}

/// Fully connected layers with cross-entropy.
pub(crate) fn classifier(
    widths: &[usize],
    activation: Activation,
    examples: usize,
    seed: u64,
) -> Problem {
    Problem::new(widths, activation, Loss::CrossEntropy, examples, seed)
}

/// Softmax regression, a chain with a hidden layer, and a convolutional network.
pub(crate) fn three(activation: Activation, examples: usize, seed: u64) -> [Problem; 3] {
    [
        classifier(&[4, 3], Activation::Relu, examples, seed),
        classifier(&[4, 6, 3], activation, examples, seed + 1),
        Problem::of(
            vgg(Normalization::None),
            Loss::CrossEntropy,
            examples,
            seed + 2,
        ),
    ]
}

/// A network by its name, with ten classes.
pub(crate) fn zoo(name: &str, shape: &[usize]) -> Network {
    Architecture::find(name)
        .unwrap()
        .network(shape, 10)
        .unwrap()
}

/// Asserts that `covers` of 200 seeds is true as often as intervals of 95 % hold the truth, give or take three
/// standard deviations of that number.
pub(crate) fn check_coverage(what: &str, covers: impl FnMut(&u64) -> bool) {
    let covered = (0..200).filter(covers).count();
    assert!((184..=196).contains(&covered), "{what}: {covered} of 200");
}

/// Asserts that `got` begins with `expected`.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(got: Result<T, Error>, expected: &str) {
    let message = got.expect_err(expected).to_string();
    assert!(message.starts_with(expected), "{message}");
}

/// A flat vector.
pub(crate) fn vector(elements: &[f64]) -> Tensor {
    Tensor::new(elements, &Device::Cpu).unwrap()
}

/// The result of `measure` and the sweeps that it made, interrupted once it has made so many.
pub(crate) fn counted<T>(
    most: u64,
    measure: impl FnOnce(Watch<'_>) -> Result<T, Error>,
) -> (Result<T, Error>, u64) {
    let swept = Cell::new(0);
    let watch = Watch {
        interrupt: &|| swept.get() >= most,
        advance: &|sweeps| swept.set(swept.get() + sweeps),
    };
    (measure(watch), swept.get())
}
