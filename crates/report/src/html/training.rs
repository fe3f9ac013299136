//! The training of a run in words: optimiser, schedule, average, and what else a spec adds.

use flatness_records::{
    AverageSpec, Decay, DecayExclusion, Interval, MomentSpec, OptimizerSpec, ScheduleSpec,
    TrainSpec,
};

use super::settings::short;
use crate::optimizer_name;

/// Such as `Gadam: β 0.9 and 0.999, ε 1e−8, decoupled decay`.
pub(super) fn optimizer(train: &TrainSpec) -> String {
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

/// Such as `paper’s, ratio 0.01`.
pub(super) fn schedule(train: &TrainSpec) -> String {
    let course = match train.schedule {
        ScheduleSpec::Constant {} => "constant".to_owned(),
        ScheduleSpec::Paper { ratio } => format!("paper’s, ratio {}", short(ratio)),
        ScheduleSpec::Averaging { start_epoch, ratio } => {
            format!("paper’s over {start_epoch} epochs, ratio {}", short(ratio))
        }
        ScheduleSpec::Step {
            every_epochs,
            factor,
        } => format!("times {} every {every_epochs} epochs", short(factor)),
        ScheduleSpec::Cosine { ratio } => format!("cosine, ratio {}", short(ratio)),
    };
    let warm_up = train.warm_up.as_ref().map_or_else(String::new, |warm_up| {
        let (epochs, from) = (warm_up.epochs, short(warm_up.from));
        format!(", after a rise over {epochs} epochs from {from}")
    });
    course + &warm_up
}

/// Such as `uniform, every epoch after 16`.
pub(super) fn average(train: &TrainSpec) -> String {
    let unit = |every| match every {
        Interval::Epoch => "epoch",
        Interval::Step => "step",
    };
    match train.average {
        None => "none".to_owned(),
        Some(AverageSpec::Uniform { from_epoch, every }) => {
            format!("uniform, every {} after epoch {from_epoch}", unit(every))
        }
        Some(AverageSpec::Exponential {
            decay,
            from_epoch,
            every,
        }) => format!(
            "exponential, decay {}, every {} after epoch {from_epoch}",
            short(decay),
            unit(every)
        ),
        Some(AverageSpec::Tail { window, every }) => {
            format!("the last {window}, one every {}", unit(every))
        }
    }
}
