//! Counts what is computed, each once, and shows it to the observer.

use std::cell::Cell;

use flatness_records::Cost;
use flatness_spectrum::{Budget, Progress};

use crate::{Error, Observer};

pub(crate) struct Meter<'c> {
    observer: &'c dyn Observer,
    interrupt: &'c dyn Fn() -> bool,
    cost: Cell<Cost>,
}

impl<'c> Meter<'c> {
    pub(crate) fn new(observer: &'c dyn Observer, interrupt: &'c dyn Fn() -> bool) -> Self {
        Self {
            observer,
            interrupt,
            cost: Cell::default(),
        }
    }

    /// Counts `cost`, of which the observer has been told.
    pub(crate) fn count(&self, cost: Cost) {
        let mut sum = self.cost.get();
        sum += cost;
        self.cost.set(sum);
    }

    /// Counts so many products and shows them.
    pub(crate) fn products(&self, products: u64) {
        self.count(Cost::products(products));
        self.observer.advance(products);
    }

    pub(crate) fn cost(&self) -> Cost {
        self.cost.get()
    }

    /// A stage of `total` units at least begins.
    pub(crate) fn stage(&self, name: &str, unit: &'static str, total: usize) {
        self.observer.begin(name, unit, total as u64);
    }

    /// Shows how an estimate goes on that is to reach the error `goal`: errors fall as the root of the products.
    pub(crate) fn estimate(&self, name: &str, progress: &Progress, goal: f64, most: usize) {
        let Progress {
            products,
            value,
            error,
        } = *progress;
        self.observer
            .message(&format!("{name} {value:.4e} +- {error:.1e}"));
        let more = (error / (goal * value.abs())).powi(2).max(1.0) * products as f64;
        if more.is_finite() {
            self.observer.expect((more as u64).min(most as u64));
        }
    }

    /// Shows how a search goes on for the eigenvalue of this name.
    pub(crate) fn search(&self, name: &str, progress: &Progress) {
        let (value, residual) = (progress.value, progress.error);
        self.message(&format!("{name} {value:.4e}, residual {residual:.1e}"));
    }

    pub(crate) fn message(&self, message: &str) {
        self.observer.message(message);
    }

    /// Whether the caller ends it.
    pub(crate) fn interrupted(&self) -> bool {
        (self.interrupt)()
    }

    /// Asks whether to go on, before there is a number.
    pub(crate) fn ask(&self) -> Result<(), Error> {
        if self.interrupted() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// At most so many products, unless the caller ends it before.
    pub(crate) fn budget(&self, products: usize) -> Budget<'c> {
        Budget {
            products: Some(products),
            interrupt: self.interrupt,
        }
    }

    pub(crate) fn interrupt(&self) -> &'c dyn Fn() -> bool {
        self.interrupt
    }

    /// For measures that report their sweeps themselves.
    pub(crate) fn advance(&self, units: u64) {
        self.observer.advance(units);
    }
}
