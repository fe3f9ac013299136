//! The optimiser and the schedule of a spec.

use std::collections::HashSet;
use std::ops::Range;

use anyhow::Result;
use candle_core::Tensor;
use flatness_layers::Network;
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
    let norms = network.steps().filter(|step| step.layer.normalizes());
    let of_norms: HashSet<usize> = norms
        .flat_map(|step| step.parameters.iter().copied())
        .collect();
    let excludes = |(index, name): (usize, &str)| {
        exclusions.iter().any(|exclusion| match exclusion {
            DecayExclusion::Biases => name.rsplit('.').next() == Some("bias"),
            DecayExclusion::Normalization => of_norms.contains(&index),
        })
    };
    let names = network.layout().parameters().iter();
    let names = names.map(|parameter| parameter.name.as_str()).enumerate();
    let ranges = names.zip(network.layout().ranges());
    let ranges = ranges.filter(|(parameter, _)| excludes(*parameter));
    ranges.map(|(_, range)| range).collect()
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
    use flatness_layers::{Affine, BatchNorm, Flatten, Graph, GroupNorm, LayerNorm};
    use flatness_models::Architecture;
    use flatness_records::{DecayExclusion, TrainSpec};

    use super::{dose, excluded, rate};

    #[test]
    fn every_kind_of_normalisation_is_excluded() {
        let mut graph = Graph::new(&[4, 3, 3]);
        let input = graph.input();
        let first = graph
            .layer("first", BatchNorm::new(4), input)
            .expect("it fits");
        let second = graph
            .layer("second", GroupNorm::new(2, 4), first)
            .expect("it fits");
        let third = graph
            .layer("third", LayerNorm::new(&[4, 3, 3]), second)
            .expect("it fits");
        let flat = graph.layer("flat", Flatten, third).expect("it fits");
        let last = graph
            .layer("last", Affine::new(36, 2), flat)
            .expect("it fits");
        let network = graph.finish(last).expect("a network");
        let ranges = excluded(&network, &[DecayExclusion::Normalization]);
        let elements: Vec<usize> = ranges.into_iter().flatten().collect();
        assert_eq!(elements, (0..8 + 8 + 72).collect::<Vec<_>>());
    }

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

    fn train(epochs: u32, optimizer: &str, schedule: &str) -> TrainSpec {
        toml::from_str(&format!(
            "epochs = {epochs}\nbatch_size = 128\nschedule = {{ kind = {schedule} }}\n\
             optimizer = {{ learning_rate = 0.1, weight_decay = 5e-4, kind = {optimizer} }}"
        ))
        .expect("TOML")
    }

    #[test]
    fn the_dose_is_the_sum_over_the_steps() {
        // Rates 0.1 in two epochs and 0.01 in the third, of 4 steps each, as far as they were done.
        let all = 5e-4 * (8.0 * 0.1 + 4.0 * 0.01);
        let nine = 5e-4 * (8.0 * 0.1 + 0.01);
        for (optimizer, steps, expected) in [
            ("'sgd', nesterov = false, momentum = 0.9", 12, all / 0.1),
            ("'sgd', nesterov = false, momentum = 0.9", 9, nine / 0.1),
            (
                "'sgd', nesterov = false, momentum = 0.5, dampening = 0.2",
                12,
                all * 0.8 / 0.5,
            ),
            ("'sgd', nesterov = false, momentum = 0.0", 12, all),
            (
                "'sgd', nesterov = false, momentum = 0.9, decay = 'decoupled'",
                12,
                all,
            ),
            ("'adam'", 12, all),
            ("'adam', decay = 'decoupled'", 12, all),
        ] {
            let spec = train(3, optimizer, "'step', every_epochs = 2, factor = 0.1");
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
        let warm = "'step', every_epochs = 100, factor = 0.1 }\nwarm_up = { epochs = 5, from = 0.1";
        for (schedule, epoch, expected) in [
            ("'paper', ratio = 0.01", 150, 0.1),
            // t = 0.7, half-way from 1 to 0.01.
            ("'paper', ratio = 0.01", 210, 0.0505),
            ("'paper', ratio = 0.01", 299, 0.001),
            ("'averaging', start_epoch = 161, ratio = 0.5", 80, 0.1),
            ("'averaging', start_epoch = 161, ratio = 0.5", 161, 0.05),
            ("'step', every_epochs = 100, factor = 0.1", 199, 0.01),
            ("'cosine', ratio = 0.0", 150, 0.05),
            (warm, 0, 0.01),
            (warm, 5, 0.1),
        ] {
            let got = rate(&train(300, "'adam'", schedule), epoch).expect("in range");
            // A few roundings.
            assert!((got - expected).abs() < 1e-12, "{schedule}: {got}");
        }
    }
}
