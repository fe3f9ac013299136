//! A validated spec: every field is in range, and its hash is its name.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Error, MeasureSpec, OptimizerSpec, ScheduleSpec, Spec, Split, Streams, TrainSpec};

/// A spec all of whose fields are in range. Made by [`Spec::validate`] only.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Run {
    spec: Spec,
}

impl Run {
    /// The validated spec.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// First 16 hexadecimal digits of the SHA-256 of the spec as compact JSON: the name of the run's directory.
    #[must_use]
    pub fn id(&self) -> String {
        let json = serde_json::to_vec(&self.spec).unwrap_or_default();
        Sha256::digest(&json)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The run's random streams.
    #[must_use]
    pub fn streams(&self) -> Streams {
        Streams::new(self.spec.seed)
    }
}

impl Spec {
    /// Checks every field against its range; `origin` names the spec in errors.
    ///
    /// # Errors
    /// [`Error::Field`] for the first field out of range.
    pub fn validate(self, origin: &str) -> Result<Run, Error> {
        let check = Check { origin };
        check.at_most("seed", self.seed, i64::MAX as u64, "at most 2^63 - 1")?;
        if let Some(examples) = self.data.train_examples {
            check.positive("data.train_examples", examples)?;
        }
        check.train(&self.train)?;
        if let Some(measure) = &self.measure {
            check.require(
                measure.split != Split::Validation || self.data.validation_examples > 0,
                "data.validation_examples",
                "at least 1 where measure.split is validation",
                self.data.validation_examples,
            )?;
            check.measure(measure, self.train.epochs)?;
        }
        Ok(Run { spec: self })
    }
}

struct Check<'a> {
    origin: &'a str,
}

impl Check<'_> {
    fn require(
        &self,
        holds: bool,
        field: &'static str,
        expected: &'static str,
        got: impl ToString,
    ) -> Result<(), Error> {
        if holds {
            return Ok(());
        }
        let (origin, got) = (self.origin.to_owned(), got.to_string());
        Err(Error::Field {
            origin,
            field,
            expected,
            got,
        })
    }

    fn positive(&self, field: &'static str, value: usize) -> Result<(), Error> {
        self.require(value > 0, field, "at least 1", value)
    }

    fn at_most(
        &self,
        field: &'static str,
        value: u64,
        limit: u64,
        expected: &'static str,
    ) -> Result<(), Error> {
        self.require(value <= limit, field, expected, value)
    }

    fn positive_number(&self, field: &'static str, value: f64) -> Result<(), Error> {
        self.require(
            value.is_finite() && value > 0.0,
            field,
            "a positive finite number",
            value,
        )
    }

    fn train(&self, train: &TrainSpec) -> Result<(), Error> {
        self.require(train.epochs > 0, "train.epochs", "at least 1", train.epochs)?;
        self.positive("train.batch_size", train.batch_size)?;
        let OptimizerSpec::Sgd {
            learning_rate,
            momentum,
            nesterov,
            weight_decay,
        } = train.optimizer;
        self.positive_number("train.optimizer.learning_rate", learning_rate)?;
        self.require(
            (0.0..1.0).contains(&momentum),
            "train.optimizer.momentum",
            "in [0, 1)",
            momentum,
        )?;
        self.require(
            !nesterov || momentum > 0.0,
            "train.optimizer.momentum",
            "positive with Nesterov momentum",
            momentum,
        )?;
        self.require(
            weight_decay.is_finite() && weight_decay >= 0.0,
            "train.optimizer.weight_decay",
            "a finite number of at least 0",
            weight_decay,
        )?;
        match train.schedule {
            ScheduleSpec::Constant {} => Ok(()),
            ScheduleSpec::Paper { ratio } => self.require(
                ratio > 0.0 && ratio <= 1.0,
                "train.schedule.ratio",
                "in (0, 1]",
                ratio,
            ),
        }
    }

    fn measure(&self, measure: &MeasureSpec, epochs: u32) -> Result<(), Error> {
        for &epoch in &measure.epochs {
            self.require(
                epoch <= epochs,
                "measure.epochs",
                "at most train.epochs",
                epoch,
            )?;
        }
        self.require(
            !measure.matrices.is_empty(),
            "measure.matrices",
            "not empty",
            "[]",
        )?;
        self.positive("measure.batch_size", measure.batch_size)?;
        self.positive("measure.lanczos.steps", measure.lanczos.steps)?;
        self.positive_number("measure.lanczos.tolerance", measure.lanczos.tolerance)?;
        if let Some(power) = &measure.power {
            self.positive("measure.power.iterations", power.iterations)?;
            self.positive_number("measure.power.tolerance", power.tolerance)?;
        }
        self.require(
            measure.trace.probes >= 2,
            "measure.trace.probes",
            "at least 2",
            measure.trace.probes,
        )?;
        self.positive("measure.trace.block", measure.trace.block)?;
        if let Some(density) = &measure.density {
            self.require(
                density.probes >= 2,
                "measure.density.probes",
                "at least 2",
                density.probes,
            )?;
            self.positive("measure.density.steps", density.steps)?;
        }
        for &scale in &measure.scales {
            self.positive_number("measure.scales", scale)?;
        }
        if let Some(perturbation) = &measure.perturbation {
            for &radius in &perturbation.relative_radii {
                self.positive_number("measure.perturbation.relative_radii", radius)?;
            }
            self.require(
                perturbation.directions >= 2,
                "measure.perturbation.directions",
                "at least 2",
                perturbation.directions,
            )?;
        }
        Ok(())
    }
}
