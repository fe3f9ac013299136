//! The name of a run's optimiser: the rule, its decay and the average of its iterates together.
//!
//! SWA is SGD with a uniform average (Izmailov et al. 2018), AdamW is Adam with decoupled decay
//! (Loshchilov & Hutter 2019), Gadam is AdamW with a uniform average, and GadamX is Padam with
//! decoupled decay and a uniform average (Granziol et al. 2020, "Iterative averaging in the quest
//! for best test error"). What has no name of its own is named by its parts.

use flatness_records::{AverageSpec, Decay, OptimizerSpec, TrainSpec};

/// Name of what a spec trains with, such as `SGD`, `SWA` or `Gadam`.
#[must_use]
pub fn optimizer_name(train: &TrainSpec) -> String {
    let rule = match train.optimizer {
        OptimizerSpec::Sgd { .. } => "SGD",
        OptimizerSpec::Adam(_) => "Adam",
        OptimizerSpec::Amsgrad(_) => "AMSGrad",
        OptimizerSpec::Padam(_) => "Padam",
    };
    let (_, decay) = train.optimizer.weight_decay();
    let suffix = match decay {
        Decay::Coupled => "",
        Decay::Decoupled => "W",
    };
    let rule = format!("{rule}{suffix}");
    let averaged = match (&train.average, rule.as_str()) {
        (None, _) => rule,
        (Some(AverageSpec::Uniform { .. }), "SGD") => "SWA".to_owned(),
        (Some(AverageSpec::Uniform { .. }), "AdamW") => "Gadam".to_owned(),
        (Some(AverageSpec::Uniform { .. }), "PadamW") => "GadamX".to_owned(),
        (Some(AverageSpec::Uniform { .. }), _) => rule + " + average",
        (Some(AverageSpec::Exponential { .. }), _) => rule + " + exponential average",
        (Some(AverageSpec::Tail { .. }), _) => rule + " + tail average",
    };
    match train.sharpness_aware {
        Some(_) => averaged + " + SAM",
        None => averaged,
    }
}

#[cfg(test)]
mod tests {
    use flatness_records::Spec;

    use super::*;

    #[test]
    fn compositions_have_their_published_names() {
        let sgd = "kind = 'sgd', momentum = 0.9, nesterov = false";
        let decoupled = "decay = 'decoupled'";
        let uniform = "average = { kind = 'uniform', from_epoch = 1, every = 'epoch' }";
        let adam = format!("kind = 'adam', {decoupled}");
        let padam = format!("kind = 'padam', partial = 0.125, {decoupled}");
        let tail = "average = { kind = 'tail', window = 3, every = 'step' }";
        let exponential =
            "average = { kind = 'exponential', decay = 0.9, from_epoch = 0, every = 'step' }";
        for (optimizer, rest, expected) in [
            (sgd, "", "SGD"),
            (sgd, uniform, "SWA"),
            (sgd, "sharpness_aware = 0.05", "SGD + SAM"),
            (sgd, tail, "SGD + tail average"),
            ("kind = 'adam'", "", "Adam"),
            ("kind = 'adam'", uniform, "Adam + average"),
            (&adam, "", "AdamW"),
            (&adam, uniform, "Gadam"),
            (&adam, exponential, "AdamW + exponential average"),
            ("kind = 'amsgrad'", "", "AMSGrad"),
            (&padam, "", "PadamW"),
            (&padam, uniform, "GadamX"),
        ] {
            let text = format!(
                "seed = 0\ndata = {{ set = 'mnist' }}\nmodel = {{ name = 'mlp', dtype = 'f32' }}\n\
                 [train]\nepochs = 2\nbatch_size = 1\nschedule = {{ kind = 'constant' }}\n\
                 optimizer = {{ {optimizer}, learning_rate = 0.1, weight_decay = 0.1 }}\n{rest}\n"
            );
            let spec = Spec::from_toml(&text, expected).unwrap();
            assert_eq!(optimizer_name(&spec.train), expected);
        }
    }
}
