//! `flatness train`: a spec from the command line, without measurements.

use anyhow::Result;
use flatness_records::{DataSpec, ModelSpec, OptimizerSpec, ScheduleSpec, Spec, TrainSpec};

use super::run::execute;
use crate::arguments::TrainOptions;

/// The paper's final over initial rate.
const FINAL_RATIO: f64 = 0.01;

pub(crate) fn train(options: &TrainOptions) -> Result<()> {
    let schedule = if options.constant_rate {
        ScheduleSpec::Constant {}
    } else {
        ScheduleSpec::Paper { ratio: FINAL_RATIO }
    };
    let spec = Spec {
        seed: options.seed,
        data: DataSpec {
            set: options.data_set.clone(),
            train_examples: options.train_examples,
            validation_examples: options.validation_examples,
        },
        model: ModelSpec {
            name: options.model.clone(),
            dtype: options.dtype.into(),
        },
        train: TrainSpec {
            epochs: options.epochs,
            batch_size: options.batch_size,
            optimizer: OptimizerSpec::Sgd {
                learning_rate: options.learning_rate,
                momentum: options.momentum,
                nesterov: false,
                weight_decay: options.weight_decay,
            },
            schedule,
        },
        measure: None,
    };
    let run = spec.validate("command line")?;
    execute(&run, &options.places, &options.computing, options.output)
}
