//! The ranges of what is measured.

use super::Check;
use crate::{Error, Request};

impl Check<'_> {
    pub(crate) fn measure(&self, measure: &Request, epochs: u32) -> Result<(), Error> {
        for &epoch in &measure.epochs {
            self.require(
                epoch <= epochs,
                "measure.epochs",
                "at most train.epochs",
                epoch,
            )?;
        }
        match measure.problem() {
            None => Ok(()),
            Some((field, expected, got)) => {
                self.require(false, format!("measure.{field}"), expected, got)
            }
        }
    }
}
