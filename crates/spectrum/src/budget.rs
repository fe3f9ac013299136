//! What ends a measurement, and what it shows on the way.
//!
//! A library has no clock: a limit of time is the caller's closure, asked before every block of
//! products, the first one too, so that it holds to within one block. A measurement that ends early
//! returns what it has, with its error, and the [`Stop`]; one that has no number yet is an
//! [`Error::Interrupted`].

use crate::error::check_positive_real;
use crate::{Error, Estimate};

/// What a measurement may cost.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Matrix-vector products at most; `None` for no bound.
    pub products: Option<usize>,
    /// Asked before every block of products: `true` ends the measurement.
    pub interrupt: &'a dyn Fn() -> bool,
}

impl Budget<'_> {
    /// Nothing but the goal ends the measurement.
    pub const UNLIMITED: Self = Self {
        products: None,
        interrupt: &|| false,
    };

    /// At most `products` matrix-vector products.
    #[must_use]
    pub fn of_products(products: usize) -> Self {
        Self {
            products: Some(products),
            ..Self::UNLIMITED
        }
    }

    /// Refuses a budget of fewer products than the first result takes.
    pub(crate) fn check(&self, needed: usize) -> Result<(), Error> {
        match self.products {
            Some(products) if products < needed => Err(Error::BudgetTooSmall { products, needed }),
            _ => Ok(()),
        }
    }

    /// Why the next block of `next` products must not be made after `used`, if it must not.
    pub(crate) fn exhausted(&self, used: usize, next: usize) -> Option<Stop> {
        if self.products.is_some_and(|products| used + next > products) {
            Some(Stop::Products)
        } else if (self.interrupt)() {
            Some(Stop::Interrupted)
        } else {
            None
        }
    }

    /// Ends what has no number yet after `products` products, where the caller interrupts.
    pub(crate) fn go_on(&self, products: usize) -> Result<(), Error> {
        if (self.interrupt)() {
            return Err(Error::Interrupted { products });
        }
        Ok(())
    }
}

/// What ended a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The goal is reached: the residuals or the confidence interval are as small as asked.
    Converged,
    /// The products allowed are used up.
    Products,
    /// The caller interrupted.
    Interrupted,
    /// The bytes allowed hold no more vectors.
    Memory,
    /// The errors are down to the rounding of the products, which is more than was asked for.
    Rounding,
    /// The whole space is covered, so that further products add nothing: exact up to rounding.
    Complete,
    /// Nothing that was asked for is defined: no further product changes that.
    Undefined,
}

/// Where a measurement stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Matrix-vector products used so far.
    pub products: usize,
    /// The current value: the first eigenvalue asked for, or the estimate.
    pub value: f64,
    /// How far off it may be: the residual of an eigenvalue, the half-width of the confidence
    /// interval of an estimate.
    pub error: f64,
}

/// What "accurate enough" means: half-width ≤ relative error × |value|.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Half-width of the 95 % confidence interval as a fraction of |value|.
    pub relative_error: f64,
}

/// Confidence of the intervals that a goal is about.
pub(crate) const CONFIDENCE: f64 = 0.95;

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
        Self { relative_error }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_positive_real("relative_error", self.relative_error)
    }

    /// What ends a measurement of `estimates` that no further probe would help: each is accurate enough,
    /// or as accurate as rounding allows.
    pub(crate) fn reached(&self, estimates: &[Estimate]) -> Result<Option<Stop>, Error> {
        let mut stop = Stop::Converged;
        for estimate in estimates {
            let half_width = estimate.half_width(CONFIDENCE)?;
            if half_width > self.relative_error * estimate.value.abs() {
                if estimate.standard_error > estimate.rounding {
                    return Ok(None);
                }
                stop = Stop::Rounding;
            }
        }
        Ok(Some(stop))
    }

    /// Reports the first of `estimates`, and says what ends the measurement after `products`, if anything
    /// does; `next` are the products of the next block.
    pub(crate) fn judge(
        &self,
        estimates: &[Estimate],
        (products, next): (usize, usize),
        budget: &Budget<'_>,
        observe: &mut dyn FnMut(&Progress),
    ) -> Result<Option<Stop>, Error> {
        let Some(first) = estimates.first() else {
            return Ok(Some(Stop::Undefined));
        };
        observe(&Progress {
            products,
            value: first.value,
            error: first.half_width(CONFIDENCE)?,
        });
        let reached = self.reached(estimates)?;
        Ok(reached.or_else(|| budget.exhausted(products, next)))
    }
}
