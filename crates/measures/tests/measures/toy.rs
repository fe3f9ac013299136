//! Small problems as mean losses over their batch, float64 on the CPU.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Settings};
use flatness_data::LabelledTensors;
use flatness_layers::Workers;
use flatness_testkit::Problem;

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

    /// θ, (P).
    pub(crate) fn theta(&self) -> Tensor {
        vector(&self.problem.theta)
    }
}

/// A flat vector.
pub(crate) fn vector(elements: &[f64]) -> Tensor {
    Tensor::new(elements, &Device::Cpu).unwrap()
}

/// A progress that nobody watches.
pub(crate) fn unwatched() -> impl FnMut(u64) {
    |_| ()
}
