//! `flatness train`: a spec from the command line, without measurements.
//!
//! The settings that go with an optimiser's name are those of the paper's software (`docs/MATHS.md`);
//! Adam's and AMSGrad's are Kingma & Ba's (2015), and Padam's those of Chen et al. (2018).

use anyhow::{Result, bail};
use flatness_records::{
    AugmentationSpec, AverageSpec, DataSpec, Decay, Error, Interval, ModelSpec, MomentSpec,
    OptimizerSpec, PadamSpec, ScheduleSpec, Spec, TrainSpec, WarmUpSpec,
};

use super::run::execute;
use crate::arguments::{OptimizerName, TrainOptions};
use crate::{architecture, source};

/// The paper's final over initial rate.
const FINAL_RATIO: f64 = 0.01;

/// The paper's rate while averaging over initial rate.
const AVERAGING_RATIO: f64 = 0.5;

/// The paper averages after 161 of 300 epochs.
const AVERAGING_START: (u32, u32) = (161, 300);

/// Momentum coefficient of gradient descent in the paper.
const MOMENTUM: f64 = 0.9;

/// Exponent of Padam in GadamX, and the best one in its authors' runs.
const PARTIAL: f64 = 0.125;

/// First over initial rate of a warm-up, our choice.
const WARM_UP_FROM: f64 = 0.1;

/// Pixels of zeros around CIFAR images in the paper's software.
const PAD: usize = 4;

/// What goes with the name of an optimiser.
struct Published {
    learning_rate: f64,
    weight_decay: f64,
    decay: Decay,
    averages: bool,
}

pub(crate) fn train(options: &TrainOptions) -> Result<()> {
    let network = options.network.as_ref().or(options.model.as_ref());
    let network = network.cloned().unwrap_or_default();
    let set = source::named(options.data_set.as_deref(), options.places.data.as_deref())?;
    if set.is_none() && architecture::is_file(&network) {
        bail!("{network} {}", source::NEEDED);
    }
    let descends = matches!(options.optimizer, OptimizerName::Sgd | OptimizerName::Swa);
    if options.momentum.is_some() && !descends {
        bail!("--momentum is of --optimizer sgd and swa; leave it out");
    }
    let spec = Spec {
        seed: options.seed,
        data: DataSpec {
            set: set.unwrap_or_else(|| "mnist".to_owned()),
            train_examples: options.train_examples,
            subset: options.subset,
            validation_examples: options.validation_examples,
            mean: options.normalization.mean.clone(),
            deviation: options.normalization.deviation.clone(),
        },
        model: ModelSpec {
            name: network,
            dtype: options.dtype,
            dropout: !options.no_dropout,
            initial: options.initial,
            constants: options.constants.clone(),
        },
        loss: options.loss.spec(None)?,
        train: training(options),
        measure: None,
    };
    let run = spec.validate("command line").map_err(in_options)?;
    execute(&run, &options.places, &options.computing, options.output)
}

/// A refused field of the spec in the words of the option that it came from.
fn in_options(error: Error) -> anyhow::Error {
    let Error::Field {
        field,
        expected,
        got,
        ..
    } = error
    else {
        return error.into();
    };
    let option = |field: &str| match field {
        "train.average.from_epoch" => "--average-from".to_owned(),
        "train.warm_up.epochs" => "--warm-up".to_owned(),
        _ => format!(
            "--{}",
            field.rsplit('.').next().unwrap_or(field).replace('_', "-")
        ),
    };
    let expected = expected.replace("train.epochs", "--epochs");
    anyhow::anyhow!("{} must be {expected}, got {got}", option(&field))
}

fn training(options: &TrainOptions) -> TrainSpec {
    let published = published(options.optimizer);
    let average_from = options.average_from.or_else(|| {
        let (start, of) = AVERAGING_START;
        let scaled = u64::from(options.epochs) * u64::from(start) / u64::from(of);
        published
            .averages
            .then(|| u32::try_from(scaled).unwrap_or(u32::MAX))
    });
    let schedule = match average_from {
        _ if options.constant_rate => ScheduleSpec::Constant {},
        None => ScheduleSpec::Paper { ratio: FINAL_RATIO },
        Some(from) => ScheduleSpec::Averaging {
            start_epoch: from.max(1),
            ratio: AVERAGING_RATIO,
        },
    };
    TrainSpec {
        epochs: options.epochs,
        batch_size: options.batch_size,
        optimizer: optimizer(options, &published),
        schedule,
        warm_up: options.warm_up.map(|epochs| WarmUpSpec {
            epochs,
            from: WARM_UP_FROM,
        }),
        clip_norm: options.clip_norm,
        tf32: options.tf32,
        decay_excludes: options.decay_excludes.clone(),
        sharpness_aware: options.sharpness_aware,
        average: average_from.map(|from_epoch| AverageSpec::Uniform {
            from_epoch,
            every: Interval::Epoch,
        }),
        augmentation: options.augmentation.then_some(AugmentationSpec {
            flip: true,
            pad: PAD,
        }),
        evaluate_every: options.evaluate_every,
        checkpoint_every: options.checkpoint_every,
    }
}

fn published(name: OptimizerName) -> Published {
    let (learning_rate, weight_decay, decay) = match name {
        OptimizerName::Sgd => (0.03, 0.0, Decay::Coupled),
        OptimizerName::Swa => (0.1, 5e-4, Decay::Coupled),
        OptimizerName::Adam | OptimizerName::Amsgrad => (1e-3, 0.0, Decay::Coupled),
        OptimizerName::Adamw | OptimizerName::Gadam => (5e-4, 0.25, Decay::Decoupled),
        OptimizerName::Padam => (0.1, 5e-4, Decay::Coupled),
        OptimizerName::Gadamx => (0.1, 2.5e-3, Decay::Decoupled),
    };
    let averaging = [
        OptimizerName::Gadam,
        OptimizerName::Gadamx,
        OptimizerName::Swa,
    ];
    Published {
        learning_rate,
        weight_decay,
        decay,
        averages: averaging.contains(&name),
    }
}

fn optimizer(options: &TrainOptions, published: &Published) -> OptimizerSpec {
    let learning_rate = options.learning_rate.unwrap_or(published.learning_rate);
    let weight_decay = options.weight_decay.unwrap_or(published.weight_decay);
    let moments = MomentSpec::published(learning_rate, weight_decay, published.decay);
    match options.optimizer {
        OptimizerName::Sgd | OptimizerName::Swa => OptimizerSpec::Sgd {
            learning_rate,
            momentum: options.momentum.unwrap_or(MOMENTUM),
            nesterov: false,
            dampening: 0.0,
            weight_decay,
            decay: published.decay,
        },
        OptimizerName::Adam | OptimizerName::Adamw | OptimizerName::Gadam => {
            OptimizerSpec::Adam(moments)
        }
        OptimizerName::Amsgrad => OptimizerSpec::Amsgrad(moments),
        OptimizerName::Padam | OptimizerName::Gadamx => {
            OptimizerSpec::Padam(PadamSpec::new(PARTIAL, moments))
        }
    }
}
