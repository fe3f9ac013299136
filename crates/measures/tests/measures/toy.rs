//! Small problems as mean losses over their batch, float64 on the CPU.

use std::cell::Cell;

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Curvature, MeanLoss, Retention, Settings};
use flatness_data::LabelledTensors;
use flatness_layers::{Loss, Workers};
use flatness_measures::{Error, Objective, Watch};
use flatness_testkit::{Activation, Problem};

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
