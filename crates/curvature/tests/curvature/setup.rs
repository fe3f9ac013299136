//! What the tests share: the data and parameters of a problem, and mean losses over them.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Matrix, MeanLoss, Retention, Settings};
use flatness_data::{Examples, LabelledTensors};
use flatness_layers::Workers;
use flatness_testkit::{Problem, dense_matrix};
use nalgebra::DMatrix;

pub(crate) const RETENTIONS: [Retention; 2] = [Retention::Retain, Retention::Recompute];

pub(crate) fn data(problem: &Problem) -> LabelledTensors {
    LabelledTensors::new("toy", &problem.inputs, &problem.labels, problem.classes()).unwrap()
}

pub(crate) fn theta(problem: &Problem) -> Tensor {
    Tensor::new(problem.theta.as_slice(), &Device::Cpu).unwrap()
}

/// On the CPU.
pub(crate) fn settings(dtype: DType, batch_size: usize) -> Settings {
    Settings {
        dtype,
        device: Device::Cpu,
        batch_size,
    }
}

/// Hands the mean loss of `problem` over `data`, in float64, and θ to `work`.
pub(crate) fn with_mean_loss<T>(
    problem: &Problem,
    data: &dyn Examples,
    (threads, batch_size): (usize, usize),
    work: impl FnOnce(&MeanLoss<'_>, &Tensor) -> T,
) -> T {
    let workers = Workers::new(threads).unwrap();
    let settings = settings(DType::F64, batch_size);
    let mean_loss = MeanLoss::new(&problem.network, data, problem.loss, &workers, settings);
    work(&mean_loss.unwrap(), &theta(problem))
}

/// The matrix of `problem` over `data`, from products of two workers with the activations kept.
pub(crate) fn matrix_over(
    problem: &Problem,
    data: &dyn Examples,
    batch_size: usize,
    matrix: Matrix,
) -> DMatrix<f64> {
    with_mean_loss(problem, data, (2, batch_size), |mean_loss, theta| {
        let curvature = mean_loss.curvature(theta, Retention::Retain).unwrap();
        dense_matrix(&curvature.operator(matrix).unwrap())
    })
}
