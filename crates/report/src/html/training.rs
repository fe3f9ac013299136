//! The training of a run in words: optimiser, schedule, average, and what else a spec adds.

use flatness_records::{
    AverageSpec, Decay, DecayExclusion, Interval, MomentSpec, OptimizerSpec, ScheduleSpec,
    TrainSpec,
};

use super::settings::short;
use crate::optimizer_name;

/// Optimiser, schedule and, where there is one, average.
pub(super) fn course(train: &TrainSpec) -> String {
    let mut course = format!("{}; {}", optimizer(train), schedule(train));
    if let Some(average) = &train.average {
        course += &format!("; {}", averaged(average));
    }
    course
}

/// Such as `Gadam: β 0.9 and 0.999, ε 1e−8, decoupled decay`.
fn optimizer(train: &TrainSpec) -> String {
    let mut parts = vec![match train.optimizer {
        OptimizerSpec::Sgd {
            momentum,
            nesterov,
            dampening,
            ..
        } => descent(momentum, nesterov, dampening),
        OptimizerSpec::Adam(settings) | OptimizerSpec::Amsgrad(settings) => moments(&settings),
        OptimizerSpec::Padam(padam) => {
            format!("p {}, {}", short(padam.partial), moments(&padam.moments()))
        }
    }];
    if train.optimizer.weight_decay().1 == Decay::Decoupled {
        parts.push("decoupled decay".to_owned());
    }
    parts.extend(train.decay_excludes.iter().map(|exclusion| {
        let excluded = match exclusion {
            DecayExclusion::Biases => "biases",
            DecayExclusion::Normalization => "batch-norm",
        };
        format!("no decay of {excluded}")
    }));
    let clipped = |norm| format!("gradients of norm ≤ {}", short(norm));
    parts.extend(train.clip_norm.map(clipped));
    let aware = |radius| format!("sharpness-aware, ρ {}", short(radius));
    parts.extend(train.sharpness_aware.map(aware));
    parts.extend(train.augmentation.as_ref().map(|augmentation| {
        let flip = if augmentation.flip { "flips and " } else { "" };
        format!("random {flip}crops after {} zeros", augmentation.pad)
    }));
    format!("{}: {}", optimizer_name(train), parts.join(", "))
}

fn descent(momentum: f64, nesterov: bool, dampening: f64) -> String {
    let kind = if nesterov {
        "Nesterov momentum"
    } else {
        "momentum"
    };
    if dampening == 0.0 {
        format!("{kind} {momentum}")
    } else {
        format!("{kind} {momentum}, dampening {dampening}")
    }
}

fn moments(settings: &MomentSpec) -> String {
    let MomentSpec {
        beta1,
        beta2,
        epsilon,
        ..
    } = settings;
    format!("β {beta1} and {beta2}, ε {}", short(*epsilon))
}

/// Such as `paper’s schedule, ratio 0.01`.
fn schedule(train: &TrainSpec) -> String {
    let course = match train.schedule {
        ScheduleSpec::Constant {} => "constant rate".to_owned(),
        ScheduleSpec::Paper { ratio } => format!("paper’s schedule, ratio {}", short(ratio)),
        ScheduleSpec::Averaging { start_epoch, ratio } => {
            format!(
                "paper’s schedule over {start_epoch} epochs, ratio {}",
                short(ratio)
            )
        }
        ScheduleSpec::Step {
            every_epochs,
            factor,
        } => format!("rate times {} every {every_epochs} epochs", short(factor)),
        ScheduleSpec::Cosine { ratio } => format!("cosine schedule, ratio {}", short(ratio)),
    };
    let warm_up = train.warm_up.as_ref().map_or_else(String::new, |warm_up| {
        let (epochs, from) = (warm_up.epochs, short(warm_up.from));
        format!(", after a rise over {epochs} epochs from {from}")
    });
    course + &warm_up
}

/// Such as `average uniform, every epoch after epoch 16`.
fn averaged(average: &AverageSpec) -> String {
    let unit = |every| match every {
        Interval::Epoch => "epoch",
        Interval::Step => "step",
    };
    match *average {
        AverageSpec::Uniform { from_epoch, every } => {
            format!(
                "average uniform, every {} after epoch {from_epoch}",
                unit(every)
            )
        }
        AverageSpec::Exponential {
            decay,
            from_epoch,
            every,
        } => format!(
            "average exponential, decay {}, every {} after epoch {from_epoch}",
            short(decay),
            unit(every)
        ),
        AverageSpec::Tail { window, every } => {
            format!("average of the last {window}, one every {}", unit(every))
        }
    }
}
