//! What ends a measurement, and what it shows on the way.
//!
//! A library has no clock: a limit of time is the caller's closure, asked before every block
//! product. A measurement that ends early returns what it has, with its error, and the [`Stop`].

use std::fmt;

use crate::Error;

/// What a measurement may cost.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Matrix-vector products at most; `None` for no bound.
    pub products: Option<usize>,
    /// Asked before every block product but the first: `true` ends the measurement.
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

    /// Refuses a budget that ends before the first result.
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
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Budget")
            .field("products", &self.products)
            .finish_non_exhaustive()
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
    /// The residuals are down to the rounding of the products, which is more than the tolerance.
    Rounding,
    /// The whole space is covered, so that further products add nothing: exact up to rounding.
    Complete,
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
