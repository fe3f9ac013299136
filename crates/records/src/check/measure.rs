//! The ranges of what is measured.

use super::Check;
use crate::{Error, Request, What};

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
        let mut asked = measure.what.iter().chain(&measure.along);
        self.require(
            !asked.any(|what| *what == What::Landscape),
            "measure.what",
            "what a record can hold; a picture is drawn by `flatness measure --what landscape --out DIR`",
            "landscape",
        )?;
        match measure.problem() {
            None => Ok(()),
            Some((field, expected, got)) => {
                self.require(false, format!("measure.{field}"), expected, got)
            }
        }
    }
}
