//! The ranges of a spec's fields.

mod measure;
mod train;

use crate::Error;

pub(crate) struct Check<'a> {
    pub(crate) origin: &'a str,
}

impl Check<'_> {
    pub(crate) fn require(
        &self,
        holds: bool,
        field: impl Into<String>,
        expected: &'static str,
        got: impl ToString,
    ) -> Result<(), Error> {
        if holds {
            return Ok(());
        }
        let (origin, field, got) = (self.origin.to_owned(), field.into(), got.to_string());
        Err(Error::Field {
            origin,
            field,
            expected,
            got,
        })
    }

    pub(crate) fn positive(&self, field: &'static str, value: usize) -> Result<(), Error> {
        self.require(value > 0, field, "at least 1", value)
    }

    fn positive_number(&self, field: &'static str, value: f64) -> Result<(), Error> {
        self.require(
            value.is_finite() && value > 0.0,
            field,
            "a positive finite number",
            value,
        )
    }

    fn not_negative(&self, field: &'static str, value: f64) -> Result<(), Error> {
        self.require(
            value.is_finite() && value >= 0.0,
            field,
            "a finite number of at least 0",
            value,
        )
    }

    fn below_one(&self, field: &'static str, value: f64) -> Result<(), Error> {
        self.require((0.0..1.0).contains(&value), field, "in [0, 1)", value)
    }

    fn above_zero_to_one(&self, field: &'static str, value: f64) -> Result<(), Error> {
        self.require(value > 0.0 && value <= 1.0, field, "in (0, 1]", value)
    }
}
