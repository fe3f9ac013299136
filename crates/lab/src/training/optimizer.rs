//! The optimiser and the schedule of a spec.

use std::ops::Range;

use anyhow::Result;
use candle_core::Tensor;
use flatness_layers::{Network, ParamLayout};
use flatness_optim::{Adam, MomentSettings, Momentum, Optimizer, Schedule, Sgd};
use flatness_records::{Decay, DecayExclusion, MomentSpec, OptimizerSpec, ScheduleSpec, TrainSpec};

/// The optimiser of `train` for vectors like `theta` (P).
pub(super) fn optimizer(
    train: &TrainSpec,
    network: &Network,
    theta: &Tensor,
) -> Result<Box<dyn Optimizer>> {
    let excluded = excluded(network, &train.decay_excludes);
    let (coefficient, kind) = train.optimizer.weight_decay();
    let decay = match kind {
        Decay::Coupled => flatness_optim::Decay::coupled(coefficient),
        Decay::Decoupled => flatness_optim::Decay::decoupled(coefficient),
    };
    let decay = decay?.excluding(excluded)?;
    Ok(match train.optimizer {
        OptimizerSpec::Sgd {
            momentum,
            nesterov,
            dampening,
            ..
        } => Box::new(Sgd::new(
            momentum_of(momentum, nesterov, dampening),
            decay,
            theta,
        )?),
        OptimizerSpec::Adam(moments) => Box::new(Adam::new(settings(moments), decay, theta)?),
        OptimizerSpec::Amsgrad(moments) => {
            Box::new(Adam::amsgrad(settings(moments), decay, theta)?)
        }
        OptimizerSpec::Padam(padam) => {
            let settings = settings(padam.moments());
            Box::new(Adam::padam(settings, padam.partial, decay, theta)?)
        }
    })
}

fn momentum_of(coefficient: f64, nesterov: bool, dampening: f64) -> Momentum {
    if nesterov {
        return Momentum::Nesterov(coefficient);
    }
    if dampening == 0.0 {
        return Momentum::HeavyBall(coefficient);
    }
    Momentum::Dampened {
        coefficient,
        dampening,
    }
}

fn settings(moments: MomentSpec) -> MomentSettings {
    MomentSettings {
        beta1: moments.beta1,
        beta2: moments.beta2,
        epsilon: moments.epsilon,
    }
}

/// Ranges of θ without decay, ascending.
fn excluded(network: &Network, exclusions: &[DecayExclusion]) -> Vec<Range<usize>> {
    let norms = normalizing(network.buffers());
    let excludes = |name: &str| {
        exclusions.iter().any(|exclusion| match exclusion {
            DecayExclusion::Biases => name.rsplit('.').next() == Some("bias"),
            DecayExclusion::Normalization => {
                norms.contains(&name.rsplit_once('.').map_or("", |(layer, _)| layer))
            }
        })
    };
    let mut ranges = Vec::new();
    let mut start = 0;
    for parameter in network.layout().parameters() {
        let end = start + parameter.len();
        if excludes(&parameter.name) {
            ranges.push(start..end);
        }
        start = end;
    }
    ranges
}

/// Names of the layers that have running statistics: those of batch-norm.
fn normalizing(buffers: &ParamLayout) -> Vec<&str> {
    let names = buffers.parameters().iter();
    let layers = names.filter_map(|buffer| buffer.name.rsplit_once('.'));
    layers.map(|(layer, _)| layer).collect()
}

/// Learning rate in the epoch after `epoch`.
pub(super) fn rate(train: &TrainSpec, epoch: u32) -> Result<f64> {
    let schedule = match train.schedule {
        ScheduleSpec::Constant {} => Schedule::constant(),
        ScheduleSpec::Paper { ratio } => Schedule::paper(ratio)?,
        ScheduleSpec::Averaging { start_epoch, ratio } => {
            Schedule::averaging(f64::from(start_epoch), ratio)?
        }
        ScheduleSpec::Step {
            every_epochs,
            factor,
        } => Schedule::steps(f64::from(every_epochs), factor)?,
        ScheduleSpec::Cosine { ratio } => Schedule::cosine(ratio)?,
    };
    let schedule = match &train.warm_up {
        None => schedule,
        Some(warm_up) => schedule.after_warm_up(f64::from(warm_up.epochs), warm_up.from)?,
    };
    let factor = schedule.factor(f64::from(epoch), f64::from(train.epochs));
    Ok(train.optimizer.learning_rate() * factor)
}

/// How much weight decay there was in `steps` steps (`flatness_records::Training`), of which an epoch has
/// `steps_per_epoch`.
pub(crate) fn dose(train: &TrainSpec, steps_per_epoch: u64, steps: u64) -> Result<f64> {
    let (coefficient, kind) = train.optimizer.weight_decay();
    let factor = match (&train.optimizer, kind) {
        // The velocity repeats a gradient, and the decay with it: 1 + momentum + momentum² + ...
        (
            &OptimizerSpec::Sgd {
                momentum,
                dampening,
                ..
            },
            Decay::Coupled,
        ) if momentum > 0.0 => (1.0 - dampening) / (1.0 - momentum),
        _ => 1.0,
    };
    let mut sum = 0.0;
    for epoch in 0..train.epochs {
        let left = steps.saturating_sub(u64::from(epoch) * steps_per_epoch);
        sum += rate(train, epoch)? * left.min(steps_per_epoch) as f64;
    }
    Ok(coefficient * factor * sum)
}

#[cfg(test)]
mod tests {
    use flatness_models::Architecture;
    use flatness_records::{
        Decay, DecayExclusion, MomentSpec, OptimizerSpec, ScheduleSpec, TrainSpec, WarmUpSpec,
    };

    use super::{dose, excluded, rate};

    #[test]
    fn excluded_ranges_are_those_of_the_names() {
        let network = Architecture::find("preresnet-8")
            .and_then(|architecture| architecture.network(&[3, 32, 32], 10))
            .expect("a network");
        // By PyTorch's names: bn is batch-norm, which has a weight and a bias.
        let norm = |name: &str| name.contains("bn");
        let bias = |name: &str| name.ends_with("bias");
        type Rule = fn(bool, bool) -> bool;
        let cases: [(&[DecayExclusion], Rule); 4] = [
            (&[], |_, _| false),
            (&[DecayExclusion::Biases], |bias, _| bias),
            (&[DecayExclusion::Normalization], |_, norm| norm),
            (
                &[DecayExclusion::Biases, DecayExclusion::Normalization],
                |bias, norm| bias || norm,
            ),
        ];
        for (exclusions, rule) in cases {
            let mut expected = Vec::new();
            for parameter in network.layout().parameters() {
                let excluded = rule(bias(&parameter.name), norm(&parameter.name));
                expected.extend(vec![excluded; parameter.len()]);
            }
            let mut got = vec![false; network.layout().dim()];
            for range in excluded(&network, exclusions) {
                got[range].fill(true);
            }
            assert!(got == expected, "{exclusions:?}");
        }
    }

    fn train(schedule: ScheduleSpec, warm_up: Option<WarmUpSpec>) -> TrainSpec {
        TrainSpec {
            epochs: 300,
            batch_size: 128,
            optimizer: sgd(0.9, 0.0, Decay::Coupled),
            schedule,
            warm_up,
            clip_norm: None,
            decay_excludes: Vec::new(),
            sharpness_aware: None,
            average: None,
            augmentation: None,
            evaluate_every: None,
            checkpoint_every: None,
        }
    }

    fn sgd(momentum: f64, dampening: f64, decay: Decay) -> OptimizerSpec {
        OptimizerSpec::Sgd {
            learning_rate: 0.1,
            momentum,
            nesterov: false,
            dampening,
            weight_decay: 5e-4,
            decay,
        }
    }

    #[test]
    fn the_dose_is_the_sum_over_the_steps() {
        let adam = |decay| OptimizerSpec::Adam(MomentSpec::published(0.1, 5e-4, decay));
        // Rates 0.1 in two epochs and 0.01 in the third, of 4 steps each, as far as they were done.
        let all =
            5e-4 * (0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.01 + 0.01 + 0.01 + 0.01);
        let nine = 5e-4 * (0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.01);
        for (optimizer, steps, expected) in [
            (sgd(0.9, 0.0, Decay::Coupled), 12, all / 0.1),
            (sgd(0.9, 0.0, Decay::Coupled), 9, nine / 0.1),
            (sgd(0.5, 0.2, Decay::Coupled), 12, all * 0.8 / 0.5),
            (sgd(0.0, 0.0, Decay::Coupled), 12, all),
            (sgd(0.9, 0.0, Decay::Decoupled), 12, all),
            (adam(Decay::Coupled), 12, all),
            (adam(Decay::Decoupled), 12, all),
        ] {
            let step = ScheduleSpec::Step {
                every_epochs: 2,
                factor: 0.1,
            };
            let spec = TrainSpec {
                epochs: 3,
                optimizer,
                ..train(step, None)
            };
            let got = dose(&spec, 4, steps).expect("in range");
            // A few roundings.
            assert!(
                (got / expected - 1.0).abs() < 1e-14,
                "{spec:?}: {got}, {expected}"
            );
        }
    }

    #[test]
    fn rates_are_those_of_the_published_runs() {
        let averaging = ScheduleSpec::Averaging {
            start_epoch: 161,
            ratio: 0.5,
        };
        let step = ScheduleSpec::Step {
            every_epochs: 100,
            factor: 0.1,
        };
        let warm_up = WarmUpSpec {
            epochs: 5,
            from: 0.1,
        };
        let paper = || train(ScheduleSpec::Paper { ratio: 0.01 }, None);
        for (spec, epoch, expected) in [
            (paper(), 150, 0.1),
            // t = 0.7, half-way from 1 to 0.01.
            (paper(), 210, 0.0505),
            (paper(), 299, 0.001),
            (train(averaging.clone(), None), 80, 0.1),
            (train(averaging, None), 161, 0.05),
            (train(step.clone(), None), 199, 0.01),
            (train(ScheduleSpec::Cosine { ratio: 0.0 }, None), 150, 0.05),
            (train(step.clone(), Some(warm_up.clone())), 0, 0.01),
            (train(step, Some(warm_up)), 5, 0.1),
        ] {
            let got = rate(&spec, epoch).expect("in range");
            // A few roundings.
            assert!((got - expected).abs() < 1e-12, "{spec:?}: {got}");
        }
    }
}
