//! The ranges of training.

use super::Check;
use crate::{AverageSpec, Error, MomentSpec, OptimizerSpec, ScheduleSpec, TrainSpec, WarmUpSpec};

impl Check<'_> {
    pub(crate) fn train(&self, train: &TrainSpec) -> Result<(), Error> {
        self.positive("train.epochs", train.epochs)?;
        self.positive("train.batch_size", train.batch_size)?;
        self.optimizer(&train.optimizer)?;
        self.schedule(&train.schedule)?;
        if let Some(warm_up) = &train.warm_up {
            self.warm_up(warm_up, train.epochs)?;
        }
        for (field, number) in [
            ("train.clip_norm", train.clip_norm),
            ("train.sharpness_aware", train.sharpness_aware),
        ] {
            number.map_or(Ok(()), |number| self.positive_number(field, number))?;
        }
        let excludes = &train.decay_excludes;
        for (place, exclusion) in excludes.iter().enumerate() {
            self.require(
                !excludes[..place].contains(exclusion),
                "train.decay_excludes",
                "free of repetitions",
                format!("{exclusion:?} twice").to_lowercase(),
            )?;
        }
        if let Some(average) = &train.average {
            self.average(average, train.epochs)?;
        }
        for (field, every) in [
            ("train.evaluate_every", train.evaluate_every),
            ("train.checkpoint_every", train.checkpoint_every),
        ] {
            every.map_or(Ok(()), |every| self.positive(field, every))?;
        }
        Ok(())
    }

    fn optimizer(&self, optimizer: &OptimizerSpec) -> Result<(), Error> {
        let rate = optimizer.learning_rate();
        self.positive_number("train.optimizer.learning_rate", rate)?;
        let (weight_decay, _) = optimizer.weight_decay();
        self.not_negative("train.optimizer.weight_decay", weight_decay)?;
        match *optimizer {
            OptimizerSpec::Sgd {
                momentum,
                nesterov,
                dampening,
                ..
            } => self.momentum(momentum, nesterov, dampening),
            OptimizerSpec::Adam(moments) | OptimizerSpec::Amsgrad(moments) => {
                self.moments(&moments)
            }
            OptimizerSpec::Padam(padam) => {
                self.moments(&padam.moments())?;
                self.require(
                    padam.partial > 0.0 && padam.partial <= 0.5,
                    "train.optimizer.partial",
                    "in (0, 0.5]",
                    padam.partial,
                )
            }
        }
    }

    fn momentum(&self, momentum: f64, nesterov: bool, dampening: f64) -> Result<(), Error> {
        self.below_one("train.optimizer.momentum", momentum)?;
        self.require(
            !nesterov || momentum > 0.0,
            "train.optimizer.momentum",
            "positive with Nesterov momentum",
            momentum,
        )?;
        self.require(
            (0.0..=1.0).contains(&dampening),
            "train.optimizer.dampening",
            "in [0, 1]",
            dampening,
        )?;
        self.require(
            dampening == 0.0 || (momentum > 0.0 && !nesterov),
            "train.optimizer.dampening",
            "0 without momentum and with Nesterov's",
            dampening,
        )
    }

    fn moments(&self, moments: &MomentSpec) -> Result<(), Error> {
        self.below_one("train.optimizer.beta1", moments.beta1)?;
        self.below_one("train.optimizer.beta2", moments.beta2)?;
        self.positive_number("train.optimizer.epsilon", moments.epsilon)
    }

    fn schedule(&self, schedule: &ScheduleSpec) -> Result<(), Error> {
        match *schedule {
            ScheduleSpec::Constant {} => Ok(()),
            ScheduleSpec::Paper { ratio } => self.above_zero_to_one("train.schedule.ratio", ratio),
            ScheduleSpec::Averaging { start_epoch, ratio } => {
                self.positive("train.schedule.start_epoch", start_epoch)?;
                self.above_zero_to_one("train.schedule.ratio", ratio)
            }
            ScheduleSpec::Step {
                every_epochs,
                factor,
            } => {
                self.positive("train.schedule.every_epochs", every_epochs)?;
                self.above_zero_to_one("train.schedule.factor", factor)
            }
            ScheduleSpec::Cosine { ratio } => self.require(
                (0.0..=1.0).contains(&ratio),
                "train.schedule.ratio",
                "in [0, 1]",
                ratio,
            ),
        }
    }

    fn warm_up(&self, warm_up: &WarmUpSpec, epochs: u32) -> Result<(), Error> {
        self.require(
            warm_up.epochs > 0 && warm_up.epochs < epochs,
            "train.warm_up.epochs",
            "at least 1 and below train.epochs",
            warm_up.epochs,
        )?;
        // A rate of 0 for a whole epoch would be no training.
        self.above_zero_to_one("train.warm_up.from", warm_up.from)
    }

    fn average(&self, average: &AverageSpec, epochs: u32) -> Result<(), Error> {
        match *average {
            AverageSpec::Uniform { from_epoch, .. } => self.first_epoch(from_epoch, epochs),
            AverageSpec::Exponential {
                decay, from_epoch, ..
            } => {
                self.below_one("train.average.decay", decay)?;
                self.first_epoch(from_epoch, epochs)
            }
            AverageSpec::Tail { window, .. } => self.positive("train.average.window", window),
        }
    }

    fn first_epoch(&self, from_epoch: u32, epochs: u32) -> Result<(), Error> {
        self.require(
            from_epoch < epochs,
            "train.average.from_epoch",
            "below train.epochs",
            from_epoch,
        )
    }
}
