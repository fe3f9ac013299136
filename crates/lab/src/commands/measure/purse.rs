//! A budget of products and of time, shared by measurements that follow each other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use flatness_spectrum::Budget;

use crate::arguments::MeasureOptions;

/// What is left of the budget.
pub(super) struct Purse {
    products: usize,
    /// Products that each measurement to come takes at least.
    needs: VecDeque<usize>,
    deadline: Option<Instant>,
    /// Products made so far.
    pub(super) used: usize,
}

impl Purse {
    /// The budget of `options` for measurements that take at least `needs` products each; refuses what it
    /// does not hold.
    pub(super) fn new(
        options: &MeasureOptions,
        needs: impl Iterator<Item = usize>,
    ) -> Result<Self> {
        let (products, needs) = (options.budget, needs.collect::<VecDeque<_>>());
        let least: usize = needs.iter().sum();
        if products < least {
            bail!(
                "--budget is {products} products, but what is asked for takes {least} at least; give as many, \
                 or ask for less"
            );
        }
        // A limit beyond what a clock can show is none.
        let limit = options.time_limit.map(Duration::try_from_secs_f64);
        let limit = limit.and_then(Result::ok);
        Ok(Self {
            products,
            needs,
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            used: 0,
        })
    }

    /// Runs the next measurement, `work`, which returns its products: an equal share of what is left, but what
    /// the others need at least is kept for them.
    pub(super) fn spend(&mut self, work: impl FnOnce(&Budget<'_>) -> Result<usize>) -> Result<()> {
        let deadline = self.deadline;
        let expired = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let share = self.products / self.needs.len().max(1);
        let own = self.needs.pop_front().unwrap_or(0);
        let others: usize = self.needs.iter().sum();
        let budget = Budget {
            products: Some(share.min(self.products.saturating_sub(others)).max(own)),
            interrupt: &expired,
        };
        let products = work(&budget)?;
        self.products = self.products.saturating_sub(products);
        self.used += products;
        Ok(())
    }
}
