//! Steps, gradients and products of convolutional networks on a CUDA device, and by its kernels as C++, against the CPU's, which
//! other tests hold to candle's autograd.
//!
//! ```text
//! max |device - CPU| ≤ tolerance · max |CPU|     for ∇L, H v and G v, in f32 and f64
//! ```

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Evaluation, MeanLoss, Retention, Selection, Settings};
use flatness_kernels::home;
use flatness_layers::{Loss, Network, Workers};
use flatness_operator::LinearOperator;
use flatness_testkit::{
    Normalization, Problem, Residual, as_cpp, assert_close, cuda, gaussian, moved, residual,
    statistics, values, vgg,
};

use crate::setup::{RETENTIONS, data, settings, theta};

/// The two sum in different orders. That alone moves these numbers by 5e-7 in f32 (CPU against f64);
/// what is left is for the device's own elementary functions.
const NUMBER_TYPES: [(DType, f64); 2] = [(DType::F64, 1e-10), (DType::F32, 1e-4)];

/// The last batch is shorter.
const EXAMPLES: usize = 8;
const BATCH_SIZE: usize = 5;

fn on(tensor: &Tensor, dtype: DType, device: &Device) -> Tensor {
    let tensor = tensor.to_dtype(dtype).unwrap();
    tensor.to_device(home(tensor.elem_count(), device)).unwrap()
}

/// ∇L, and H v and G v of a block of vectors.
fn numbers(
    problem: &Problem,
    frozen: bool,
    retention: Retention,
    (dtype, device): (DType, &Device),
) -> [Vec<f64>; 3] {
    let mut network = problem.network.clone();
    if frozen {
        let statistics = on(&statistics(&network, 4), dtype, device);
        network = network.freeze(&statistics).unwrap();
    }
    let (data, workers) = (data(problem), Workers::new(1).unwrap());
    let settings = Settings {
        device: device.clone(),
        ..settings(dtype, BATCH_SIZE)
    };
    let mean_loss = MeanLoss::new(&network, &data, problem.loss, &workers, settings).unwrap();
    let theta = on(&theta(problem), dtype, device);
    let block = on(&gaussian((3, problem.dim()), 5), dtype, device);
    let gradient = mean_loss.gradient(&theta, Selection::All).unwrap().1;
    let curvature = mean_loss.curvature(&theta, retention).unwrap();
    let hessian = curvature.hessian().apply_block(&block).unwrap();
    let gauss_newton = curvature.gauss_newton().apply_block(&block).unwrap();
    [gradient, hessian, gauss_newton].map(|tensor| values(&tensor))
}

fn networks() -> [(&'static str, Network); 4] {
    [
        ("VGG", vgg(Normalization::None)),
        ("VGG with batch-norm", vgg(Normalization::Batch)),
        ("pre-activation ResNet", residual(Residual::PreActivation)),
        ("wide ResNet", residual(Residual::Wide)),
    ]
}

#[test]
fn gradients_and_products_are_those_of_the_cpu() {
    let Some(device) = cuda() else {
        return;
    };
    for (name, network) in networks() {
        let problem = moved(network, Loss::CrossEntropy, EXAMPLES, 3);
        for frozen in [false, true] {
            for (dtype, tolerance) in NUMBER_TYPES {
                for retention in RETENTIONS {
                    let of = |device| numbers(&problem, frozen, retention, (dtype, device));
                    let (got, expected) = (of(&device), of(&Device::Cpu));
                    let names = ["gradient", "H v", "G v"];
                    for (index, what) in names.into_iter().enumerate() {
                        let what =
                            format!("{what} of {name}, frozen {frozen}, {dtype:?}, {retention:?}");
                        assert_close(&what, &got[index], &expected[index], tolerance);
                    }
                }
            }
        }
    }
}

/// Loss, accuracies, statistics and gradient of a step, then loss and accuracies over all examples.
fn training(problem: &Problem, (dtype, device): (DType, &Device)) -> Vec<Vec<f64>> {
    let (data, workers) = (data(problem), Workers::new(1).unwrap());
    let settings = Settings {
        device: device.clone(),
        ..settings(dtype, BATCH_SIZE)
    };
    let network = &problem.network;
    let mean_loss = MeanLoss::new(network, &data, problem.loss, &workers, settings).unwrap();
    let theta = on(&theta(problem), dtype, device);
    let step = mean_loss.training_gradient(&theta, &[6, 0, 3, 3], 7);
    let step = step.unwrap();
    let numbers = |of: Evaluation| vec![of.loss, of.accuracy, of.top5_accuracy];
    vec![
        numbers(step.evaluation),
        values(&step.statistics),
        values(&step.gradient),
        numbers(mean_loss.evaluate(&theta).unwrap()),
        values(&mean_loss.batch_statistics(&theta).unwrap()),
    ]
}

#[test]
fn steps_and_evaluations_are_those_of_the_cpu() {
    let losses = [
        Loss::CrossEntropy,
        Loss::SquaredError,
        Loss::BinaryCrossEntropy,
    ];
    let problems = networks().into_iter().flat_map(|(name, network)| {
        losses.map(|loss| (name, moved(network.clone(), loss, EXAMPLES, 3)))
    });
    let problems: Vec<_> = problems.collect();
    let all = |device: &Device| {
        let each = problems.iter().flat_map(|(_, problem)| {
            NUMBER_TYPES.map(|(dtype, _)| training(problem, (dtype, device)))
        });
        each.collect::<Vec<_>>()
    };
    let expected = all(&Device::Cpu);
    let as_kernels = as_cpp(|| all(&Device::Cpu));
    let on_a_device = cuda().map(|device| all(&device));
    for got in [as_kernels, on_a_device].into_iter().flatten() {
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let (name, problem) = &problems[index / 2];
            let (dtype, tolerance) = NUMBER_TYPES[index % 2];
            let what = format!("{name}, {:?}, {dtype:?}", problem.loss);
            for (got, expected) in got.iter().zip(expected) {
                assert_close(&what, got, expected, tolerance);
            }
        }
    }
}

#[test]
fn parameters_on_another_device_than_the_settings_are_errors() {
    let Some(device) = cuda() else {
        return;
    };
    let problem = moved(vgg(Normalization::None), Loss::CrossEntropy, EXAMPLES, 3);
    let (data, workers) = (data(&problem), Workers::new(1).unwrap());
    let settings = Settings {
        device,
        ..settings(DType::F64, BATCH_SIZE)
    };
    let network = &problem.network;
    let mean_loss = MeanLoss::new(network, &data, problem.loss, &workers, settings).unwrap();
    let error = mean_loss.evaluate(&theta(&problem)).unwrap_err();
    assert!(error.to_string().starts_with("theta is on"), "{error}");
}
