//! The ranges of a spec's fields.

mod measure;
mod train;

use crate::{DataSpec, Error, SubsetSpec};

pub(crate) struct Check<'a> {
    pub(crate) origin: &'a str,
}

impl Check<'_> {
    pub(crate) fn require(
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

    pub(crate) fn positive(&self, field: &'static str, value: usize) -> Result<(), Error> {
        self.require(value > 0, field, "at least 1", value)
    }

    pub(crate) fn at_most(
        &self,
        field: &'static str,
        value: u64,
        limit: u64,
        expected: &'static str,
    ) -> Result<(), Error> {
        self.require(value <= limit, field, expected, value)
    }

    pub(crate) fn data(&self, data: &DataSpec) -> Result<(), Error> {
        if let Some(examples) = data.train_examples {
            self.positive("data.train_examples", examples)?;
        }
        self.require(
            data.subset == SubsetSpec::First || data.train_examples.is_some(),
            "data.train_examples",
            "given where data.subset is seeded",
            "none",
        )?;
        for &mean in data.mean.iter().flatten() {
            self.require(mean.is_finite(), "data.mean", "finite", mean)?;
        }
        for &deviation in data.deviation.iter().flatten() {
            self.positive_number("data.deviation", deviation)?;
        }
        let channels = |numbers: &Option<Vec<f64>>| numbers.as_ref().map(Vec::len);
        self.require(
            channels(&data.mean) == channels(&data.deviation),
            "data.deviation",
            "given with data.mean, one number per channel in both",
            format!("{:?} with {:?}", data.deviation, data.mean),
        )
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
