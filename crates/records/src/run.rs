//! A validated spec: every field is in range, and its hash is its name.

use serde::Serialize;

use crate::check::Check;
use crate::file::digest;
use crate::{Error, LossSpec, Spec, Split, Streams};

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
        digest(&serde_json::to_string(&self.spec).unwrap_or_default())
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
        // What a reader of JSON with floats alone, such as JavaScript, can tell from its neighbours.
        let expected = "at most 2^53 = 9007199254740992";
        check.require(self.seed <= 1 << 53, "seed", expected, self.seed)?;
        check.data(&self.data)?;
        if let Some((field, expected, got)) = self.loss.as_ref().and_then(LossSpec::problem) {
            check.require(false, format!("loss.{field}"), expected, got)?;
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
