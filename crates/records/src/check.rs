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
        field: impl Into<String>,
        expected: &'static str,
        got: impl ToString,
    ) -> Result<(), Error> {
        if holds {
            return Ok(());
        }
        Err(Error::Field {
            origin: self.origin.to_owned(),
            field: field.into(),
            expected,
            got: got.to_string(),
        })
    }

    pub(crate) fn positive<T>(&self, field: &str, value: T) -> Result<(), Error>
    where
        T: PartialEq + From<u8> + ToString,
    {
        self.require(value != T::from(0), field, "at least 1", value)
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

    fn positive_number(&self, field: &str, value: f64) -> Result<(), Error> {
        let holds = value.is_finite() && value > 0.0;
        self.require(holds, field, "a positive finite number", value)
    }

    fn not_negative(&self, field: &str, value: f64) -> Result<(), Error> {
        let holds = value.is_finite() && value >= 0.0;
        self.require(holds, field, "a finite number of at least 0", value)
    }

    fn below_one(&self, field: &str, value: f64) -> Result<(), Error> {
        self.require((0.0..1.0).contains(&value), field, "in [0, 1)", value)
    }

    fn above_zero_to_one(&self, field: &str, value: f64) -> Result<(), Error> {
        self.require(value > 0.0 && value <= 1.0, field, "in (0, 1]", value)
    }
}
