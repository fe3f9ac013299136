//! How narrow a confidence interval is to be: half-width ≤ relative error × |value|.

use crate::{Budget, Error, Estimate, Progress, Stop};

/// What "accurate enough" means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Half-width of the confidence interval as a fraction of |value|.
    pub relative_error: f64,
    /// Confidence of the interval, such as 0.95.
    pub confidence: f64,
}

/// A measurement that went on until a goal or a budget ended it.
///
/// The measurement ends at an interval that happens to be narrow, which contains the truth a little
/// less often than its confidence says: start with thirty probes, and the difference is small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured<T> {
    /// What was measured.
    pub result: T,
    /// What ended the measurement.
    pub stop: Stop,
}

impl Goal {
    /// 95 % confidence in an error of at most `relative_error` × |value|.
    #[must_use]
    pub fn relative(relative_error: f64) -> Self {
        Self {
            relative_error,
            confidence: 0.95,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        for (field, expected, got, most) in [
            ("relative_error", "above 0", self.relative_error, f64::MAX),
            ("confidence", "between 0 and 1", self.confidence, 1.0),
        ] {
            if !(got > 0.0 && got < most) {
                return Err(Error::OutOfRange {
                    field,
                    expected,
                    got,
                });
            }
        }
        Ok(())
    }

    /// Whether every estimate is accurate enough.
    pub(crate) fn reached(&self, estimates: &[Estimate]) -> Result<bool, Error> {
        for estimate in estimates {
            let half_width = estimate.half_width(self.confidence)?;
            if half_width > self.relative_error * estimate.value.abs() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reports the first of `estimates`, and says what ends the measurement after it, if anything
    /// does; `next` are the products of the next block.
    pub(crate) fn judge(
        &self,
        estimates: &[Estimate],
        next: usize,
        budget: &Budget<'_>,
        observe: &mut dyn FnMut(&Progress),
    ) -> Result<Option<Stop>, Error> {
        let products = estimates[0].products;
        observe(&Progress {
            products,
            value: estimates[0].value,
            error: estimates[0].half_width(self.confidence)?,
        });
        if self.reached(estimates)? {
            return Ok(Some(Stop::Converged));
        }
        Ok(budget.exhausted(products, next))
    }
}
