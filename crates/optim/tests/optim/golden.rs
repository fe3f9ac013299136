//! The golden file, its objectives, and the optimisers it names.

use candle_core::{Device, Tensor};
use flatness_layers::Loss;
use flatness_optim::{Adam, Average, Decay, Error, MomentSettings, Momentum, Optimizer, Sgd};
use flatness_testkit::{Activation, Autograd, Oracle, values};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Golden {
    /// Numbers of steps after which θ was kept.
    pub(crate) steps: Vec<usize>,
    /// The step from which on the rate is half.
    pub(crate) halving: usize,
    eigenvalues: Vec<f64>,
    widths: Vec<usize>,
    inputs: Vec<Vec<f64>>,
    labels: Vec<u32>,
    pub(crate) runs: Vec<Run>,
    pub(crate) average_runs: Vec<AverageRun>,
    pub(crate) schedules: std::collections::BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
pub(crate) struct Run {
    pub(crate) objective: String,
    pub(crate) start: Vec<f64>,
    pub(crate) rate: f64,
    pub(crate) optimizer: Spec,
    excluded: Vec<[usize; 2]>,
    /// Largest norm of the gradient.
    pub(crate) clip: Option<f64>,
    /// Radius of sharpness-aware minimisation.
    pub(crate) radius: Option<f64>,
    pub(crate) trajectory: Vec<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Spec {
    decay_kind: DecayKind,
    decay: f64,
    #[serde(flatten)]
    rule: Rule,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecayKind {
    Coupled,
    Decoupled,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Rule {
    Sgd {
        momentum: f64,
        dampening: f64,
        nesterov: bool,
    },
    Adam(Moments),
    AmsGrad(Moments),
    Padam {
        partial: f64,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(remote = "MomentSettings")]
struct Remote {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Moments(#[serde(with = "Remote")] MomentSettings);

#[derive(Deserialize)]
pub(crate) struct AverageRun {
    pub(crate) run: Run,
    pub(crate) averages: Vec<AverageOf>,
}

#[derive(Deserialize)]
pub(crate) struct AverageOf {
    #[serde(flatten)]
    pub(crate) kind: AverageKind,
    pub(crate) average: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum AverageKind {
    Uniform { start: u64 },
    Exponential { decay: f64 },
    Tail { window: std::num::NonZeroUsize },
}

pub(crate) fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/trajectories.json")).unwrap()
}

impl Golden {
    /// The gradient of an objective at θ.
    pub(crate) fn gradient(&self, objective: &str, theta: &Tensor) -> Tensor {
        let theta = values(theta);
        let gradient: Vec<f64> = match objective {
            "quadratic" => {
                let pairs = theta.iter().zip(&self.eigenvalues);
                pairs.map(|(x, e)| x * e).collect()
            }
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
                network.gradient(&theta, &inputs, &labels)
            }
            other => panic!("no objective {other}"),
        };
        Tensor::new(gradient, &Device::Cpu).unwrap()
    }

    pub(crate) fn rate(&self, run: &Run, step: usize) -> f64 {
        if step < self.halving {
            run.rate
        } else {
            run.rate / 2.0
        }
    }
}

impl Run {
    pub(crate) fn start(&self) -> Tensor {
        Tensor::new(self.start.as_slice(), &Device::Cpu).unwrap()
    }

    pub(crate) fn optimizer(&self, theta: &Tensor) -> Box<dyn Optimizer> {
        let Spec {
            decay, ref rule, ..
        } = self.optimizer;
        let ranges = self.excluded.iter().map(|&[start, end]| start..end);
        let decay = match self.optimizer.decay_kind {
            DecayKind::Coupled => Decay::coupled(decay),
            DecayKind::Decoupled => Decay::decoupled(decay),
        };
        let decay = decay.and_then(|decay| decay.excluding(ranges)).unwrap();
        make(rule, decay, theta).unwrap()
    }

    pub(crate) fn describe(&self) -> String {
        let Self {
            objective,
            optimizer,
            excluded,
            clip,
            radius,
            ..
        } = self;
        format!("{objective}, {optimizer:?}, excluded {excluded:?}, {clip:?}, {radius:?}")
    }
}

fn make(rule: &Rule, decay: Decay, theta: &Tensor) -> Result<Box<dyn Optimizer>, Error> {
    Ok(match *rule {
        Rule::Sgd {
            momentum,
            dampening,
            nesterov,
        } => {
            let momentum = if nesterov {
                Momentum::Nesterov(momentum)
            } else if dampening > 0.0 {
                Momentum::Dampened {
                    coefficient: momentum,
                    dampening,
                }
            } else {
                Momentum::HeavyBall(momentum)
            };
            Box::new(Sgd::new(momentum, decay, theta)?)
        }
        Rule::Adam(Moments(settings)) => Box::new(Adam::new(settings, decay, theta)?),
        Rule::AmsGrad(Moments(settings)) => Box::new(Adam::amsgrad(settings, decay, theta)?),
        Rule::Padam { partial } => {
            let published = MomentSettings::PUBLISHED;
            Box::new(Adam::padam(published, partial, decay, theta)?)
        }
    })
}

impl AverageKind {
    pub(crate) fn make(&self, theta: &Tensor) -> Average {
        let average = match *self {
            Self::Uniform { start } => Average::uniform(start, theta),
            Self::Exponential { decay } => Average::exponential(decay, theta),
            Self::Tail { window } => Average::tail(window, theta),
        };
        average.unwrap()
    }
}
