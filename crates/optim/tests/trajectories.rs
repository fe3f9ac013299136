//! Fifty steps against `torch.optim.SGD` in float64; `golden/sgd_trajectories.py` made the numbers.

use candle_core::{Device, Tensor};
use flatness_layers::Loss;
use flatness_optim::{Momentum, Sgd};
use flatness_testkit::{Activation, Autograd, assert_close, values};

/// Both do the same operations in float64; a few hundred roundings, amplified at most tenfold by
/// the curvature of the objectives.
const TOLERANCE: f64 = 1e-12;

#[derive(serde::Deserialize)]
struct Golden {
    /// Numbers of steps after which θ was kept.
    steps: Vec<usize>,
    /// The step from which on the rate is half.
    halving: usize,
    eigenvalues: Vec<f64>,
    widths: Vec<usize>,
    inputs: Vec<Vec<f64>>,
    labels: Vec<u32>,
    runs: Vec<Run>,
}

#[derive(serde::Deserialize)]
struct Run {
    objective: String,
    start: Vec<f64>,
    rate: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    trajectory: Vec<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/sgd_trajectories.json")).unwrap()
}

impl Golden {
    fn gradient(&self, objective: &str, theta: &[f64]) -> Vec<f64> {
        match objective {
            "quadratic" => theta
                .iter()
                .zip(&self.eigenvalues)
                .map(|(x, e)| x * e)
                .collect(),
            "rosenbrock" => {
                let (x, y) = (theta[0], theta[1]);
                let valley = y - x * x;
                vec![-2.0 * (1.0 - x) - 400.0 * x * valley, 200.0 * valley]
            }
            "network" => {
                let network = Autograd {
                    widths: self.widths.clone(),
                    activation: Activation::Tanh,
                    loss: Loss::CrossEntropy,
                };
                let inputs = Tensor::new(self.inputs.clone(), &Device::Cpu).unwrap();
                let labels = Tensor::new(self.labels.as_slice(), &Device::Cpu).unwrap();
                network.gradient(theta, &inputs, &labels)
            }
            other => panic!("no objective {other}"),
        }
    }
}

impl Run {
    fn momentum(&self) -> Momentum {
        if self.nesterov {
            Momentum::Nesterov(self.momentum)
        } else {
            Momentum::HeavyBall(self.momentum)
        }
    }

    fn describe(&self) -> String {
        let momentum = self.momentum();
        format!(
            "{}, {momentum:?}, decay {}",
            self.objective, self.weight_decay
        )
    }
}

#[test]
fn every_trajectory_is_that_of_torch() {
    let golden = golden();
    assert_eq!(golden.runs.len(), 24);
    for run in &golden.runs {
        let theta = Tensor::new(run.start.as_slice(), &Device::Cpu).unwrap();
        let mut sgd = Sgd::new(run.momentum(), run.weight_decay, &theta).unwrap();
        let mut kept = run.trajectory.iter();
        for step in 1..=50 {
            let gradient = golden.gradient(&run.objective, &values(&theta));
            let gradient = Tensor::new(gradient, &Device::Cpu).unwrap();
            let rate = if step < golden.halving {
                run.rate
            } else {
                run.rate / 2.0
            };
            sgd.step(&theta, &gradient, rate).unwrap();
            if golden.steps.contains(&step) {
                let what = format!("{}, step {step}", run.describe());
                assert_close(&what, &values(&theta), kept.next().unwrap(), TOLERANCE);
            }
        }
        assert!(kept.next().is_none());
    }
}

/// A run cut in two by saving θ and velocity has the same bits as one in a piece.
#[test]
fn a_restored_velocity_goes_on_where_it_was_left() {
    let golden = golden();
    for run in &golden.runs {
        let steps = |sgd: &mut Sgd, theta: &Tensor| {
            for _ in 0..5 {
                let gradient = golden.gradient(&run.objective, &values(theta));
                let gradient = Tensor::new(gradient, &Device::Cpu).unwrap();
                sgd.step(theta, &gradient, run.rate).unwrap();
            }
        };
        let theta = Tensor::new(run.start.as_slice(), &Device::Cpu).unwrap();
        let mut whole = Sgd::new(run.momentum(), run.weight_decay, &theta).unwrap();
        steps(&mut whole, &theta);
        let (saved_theta, saved_velocity) =
            (theta.copy().unwrap(), whole.velocity().copy().unwrap());
        steps(&mut whole, &theta);
        let mut resumed = Sgd::new(run.momentum(), run.weight_decay, &saved_theta).unwrap();
        resumed.restore(&saved_velocity).unwrap();
        steps(&mut resumed, &saved_theta);
        assert_eq!(values(&saved_theta), values(&theta), "{}", run.describe());
    }
}

#[test]
fn single_precision_follows_double_precision() {
    let golden = golden();
    for run in golden
        .runs
        .iter()
        .filter(|run| run.objective == "quadratic")
    {
        let theta = Tensor::new(run.start.as_slice(), &Device::Cpu).unwrap();
        let theta = theta.to_dtype(candle_core::DType::F32).unwrap();
        let mut sgd = Sgd::new(run.momentum(), run.weight_decay, &theta).unwrap();
        for _ in 1..=golden.steps[3] {
            let gradient = golden.gradient(&run.objective, &values(&theta));
            let gradient = Tensor::new(gradient, &Device::Cpu).unwrap();
            let gradient = gradient.to_dtype(candle_core::DType::F32).unwrap();
            sgd.step(&theta, &gradient, run.rate).unwrap();
        }
        // Ten steps of a few roundings of 6e-8.
        assert_close(&run.describe(), &values(&theta), &run.trajectory[3], 1e-5);
    }
}
